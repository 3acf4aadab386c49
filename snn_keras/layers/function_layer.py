"""`FunctionLayer`: a layer that applies a function of the user's own."""

from collections.abc import Callable

import keras

from snn_keras.graph import comes_with_keras
from snn_keras.typing import Array


def is_hidden(function: Callable) -> bool:
    """Whether Keras saves a function under the name of one of its own functions."""
    found = _saved_and_found(function)[1]
    return found is not function and comes_with_keras(found)


def _saved_and_found(function):
    """What Keras saves for a function, and the function that it finds by that.

    Both are None if that fails, and for a lambda, whose code Keras would save.
    """
    written = found = None
    if getattr(function, "__name__", "") != "<lambda>":
        try:
            written = keras.saving.serialize_keras_object(function)
            found = keras.saving.deserialize_keras_object(written)
        except (TypeError, ValueError, AttributeError):
            pass
    return written, found


@keras.saving.register_keras_serializable("snn_keras")
class FunctionLayer(keras.layers.Layer):
    """Applies a function of the user's own.

    Keras saves only the name of an activation function, and loads its own function if
    the user's has the same name. This layer keeps the function itself. It can be saved
    if Keras would find the same function again; otherwise saving raises an error.

    Args:
        function: Any function of one tensor, with operations of the backend or of
            `keras.ops`.

    Input shape: any. Output shape: that of the function's result.
    """

    def __init__(self, function: Callable, **kwargs) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.supports_masking = True
        self.built = True

    def call(self, x: Array) -> Array:
        return self.function(x)

    def get_config(self) -> dict:
        name = getattr(self.function, "__name__", repr(self.function))
        written, found = _saved_and_found(self.function)
        if found is not self.function:
            raise ValueError(
                f"Layer '{self.name}' applies the function {name}, which could not be "
                "found again when it is loaded"
                + (
                    f": Keras has a {name} of its own"
                    if comes_with_keras(found)
                    else ""
                )
                + ". Remedy: decorate it with "
                '@keras.saving.register_keras_serializable("your_package"), as a named '
                "function."
            )
        return {**super().get_config(), "function": written}

    @classmethod
    def from_config(cls, config: dict) -> "FunctionLayer":
        function = keras.saving.deserialize_keras_object(config.pop("function"))
        return cls(function, **config)
