"""Neurons that take in their whole input before they fire."""

from keras import ops

from snn_keras.neurons.cell import SpikingCell


class ChargingCell(SpikingCell):
    """A neuron that integrates the currents of a whole run, and then fires.

    Only the sum of its input counts, so a network of them may run in one pass over
    sums. A subclass says in `outputs` what it sends, once it is charged.

    Args:
        threshold: As for `SpikingCell`.
        timesteps: Steps T >= 1 of the input, and of the output.
    """

    num_states = 2

    def __init__(self, threshold=1.0, *, timesteps=1, **kwargs):
        super().__init__(threshold, **kwargs)
        self.timesteps = timesteps

    def outputs(self, potential):
        """What it sends at each step, and what is left of the potential.

        Args:
            potential: `(batch, ...)`, with all of the input in.

        Yields:
            T pairs of tensors `(batch, ...)`.
        """
        raise NotImplementedError

    def initial_state(self, shape):
        return [ops.zeros(shape, self.state_dtype) for _ in range(2)]

    def run(self, currents, state, training=False):
        """Takes the currents `(batch, T, ...)` and fires `(batch, T, ...)`."""
        return self.fire(self._charged(currents, state)), state

    def potentials(self, currents, state):
        """What is left of the potential after each step; the charging is not shown."""
        return self.residues(self._charged(currents, state))

    def _charged(self, currents, state):
        """The potential once all currents `(batch, T, ...)` are in."""
        total = state[0]
        for t in range(currents.shape[1]):
            total = total + ops.cast(currents[:, t], self.state_dtype)
        return total

    def fire(self, potential):
        """The T outputs `(batch, T, ...)` of neurons charged to `potential`."""
        sent = [y for y, _ in self.outputs(potential)]
        return ops.cast(ops.stack(sent, axis=1), self.compute_dtype)

    def residues(self, potential):
        """What is left of `potential` after each of these outputs."""
        return ops.stack([left for _, left in self.outputs(potential)], axis=1)

    def total(self, current):
        """The sum of what it sends for a whole `current` `(batch, ...)`."""
        start = self.initial_state(ops.shape(current))[0]
        return ops.sum(self.fire(start + ops.cast(current, start.dtype)), axis=1)

    def with_coding(self, coding):
        if coding.timesteps == self.timesteps:
            return self
        theta = ops.convert_to_numpy(self.theta) if self.built else self.threshold
        config = {"timesteps": coding.timesteps, "threshold": theta}
        return type(self).from_config({**self.get_config(), **config})

    def get_config(self):
        return {**super().get_config(), "timesteps": self.timesteps}
