"""What travels between layers: spikes, or numbers; and who multiplies it."""

import enum
from collections.abc import Iterable, Sequence

from keras import layers, tree

from snn_keras._keras import operation_types
from snn_keras.conversion.composite.scores import ATTENTION
from snn_keras.conversion.normalize import innermost
from snn_keras.conversion.rules import Bilinear, Identity, Linear, rule_for
from snn_keras.graph import Node, computes_as
from snn_keras.layers.weighted import Weighted

(_SCALE,) = operation_types("Multiply")  # a constant factor folds into weights
# Functions that multiply, signals by each other or by weights.
PRODUCTS = operation_types(
    *("Matmul", "Dot", "Einsum", "Tensordot", "Inner", "Outer", "Vdot"),
    *("Kron", "Cross", "Correlate", "Conv", "DepthwiseConv", "SeparableConv"),
    "ConvTranspose",
)

# They multiply signals inside, and Keras does not show where.
_CLOSED = (*ATTENTION, layers.Attention, layers.AdditiveAttention, layers.RNN)
_CLOSED += operation_types("DotProductAttention")


class Signal(enum.Enum):
    """What a tensor carries.

    ONCE: no neuron stands before it: it does not change over time.
    SPIKES: spikes of neurons, also moved, scaled by constants and added up.
    NUMBERS: anything else: it takes multiplications at the next weights.
    """

    ONCE = enum.auto()
    SPIKES = enum.auto()
    NUMBERS = enum.auto()


def is_product(node: Node) -> bool:
    """Whether a node multiplies two signals, and is linear in each."""
    return isinstance(rule_for(node.operation).of(node), Bilinear)


def weighs(node: Node) -> bool:
    """Whether a node is linear and multiplies its signals by weights."""
    if not _is_linear(node):
        return False
    operation = innermost(node.operation)
    is_function = computes_as(operation, Weighted)
    if is_function:
        operation = operation.steps[-1]["operation"]
    if is_function or _multiplies(operation):
        return _multiplies(operation) and not computes_as(operation, _SCALE)
    kernels = [w for w in getattr(operation, "weights", ()) if len(w.shape) > 1]
    return bool(kernels)


def multiplies_inside(node: Node) -> bool:
    """Whether a node is a layer in which signals are multiplied, such as attention."""
    return any(computes_as(innermost(node.operation), kind) for kind in _CLOSED)


def multiplies(node: Node) -> bool:
    """Whether a node multiplies its signals, by weights or by each other."""
    return is_product(node) or weighs(node) or multiplies_inside(node)


def _is_linear(node):
    rule = rule_for(node.operation).of(node)
    return isinstance(rule, Linear) and rule.is_linear(node)


def _multiplies(operation):
    return any(computes_as(operation, kind) for kind in (_SCALE, *PRODUCTS))


def behind(node: Node, inputs: Sequence[Signal]) -> Signal:
    """What the outputs of a node carry that is no layer of neurons.

    Args:
        node: The node.
        inputs: What each of its `inputs` carries.
    """
    kinds = set(inputs)
    if kinds <= {Signal.ONCE}:
        return Signal.ONCE
    drops = isinstance(rule_for(node.operation), Identity)
    moves = drops or (_is_linear(node) and not weighs(node))
    return Signal.SPIKES if moves and kinds == {Signal.SPIKES} else Signal.NUMBERS


def carried(nodes: Iterable[Node], inputs: object, neurons: set[str]) -> dict:
    """What each tensor carries, `{tensor: Signal}`.

    Args:
        nodes: Nodes in running order.
        inputs: The tensors that they begin with.
        neurons: Names of the nodes that are layers of neurons.
    """
    found = dict.fromkeys(tree.flatten(inputs), Signal.ONCE)
    for node in nodes:
        kind = Signal.SPIKES
        if node.name not in neurons:
            kind = behind(node, [found[x] for x in node.inputs])
        found.update(dict.fromkeys(node.outputs, kind))
    return found


def feeding(nodes: Sequence[Node], neurons: set[str]) -> set:
    """The tensors on which a layer of neurons depends.

    Args:
        nodes: As for `carried`.
        neurons: As for `carried`.
    """
    found: set = set()
    for node in reversed(nodes):
        if node.name in neurons or not found.isdisjoint(node.outputs):
            found.update(node.inputs)
    return found
