"""What every spiking cell has in common."""

import keras
import numpy as np
from keras import ops

from snn_keras.neurons.scan import scan_time

# What neurons approximate where the activation has values between its levels.
STAIRCASE = "levels alone: the slope of the activation is left out"


class SpikingCell(keras.layers.Layer):
    """One time step of a layer of spiking neurons; a Keras RNN cell.

    A subclass names its potentials in `call(currents, states)`, which returns
    `(outputs, new_states)`, and their values at rest in `initial_state(shape)`.
    It runs over time in `snn_keras.neurons.Spiking`, or, for inputs of shape
    `(batch, time, features)`, in `keras.layers.RNN`.

    The state is held in float32, or in float64 where the compute dtype is that.

    Args:
        threshold: Firing threshold `theta` > 0, in units of the potential: a
            float, or an array with one for each channel (the last axis).
    """

    num_states = 1
    needs_whole_run = False  # whether it must see all steps in one pass
    repeats_source = False  # whether every step is a pass of the source network
    extra_steps = 0  # steps spent on `prepare` before the run

    def __init__(self, threshold=1.0, **kwargs):
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
    def state_dtype(self):
        """The dtype of the potentials."""
        return state_dtype(self.compute_dtype)

    @property
    def state_size(self):
        """Features of each state, for `keras.layers.RNN`."""
        return [self._features] * self.num_states

    @property
    def output_size(self):
        return self._features

    def build(self, input_shape):
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

    def get_initial_state(self, batch_size=None):
        """The state of neurons at rest, a list of tensors `(batch, ...)`."""
        return self.initial_state((batch_size, *self.state_shape))

    @property
    def has_fixed_shape(self) -> bool:
        """Whether the number of neurons is known before there is an input."""
        return None not in self.state_shape

    def initial_state(self, shape):
        """The state at rest for potentials of `shape`."""
        raise NotImplementedError

    def run(self, currents, state, training=False):
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

    def potentials(self, currents, state):
        """The potential after each step of `run`, its first state `(batch, time, ...)`.

        After the reset, where the neuron fired.
        """

        def step(x, state):
            _, state = self(x, state)
            return state[0], state

        return scan_time(step, state, currents, self.state_dtype)[0]

    def operations(self, updates, spikes) -> dict:
        """What neurons compute, beside the additions that arriving spikes bring.

        Args:
            updates: Steps of all neurons together.
            spikes: Spikes of all neurons together.

        Returns:
            Numbers of operations by kind: "add", "multiply", "shift", "compare".
        """
        # At every step a constant current and a comparison, at every spike a reset.
        return {"add": updates + spikes, "compare": updates}

    def input_steps(self, activations) -> int | None:
        """Steps after which a network of these neurons switches its input off.

        Args:
            activations: The network's quantized activations.

        Returns:
            An integer, or None for an input that stays on; see `Timing`.
        """
        return None

    def adapted_to(self, activation, timing) -> "SpikingCell":
        """A copy of this cell for the place of a quantized activation.

        Args:
            activation: The `snn_keras.layers.QuantizedActivation`.
            timing: The network's `snn_keras.neurons.Timing`.
        """
        return self.copy(activation, threshold=timing.threshold_of(activation))

    def approximation(self, activation, timing) -> str:
        """What the neuron does otherwise than its activation; "" if it is exact.

        Args:
            activation: As for `adapted_to`.
            timing: As for `adapted_to`.
        """
        return "count depends on when spikes arrive"

    def grid(self, timing) -> tuple:
        """What the outputs of a run may decode to: `step` times 0, 1, ... `count`.

        Args:
            timing: The network's `snn_keras.neurons.Timing`; the cell is built.

        Returns:
            `(step, count)`; the step is a float, or an array of one a channel.
        """
        steps = timing.input_steps or timing.timesteps
        count = np.inf if timing.timesteps == "settle" else timing.timesteps
        return self.theta_value() / steps, count

    @classmethod
    def levels_of(cls, timesteps) -> int:
        """How many positive levels neurons of this kind tell apart in a run."""
        return timesteps

    def theta_value(self):
        """The thresholds of a built cell, as they are now."""
        return ops.convert_to_numpy(self.theta).astype("float64")

    def copy(self, activation, **changes):
        """A copy with other arguments, in the precision of `activation`."""
        config = {**self.get_config(), **changes}
        del config["name"]
        config["dtype"] = activation.dtype_policy
        return type(self).from_config(config)

    def compute_output_spec(self, inputs, states, training=False):
        state = [keras.KerasTensor(s.shape, s.dtype) for s in states]
        return keras.KerasTensor(inputs.shape, self.compute_dtype), state

    def get_config(self):
        return {**super().get_config(), "threshold": self.threshold}


def state_dtype(compute_dtype) -> str:
    """What state is held in: never less than float32."""
    return "float64" if compute_dtype == "float64" else "float32"


def check_share(cell, initial):
    """Returns `initial`, or raises a ValueError unless it is a finite number."""
    if not (isinstance(initial, (int, float)) and np.isfinite(initial)):
        raise ValueError(
            f"{type(cell).__name__} '{cell.name}': initial must be a finite number, "
            f"the share of the threshold to start from. Received: initial={initial!r}"
        )
    return initial
