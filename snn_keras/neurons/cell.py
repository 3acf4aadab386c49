"""What every spiking cell has in common."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from snn_keras.coding import Coding, Rate, Switched
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.scan import scan_time
from snn_keras.typing import Array, Shape

# What neurons approximate where the activation has values between its levels.
STAIRCASE = "levels alone: the slope of the activation is left out"


class SpikingCell(keras.layers.Layer):
    """One time step of a layer of spiking neurons; a Keras RNN cell.

    A subclass names its potentials in `call(currents, states)`, which returns
    `(outputs, new_states)`, and their values at rest in `initial_state(shape)`.
    It runs over time in `snn_keras.time.Spiking`, or, for inputs of shape
    `(batch, time, features)`, in `keras.layers.RNN`.

    The state is held in float32, or in float64 where the compute dtype is that.

    Args:
        threshold: Firing threshold `theta` > 0, in units of the potential: a
            float, or an array with one for each channel (the last axis).
    """

    num_states = 1
    codings = (Rate, Switched)  # those that it works in
    extra_steps = 0  # steps spent on `rehearse` before the run
    float_timesteps = 32  # in which a float network, just quantized, loses little
    most_spikes = 1  # that a neuron sends in one step
    has_sizes = False  # whether a spike says by which power of two it counts
    bits_per_spike = 1  # what is sent for a spike, beside where it comes from

    def __init__(
        self, threshold: float | Sequence[float] | np.ndarray = 1.0, **kwargs
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # or the state would lose digits
        try:
            values = np.asarray(threshold, "float64")
        except (TypeError, ValueError):
            values = np.asarray([])
        valid = values.size and values.ndim <= 1
        if not valid or not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': threshold must be finite and "
                "greater than 0, a number or a list of one for each channel. "
                f"Received: threshold={threshold!r}"
            )
        self.threshold = values.tolist()
        self._features = None

    @property
    def state_dtype(self) -> str:
        """The dtype of the potentials."""
        return state_dtype(self.compute_dtype)

    @property
    def state_size(self) -> list:
        """Features of each state, for `keras.layers.RNN`."""
        return [self._features] * self.num_states

    @property
    def output_size(self) -> Any:
        return self._features

    def build(self, input_shape: Shape) -> None:
        self._features = input_shape[-1]
        self.state_shape = tuple(input_shape[1:])
        values = np.asarray(self.threshold, self.state_dtype)
        if values.ndim and values.shape != (input_shape[-1],):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' has thresholds for "
                f"{values.size} channels. Received inputs with "
                f"{input_shape[-1]}: shape {tuple(input_shape)}."
            )
        self.theta = self.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype=None: ops.convert_to_tensor(values, dtype),
            dtype=self.state_dtype,
            autocast=False,
            name="threshold",
        )

    def get_initial_state(self, batch_size: int | None = None) -> list:
        """The state of neurons at rest, a list of tensors `(batch, ...)`."""
        return self.initial_state((batch_size, *self.state_shape))

    @property
    def has_fixed_shape(self) -> bool:
        """Whether the number of neurons is known before there is an input."""
        return None not in self.state_shape

    def initial_state(self, shape: Shape) -> list:
        """The state at rest for potentials of `shape`."""
        raise NotImplementedError

    def run(
        self, currents: Array, state: list, training: bool = False
    ) -> tuple[Array, list]:
        """Runs over the steps of `currents` `(batch, time, ...)`.

        Returns:
            The outputs `(batch, time, ...)`, and the state after the last step.
        """
        return scan_time(
            lambda x, state: self(x, state, training=training),
            state,
            currents,
            self.compute_dtype,
        )

    def potentials(self, currents: Array, state: list) -> Array:
        """The potential after each step of `run`, its first state `(batch, time, ...)`.

        After the reset, where the neuron fired.
        """

        def step(x, state):
            _, state = self(x, state)
            return state[0], state

        return scan_time(step, state, currents, self.state_dtype)[0]

    def spikes(self, outputs: Array) -> Array:
        """How many spikes outputs are, each with its sign: whole numbers.

        Here one, whatever its size. A neuron that sends several at once overrides it.

        Args:
            outputs: What it sent, `(batch, steps, ...)`.
        """
        return ops.sign(outputs)

    def operations(self, updates: float, spikes: float) -> dict:
        """What neurons compute, beside the additions that arriving spikes bring.

        Args:
            updates: Steps of all neurons together.
            spikes: Spikes of all neurons together.

        Returns:
            Numbers of operations by kind: "add", "multiply", "shift", "compare".
        """
        # At every step a constant current and a comparison, at every spike a reset.
        return {"add": updates + spikes, "compare": updates}

    def coding(
        self, timesteps: int | str, activations: Sequence[SourceActivation]
    ) -> Coding:
        """The coding that a network of these neurons has.

        Args:
            timesteps: Steps of a run; or "settle", where its neurons come to rest.
            activations: The network's quantized activations.
        """
        return Rate(timesteps)

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """The steps with which it is exact, or the levels where it is not for sure.

        Args:
            activations: As for `coding`.
        """
        return max((activation.levels for activation in activations), default=1)

    def levels(self, coding: Coding) -> int:
        """How many positive levels of an activation a run of the neuron tells apart."""
        return coding.levels

    def works_in(self, coding: Coding) -> bool:
        """Whether the neuron reads and sends signals of this coding."""
        return isinstance(coding, self.codings)

    def can_replace(self, activation: SourceActivation) -> bool:
        """Whether the neuron may stand in the place of an activation."""
        return not getattr(activation, "is_random", False)

    def adapted_to(self, activation: SourceActivation, coding: Coding) -> "SpikingCell":
        """A copy of this cell for the place of a quantized activation.

        Args:
            activation: The `snn_keras.layers.QuantizedActivation`.
            coding: The network's `snn_keras.coding.Coding`.
        """
        return self.copy(activation, threshold=coding.threshold_of(activation))

    def with_coding(self, coding: Coding) -> "SpikingCell":
        """This cell in runs of another length; itself, if it does not count steps."""
        return self

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        """What the neuron does otherwise than its activation; "" if it is exact.

        Args:
            activation: As for `adapted_to`.
            coding: As for `adapted_to`.
        """
        return "count depends on when spikes arrive"

    def grid(self, coding: Coding) -> tuple:
        """What the outputs of a run may decode to: `step` times 0, 1, ... `count`.

        Args:
            coding: The network's `snn_keras.coding.Coding`; the cell is built.

        Returns:
            `(step, count)`; the step is a float, or an array of one a channel.
        """
        count = np.inf if coding.settles else coding.timesteps
        return self.theta_value() / coding.divisor(coding.timesteps), count

    def theta_value(self) -> np.ndarray:
        """The thresholds of a built cell, as they are now."""
        return ops.convert_to_numpy(self.theta).astype("float64")

    def copy(self, activation: SourceActivation, **changes) -> "SpikingCell":
        """A copy with other arguments, in the precision of `activation`."""
        config = {**self.get_config(), **changes}
        del config["name"]
        config["dtype"] = activation.dtype_policy
        return type(self).from_config(config)

    def compute_output_spec(
        self, inputs: keras.KerasTensor, states: list, training: bool = False
    ) -> tuple[keras.KerasTensor, list]:
        state = [keras.KerasTensor(s.shape, s.dtype) for s in states]
        return keras.KerasTensor(inputs.shape, self.compute_dtype), state

    def get_config(self) -> dict:
        return {**super().get_config(), "threshold": self.threshold}


def state_dtype(compute_dtype: str) -> str:
    """What state is held in: never less than float32."""
    return "float64" if compute_dtype == "float64" else "float32"


def check_share(cell: SpikingCell, initial: float) -> float:
    """Returns `initial`, or raises a ValueError unless it is a finite number."""
    if not (isinstance(initial, (int, float)) and np.isfinite(initial)):
        raise ValueError(
            f"{type(cell).__name__} '{cell.name}': initial must be a finite number, "
            f"the share of the threshold to start from. Received: initial={initial!r}"
        )
    return initial
