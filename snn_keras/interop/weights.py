"""Copies weights of layers of tf_keras to layers of Keras 3."""

from typing import Any

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.source import is_model

# Attributes that hold layers inside a layer.
INNER = (
    *("layer", "forward_layer", "backward_layer", "cell", "cells"),
    *("activation", "recurrent_activation"),
)


def is_layer(x: Any) -> bool:
    """Whether it is a layer of either version of Keras."""
    return hasattr(x, "get_config") and hasattr(x, "weights") and callable(x)


def take_weights(source: Any, made: Any, weights: list | None = None) -> None:
    """Copies the weights of a layer of tf_keras, and of layers inside, to Keras 3.

    Layers inside are paired by their attributes, because the two versions of Keras
    order weights differently if some are frozen.
    """
    in_settings = ("get_vocabulary", "bin_boundaries")
    if is_model(source) or any(hasattr(source, name) for name in in_settings):
        return  # it received them when it was made
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
    if hasattr(made, "finalize_state"):  # uses the results of `adapt`
        made.finalize_state()


def _pairs_inside(source, made):
    """Pairs of corresponding layers inside the two layers."""
    for name in INNER:
        if name == "layer" and hasattr(source, "forward_layer"):
            continue
        values = getattr(source, name, None), getattr(made, name, None)
        theirs, ours = (x if isinstance(x, (list, tuple)) else [x] for x in values)
        if all(map(is_layer, [*theirs, *ours])):
            yield from zip(theirs, ours, strict=True)


def _own(layer, inside):
    """The weights of a layer without those of layers inside it."""
    others = {id(w) for inner in inside for w in inner.weights}
    return [w for w in layer.weights if id(w) not in others]
