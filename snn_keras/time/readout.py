"""`Readout`: decodes a signal at the end of time."""

from typing import Any

import keras
from keras import ops

from snn_keras.neurons.cell import state_dtype
from snn_keras.neurons.scan import summed
from snn_keras.time.clock import Clock, share
from snn_keras.time.layer import Coded, TimeLayer
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class Readout(Coded, TimeLayer):
    r"""Integrates without firing, and decodes: $y_t = S_t / n_t$.

    $S_t$ is the sum of the currents up to step t, and $n_t$ the coding's divisor.

    Args:
        coding: The network's `snn_keras.coding.Coding`.

    Input shape: `(batch, time, ...)`. Output shape: `(batch, ...)`, after the last
    step; if the clock has `reads_all`, `(batch, time, ...)`, after each step.
    """

    def build(self, input_shape: Any) -> None:
        self._state_shape = tuple(input_shape[2:])

    @property
    def state_dtype(self) -> str:
        """The dtype of the sum of currents."""
        return state_dtype(self.compute_dtype)

    @property
    def has_known_state(self) -> bool:
        return None not in self._state_shape

    def get_initial_state(self, batch_size: int) -> list | None:
        """A sum of zero; None if its shape depends on the input."""
        if not self.has_known_state:
            return None
        return [ops.zeros((batch_size, *self._state_shape), self.state_dtype)]

    def advance(
        self, currents: Array, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list | None]:
        start = state[0] if state else None
        sums, total = summed(currents, start, self.state_dtype)
        if clock.reads_all:
            return self.decode(sums, clock.times, clock.last), [total]
        return self.decode(total, clock.start + clock.steps, clock.last), [total]

    def decode(self, total: Array, t: Array, last: Array) -> Array:
        """Decodes the sum of the currents up to step `t`.

        Args:
            total: The sum `(batch, ...)`; or sums `(batch, time, ...)`, with `t` of
                shape `(time,)`.
            t: The number of the step.
            last: The last step of the run; see `Clock`.
        """
        weight = share(self.coding, t, last, self.state_dtype)
        if len(weight.shape) == 1:
            weight = ops.reshape(weight, (1, -1) + (1,) * (len(total.shape) - 2))
        return ops.cast(total * weight, self.compute_dtype)

    def compute_output_spec(
        self, currents: keras.KerasTensor, training: bool = False
    ) -> Any:
        batch, _, *rest = currents.shape
        return keras.KerasTensor((batch, *rest), self.compute_dtype)
