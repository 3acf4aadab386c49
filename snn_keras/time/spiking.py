"""Layers of spiking neurons."""

from typing import Any

import keras
from keras import ops

from snn_keras.coding import Coding
from snn_keras.neurons.cell import SpikingCell
from snn_keras.time.clock import Clock
from snn_keras.time.layer import Coded, TimeLayer
from snn_keras.typing import Array


class Neurons(keras.layers.Layer):
    """Base class of layers of spiking neurons.

    Args:
        cell: A `snn_keras.neurons` cell.
    """

    def __init__(self, cell: SpikingCell, **kwargs) -> None:
        super().__init__(**kwargs)
        if not isinstance(cell, SpikingCell):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': cell must be a cell of "
                f"snn_keras.neurons. Received: cell={cell!r}"
            )
        self.cell = cell

    def build(self, input_shape: Any) -> None:
        if not self.cell.built:
            self.cell.build(input_shape)
            self.cell.built = True

    def compute_output_spec(
        self, currents: keras.KerasTensor, training: bool = False
    ) -> Any:
        return keras.KerasTensor(currents.shape, self.compute_dtype)

    def get_config(self) -> dict:
        cell = keras.saving.serialize_keras_object(self.cell)
        return {**super().get_config(), "cell": cell}

    @classmethod
    def from_config(cls, config: dict) -> "Neurons":
        cell = keras.saving.deserialize_keras_object(config.pop("cell"))
        return super().from_config({**config, "cell": cell})


@keras.saving.register_keras_serializable("snn_keras")
class Spiking(Neurons, TimeLayer):
    """Runs a spiking cell over time.

    Args:
        cell: A `snn_keras.neurons` cell.

    Input shape: `(batch, time, ...)`, the currents. Output shape: the same.
    """

    def build(self, input_shape: Any) -> None:
        super().build((input_shape[0], *input_shape[2:]))

    @property
    def has_known_state(self) -> bool:
        return self.cell.has_fixed_shape

    def get_initial_state(self, batch_size: int) -> list | None:
        """The cell's state at rest; None if its shape depends on the input."""
        return self.cell.get_initial_state(batch_size) if self.has_known_state else None

    def advance(
        self, currents: Array, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list | None]:
        currents, state = self._given(currents, state)
        return self.cell.run(currents, state, training)

    def rehearse(self, currents: Array, state: list | None) -> tuple[Array, list]:
        """Runs extra steps before the run, to correct the cell's initial state.

        Returns:
            The outputs, and the corrected initial state.
        """
        return self.cell.rehearse(*self._given(currents, state))

    def potentials(self, currents: Array, state: list | None) -> Array:
        """The potentials after each step of `advance`, `(batch, time, ...)`."""
        return self.cell.potentials(*self._given(currents, state))

    def _given(self, currents, state):
        currents = self.received(currents)
        if state is None:
            state = self.cell.initial_state(ops.shape(currents[:, 0]))
        return currents, state

    def with_coding(self, coding: Coding) -> "Spiking":
        """This layer for a network with another coding; the weights are shared."""
        cell = self.cell.with_coding(coding)
        return type(self)(cell, name=self.name, dtype=self.dtype_policy)


@keras.saving.register_keras_serializable("snn_keras")
class OnePassSpiking(Neurons, Coded):
    """Computes all steps of a cell in one pass, from signals without a time axis.

    If no neuron fires before its whole input has arrived, only the sum of the input
    matters. The spikes are those of `Spiking`; the output is their sum.

    Args:
        cell: A `snn_keras.neurons.ChargingCell`.
        coding: The network's `snn_keras.coding.Coding`.

    Input shape: `(batch, ...)`, the total current. Output shape: the same.
    """

    def __init__(self, cell: SpikingCell, coding: Coding, **kwargs) -> None:
        super().__init__(cell, coding=coding, **kwargs)
        self.supports_masking = True

    def call(self, current: Array, training: bool = False) -> Array:
        if training:  # so that every spike has its surrogate gradient
            return ops.sum(self.spikes(current), axis=1)
        return self.cell.total(current)

    def spikes(self, current: Array) -> Array:
        """The neurons' outputs, `(batch, timesteps, ...)`."""
        return self.cell.fire(self._charged(current))

    def potentials(self, current: Array) -> Array:
        """The potentials after each step, `(batch, timesteps, ...)`."""
        return self.cell.residues(self._charged(current))

    def _charged(self, current):
        start = self.cell.initial_state(ops.shape(current))[0]
        return start + ops.cast(current, start.dtype)

    def with_coding(self, coding: Coding) -> "OnePassSpiking":
        cell = self.cell.with_coding(coding)
        return type(self)(cell, coding, name=self.name, dtype=self.dtype_policy)
