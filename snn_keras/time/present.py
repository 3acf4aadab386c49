"""Where a signal enters time."""

import keras
from keras import ops

from snn_keras.time.clock import Clock
from snn_keras.time.layer import Coded, TimeLayer


@keras.saving.register_keras_serializable("snn_keras")
class Present(Coded, TimeLayer):
    """Presents a tensor as a current at every time step, with the coding's gain.

    Args:
        coding: The network's `snn_keras.coding.Coding`.

    Input shape: `(batch, ...)`. Output shape: `(batch, timesteps, ...)`; in a piece of
    a run, as many steps as that has.
    """

    def __init__(self, coding, **kwargs):
        super().__init__(coding, **kwargs)
        self.supports_masking = True  # and keeps them: a plan sees to it
        self.built = True

    def compute_mask(self, inputs, previous_mask):
        return None

    def call(self, x):
        return self.advance(x, None, Clock.whole(self.coding.timesteps))[0]

    def advance(self, x, state, clock, training=False):
        batch, *rest = ops.shape(x)
        y = ops.broadcast_to(ops.expand_dims(x, 1), (batch, clock.steps, *rest))
        return self.gated(y, clock), None

    def gated(self, y, clock):
        """What enters of currents `(batch, time, ...)`."""
        return y if self.coding.is_steady else y * clock.gain(self.coding, y)

    def compute_output_spec(self, x):
        batch, *rest = x.shape
        steps = None if self.coding.settles else self.coding.timesteps
        return keras.KerasTensor((batch, steps, *rest), self.compute_dtype)
