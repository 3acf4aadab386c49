"""Layers that give a spiking network its time axis, `(batch, time, ...)`."""

import keras
import numpy as np
from keras import ops, tree

from snn_keras.neurons import window as window_lib
from snn_keras.neurons import winograd
from snn_keras.neurons.cell import SpikingCell, state_dtype
from snn_keras.neurons.scan import scan_time


@keras.saving.register_keras_serializable("snn_keras")
class Spiking(keras.layers.Layer):
    """Runs a spiking cell over time.

    Args:
        cell: A `snn_keras.neurons` cell.

    Input shape: `(batch, time, ...)`, the currents. Output shape: the same.
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(cell, SpikingCell):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': cell must be a cell of "
                f"snn_keras.neurons. Received: cell={cell!r}"
            )
        self.cell = cell

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build((input_shape[0], *input_shape[2:]))
            self.cell.built = True

    def get_initial_state(self, batch_size):
        """The cell's state at rest; None where its shape depends on the input."""
        if not self.cell.has_fixed_shape:
            return None
        return self.cell.get_initial_state(batch_size)

    def call(self, currents, training=False):
        state = window_lib.state_of(
            self, lambda: self.cell.initial_state(ops.shape(currents[:, 0]))
        )
        window = window_lib.current()
        if window is not None and window.preparing and self.cell.extra_steps:
            outputs, after = self.cell.prepare(currents, state)
        else:
            outputs, after = self.cell.run(currents, state, training)
        window_lib.keep_state(self, after)
        window_lib.observe(
            self, currents, outputs, lambda: self.cell.potentials(currents, state)
        )
        return outputs

    def compute_output_spec(self, currents, training=False):
        return keras.KerasTensor(currents.shape, self.compute_dtype)

    def with_timesteps(self, timesteps):
        """This layer in a network that runs for `timesteps` steps."""
        if not hasattr(self.cell, "timesteps"):
            return self
        config = {
            **self.cell.get_config(),
            "timesteps": timesteps,
            "threshold": ops.convert_to_numpy(self.cell.theta),
        }
        cell = type(self.cell).from_config(config)
        return type(self)(cell, name=self.name, dtype=self.dtype_policy)

    def get_config(self):
        cell = keras.saving.serialize_keras_object(self.cell)
        return {**super().get_config(), "cell": cell}

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config.pop("cell"))
        return cls(cell, **config)


@keras.saving.register_keras_serializable("snn_keras")
class FusedSpiking(Spiking):
    """Runs a bit-serial cell in one pass, on decoded signals without a time axis.

    Nothing fires before all of a layer's input is in, so only its sum matters:
    the spikes are those of `Spiking`, the output is their sum.

    Args:
        cell: A `snn_keras.neurons.BitSerialCell`.

    Input shape: `(batch, ...)`, the total current. Output shape: the same.
    """

    def __init__(self, cell, **kwargs):
        super().__init__(cell, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        super().build((input_shape[0], 1, *input_shape[1:]))

    def spikes(self, current):
        """What the neurons send, `(batch, timesteps, ...)`."""
        return self.cell.fire(self._potential(current))

    def _potential(self, current):
        potential, _ = self.cell.initial_state(ops.shape(current))
        return potential + ops.cast(current, potential.dtype)

    def call(self, current, training=False):
        if training:  # every bit has its surrogate gradient
            return ops.sum(self.spikes(current), axis=1)
        if window_lib.is_watched():
            potential = self._potential(current)
            window_lib.observe(
                self,
                ops.expand_dims(current, 1),
                self.cell.fire(potential),
                lambda: self.cell.residues(potential),
            )
        return self.cell.total(current)


@keras.saving.register_keras_serializable("snn_keras")
class BiasCorrection(keras.layers.Layer):
    """Adds a constant current to every channel, and to the neurons' initial potential.

    What the potential of a neuron starts higher by is a current in the first step.

    Args:
        neurons: The name of the layer of neurons that the currents go to.

    Input shape: `(batch, time, ..., channels)`. Output shape: the same.
    """

    def __init__(self, neurons, **kwargs):
        super().__init__(**kwargs)
        self.neurons = neurons

    def build(self, input_shape):
        settings = {"shape": (input_shape[-1],), "initializer": "zeros"}
        self.bias = self.add_weight(**settings, name="bias")
        self.initial = self.add_weight(**settings, name="initial")

    def call(self, currents):
        dtype, rank = currents.dtype, len(currents.shape) - 1
        is_first = window_lib.input_is_on(1, currents.shape[1], rank, dtype)
        return (
            currents
            + ops.cast(self.bias, dtype)
            + is_first * ops.cast(self.initial, dtype)
        )

    def compute_output_spec(self, currents):
        return keras.KerasTensor(currents.shape, self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "neurons": self.neurons}


@keras.saving.register_keras_serializable("snn_keras")
class Present(keras.layers.Layer):
    """Presents a tensor as the same constant current at every time step.

    Args:
        timesteps: Steps of a whole run, an integer >= 1; or "settle", for a run
            whose length the window alone knows.
        input_steps: Steps after which the current is switched off, or None.

    Input shape: `(batch, ...)`. Output shape: `(batch, timesteps, ...)`; under a
    window, as many steps as the window has.
    """

    def __init__(self, timesteps, input_steps=None, **kwargs):
        super().__init__(**kwargs)
        self.timesteps = timesteps
        self.input_steps = input_steps
        self.supports_masking = True  # and keeps them: a plan sees to it
        self.built = True

    def compute_mask(self, inputs, previous_mask):
        return None

    def call(self, x):
        window = window_lib.current()
        steps = self.timesteps if window is None else window.steps
        batch, *rest = ops.shape(x)
        return self.gate(ops.broadcast_to(ops.expand_dims(x, 1), (batch, steps, *rest)))

    def gate(self, y):
        """Currents `(batch, time, ...)`, switched off when the input is."""
        if self.input_steps is None:
            return y
        rank = len(y.shape) - 1
        return y * window_lib.input_is_on(self.input_steps, y.shape[1], rank, y.dtype)

    def compute_output_spec(self, x):
        batch, *rest = x.shape
        steps = None if self.timesteps == "settle" else self.timesteps
        return keras.KerasTensor((batch, steps, *rest), self.compute_dtype)

    def get_config(self):
        config = {"timesteps": self.timesteps, "input_steps": self.input_steps}
        return {**super().get_config(), **config}

    def with_timesteps(self, timesteps):
        """This layer in a network that runs for `timesteps` steps."""
        return type(self)(
            timesteps, self.input_steps, name=self.name, dtype=self.dtype_policy
        )


@keras.saving.register_keras_serializable("snn_keras")
class Readout(keras.layers.Layer):
    """Integrates without firing, and decodes.

    The decoded value is the mean over the steps so far, or, for an input that is
    switched off after `input_steps` steps, the sum divided by that number.

    Args:
        input_steps: Steps for which the network's input is on, or None.

    Input shape: `(batch, time, ...)`. Output shape: `(batch, ...)`; under a
    window that asks for it, `(batch, time, ...)`, the decoded value after each
    step.
    """

    def __init__(self, input_steps=None, **kwargs):
        super().__init__(**kwargs)
        self.input_steps = input_steps

    def build(self, input_shape):
        self._state_shape = tuple(input_shape[2:])

    @property
    def state_dtype(self):
        """The dtype of the sum of currents."""
        return state_dtype(self.compute_dtype)

    def get_initial_state(self, batch_size):
        """The sum of no currents; None where its shape depends on the input."""
        if None in self._state_shape:
            return None
        return [ops.zeros((batch_size, *self._state_shape), self.state_dtype)]

    def call(self, currents):
        window = window_lib.current()
        state = window_lib.state_of(
            self, lambda: [ops.zeros_like(currents[:, 0], dtype=self.state_dtype)]
        )
        sums, state = scan_time(_accumulate, state, currents, self.state_dtype)
        window_lib.keep_state(self, state)
        steps = currents.shape[1]
        if window is None:
            return self.decode(state, steps, steps)
        if not window.over_time:
            return self.decode(state, window.start + steps, window.total)
        counts = window.start + 1 + ops.arange(steps, dtype="int32")
        counts = ops.reshape(counts, (1, steps))
        counts = ops.expand_dims(counts, _trailing(sums, 2))
        return self.decode([sums], counts, window.total)

    def decode(self, state, count, total):
        """The decoded value, given the state after `count` of `total` steps."""
        # Compilers divide approximately, and each in its own way: multiplying by
        # a reciprocal made here gives one mean however a run is cut and compiled.
        if self.input_steps is not None:
            weight = 1 / np.asarray(self.input_steps, self.state_dtype)
        else:
            reciprocals = 1 / np.arange(1, total + 1, dtype=self.state_dtype)
            weight = window_lib.at_step(reciprocals, count - 1)
            if not isinstance(count, int):  # a stream may go on beyond the run
                longer = 1 / ops.cast(count, self.state_dtype)
                weight = ops.where(count > total, longer, weight)
        return ops.cast(state[0] * weight, self.compute_dtype)

    def compute_output_spec(self, currents):
        batch, _, *rest = currents.shape
        return keras.KerasTensor((batch, *rest), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "input_steps": self.input_steps}


def _trailing(x, first):
    return tuple(range(first, len(x.shape)))


def _accumulate(x, state):
    total = state[0] + ops.cast(x, state[0].dtype)
    return total, [total]


@keras.saving.register_keras_serializable("snn_keras")
class PerStep(keras.layers.Layer):
    """Applies a stateless layer or operation at every time step.

    Time is folded into the batch, so that all steps go through one call.

    Args:
        operation: A Keras layer or operation that treats samples apart.
        arguments: How to call it: None for `operation(inputs)`, or
            `{"args": ..., "kwargs": ...}` in which the strings `"tensor:0"`,
            `"tensor:1"`, ... stand for the inputs.

    Input shape: `(batch, time, ...)`, or a list of such. Output shape: that of
    the operation, with the time axis.
    """

    def __init__(self, operation, arguments=None, **kwargs):
        super().__init__(**kwargs)
        self.operation = operation
        self.arguments = arguments

    def build(self, input_shape):
        operation = self.operation
        if isinstance(operation, keras.layers.Layer) and not operation.built:
            if input_shape and isinstance(input_shape[0], (list, tuple)):
                operation.build([(shape[0], *shape[2:]) for shape in input_shape])
            else:
                operation.build((input_shape[0], *input_shape[2:]))

    def prepare(self, inputs, passes):
        """What a run needs of this layer and need not compute anew at every pass.

        Args:
            inputs: List of what has the `shape` `(batch, time, ...)` and the `dtype`
                of the inputs of a pass.
            passes: Passes of the run.

        Returns:
            A dict of tensors, which the layer finds in its window.
        """
        (batch, steps, *rest), several = inputs[0].shape, len(inputs) > 1
        if several or self.arguments is not None:
            return {}
        shape = (batch * steps, *rest)
        if not winograd.pays(self.operation, shape, passes):
            return {}
        return {"kernel": winograd.transformed(self.operation.kernel.value)}

    def call(self, inputs):
        steps = tree.flatten(inputs)[0].shape[1]
        kernel = window_lib.prepared(self, inputs).get("kernel")
        folded = tree.map_structure(_fold, inputs)
        if kernel is None:
            outputs = self._apply(self.operation, folded)
        else:
            outputs = winograd.convolve(self.operation, kernel, folded)
        return tree.map_structure(lambda y: _unfold(y, steps), outputs)

    def arguments_of(self, tensors) -> tuple:
        """`(args, kwargs)` with which the operation is called on these inputs."""
        if self.arguments is None:
            return (tensors if len(tensors) > 1 else tensors[0],), {}
        filled = tree.map_structure(
            lambda x: tensors[int(x[7:])] if _is_slot(x) else x, self.arguments
        )
        return filled["args"], filled["kwargs"]

    def _apply(self, operation, inputs):
        args, kwargs = self.arguments_of(tree.flatten(inputs))
        return operation(*args, **kwargs)

    def compute_output_spec(self, inputs):
        batch, steps = tree.flatten(inputs)[0].shape[:2]
        folded = tree.map_structure(
            lambda x: keras.KerasTensor((None, *x.shape[2:]), x.dtype), inputs
        )
        outputs = self._apply(self.operation.compute_output_spec, folded)
        return tree.map_structure(
            lambda y: keras.KerasTensor((batch, steps, *y.shape[1:]), y.dtype), outputs
        )

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "operation": serialize(self.operation),
            "arguments": serialize(self.arguments),
        }

    @classmethod
    def from_config(cls, config):
        deserialize = keras.saving.deserialize_keras_object
        operation = deserialize(config.pop("operation"))
        arguments = deserialize(config.pop("arguments"))
        return cls(operation, arguments, **config)


@keras.saving.register_keras_serializable("snn_keras")
class AffinePerStep(PerStep):
    r"""`PerStep` for an affine map whose constant part is switched off.

    $$y_t = f(x_t) - (1 - g_t) f(0)$$

    with $g_t = 1$ for the first `input_steps` steps and 0 from then on.

    Args:
        operation: See `PerStep`.
        arguments: See `PerStep`.
        input_steps: Steps for which the constant part is on.
    """

    def __init__(self, operation, arguments=None, *, input_steps, **kwargs):
        super().__init__(operation, arguments, **kwargs)
        self.input_steps = input_steps

    def prepare(self, inputs, passes):
        if any(None in x.shape[2:] for x in inputs):
            return super().prepare(inputs, passes)
        constant = self._constant(inputs)
        return {**super().prepare(inputs, passes), "constant": constant}

    def _constant(self, inputs):
        """The map of zeros, for inputs of these shapes."""
        zeros = [ops.zeros((1, *_sizes(x)[2:]), x.dtype) for x in inputs]
        return self._apply(self.operation, zeros if len(zeros) > 1 else zeros[0])

    def call(self, inputs):
        outputs = super().call(inputs)
        constant = window_lib.prepared(self, inputs).get("constant")
        if constant is None:
            constant = self._constant(tree.flatten(inputs))
        steps = tree.flatten(inputs)[0].shape[1]

        def switch(y, c):
            on = window_lib.input_is_on(self.input_steps, steps, len(c.shape), y.dtype)
            return y - (1 - on) * ops.expand_dims(c, 1)

        return tree.map_structure(switch, outputs, constant)

    def get_config(self):
        return {**super().get_config(), "input_steps": self.input_steps}


def _sizes(x):
    """The shape of a tensor, or of what only says that it has one."""
    return ops.shape(x) if ops.is_tensor(x) else x.shape


def _is_slot(x):
    return isinstance(x, str) and x.startswith("tensor:")


def _fold(x):
    """[B, T, ...] -> [B * T, ...]"""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def _unfold(y, steps):
    """[B * T, ...] -> [B, T, ...]"""
    return ops.reshape(y, (-1, steps, *ops.shape(y)[1:]))
