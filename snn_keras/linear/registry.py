"""Which linear form an operation has."""

import weakref

import numpy as np
from keras import ops

from snn_keras.conversion.rules import Affine, has_rule, rule
from snn_keras.graph import comes_with_keras, computes_as

_FORMS = {}
# Layers of users whose form was compared with them.
_COMPARED = weakref.WeakSet()
# The share of the largest output by which a form may differ: the lowest precision's.
_ROUNDING = 2.0**-6


class NoForm(Exception):
    """An operation has no linear form as it is called: why, and what to do about it."""


def form(*operation_types):
    """Decorator: registers the function that gives the form of such operations.

    The function takes a `snn_keras.graph.Node` and returns a `Form`, or raises a
    `NoForm`. What has a form and no rule is converted as `snn_keras.rules.Affine`.
    A layer that is not Keras's is compared with its form, once, before that is used.
    """

    def register(function):
        for kind in operation_types:
            _FORMS[kind] = function
            if not has_rule(kind):
                rule(kind)(Affine)
        return function

    return register


def form_of(node):
    """The linear form of a node's operation; None where none is registered.

    It is found by the class and its bases. A derived class that computes something
    else than its base (see `snn_keras.graph.computes_as`) does not inherit the form.

    Args:
        node: A `snn_keras.graph.Node`, its operation not inside a wrapper, the sizes of
            its tensors known.

    Raises:
        NoForm: if it has none with these arguments.
        ValueError: if a layer of the user's computes something else.
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
    """Raises a ValueError unless the layer computes what its form says."""
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


def has_form(operation) -> bool:
    """Whether a form is registered for an operation."""
    base = base_of(operation)
    return base is not None and computes_as(operation, base)


def base_of(operation):
    """The first of an operation's classes for which a form is registered, or None."""
    return next((kind for kind in type(operation).__mro__ if kind in _FORMS), None)
