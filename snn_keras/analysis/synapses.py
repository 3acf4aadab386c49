"""Synapses of layers with weights: how many each element of their inputs meets."""

import dataclasses
import functools
import math

import numpy as np
from keras import layers, ops

from snn_keras.analysis import probing
from snn_keras.graph import computes_as


@dataclasses.dataclass(frozen=True)
class Synapses:
    """Where additions of a layer with weights arise.

    Attributes:
        fan_out: For each input, an array in its shape without the batch: the weights
            that a spike at each element meets.
        inside: Weights that numbers meet which the layer makes within itself.
    """

    fan_out: list
    inside: float = 0.0


def synapses(node) -> Synapses:
    """The synapses of a node whose operation is linear and has weights.

    Those of Keras's layers follow from their arguments; all others are tried out. Of
    attention, only its projections are counted, and all that meets them are numbers.

    Args:
        node: A `snn_keras.graph.Node`, its operation not inside a wrapper.

    Raises:
        ValueError: if it is too large to try out.
    """
    count = _count_of(node.operation)
    if count is not None:
        return count(node)
    shapes = [x.shape[1:] for x in node.inputs]
    fan_out = [np.zeros(math.prod(shape)) for shape in shapes]
    for number, elements, _ in probing.reached(node):
        fan_out[number] += np.bincount(elements, minlength=len(fan_out[number]))
    return Synapses([n.reshape(s) for n, s in zip(fan_out, shapes, strict=True)])


def is_known(operation) -> bool:
    """Whether the synapses follow from the operation's arguments."""
    return _count_of(operation) is not None


def _count_of(operation):
    for kind in type(operation).__mro__:
        if kind in _KNOWN and computes_as(operation, kind):
            return _KNOWN[kind]
    return None


def _dense(node):
    return Synapses([np.full(_shape(node), float(node.operation.units))])


def _einsum(node):
    """A weight for every output that differs from an input in its other labels."""
    layer, shape = node.operation, _shape(node)
    operands, result = layer.equation.split("->")
    labels = operands.split(",")[0]
    sizes = layer.compute_output_shape((None, *shape))
    head, _, tail = result.partition("...")
    known = [*zip(head, sizes, strict=False)]
    known += zip(reversed(tail), reversed(sizes), strict=False)
    others = math.prod(size for label, size in known if label not in labels)
    return Synapses([np.full(shape, float(others))])


def _convolution(node):
    layer = node.operation
    return Synapses([_fan_out(layer, _shape(node), layer.filters // layer.groups)])


def _transposed(node):
    layer = node.operation
    return Synapses([_fan_out(layer, _shape(node), layer.filters)])


def _depthwise(node):
    layer = node.operation
    return Synapses([_fan_out(layer, _shape(node), layer.depth_multiplier)])


def _separable(node):
    """Behind the depthwise part there are numbers, which meet the pointwise weights."""
    layer, shape = node.operation, _shape(node)
    sizes, channels = _spatial(layer, shape)
    places = math.prod(_taps(layer, i, n).shape[1] for i, n in enumerate(sizes))
    between = places * channels * layer.depth_multiplier
    fan_out = _fan_out(layer, shape, layer.depth_multiplier)
    return Synapses([fan_out], float(between * layer.filters))


def _attention(node):
    given = {**dict(zip(("query", "value"), node.args, strict=False)), **node.kwargs}
    places = {k: math.prod(given[k].shape[1:-1]) for k in ("query", "value")}
    inside = 0.0
    for weight in node.operation.weights:
        *_, part, name = weight.path.split("/")
        if name == "kernel":
            side = "value" if part in ("key", "value") else "query"
            inside += places[side] * math.prod(weight.shape)
    return Synapses([np.zeros(x.shape[1:]) for x in node.inputs], inside)


_KNOWN = {
    layers.Dense: _dense,
    layers.EinsumDense: _einsum,
    layers.Conv1D: _convolution,
    layers.Conv2D: _convolution,
    layers.Conv3D: _convolution,
    layers.Conv1DTranspose: _transposed,
    layers.Conv2DTranspose: _transposed,
    layers.Conv3DTranspose: _transposed,
    layers.DepthwiseConv1D: _depthwise,
    layers.DepthwiseConv2D: _depthwise,
    layers.SeparableConv1D: _separable,
    layers.SeparableConv2D: _separable,
    layers.MultiHeadAttention: _attention,
    layers.GroupQueryAttention: _attention,
}


def _fan_out(layer, shape, copies):
    """Weights that each element meets in a convolution, `copies` of them at a place."""
    sizes, _ = _spatial(layer, shape)
    counts = [_taps(layer, i, n).sum(axis=1) for i, n in enumerate(sizes)]
    places = functools.reduce(np.multiply.outer, counts) * copies
    axis = 0 if layer.data_format == "channels_first" else -1
    return np.broadcast_to(np.expand_dims(places, axis), shape)


def _spatial(layer, shape):
    """The lengths of the spatial axes, and the channels."""
    if layer.data_format == "channels_first":
        return shape[1:], shape[0]
    return shape[:-1], shape[-1]


def _taps(layer, axis, length):
    """Which outputs each place reaches along an axis, `(length, output length)`.

    A convolution of any rank reaches along each axis what one of rank 1 reaches.
    """
    names = ("kernel_size", "strides", "dilation_rate", "output_padding")
    given = {name: getattr(layer, name, None) for name in names}
    settings = {name: each[axis] for name, each in given.items() if each is not None}
    kind = layers.Conv1D
    if isinstance(layer, _TRANSPOSED):
        kind = layers.Conv1DTranspose
    line = kind(
        1,
        **settings,
        padding=layer.padding,
        data_format="channels_last",
        use_bias=False,
        kernel_initializer="ones",
        dtype="float32",
    )
    places = np.eye(length, dtype="float32")[..., None]
    return ops.convert_to_numpy(line(places))[..., 0].astype("float64")


def _shape(node):
    """The shape of the node's one input, without the batch."""
    (x,) = node.inputs
    return x.shape[1:]


_TRANSPOSED = (
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
)
