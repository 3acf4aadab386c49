"""What the catalog consists of: one way to use one public name of Keras."""

import dataclasses
import itertools
from collections.abc import Callable

import keras
import numpy as np


@dataclasses.dataclass(frozen=True)
class Case:
    """A public name of Keras, applied to signals with certain arguments.

    Attributes:
        name: The public name: `"ops.mean"`, `"layers.Dense"`, `"activations.relu"`.
        arguments: The arguments, in words.
        apply: Takes the signals and returns what the name makes of them.
        shapes: The shape of each signal, without the batch axis.
        exact: Whether sums of multiples of 1/8 come out without rounding.
        dtype: What the signals are cast to first, or None.
    """

    name: str
    arguments: str
    apply: Callable
    shapes: tuple = ((4,),)
    exact: bool = False
    dtype: str | None = None

    @property
    def group(self) -> str:
        """`"layers"`, `"activations"` or `"ops"`."""
        return self.name.split(".")[0]

    def __str__(self):
        return f"{self.name}({self.arguments})"


def names(words):
    """The words of a text."""
    return words.split()


def function_of(name):
    """What a public name of Keras stands for."""
    found = keras
    for part in name.split("."):
        found = getattr(found, part)
    return found


def use(name, *args, shapes=((4,),), exact=False, dtype=None, listed=False, **kwargs):
    """A case: the function on the signals, and then on these arguments.

    A layer is made of the arguments and called on the signals.

    Args:
        name: The public name.
        *args, **kwargs: What follows the signals; for a layer, how it is made.
        shapes, exact, dtype: As for `Case`.
        listed: Whether the signals come in a list.
    """
    function = function_of(name)

    def apply(*signals):
        signals = [list(signals)] if listed else signals
        if name.startswith("layers.") and isinstance(function, type):
            return function(*args, **kwargs)(*signals)
        return function(*signals, *args, **kwargs)

    return Case(name, _words(args, kwargs), apply, tuple(shapes), exact, dtype)


def called(name, arguments, apply, *shapes, exact=False, dtype=None):
    """A case that calls the name as `apply` says."""
    return Case(name, arguments, apply, shapes or ((4,),), exact, dtype)


def every(name, options, shapes=((4,),), exact=False, dtype=None, **fixed):
    """Cases for every combination of `options`, a list of values for each keyword."""
    return [
        use(
            name,
            shapes=shapes,
            exact=exact,
            dtype=dtype,
            **dict(zip(options, values, strict=True)),
            **fixed,
        )
        for values in itertools.product(*options.values())
    ]


def _words(args, kwargs):
    named = [f"{key}={_word(value)}" for key, value in kwargs.items()]
    return ", ".join([*map(_word, args), *named])


def _word(value):
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    if isinstance(value, keras.layers.Layer):
        return type(value).__name__
    return getattr(value, "__name__", None) or str(value).replace("\n", "")
