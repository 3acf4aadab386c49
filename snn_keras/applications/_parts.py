"""Building blocks of the networks."""

import keras
from keras import layers

from snn_keras.typing import Array

# Arguments of all layers of images, because Keras's default may be changed.
IMAGES = {"data_format": "channels_last"}

# Keras's own, of the moving statistics of batch normalization.
NORM_MOMENTUM = 0.99

# Kinds of pooling between the stages of a network.
POOLS = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}

# Images up to this size use the variants for CIFAR.
SMALL = 64


def is_small(input_shape: tuple[int, ...]) -> bool:
    """Whether images `(height, width, channels)` use the variants for CIFAR."""
    return max(input_shape[:2]) <= SMALL


class Parts:
    """Creates a network's layers; every activation is a copy of the given one.

    Args:
        activation: The activation, as a layer; None for `keras.layers.ReLU()`.
        norm_momentum: Momentum of batch normalization.
        pooling: Kind of `pool`, `"average"` or `"max"`.
    """

    def __init__(
        self,
        activation: keras.layers.Layer | None = None,
        norm_momentum: float = NORM_MOMENTUM,
        pooling: str = "average",
    ) -> None:
        if pooling not in POOLS:
            raise ValueError(
                f"`pooling` must be 'average' or 'max'. Received: {pooling!r}"
            )
        self._activation = activation or layers.ReLU()
        self._norm_momentum = norm_momentum
        self._pool = POOLS[pooling]

    def activation(self, x: Array, name: str) -> Array:
        """Applies a copy of the activation."""
        config = {**self._activation.get_config(), "name": name}
        return type(self._activation).from_config(config)(x)

    def norm(self, x: Array, name: str, epsilon: float = 1e-5) -> Array:
        """Batch normalization."""
        norm = layers.BatchNormalization(
            momentum=self._norm_momentum, epsilon=epsilon, name=name
        )
        return norm(x)

    def pool(self, x: Array, name: str) -> Array:
        """Halves height and width."""
        return self._pool(2, name=name, **IMAGES)(x)

    def conv(
        self, x: Array, filters: int, size: int, strides: int = 1, name: str = "conv"
    ) -> Array:
        """A convolution without bias, padded to keep the size, and normalization.

        The padding is explicit and symmetric, as in the original networks; "same"
        pads strided convolutions asymmetrically.
        """
        if size > 1:
            x = layers.ZeroPadding2D(size // 2, name=f"{name}_pad", **IMAGES)(x)
        x = layers.Conv2D(filters, size, strides, use_bias=False, name=name, **IMAGES)(
            x
        )
        return self.norm(x, f"{name}_norm")

    def conv_act(
        self, x: Array, filters: int, size: int, strides: int = 1, name: str = "conv"
    ) -> Array:
        """`conv`, followed by the activation."""
        x = self.conv(x, filters, size, strides, name)
        return self.activation(x, f"{name}_act")
