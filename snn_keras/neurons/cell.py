"""The base class of spiking cells."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from snn_keras.coding import Coding, Rate, Switched
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.scan import scan_time
from snn_keras.typing import Array, Shape

# The approximation of an activation that has values between its levels.
STAIRCASE = "levels alone: the slope of the activation is left out"


class SpikingCell(keras.layers.Layer):
    """One time step of a layer of spiking neurons; a Keras RNN cell.

    A subclass defines `call(currents, states)`, which returns `(outputs,
    new_states)`, and `initial_state(shape)`, which returns the states at rest. It
    runs over time in `snn_keras.time.Spiking`, or, for inputs of shape
    `(batch, time, features)`, in `keras.layers.RNN`.

    The state is held in float32, or in float64 if that is the compute dtype.

    Args:
        threshold: Firing threshold `theta` > 0, in units of the potential: a
            float, or an array with one for each channel (the last axis).
    """

    num_states = 1
    codings = (Rate, Switched)  # the codings in which the neuron works
    extra_steps = 0  # number of steps of `rehearse`, before the run
    float_timesteps = 32  # steps of a float network, where the user gives none
    most_spikes = 1  # the most spikes that a neuron sends in one step
    has_sizes = False  # whether a spike counts for a power of two that it carries
    bits_per_spike = 1  # the bits of a spike, without its address
    payload_bits = 0  # the bits that a spike carries, besides that it is one
    state_words = 1  # the words of memory that a neuron keeps
    leaks = False  # whether it forgets, and is to be trained over time
    unroll = 8  # the most steps of a loop that is unrolled, see `scan_time`

    def __init__(
        self, threshold: float | Sequence[float] | np.ndarray = 1.0, **kwargs
    ) -> None:
        super().__init__(autocast=False, **kwargs)  # casting would round the state
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
        """Number of features of each state, for `keras.layers.RNN`."""
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
        """Whether the number of neurons is known without an input."""
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
            self.unroll,
        )

    def potentials(self, currents: Array, state: list) -> Array:
        """The potential after each step of `run`, `(batch, time, ...)`.

        It is the first state; if the neuron fired, after the reset.
        """

        def step(x, state):
            _, state = self(x, state)
            return state[0], state

        return scan_time(step, state, currents, self.state_dtype, self.unroll)[0]

    def spikes(self, outputs: Array) -> Array:
        """The signed number of spikes in each output, a whole number.

        Here, every output that is not 0 is one spike. A neuron that sends several at
        once overrides this.

        Args:
            outputs: The neurons' outputs, `(batch, steps, ...)`.
        """
        return ops.sign(outputs)

    def operations(self, updates: float, spikes: float) -> dict:
        """The operations of neurons, without the additions for arriving spikes.

        Args:
            updates: Number of steps of all neurons together.
            spikes: Number of spikes of all neurons together.

        Returns:
            Numbers of operations by kind: "add", "multiply", "shift", "compare".
        """
        # Each step adds the constant current and compares; each spike resets.
        return {"add": updates + spikes, "compare": updates}

    def accesses(self, updates: float, spikes: float) -> dict:
        """The words of memory of neurons, without those for arriving spikes.

        Args:
            updates: As for `operations`.
            spikes: As for `operations`.

        Returns:
            Numbers of words: "read" and "write", of potentials and what else the
            neuron remembers; "constant", of the constant current, which is read.
        """
        return {"read": updates, "write": updates, "constant": updates}

    def coding(
        self, timesteps: int | str, activations: Sequence[SourceActivation]
    ) -> Coding:
        """The coding of a network of these neurons.

        Args:
            timesteps: Number of steps of a run; or "settle".
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
        """Whether the neuron receives and sends signals of this coding."""
        return isinstance(coding, self.codings)

    def can_replace(self, activation: SourceActivation) -> bool:
        """Whether the neuron may replace an activation."""
        return not getattr(activation, "is_random", False)

    def adapted_to(self, activation: SourceActivation, coding: Coding) -> "SpikingCell":
        """A copy of this cell that replaces a quantized activation.

        Args:
            activation: The `snn_keras.layers.QuantizedActivation`.
            coding: The network's `snn_keras.coding.Coding`.
        """
        return self.copy(activation, threshold=coding.threshold_of(activation))

    def with_coding(self, coding: Coding) -> "SpikingCell":
        """This cell for runs of another length; itself unless it counts steps."""
        return self

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        """How the neuron differs from the activation; "" if it is exact.

        Args:
            activation: As for `adapted_to`.
            coding: As for `adapted_to`.
        """
        return "count depends on when spikes arrive"

    def grid(self, coding: Coding) -> tuple:
        """The possible decoded outputs of a run: `step` times 0, 1, ... `count`.

        The cell must be built.

        Args:
            coding: The network's `snn_keras.coding.Coding`.

        Returns:
            `(step, count)`; the step is a float, or an array with one per channel.
        """
        count = np.inf if coding.settles else coding.timesteps
        return self.theta_value() / coding.divisor(coding.timesteps), count

    def theta_value(self) -> np.ndarray:
        """The current thresholds of a built cell, in float64."""
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
    """The dtype of states: float64 if that is the compute dtype, else float32."""
    return "float64" if compute_dtype == "float64" else "float32"


def check_share(cell: SpikingCell, initial: float) -> float:
    """Returns `initial`, or raises a ValueError unless it is a finite number."""
    if not (isinstance(initial, (int, float)) and np.isfinite(initial)):
        raise ValueError(
            f"{type(cell).__name__} '{cell.name}': initial must be a finite number, "
            f"the share of the threshold to start from. Received: initial={initial!r}"
        )
    return initial
