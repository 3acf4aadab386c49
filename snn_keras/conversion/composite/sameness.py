"""Tries whether the inside of a layer computes what the layer does."""

import keras
import numpy as np
from keras import ops, tree

from snn_keras.conversion.composite.closed import StaysClosed
from snn_keras.graph import Node, Tensor, run_nodes
from snn_keras.typing import Array

# Differences that come from rounding.
_NEAR = {"float64": 1e-9, "float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}


def check_same(whole: Node, nodes: list[Node], outputs: list[Tensor]) -> None:
    """Tries a node and the nodes inside it on random inputs, for two batch sizes.

    Args:
        whole: The node, whose operation is a layer.
        nodes, outputs: What is inside, and which of its tensors are the outputs.

    Raises:
        StaysClosed: if they do not compute the same.
    """
    rng = np.random.default_rng(0)
    for batch in (2, 3):
        values = {x: _drawn(x, batch, rng) for x in whole.inputs}
        expected = tree.flatten(_called(whole, values))
        again = dict(values)
        run_nodes(nodes, values)
        if all(map(_agree, (values[x] for x in outputs), expected)):
            continue
        run_nodes(nodes, again)
        for node in nodes:
            if not all(_agree(values[y], again[y]) for y in node.outputs):
                raise StaysClosed(
                    f"its layer '{node.operation.name}' computes something else each "
                    "time."
                )
        raise StaysClosed("traced, it computes something else.")


def _called(node, values):
    """The node's results; its variables are as before afterwards."""
    variables = node.operation.variables
    before = [ops.copy(v) for v in variables]
    try:
        return node.call(node.operation, values, training=False)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _drawn(x: Tensor, batch: int, rng: np.random.Generator) -> Array:
    """Random values for a tensor; axes of unknown length get 5 entries."""
    shape = [batch, *(n or 5 for n in x.shape[1:])]
    drawn = rng.normal(0, 1, shape) if "float" in x.dtype else rng.integers(0, 2, shape)
    return ops.cast(ops.convert_to_tensor(drawn), x.dtype)


def _agree(found, right):
    """Whether two results are the same, up to rounding in their dtype."""
    dtypes = {keras.backend.standardize_dtype(x.dtype) for x in (found, right)}
    a, b = (np.asarray(ops.convert_to_numpy(x)) for x in (found, right))
    if len(dtypes) > 1 or a.shape != b.shape:
        return False
    near = _NEAR.get(*dtypes)
    if near is None:
        return np.array_equal(a, b)
    return np.allclose(a.astype("float64"), b.astype("float64"), near, near, True)
