"""FunctionLayer: a function of the user's own, as a layer."""

from collections.abc import Callable

import keras

from snn_keras.graph import comes_with_keras
from snn_keras.typing import Array


def is_hidden(function: Callable) -> bool:
    """Whether Keras writes a function by its name, and finds one of its own by it."""
    found = _written_and_found(function)[1]
    return found is not function and comes_with_keras(found)


def _written_and_found(function):
    """What Keras writes of a function, and what it finds by that; None where it fails.

    Keras would write the code of a lambda.
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
    """Applies a function that Keras does not know by a name.

    Keras saves an activation function by its name alone, and finds its own function
    again where a user's has the name of one of Keras's. This layer keeps the function
    itself. It is saved where it can be found again, and refuses to be saved where it
    cannot.

    Args:
        function: Any function of one tensor, made of operations of the backend or
            `keras.ops`.

    Input shape: any. Output shape: what the function gives.
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
        written, found = _written_and_found(self.function)
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
