"""Whether an operation treats each sample of a batch by itself: it is tried out."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from keras import ops, tree

from snn_keras.graph import Node

SAMPLES = 3  # of a batch on which an operation is tried
_OPEN = 16  # a size that is not known, there
# How far a sample's result may depend on its company: rounding alone.
_ROUNDING = {"float64": 1e-6, "float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}


def mixing(nodes: Iterable[Node], where_unknown: bool = True) -> list:
    """Those of some nodes by which a sample's result depends on its company.

    Args:
        nodes: The nodes.
        where_unknown: Whether to count those among them that cannot be tried, such as
            those for batches of one size.
    """
    return [n for n in nodes if keeps_state(n) or _mixes(n, where_unknown)]


def keeps_state(node: Node) -> bool:
    """Whether it hands a state from batch to batch, as a stateful LSTM does."""
    return bool(getattr(node.operation, "stateful", False))


def _mixes(node, where_unknown):
    if not node.inputs or any(x.dtype == "string" for x in node.inputs):
        return False  # texts are looked up
    try:
        return not agree(*tried(node))
    except Exception:  # whatever the backend raises
        return where_unknown


def tried(node: Node) -> tuple[Any, list]:
    """A node's outputs for some samples, together and each alone."""
    rng = np.random.default_rng(0)
    shapes = [[n or _OPEN for n in x.shape[1:]] for x in node.inputs]
    numbers = [rng.uniform(-2, 2, (SAMPLES, *shape)) for shape in shapes]
    for x, tensor in zip(numbers, node.inputs, strict=True):
        x[0] = 0  # as long as nothing has arrived
        if "float" not in tensor.dtype:
            np.abs(x, out=x)  # they may be places

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
    """Whether samples have the same outputs in company as alone."""
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
