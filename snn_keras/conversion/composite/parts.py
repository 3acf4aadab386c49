"""Lets the layers inside a layer tell a trace all that they give."""

import contextlib
import functools
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras import layers, tree

from snn_keras.graph import comes_with_keras


@contextlib.contextmanager
def tell_all(parts: Sequence[layers.Layer], training: bool) -> Iterator[None]:
    """Within it, layers tell the shapes that their `call` gives.

    Layers of the user's own that give something besides tensors, such as None for a
    cache that is not there, cannot stand in a graph; what they call does.

    Args:
        parts: The layers.
        training: Whether they are called in training.
    """
    own = [part for part in parts if not comes_with_keras(type(part))]
    kinds, names = [type(part) for part in own], [part.name for part in parts]
    for i, part in enumerate(parts):
        told = functools.partial(_told, part, type(part))
        # A graph has no two layers of one name.
        vars(part).update(compute_output_spec=told, name=f"{part.name}_{i}")
    for part, kind in zip(own, kinds, strict=True):
        call = functools.partialmethod(_called, kind, training)
        made = type(kind.__name__, (kind,), {"__call__": call})
        object.__setattr__(part, "__class__", made)
    try:
        yield
    finally:
        for part, kind in zip(own, kinds, strict=True):
            object.__setattr__(part, "__class__", kind)
        for part, name in zip(parts, names, strict=True):
            del vars(part)["compute_output_spec"]
            vars(part)["name"] = name


def _told(layer, kind, /, *args, **kwargs):
    """What a layer gives, by its `call` where its class does not tell it."""
    by_call = functools.partial(keras.Operation.compute_output_spec, layer)
    if _has_older_spec(kind):
        return by_call(*args, **kwargs)
    told = kind.compute_output_spec(layer, *args, **kwargs)
    if not any(None in getattr(y, "shape", ()) for y in tree.flatten(told)):
        return told
    try:
        return by_call(*args, **kwargs)
    except Exception:  # a layer of the user's own may raise anything
        return told


def _has_older_spec(kind):
    """Whether a class has a call of its own, and its outputs' shapes from a base."""
    call, spec = (
        next(i for i, base in enumerate(kind.__mro__) if name in vars(base))
        for name in ("call", "compute_output_spec")
    )
    is_own = not comes_with_keras(kind)
    return is_own and call < spec and kind.__mro__[spec] is not layers.Layer


def _called(layer, kind, training, /, *args, **kwargs):
    """Calls a layer, or its `call` alone where that gives more than tensors."""
    if _is_symbolic((args, kwargs)) and _gives_more(layer, args, kwargs):
        if "training" in inspect.signature(layer.call).parameters:
            kwargs.setdefault("training", training)
        return layer.call(*args, **kwargs)
    return kind.__call__(layer, *args, **kwargs)


def _gives_more(layer, args, kwargs):
    """Whether a layer gives something that is no tensor."""
    try:
        told = layer.compute_output_spec(*args, **kwargs)
    except Exception:  # of arguments that Keras completes
        return False
    return not all(isinstance(y, keras.KerasTensor) for y in tree.flatten(told))


def _is_symbolic(structure: Any) -> bool:
    return any(isinstance(x, keras.KerasTensor) for x in tree.flatten(structure))
