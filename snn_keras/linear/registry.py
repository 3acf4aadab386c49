"""The registry of linear forms."""

import weakref
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from snn_keras.conversion.rules import Affine, has_rule, rule
from snn_keras.graph import Node, comes_with_keras, computes_as
from snn_keras.linear.forms import Form

_FORMS = {}
# Layers of users that have been compared with their form.
_COMPARED = weakref.WeakSet()
# The allowed difference, as a share of the largest output; it suits the lowest
# precision.
_ROUNDING = 2.0**-6


class NoForm(Exception):
    """A call has no linear form; the message gives the reason and the remedy."""


def form(*operation_types) -> Callable[[Callable], Callable]:
    """Decorator: registers a function that returns the form of such operations.

    The function takes a `snn_keras.graph.Node` and returns a `Form`, or raises a
    `NoForm`. An operation with a form but without a rule is converted as
    `snn_keras.rules.Affine`. A layer that is not Keras's is compared with its form
    once, before the form is used.
    """

    def register(function):
        for kind in operation_types:
            _FORMS[kind] = function
            if not has_rule(kind):
                rule(kind)(Affine)
        return function

    return register


def form_of(node: Node) -> Form | None:
    """The linear form of a node's operation; None if none is registered.

    It is found by the operation's class and its bases. A derived class that computes
    something else than its base (see `snn_keras.graph.computes_as`) does not inherit
    the form.

    Args:
        node: A `snn_keras.graph.Node` without a wrapper, whose shapes are known.

    Raises:
        NoForm: if the operation has no form with these arguments.
        ValueError: if a layer of the user's own computes something else than its form.
    """
    operation = node.operation
    if not has_form(operation):
        return None
    found = _FORMS[base_of(operation)](node)
    if not comes_with_keras(type(operation)) and operation not in _COMPARED:
        _compare(node, found)
        _COMPARED.add(operation)
    return found


def _compare(node, found):
    """Raises a ValueError unless layer and form give the same outputs."""
    draw = np.random.default_rng(0).normal
    xs = [draw(size=(2, *x.shape[1:])).astype("float32") for x in node.inputs]
    pairs = zip(node.inputs, xs, strict=True)
    values = {x: ops.cast(value, x.dtype) for x, value in pairs}
    made = node.call(node.operation, values, training=False)
    made = ops.convert_to_numpy(ops.cast(made, "float32"))
    said = np.asarray(found.apply(*xs))
    allowed = _ROUNDING * np.abs(made).max(initial=0)
    if said.shape != made.shape or not np.all(np.abs(said - made) <= allowed):
        raise ValueError(
            f"{node.describe()} computes something else than its linear form, "
            f"{type(found).__name__}: outputs of the shape {made.shape[1:]} for its "
            f"{said.shape[1:]}, or other numbers. Remedy: correct the function that is "
            "registered with snn_keras.linear.form."
        )


def has_form(operation: keras.Operation) -> bool:
    """Whether a form is registered for an operation."""
    base = base_of(operation)
    return base is not None and computes_as(operation, base)


def base_of(operation: keras.Operation) -> type | None:
    """The nearest of an operation's classes with a registered form, or None."""
    return next((kind for kind in type(operation).__mro__ if kind in _FORMS), None)
