"""Which operations of a spiking network are linear, and which of them have weights."""

import dataclasses

import keras
from keras import layers, tree

from snn_keras.analysis.events import DIVIDE, MULTIPLY, scales_channels
from snn_keras.analysis.synapses import is_known
from snn_keras.convert._keras import operation_types
from snn_keras.convert.rules import Identity, Linear, Refusal, rule_for
from snn_keras.graph import Node, Tensor, computes_as, fill
from snn_keras.neurons import BiasCorrection, PerStep

# Functions of Keras that multiply two operands; of one signal and a constant, they are
# linear, and the constant holds their weights.
_PRODUCTS = operation_types(
    *("Matmul", "Dot", "Einsum", "Tensordot", "Inner", "Outer", "Vdot", "Kron"),
    *("Conv", "DepthwiseConv", "SeparableConv", "ConvTranspose"),
)
# Not linear, with weights that only scale or shift, or that are looked up.
_WEIGHTS_ASIDE = (
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
    layers.PReLU,
    layers.Attention,
    layers.AdditiveAttention,
    layers.Embedding,
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


def is_linear(node) -> bool:
    """Whether a node is linear in its inputs, but for a constant."""
    rule = rule_for(node.operation)
    if isinstance(rule, Identity) or computes_as(node.operation, BiasCorrection):
        return True
    if _is_product(node) or not isinstance(rule, Linear):
        return False
    try:
        rule.check(node)
    except Refusal:
        return False
    return True


def weighs(node) -> bool:
    """Whether a node has weights that are counted: known ones that it does not fold.

    So it is of linear operations, and of the projections of attention.
    """
    operation = node.operation
    if any(computes_as(operation, kind) for kind in _PRODUCTS):
        return len(node.inputs) == 1
    if is_known(operation):
        return True
    has_weights = bool(getattr(operation, "weights", ()))
    return has_weights and not scales_channels(operation) and is_linear(node)


def check_is_counted(node):
    """Raises a ValueError where a function multiplies by weights of its own."""
    operation = node.operation
    aside = any(computes_as(operation, kind) for kind in _WEIGHTS_ASIDE)
    if getattr(operation, "weights", ()) and not aside:
        raise ValueError(
            f"energy cannot count what {node.describe()} multiplies and adds: it has "
            "weights, and no rule says that it is linear. Remedy: register a rule for "
            "it with snn_keras.rule, snn_keras.rules.Linear or Affine, if it is "
            "linear; else build it from layers that are, such as Dense, and functions "
            "without weights."
        )


def _is_product(node):
    """Whether it multiplies signals, or divides by one."""
    kinds = [k for k in (MULTIPLY, *DIVIDE) if computes_as(node.operation, k)]
    divides_by_signal = (
        kinds
        and kinds[0] in DIVIDE
        and not (node.args and node.args[0] is node.inputs[0])
    )
    return bool(kinds) and (len(node.inputs) > 1 or divides_by_signal)


def _without(x, axes):
    """A tensor without so many axes behind the batch."""
    return Tensor((x.shape[0], *x.shape[1 + axes :]), x.dtype)
