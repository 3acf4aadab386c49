"""Inputs that users give: checked, and cut into batches."""

import numpy as np
from keras import tree


def batches(data, batch_size):
    """Yields a structure of arrays in batches of `batch_size` samples."""
    count = len(tree.flatten(data)[0])
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        yield tree.map_structure(lambda x, part=part: x[part], data)


def check_data(data, graph):
    """Returns `data` as arrays in the structure of the graph's inputs.

    Raises:
        ValueError: if it is empty, not finite, or does not fit the inputs.
    """
    if isinstance(data, list) and len(data) == 1 and not tree.is_nested(graph.inputs):
        data = data[0]
    try:
        tree.assert_same_structure(data, graph.inputs)
    except (ValueError, TypeError) as error:
        received = type(data).__name__
        if isinstance(data, dict):
            received += f" with keys {sorted(data, key=str)}"
        raise ValueError(
            f"data must have the structure of the model's inputs, "
            f"{tree.map_structure(lambda x: x.shape, graph.inputs)}. Received: "
            f"{received}."
        ) from error
    data = tree.map_structure(np.asarray, data)
    counts = {name: len(x) if x.ndim else 0 for name, x in _named(data, graph)}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"data must hold as many samples for every input. Received: {counts}."
        )
    for name, x, expected in zip(
        graph.input_names, tree.flatten(data), tree.flatten(graph.inputs), strict=True
    ):
        fits = len(x.shape) == len(expected.shape) and all(
            wanted in (None, got)
            for wanted, got in zip(expected.shape[1:], x.shape[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"data for input '{name}' has the wrong shape: expected "
                f"{expected.shape}, received {x.shape}."
            )
        if not len(x):
            raise ValueError(
                f"data for input '{name}' is empty: shape {x.shape}. Give it at "
                "least one sample; a thousand serve well."
            )
        if x.dtype.kind not in "fiub" and x.dtype.name != "bfloat16":
            raise ValueError(
                f"data for input '{name}' must be numbers. Received: dtype {x.dtype}."
            )
        if not np.isfinite(x).all():
            bad = int(np.sum(~np.isfinite(x)))
            raise ValueError(
                f"data for input '{name}' holds {bad} values that are not finite "
                "(NaN or infinity). Remove them before calibrating."
            )
    return data


def _named(data, graph):
    return zip(graph.input_names, tree.flatten(data), strict=True)


def check_count(name, value) -> int:
    """Returns `value`, or raises a ValueError unless it is an integer >= 1."""
    valid = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not valid or value < 1:
        raise ValueError(f"{name} must be an integer >= 1. Received: {name}={value!r}")
    return int(value)
