"""The base class of neurons that receive their whole input before they fire."""

from collections.abc import Iterator, Sequence

import numpy as np
from keras import ops

from snn_keras.coding import Coding
from snn_keras.neurons.cell import SpikingCell
from snn_keras.typing import Array, Shape


class ChargingCell(SpikingCell):
    """A neuron that first integrates its whole input (charges), and then fires.

    Only the sum of the input matters, so all steps may be computed in one pass from
    it. A subclass defines in `outputs` what the charged neuron sends.

    Args:
        threshold: As for `SpikingCell`.
        timesteps: Number of steps T >= 1 of the input, and of the output.
    """

    num_states = 2

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        timesteps: int = 1,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        self.timesteps = timesteps

    def outputs(self, potential: Array) -> Iterator[tuple[Array, Array]]:
        """The output of each step, and the potential after it.

        Args:
            potential: The charged potential, `(batch, ...)`.

        Yields:
            T pairs of tensors `(batch, ...)`.
        """
        raise NotImplementedError

    def accesses(self, updates: float, spikes: float) -> dict[str, float]:
        # A charged potential is read once and cleared; the steps fire from a register.
        words = updates / self.timesteps
        return {"read": words, "write": words, "constant": words}

    def initial_state(self, shape: Shape) -> list:
        return [ops.zeros(shape, self.state_dtype) for _ in range(2)]

    def run(
        self, currents: Array, state: list, training: bool = False
    ) -> tuple[Array, list]:
        """Receives the currents `(batch, T, ...)`, then fires, `(batch, T, ...)`."""
        return self.fire(self._charged(currents, state)), state

    def potentials(self, currents: Array, state: list) -> Array:
        """The potential after each step in which the neuron fires, not of charging."""
        return self.residues(self._charged(currents, state))

    def _charged(self, currents, state):
        """The potential after all currents `(batch, T, ...)`."""
        total = state[0]
        for t in range(currents.shape[1]):
            total = total + ops.cast(currents[:, t], self.state_dtype)
        return total

    def fire(self, potential: Array) -> Array:
        """The T outputs `(batch, T, ...)` of neurons charged to `potential`."""
        sent = [y for y, _ in self.outputs(potential)]
        return ops.cast(ops.stack(sent, axis=1), self.compute_dtype)

    def residues(self, potential: Array) -> Array:
        """The potentials `(batch, T, ...)` after each of these outputs."""
        return ops.stack([left for _, left in self.outputs(potential)], axis=1)

    def total(self, current: Array) -> Array:
        """The sum of the outputs for the total `current`, `(batch, ...)`."""
        start = self.initial_state(ops.shape(current))[0]
        return ops.sum(self.fire(start + ops.cast(current, start.dtype)), axis=1)

    def with_coding(self, coding: Coding) -> SpikingCell:
        if coding.timesteps == self.timesteps:
            return self
        theta = ops.convert_to_numpy(self.theta) if self.built else self.threshold
        config = {"timesteps": coding.timesteps, "threshold": theta}
        return type(self).from_config({**self.get_config(), **config})

    def get_config(self) -> dict:
        return {**super().get_config(), "timesteps": self.timesteps}
