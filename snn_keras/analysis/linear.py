"""Determines which operations of a network are linear, and which have weights."""

import enum

import keras
from keras import layers

from snn_keras import linear
from snn_keras.conversion.rules import Identity, Linear, Refusal, rule_for
from snn_keras.conversion.signals import PRODUCTS, is_product
from snn_keras.graph import Node, computes_as
from snn_keras.layers.weighted import Weighted
from snn_keras.linear.forms import Form
from snn_keras.time import BiasCorrection

# Nonlinear layers whose weights only scale or shift; they are not counted. Nor are
# those of nonlinear `Weighted` layers, which are functions of elements.
_NOT_COUNTED = (
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.RMSNormalization,
    layers.PReLU,
    layers.Attention,
    layers.AdditiveAttention,
)
# Nonlinear layers that contain linear projections.
_ATTENTION = (layers.MultiHeadAttention, layers.GroupQueryAttention)


def known_form(node: Node) -> Form | None:
    """The linear form of a node; None if it has none and must be tried out."""
    try:
        return linear.form_of(node)
    except linear.NoForm:
        return None


class Kind(enum.Enum):
    """How an operation treats spikes and numbers.

    WEIGHS: it is linear with weights, or contains linear projections. Its weights are
        counted, and its outputs are numbers.
    HANDS_ON: it is linear without weights, or its weights fold into others. It hands
        spikes on.
    MULTIPLIES: it is a product of two signals. Its multiplications are counted, and its
        outputs are numbers.
    COMPUTES: it is any other function. Its outputs are numbers.
    """

    WEIGHS = enum.auto()
    HANDS_ON = enum.auto()
    MULTIPLIES = enum.auto()
    COMPUTES = enum.auto()


def kind_of(node: Node) -> Kind:
    """The kind of a node, which must not be a wrapper.

    Raises:
        ValueError: if it is nonlinear with weights, which cannot be counted.
    """
    operation, form = node.operation, known_form(node)
    if has_projections(operation) or (form is not None and form.weighs):
        return Kind.WEIGHS
    if is_product(node):
        return Kind.MULTIPLIES
    has_weights = bool(getattr(operation, "weights", ()))
    if _is_linear(node):
        is_scale = form is not None or computes_as(operation, BiasCorrection)
        if computes_as(operation, Weighted):  # with weights, or biases and gains
            folds = not _is_product(operation.steps[-1]["operation"])
        else:
            folds = is_scale or not (has_weights or _is_product(operation))
        return Kind.HANDS_ON if folds else Kind.WEIGHS
    aside = any(computes_as(operation, kind) for kind in (*_NOT_COUNTED, Weighted))
    if has_weights and not aside and not _looks_up(node):
        raise ValueError(
            f"energy cannot count what {node.describe()} multiplies and adds: it has "
            "weights, and no rule says that it is linear. Remedy: if it is linear, a "
            "form by snn_keras.linear.form, or a rule by snn_keras.rule, "
            "snn_keras.rules.Linear or Affine; else build it from layers that are, "
            "such as Dense, and functions without weights."
        )
    return Kind.COMPUTES


def has_projections(operation: keras.Operation) -> bool:
    """Whether it is attention, whose projections and products are counted."""
    return any(computes_as(operation, kind) for kind in _ATTENTION)


def _is_linear(node):
    """Whether a node is linear or affine in its inputs."""
    rule = rule_for(node.operation).of(node)
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
    """Whether its weights are a table that is looked up."""
    if computes_as(node.operation, layers.ReversibleEmbedding):
        given = [*node.args, *node.kwargs.values()]
        return not any(x is True for x in given)
    return computes_as(node.operation, layers.Embedding)


def _is_product(operation):
    """Whether it is a function of Keras that multiplies two operands."""
    return any(computes_as(operation, kind) for kind in PRODUCTS)
