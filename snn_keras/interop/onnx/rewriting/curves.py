"""Activations that a file writes as several nodes, recognized by their values.

Files spell `gelu` as `x / 2 * (1 + erf(x / sqrt(2)))`, in any order, and `silu` as
`x * sigmoid(x)`. What counts is the function that the nodes compute together.
"""

import functools

import keras
import numpy as np
from keras import activations, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.rewriting.graph import Graph
from snn_keras.interop.onnx.values import Known

# Operators that act on each entry by itself.
_ENTRYWISE = {
    *("Abs", "Add", "Clip", "Div", "Erf", "Exp", "HardSigmoid", "Log", "Max", "Min"),
    *("Mul", "Neg", "Pow", "Relu", "Sigmoid", "Softplus", "Sqrt", "Sub", "Tanh"),
}
# With these the known functions end.
_LAST = {"Div", "Mul"}
# How many nodes a function has at most.
_MOST = 12
# The operator for each function, its attributes, and the function.
_CURVES = (
    ("Gelu", {}, activations.gelu),
    ("Gelu", {"approximate": "tanh"}, lambda x: ops.gelu(x, approximate=True)),
    ("HardSwish", {}, activations.hard_silu),
    ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}, activations.hard_sigmoid),
    ("Mish", {}, activations.mish),
    ("Swish", {}, activations.silu),
)
_PLACES = np.concatenate([np.linspace(-9, 9, 361), [-40, 40]]).astype("float32")


def with_curves(graph: Graph) -> Graph:
    """The graph with one node for each known function."""
    new, inside = {}, set()
    for node in reversed(graph.nodes):
        found = node.op in _LAST and node not in inside and _curve(graph, node)
        if found:
            new[node], nodes = found
            inside |= nodes
    return graph.replaced(new)


def _curve(graph, last):
    """A node for the function that ends with a node, and the nodes that it replaces."""
    for start, nodes in _spans(graph, last):
        values = _values(graph, start, nodes, last)
        for op, attributes, expected in _expected() if values is not None else ():
            if np.allclose(values, expected, rtol=1e-5, atol=2e-6):
                return Node(last.name, op, (start,), last.outputs, attributes), {*nodes}
    return None


def _spans(graph, last):
    """Yields tensors of which a node is a function alone, with the nodes between.

    The tensors that lie furthest before it come first.
    """
    before, waiting = {}, [last]
    while waiting and len(before) <= _MOST:
        node = waiting.pop(0)
        before[node] = signals = _signals(graph, node)
        makers = (graph.maker(name, *_ENTRYWISE) for name in signals or ())
        waiting += [m for m in dict.fromkeys(makers) if m and m not in before]
    starts = dict.fromkeys(name for names in before.values() for name in names or ())
    for start in reversed(starts):
        nodes = _between(graph, before, start, last)
        if nodes is not None and len(nodes) > 1:
            yield start, nodes


def _signals(graph, node):
    """The inputs of a node that are not constants; None if those are no numbers."""
    fixed = [name for name in node.inputs if name in graph.constants]
    if any(graph.number(name) is None for name in fixed):
        return None
    return [name for name in node.inputs if name and name not in fixed]


def _between(graph, before, start, last):
    """The nodes from a tensor to the last one; None if they read another tensor."""
    found, waiting = {last}, [last]
    while waiting:
        for name in before.get(waiting.pop()) or [""]:
            if name == start:
                continue
            maker = graph.makers.get(name)
            if maker not in before:
                return None
            if maker not in found:
                found.add(maker)
                waiting.append(maker)
    return [node for node in graph.nodes if node in found]


def _values(graph, start, nodes, last):
    """What nodes compute of numbers in place of a tensor; None if they cannot."""
    known = {start: Known.constant(_PLACES)}
    for node in nodes:
        inputs = [
            known.get(name) or Known.constant(graph.constants[name]) if name else None
            for name in node.inputs
        ]
        try:
            outputs = graph.folder.folded(node, inputs)
            known |= zip(node.outputs, outputs, strict=False)
        except Untranslatable:
            return None
    return known[last.outputs[0]].fixed


@functools.cache
def _expected():
    """The known functions with their values."""
    return [
        (op, attributes, keras.ops.convert_to_numpy(function(_PLACES)))
        for op, attributes, function in _CURVES
    ]
