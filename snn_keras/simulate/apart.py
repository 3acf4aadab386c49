"""Tests by trial whether an operation treats the samples of a batch independently."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops, tree

from snn_keras.graph import Node

SAMPLES = 3  # samples of the batch on which an operation is tried
_UNKNOWN = 16  # the length of an axis there whose length is unknown
# Tolerances for differences that come from rounding.
_ROUNDING = {"float64": 1e-6, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}


def mixing(nodes: Iterable[Node], where_unknown: bool = True) -> list:
    """The nodes that make a sample's result depend on other samples.

    Args:
        nodes: The nodes to test.
        where_unknown: Whether to include nodes that cannot be tried, such as those
            for batches of a fixed size.
    """
    return [n for n in nodes if keeps_state(n) or _mixes(n, where_unknown)]


def keeps_state(node: Node) -> bool:
    """Whether it keeps a state from batch to batch, as a stateful LSTM does."""
    return bool(getattr(node.operation, "stateful", False))


def _mixes(node, where_unknown):
    if not node.inputs or any(x.dtype == "string" for x in node.inputs):
        return False  # strings are only looked up
    try:
        return not agree(*tried(node))
    except Exception:  # a backend may raise anything
        return where_unknown


def tried(node: Node) -> tuple[Any, list]:
    """A node's outputs for random samples, as one batch and one by one."""
    rng = np.random.default_rng(0)
    shapes = [[n or _UNKNOWN for n in x.shape[1:]] for x in node.inputs]
    numbers = [rng.uniform(-2, 2, (SAMPLES, *shape)) for shape in shapes]
    for x, tensor in zip(numbers, node.inputs, strict=True):
        x[0] = 0  # the signal before the first spike
        if "float" not in tensor.dtype:
            np.abs(x, out=x)  # they may be indices

    def call(part):
        values = {
            x: ops.cast(ops.convert_to_tensor(given[part]), x.dtype)
            for x, given in zip(node.inputs, numbers, strict=True)
        }
        outputs = tree.flatten(node.call(node.operation, values, training=False))
        return [ops.convert_to_numpy(y) for y in outputs]

    together = call(slice(None))
    return together, [call(slice(i, i + 1)) for i in range(SAMPLES)]


def agree(together: Any, alone: list) -> bool:
    """Whether samples have the same outputs as one batch as one by one."""
    for y, *parts in zip(together, *alone, strict=True):
        if any(part.shape[:1] != (1,) for part in parts):
            return False
        whole = np.concatenate(parts) if _fit(parts) else None
        if whole is None or whole.shape != y.shape:
            return False
        if y.dtype.kind not in "fcV":
            if not np.array_equal(whole, y):
                return False
            continue
        kind = np.dtype("float32") if y.dtype.kind == "V" else y.dtype
        tolerance = _ROUNDING.get(str(y.dtype), _ROUNDING["float32"])
        if not np.allclose(
            whole.astype(kind), y.astype(kind), tolerance, tolerance, equal_nan=True
        ):
            return False
    return True


def _fit(parts):
    return len({part.shape for part in parts}) == 1
