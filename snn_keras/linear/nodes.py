"""Properties of graph nodes: shapes, operands, and their form at a single step."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import layers, ops, tree

from snn_keras.graph import Node, Tensor, computes_as, fill
from snn_keras.linear.forms import without_leading_ones
from snn_keras.linear.registry import NoForm
from snn_keras.time import PerStep
from snn_keras.typing import Array


def shape_of(node: Node) -> tuple[int, ...]:
    """The shape of the node's only input, without the batch."""
    (x,) = node.inputs
    return tuple(x.shape[1:])


def is_channels_first(layer: Any) -> bool:
    """Whether the data format of a layer is "channels_first"."""
    return getattr(layer, "data_format", None) == "channels_first"


def spatial(layer: Any, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The spatial lengths in a shape without the batch."""
    return tuple(shape[1:] if is_channels_first(layer) else shape[:-1])


def operands_of(node: Node) -> list:
    """The signals and constants among a node's arguments."""
    operands = tree.flatten((node.args, node.kwargs))
    ranks = {len(x.shape) for x in operands if isinstance(x, Tensor)}
    if len(ranks) > 1:
        raise NoForm("of signals of several ranks it has none. Remedy: equal ranks.")
    (rank,) = ranks
    return [x if isinstance(x, Tensor) else constant_of(x, rank) for x in operands]


def constant_of(x: Array, rank: int) -> np.ndarray:
    """A constant operand of signals of this rank; it must be equal for all samples."""
    constant = without_leading_ones(x)
    if constant.ndim >= rank:
        raise NoForm(
            "with a constant for each sample it has none. Remedy: a constant of "
            "length 1 along the batch."
        )
    return constant


def at_a_step(node: Node, shapes: Sequence[tuple[int, ...]]) -> tuple[Node, list[int]]:
    """The operation of a node at a single step, as a node without a time axis.

    Args:
        node: A node of a spiking network's graph.
        shapes: The shapes of its inputs, without batch and time.

    Returns:
        The new node, and for each of its inputs the index of the corresponding input
        of `node`.
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
    is_known = not any(None in shape for shape in shapes)
    if is_known and any(None in y.shape[1:] for y in outputs):
        inner = _with_sizes(inner)
    return inner, [inputs.index(x) for x in inner.inputs]


def _with_sizes(node):
    """The node with the shapes of its outputs for inputs of zeros.

    Some layers do not tell them: `EinsumDense` with an `output_shape` that is open.
    """
    zeros = {x: ops.zeros((1, *x.shape[1:]), x.dtype) for x in node.inputs}
    found = tree.flatten(node.call(node.operation, zeros, training=False))
    outputs = tuple(
        Tensor((None, *value.shape[1:]), y.dtype)
        for y, value in zip(node.outputs, found, strict=True)
    )
    return dataclasses.replace(node, outputs=outputs)


def unwrapped(node: Node) -> tuple[Node, tuple[int, ...]]:
    """The call inside all wrappers, and the lengths of the axes they apply it along."""
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
    """A tensor without the first `axes` axes after the batch."""
    return Tensor((x.shape[0], *x.shape[1 + axes :]), x.dtype)
