"""Which linear form an operation has."""

from snn_keras.convert.rules import Affine, has_rule, rule
from snn_keras.graph import computes_as

_FORMS = {}


class NoForm(Exception):
    """An operation has no linear form as it is called: why, and what to do about it."""


def form(*operation_types):
    """Decorator: registers the function that gives the form of such operations.

    The function takes a `snn_keras.graph.Node` and returns a `Form`, or raises a
    `NoForm`. What has a form and no rule is converted as `snn_keras.rules.Affine`.
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
    """
    return _FORMS[base_of(node.operation)](node) if has_form(node.operation) else None


def has_form(operation) -> bool:
    """Whether a form is registered for an operation."""
    base = base_of(operation)
    return base is not None and computes_as(operation, base)


def base_of(operation):
    """The first of an operation's classes for which a form is registered, or None."""
    return next((kind for kind in type(operation).__mro__ if kind in _FORMS), None)
