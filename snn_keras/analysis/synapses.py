"""The number of synapses of each input element of a layer with weights."""

import dataclasses
import math

import numpy as np

from snn_keras.analysis import probing
from snn_keras.analysis.linear import has_projections, known_form
from snn_keras.graph import Node


@dataclasses.dataclass(frozen=True)
class Synapses:
    """The synapses of a layer with weights.

    Attributes:
        fan_out: For each input, an array in its shape without the batch: the number of
            weights that each element meets.
        weights: The number of its weights.
        inside: The number of multiplications by weights of intermediate results.
    """

    fan_out: list
    weights: float
    inside: float = 0.0


def synapses(node: Node) -> Synapses:
    """The synapses of a node whose operation is linear and has weights.

    They follow from its linear form; an operation without a form is tried out. For
    attention, the projections and the two products of signals are counted, and all that
    they take are numbers.

    Args:
        node: A `snn_keras.graph.Node` without a wrapper.

    Raises:
        ValueError: if the operation is too large to be tried out.
    """
    if has_projections(node.operation):
        return _of_attention(node)
    form = known_form(node)
    if form is not None:
        (shape,) = (x.shape[1:] for x in node.inputs)
        return Synapses([form.fan_out(shape)], form.weights, form.inside(shape))
    shapes = [x.shape[1:] for x in node.inputs]
    fan_out = [np.zeros(math.prod(shape)) for shape in shapes]
    for number, elements, _ in probing.reached(node):
        fan_out[number] += np.bincount(elements, minlength=len(fan_out[number]))
    own = [w for w in getattr(node.operation, "weights", ()) if w.trainable]
    kernels = [math.prod(w.shape) for w in own if len(w.shape) > 1]
    weights = sum(kernels) if kernels else sum(n.sum() for n in fan_out)
    fan_out = [n.reshape(s) for n, s in zip(fan_out, shapes, strict=True)]
    return Synapses(fan_out, float(weights))


def _of_attention(node):
    given = {**dict(zip(("query", "value"), node.args, strict=False)), **node.kwargs}
    places = {k: math.prod(given[k].shape[1:-1]) for k in ("query", "value")}
    kernels = {}
    for weight in node.operation.weights:
        *_, part, name = weight.path.split("/")
        if name == "kernel":
            kernels[part] = weight.shape
    inside = float(_products(node, given, places["query"], kernels))
    for part, shape in kernels.items():
        side = "value" if part in ("key", "value") else "query"
        inside += places[side] * math.prod(shape)
    count = sum(math.prod(shape) for shape in kernels.values())
    return Synapses([np.zeros(x.shape[1:]) for x in node.inputs], count, inside)


def _products(node, given, places, kernels):
    """The multiplications of queries by keys, and of their scores by values."""
    axes = getattr(node.operation, "attention_axes", None) or (1,)
    attended = math.prod(given["value"].shape[axis] for axis in axes)
    _, heads, features = kernels["query"]
    return places * attended * heads * (features + kernels["value"][-1])
