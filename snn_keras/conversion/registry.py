"""The rules that are registered, by the class of operation."""

from typing import TYPE_CHECKING

import keras

from snn_keras.graph import computes_as

if TYPE_CHECKING:
    from snn_keras.conversion.rules import Rule

RULES: dict[type, "Rule"] = {}


def is_ruled(operation: keras.Operation) -> bool:
    """Whether a rule holds for the operation: that of its class, or of a base."""
    nearest = next((kind for kind in type(operation).__mro__ if kind in RULES), None)
    return nearest is not None and computes_as(operation, nearest)
