"""Nodes of spiking networks as they are at one step."""

import dataclasses

import keras
from keras import layers, tree

from snn_keras.graph import Node, Tensor, computes_as, fill
from snn_keras.neurons import PerStep


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
