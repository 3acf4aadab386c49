"""`Present` and `Frames`: what enters the network at every step."""

from typing import Any

import keras
from keras import ops

from snn_keras.coding import Coding
from snn_keras.time.clock import Clock
from snn_keras.time.layer import Coded, TimeLayer, is_number
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class Present(Coded, TimeLayer):
    """Presents a tensor as a current at every time step, with the coding's gain.

    Args:
        coding: The network's `snn_keras.coding.Coding`.

    A mask, or another tensor that is not of floats, is there as it is at every step.

    Input shape: `(batch, ...)`. Output shape: `(batch, timesteps, ...)`, or the steps
    of a piece of a run.
    """

    def __init__(self, coding: Coding, **kwargs) -> None:
        super().__init__(coding, **kwargs)
        self.supports_masking = True  # masks end here; a plan checks that none is read
        self.built = True

    def compute_mask(self, inputs: Array, previous_mask: Any) -> None:
        return None

    def call(self, x: Array) -> Array:
        return self.advance(x, None, Clock.whole(self.coding.timesteps))[0]

    def advance(
        self, x: Array, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list | None]:
        batch, *rest = ops.shape(x)
        y = ops.broadcast_to(ops.expand_dims(x, 1), (batch, clock.steps, *rest))
        return self.gated(y, clock), None

    def gated(self, y: Array, clock: Clock) -> Array:
        """Currents `(batch, time, ...)`, multiplied by the coding's gain."""
        if self.coding.is_steady or not is_number(y):
            return y
        return y * clock.gain(self.coding, y)

    def compute_output_spec(self, x: keras.KerasTensor) -> Any:
        batch, *rest = x.shape
        steps = None if self.coding.settles else self.coding.timesteps
        return keras.KerasTensor((batch, steps, *rest), self.compute_dtype)


@keras.saving.register_keras_serializable("snn_keras")
class Frames(Present):
    """Presents a tensor that has a time axis: at every step its own frame.

    Args:
        coding: The network's `snn_keras.coding.Coding`.

    Input and output shape: `(batch, timesteps, ...)`; a piece of a run takes the frames
    of its steps.
    """

    def advance(
        self, x: Array, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list | None]:
        return self.gated(ops.take(x, clock.times - 1, axis=1), clock), None

    def compute_output_spec(self, x: keras.KerasTensor) -> Any:
        return keras.KerasTensor(x.shape, self.compute_dtype)
