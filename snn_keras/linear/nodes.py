"""Nodes of a graph: what they read, and what they are at one step of a network."""

import dataclasses

import keras
from keras import layers, tree

from snn_keras.graph import Node, Tensor, computes_as, fill
from snn_keras.linear.forms import core
from snn_keras.linear.registry import NoForm
from snn_keras.time import PerStep


def shape_of(node):
    """The shape of the node's one input, without the batch."""
    (x,) = node.inputs
    return tuple(x.shape[1:])


def is_channels_first(layer):
    """Whether a layer has its channels in front."""
    return getattr(layer, "data_format", None) == "channels_first"


def spatial(layer, shape):
    """The lengths of a layer's spatial axes, of a shape without the batch."""
    return tuple(shape[1:] if is_channels_first(layer) else shape[:-1])


def operands_of(node):
    """The signals and constants that a node is called on."""
    operands = tree.flatten((node.args, node.kwargs))
    ranks = {len(x.shape) for x in operands if isinstance(x, Tensor)}
    if len(ranks) > 1:
        raise NoForm("of signals of several ranks it has none. Remedy: equal ranks.")
    (rank,) = ranks
    return [x if isinstance(x, Tensor) else constant_of(x, rank) for x in operands]


def constant_of(x, rank):
    """A constant beside signals of so many axes, the same for all samples."""
    constant = core(x)
    if constant.ndim >= rank:
        raise NoForm(
            "with a constant for each sample it has none. Remedy: a constant of "
            "length 1 along the batch."
        )
    return constant


def at_a_step(node, shapes):
    """What a node does at each step.

    Args:
        node: A node of a spiking network's graph.
        shapes: What its inputs have behind the batch and the time axis.

    Returns:
        A node without a time axis, with these shapes; and for each of its inputs, the
        number of the node's that it is.
    """
    layer, first = node.operation, 1
    inputs = [
        Tensor((None, *shape), x.dtype)
        for shape, x in zip(shapes, node.inputs, strict=True)
    ]
    if isinstance(layer, PerStep):
        operation, first = layer.operation, 2
        args, kwargs = layer.arguments_of(inputs)
    else:
        operation, values = layer, dict(zip(node.inputs, inputs, strict=True))
        args, kwargs = fill((node.args, node.kwargs), values)
        inputs = [values[x] for x in node.inputs]
    outputs = tuple(Tensor((None, *y.shape[first:]), y.dtype) for y in node.outputs)
    inner = Node(node.name, operation, tuple(args), kwargs, outputs)
    if any(None in y.shape[1:] for y in outputs):
        inner = _with_sizes(inner)
    return inner, [inputs.index(x) for x in inner.inputs]


def _with_sizes(node):
    """The node with the sizes of its outputs, which follow from those of its inputs."""
    symbols = {x: keras.KerasTensor(x.shape, x.dtype) for x in node.inputs}
    found = tree.flatten(node.call(node.operation.compute_output_spec, symbols))
    outputs = tuple(Tensor((None, *y.shape[1:]), y.dtype) for y in found)
    return dataclasses.replace(node, outputs=outputs)


def unwrapped(node):
    """The call inside wrappers, and the leading axes that they lay it over."""
    lead = ()
    while True:
        wrapper = node.operation
        if computes_as(wrapper, layers.TimeDistributed):
            lead, axes = (*lead, node.inputs[0].shape[1]), 1
        elif computes_as(wrapper, layers.SpectralNormalization):
            axes = 0
        else:
            return node, lead
        x = _without(node.inputs[0], axes)
        outputs = tuple(_without(y, axes) for y in node.outputs)
        node = Node(node.name, wrapper.layer, (x,), {}, outputs)


def _without(x, axes):
    """A tensor without so many axes behind the batch."""
    return Tensor((x.shape[0], *x.shape[1 + axes :]), x.dtype)
