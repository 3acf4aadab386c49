"""`QuantizedInput`: rounds a network's input to numbers of 8 bits."""

import math

import keras
import numpy as np
from keras import ops

from snn_keras.ops import in_floats, straight_through
from snn_keras.typing import Array, Shape

BYTE = 2**8


@keras.saving.register_keras_serializable("snn_keras")
class QuantizedInput(keras.layers.Layer):
    r"""Rounds an input to 256 multiples of a power of two.

    $$\hat x = s \cdot \mathrm{clip}(\lfloor x / s \rceil, l, l + 255)$$

    with halves rounded up. An exported network takes these numbers as its input.

    Args:
        exponent: The step is `2**exponent`.
        signed: Whether l is -128; else it is 0.

    Input shape: any. Output shape: the same.
    """

    def __init__(self, exponent: int = -8, signed: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        if isinstance(exponent, bool) or not isinstance(exponent, int):
            raise ValueError(
                f"QuantizedInput '{self.name}': exponent must be an integer. Received: "
                f"exponent={exponent!r}"
            )
        self.exponent = exponent
        self.signed = bool(signed)

    @classmethod
    def covering(cls, values: np.ndarray, **kwargs) -> "QuantizedInput":
        """The one with the least step that covers these values, to within a step."""
        low, high = float(np.min(values)), float(np.max(values))
        signed = low < 0
        share = max(-low, high) / (BYTE // 2 if signed else BYTE)
        exponent = math.ceil(math.log2(share)) if share else -8
        return cls(exponent, signed, **kwargs)

    @property
    def step(self) -> float:
        """The step s."""
        return 2.0**self.exponent

    @property
    def limits(self) -> tuple[int, int]:
        """The least and the largest number of steps."""
        return (-BYTE // 2, BYTE // 2 - 1) if self.signed else (0, BYTE - 1)

    def call(self, x: Array) -> Array:
        x = in_floats(x, self.compute_dtype)
        steps = x / self.step
        below = ops.floor(steps)  # steps + 1/2 might be rounded
        nearest = below + ops.cast(steps - below >= 0.5, x.dtype)
        return straight_through(ops.clip(nearest, *self.limits) * self.step, x)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict:
        config = super().get_config()
        return {**config, "exponent": self.exponent, "signed": self.signed}
