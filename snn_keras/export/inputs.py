"""Reads and orders the inputs of exported networks."""

from collections.abc import Iterable, Mapping

import numpy as np
from keras import tree

from snn_keras.graph import Graph, Tensor
from snn_keras.inputs import arrays_of, check_data
from snn_keras.typing import Inputs


def by_name(data: Inputs, names: Iterable[str], limit: int | None = None) -> Inputs:
    """`data` as arrays; of a dict only the entries of these names.

    Args:
        data: Inputs of any kind that `predict` accepts.
        names: Names of the inputs.
        limit: Number of samples to read of an iterable of batches; None reads all.

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
    """`data` as a list of arrays in the order of the inputs, after checking shapes.

    Args:
        data: Inputs of any kind that `predict` accepts.
        shapes: `{name: shape}` of the inputs, without the batch.

    Raises:
        ValueError: if names are missing, or arrays do not fit.
    """
    tensors = [Tensor((None, *shape), "float32") for shape in shapes.values()]
    inputs = tensors if len(tensors) > 1 else tensors[0]
    graph = Graph("", inputs, (), tuple(shapes), ())
    return tree.flatten(check_data(by_name(data, shapes), graph))
