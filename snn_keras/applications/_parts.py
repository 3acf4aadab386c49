"""What the networks are put together from."""

import keras
from keras import layers

from snn_keras.typing import Array

# What all layers of images are given: Keras's setting for others may be changed.
IMAGES = {"data_format": "channels_last"}

# Images up to this size take the forms for CIFAR.
SMALL = 64


def is_small(input_shape: tuple[int, ...]) -> bool:
    """Whether images `(height, width, channels)` take the form for CIFAR."""
    return max(input_shape[:2]) <= SMALL


class Parts:
    """Makes a network's layers, each with a copy of the activation of its own.

    Args:
        activation: The activation, as a layer; None for `keras.layers.ReLU()`.
    """

    def __init__(self, activation: keras.layers.Layer | None = None) -> None:
        self._activation = activation or layers.ReLU()

    def activation(self, x: Array, name: str) -> Array:
        """The activation."""
        config = {**self._activation.get_config(), "name": name}
        return type(self._activation).from_config(config)(x)

    def conv(
        self, x: Array, filters: int, size: int, strides: int = 1, name: str = "conv"
    ) -> Array:
        """Convolution without bias, padded to keep the size, and normalization.

        The padding is explicit and symmetric: "same" pads strided convolutions
        otherwise than the networks' authors did.
        """
        if size > 1:
            x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad", **IMAGES)(x)
        x = layers.Conv2D(filters, size, strides, use_bias=False, name=name, **IMAGES)(
            x
        )
        return layers.BatchNormalization(epsilon=1e-5, name=f"{name}_norm")(x)

    def conv_act(
        self, x: Array, filters: int, size: int, strides: int = 1, name: str = "conv"
    ) -> Array:
        """The same, with the activation behind it."""
        x = self.conv(x, filters, size, strides, name)
        return self.activation(x, f"{name}_act")
