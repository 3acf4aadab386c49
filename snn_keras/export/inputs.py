"""Inputs of exported networks, in the order in which they take them."""

from collections.abc import Iterable, Mapping

import numpy as np
from keras import tree

from snn_keras.graph import Graph, Tensor
from snn_keras.inputs import arrays_of, check_data
from snn_keras.typing import Inputs


def by_name(data: Inputs, names: Iterable[str], limit: int | None = None) -> Inputs:
    """`data` as arrays; where it is a dict, these names of it, as `predict` takes it.

    Args:
        data: Inputs in any form that `predict` takes.
        names: Names of the inputs.
        limit: Samples to read of what gives batches; None for all.

    Raises:
        ValueError: if names are missing.
    """
    data = arrays_of(data, limit)
    if not isinstance(data, dict):
        return data
    missing = [name for name in names if name not in data]
    if missing:
        raise ValueError(
            f"inputs by name: missing are {missing}; given are "
            f"{sorted(data, key=str)}. Expected: {list(names)}, in any order."
        )
    return {name: data[name] for name in names}


def in_order(data: Inputs, shapes: Mapping[str, tuple[int, ...]]) -> list[np.ndarray]:
    """`data` as a list of arrays for inputs of these shapes, checked.

    Args:
        data: Inputs in any form that `predict` takes.
        shapes: The shape of each input by its name, without the batch.

    Raises:
        ValueError: if names are missing, or arrays do not fit.
    """
    tensors = [Tensor((None, *shape), "float32") for shape in shapes.values()]
    inputs = tensors if len(tensors) > 1 else tensors[0]
    graph = Graph("", inputs, (), tuple(shapes), ())
    return tree.flatten(check_data(by_name(data, shapes), graph))
