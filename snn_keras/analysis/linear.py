"""Which operations of a spiking network are linear, and which of them have weights."""

import dataclasses
import enum

import keras
from keras import layers, tree

from snn_keras.analysis.events import scales_channels
from snn_keras.analysis.synapses import is_known
from snn_keras.conversion._keras import operation_types
from snn_keras.conversion.rules import Identity, Linear, Refusal, rule_for
from snn_keras.graph import Node, Tensor, computes_as, fill
from snn_keras.time import BiasCorrection, PerStep

# Functions of Keras that multiply two operands: where one of them is constant, it holds
# weights.
_PRODUCTS = operation_types(
    *("Matmul", "Dot", "Einsum", "Tensordot", "Inner", "Outer", "Vdot", "Kron"),
    *("Cross", "Correlate", "Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose"),
)
# Not linear, with weights that only scale or shift.
_WEIGHTS_ASIDE = (
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
    layers.PReLU,
    layers.Attention,
    layers.AdditiveAttention,
)


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


class Kind(enum.Enum):
    """What an operation does to spikes and numbers.

    WEIGHS: it is linear and has weights, or holds projections that are; these are
        counted, and it gives numbers.
    HANDS_ON: it is linear without weights, or they fold into others'.
    COMPUTES: it is any other function, and gives numbers.
    """

    WEIGHS = enum.auto()
    HANDS_ON = enum.auto()
    COMPUTES = enum.auto()


def kind_of(node) -> Kind:
    """What a node does, its operation not inside a wrapper.

    Raises:
        ValueError: if it has weights and is not linear, so that they are not counted.
    """
    operation = node.operation
    if is_known(operation):
        return Kind.WEIGHS
    has_weights = bool(getattr(operation, "weights", ()))
    if _is_linear(node):
        folds = scales_channels(operation) or not (has_weights or _is_product(node))
        return Kind.HANDS_ON if folds else Kind.WEIGHS
    aside = any(computes_as(operation, kind) for kind in _WEIGHTS_ASIDE)
    if has_weights and not aside and not _looks_up(node):
        raise ValueError(
            f"energy cannot count what {node.describe()} multiplies and adds: it has "
            "weights, and no rule says that it is linear. Remedy: register a rule for "
            "it with snn_keras.rule, snn_keras.rules.Linear or Affine, if it is "
            "linear; else build it from layers that are, such as Dense, and functions "
            "without weights."
        )
    return Kind.COMPUTES


def _is_linear(node):
    """Whether a node is linear in its inputs, but for a constant."""
    rule = rule_for(node.operation)
    if isinstance(rule, Identity) and len(node.inputs) == 1:
        rule = Linear()
    if computes_as(node.operation, BiasCorrection):
        return True
    if not isinstance(rule, Linear):
        return False
    try:
        rule.check(node)
    except Refusal:
        return False
    return True


def _looks_up(node):
    """Whether its weights are looked up, and not multiplied by."""
    if computes_as(node.operation, layers.ReversibleEmbedding):
        given = [*node.args, *node.kwargs.values()]
        return not any(x is True for x in given)
    return computes_as(node.operation, layers.Embedding)


def _is_product(node):
    """Whether a function of Keras multiplies by what a constant holds."""
    return any(computes_as(node.operation, kind) for kind in _PRODUCTS)


def _without(x, axes):
    """A tensor without so many axes behind the batch."""
    return Tensor((x.shape[0], *x.shape[1 + axes :]), x.dtype)
