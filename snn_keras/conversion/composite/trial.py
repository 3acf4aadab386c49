"""Tries what is inside a layer: whether it computes the same, and which shapes."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops, tree

from snn_keras.conversion.composite.closed import StaysClosed
from snn_keras.graph import Node, Tensor, run_nodes
from snn_keras.typing import Array

# Differences that come from rounding.
_NEAR = {"float64": 1e-9, "float32": 1e-5, "bfloat16": 2e-2, "float16": 2e-3}


def known_shapes(nodes: Sequence[Node], inputs: Sequence[Tensor]) -> dict:
    """The shapes of what nodes give, also where Keras does not tell them.

    Args:
        nodes: The nodes.
        inputs: What they read.

    Returns:
        `{tensor: shape}`; empty if a shape of the inputs is open, or the nodes fail.
    """
    if any(None in x.shape[1:] for x in inputs):
        return {}
    rng, shapes = np.random.default_rng(0), {}

    def call(node, values):
        made = tree.flatten(_called(node, values))
        for y, found in zip(node.outputs, made, strict=True):
            if y.shape[:1] == (None,):
                shapes[y] = (None, *found.shape[1:])
        return made

    try:
        run_nodes(nodes, {x: _drawn(x, 2, rng) for x in inputs}, call)
    except Exception:  # a layer of the user's own may raise anything
        return {}
    return shapes


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
        given = dict(values)
        expected = tree.flatten(_called(whole, values))
        run_nodes(nodes, values, _called)
        pairs = zip(outputs, expected, strict=True)
        if not all(_agree(values[y], z) for y, z in pairs if y in values):
            raise StaysClosed(_difference(nodes, values, given))


def _difference(nodes, values, given):
    """Says why what is inside, which gave `values`, does not do what the layer does."""
    again = dict(given)
    run_nodes(nodes, again, _called)
    for node in nodes:
        if not all(_agree(values[y], again[y]) for y in node.outputs):
            name = node.operation.name
            return f"its layer '{name}' computes something else each time."
    return "traced, it computes something else."


def _called(node, values):
    """The node's results; no variable is changed."""
    with keras.StatelessScope():
        return node.call(node.operation, values, training=False)


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
