"""Weights of layers of tf_keras, given to layers of Keras 3."""

from typing import Any

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.source import is_model

# Where a layer has layers inside.
INNER = (
    *("layer", "forward_layer", "backward_layer", "cell", "cells"),
    *("activation", "recurrent_activation"),
)


def is_layer(x: Any) -> bool:
    """Whether it is a layer, of whichever Keras."""
    return hasattr(x, "get_config") and hasattr(x, "weights") and callable(x)


def take_weights(source: Any, made: Any, weights: list | None = None) -> None:
    """Gives a layer of Keras 3 the weights of one of tf_keras, and those inside it.

    Layers inside are paired by where they are: the two versions of Keras have another
    order of weights where some are frozen.
    """
    in_settings = ("get_vocabulary", "bin_boundaries")
    if is_model(source) or any(hasattr(source, name) for name in in_settings):
        return  # it has them since it was made
    pairs = list(_pairs_inside(source, made))
    ours = _own(made, [inner for _, inner in pairs])
    if weights is None:
        theirs = _own(source, [inner for inner, _ in pairs])
        weights = [variable.numpy() for variable in theirs]
    received, expected = [w.shape for w in weights], [tuple(w.shape) for w in ours]
    if received != expected:
        raise Untranslatable(
            f"its weights have shapes {received}, and Keras 3 expects {expected}"
        )
    for variable, value in zip(ours, weights, strict=True):
        variable.assign(value)
    for inner in pairs:
        take_weights(*inner)
    if hasattr(made, "finalize_state"):  # what `adapt` has left
        made.finalize_state()


def _pairs_inside(source, made):
    """Layers inside both, those of tf_keras and of Keras 3 that are each other's."""
    for name in INNER:
        if name == "layer" and hasattr(source, "forward_layer"):
            continue
        values = getattr(source, name, None), getattr(made, name, None)
        theirs, ours = (x if isinstance(x, (list, tuple)) else [x] for x in values)
        if all(map(is_layer, [*theirs, *ours])):
            yield from zip(theirs, ours, strict=True)


def _own(layer, inside):
    """The weights of a layer that are not those of layers inside it."""
    others = {id(w) for inner in inside for w in inner.weights}
    return [w for w in layer.weights if id(w) not in others]
