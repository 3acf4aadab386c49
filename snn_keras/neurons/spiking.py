"""Layers that give a spiking network its time axis, `(batch, time, ...)`."""

import keras
import numpy as np
from keras import ops, tree

from snn_keras import _backend
from snn_keras.neurons import window as window_lib

# Loops longer than this are compiled as loops, not unrolled: unrolling is
# faster to run and slower to compile.
UNROLL_LIMIT = 8


def scan_time(step, state, inputs, dtype):
    """Runs `step(x_t, state) -> (y_t, state)` over axis 1 of `inputs`.

    `dtype` is that of `y_t`.

    Returns:
        The outputs, stacked along axis 1, and the last state.
    """
    steps = inputs.shape[1]
    if steps is not None and steps <= UNROLL_LIMIT:
        outputs = []
        for t in range(steps):
            output, state = step(inputs[:, t], state)
            outputs.append(output)
        return ops.stack(outputs, axis=1), state

    def body(state, x):
        output, state = step(x, state)
        return state, [output]

    state, (outputs,) = _backend.scan(
        body, state, ops.moveaxis(inputs, 1, 0), dtypes=[dtype]
    )
    return ops.moveaxis(outputs, 0, 1), state


@keras.saving.register_keras_serializable("snn_keras")
class Spiking(keras.layers.Layer):
    """Runs a spiking cell over time.

    Args:
        cell: A `snn_keras.neurons` cell.

    Input shape: `(batch, time, ...)`, the currents. Output shape: the same.
    """

    def __init__(self, cell, **kwargs):
        super().__init__(**kwargs)
        self.cell = cell

    def build(self, input_shape):
        if not self.cell.built:
            self.cell.build((input_shape[0], *input_shape[2:]))
            self.cell.built = True

    def get_initial_state(self, batch_size):
        """The cell's state at rest."""
        return self.cell.get_initial_state(batch_size)

    def call(self, currents, training=False):
        state = window_lib.state_of(
            self, lambda: self.cell.initial_state(ops.shape(currents[:, 0]))
        )
        outputs, state = scan_time(
            lambda x, state: self.cell(x, state, training=training),
            state,
            currents,
            self.cell.compute_dtype,
        )
        window_lib.keep_state(self, state)
        window_lib.observe(self, currents, outputs)
        return outputs

    def compute_output_spec(self, currents, training=False):
        return keras.KerasTensor(currents.shape, self.compute_dtype)

    def get_config(self):
        cell = keras.saving.serialize_keras_object(self.cell)
        return {**super().get_config(), "cell": cell}

    @classmethod
    def from_config(cls, config):
        cell = keras.saving.deserialize_keras_object(config.pop("cell"))
        return cls(cell, **config)


@keras.saving.register_keras_serializable("snn_keras")
class Present(keras.layers.Layer):
    """Presents a tensor as the same constant current at every time step.

    Args:
        timesteps: Steps of a whole run, an integer >= 1.

    Input shape: `(batch, ...)`. Output shape: `(batch, timesteps, ...)`; under a
    window, as many steps as the window has.
    """

    def __init__(self, timesteps, **kwargs):
        super().__init__(**kwargs)
        self.timesteps = timesteps
        self.built = True

    def call(self, x):
        window = window_lib.current()
        steps = self.timesteps if window is None else window.steps
        batch, *rest = ops.shape(x)
        return ops.broadcast_to(ops.expand_dims(x, 1), (batch, steps, *rest))

    def compute_output_spec(self, x):
        batch, *rest = x.shape
        return keras.KerasTensor((batch, self.timesteps, *rest), self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "timesteps": self.timesteps}


@keras.saving.register_keras_serializable("snn_keras")
class Readout(keras.layers.Layer):
    """Integrates without firing and decodes: the mean over the steps so far.

    Input shape: `(batch, time, ...)`. Output shape: `(batch, ...)`; under a
    window that asks for it, `(batch, time, ...)`, the decoded value after each
    step.
    """

    def build(self, input_shape):
        self._state_shape = tuple(input_shape[2:])

    def get_initial_state(self, batch_size):
        """The sum of no currents."""
        return [ops.zeros((batch_size, *self._state_shape), "float32")]

    def call(self, currents):
        window = window_lib.current()
        state = window_lib.state_of(
            self, lambda: [ops.zeros_like(currents[:, 0], dtype="float32")]
        )
        sums, state = scan_time(_accumulate, state, currents, "float32")
        window_lib.keep_state(self, state)
        steps = currents.shape[1]
        if window is None:
            return self.decode(state, steps, steps)
        if not window.over_time:
            return self.decode(state, window.start + steps, window.total)
        counts = ops.reshape(window.start + 1 + ops.arange(steps), (1, steps))
        counts = ops.expand_dims(counts, _trailing(sums, 2))
        return self.decode([sums], counts, window.total)

    def decode(self, state, count, total):
        """The decoded value, given the state after `count` of `total` steps."""
        # Compilers divide approximately, and each in its own way: looking up the
        # reciprocal gives the same mean however the run is cut and compiled.
        reciprocals = np.float32(1) / np.arange(1, total + 1, dtype="float32")
        weight = ops.take(ops.convert_to_tensor(reciprocals), count - 1)
        return ops.cast(state[0] * weight, self.compute_dtype)

    def compute_output_spec(self, currents):
        batch, _, *rest = currents.shape
        return keras.KerasTensor((batch, *rest), self.compute_dtype)


def _trailing(x, first):
    return tuple(range(first, len(x.shape)))


def _accumulate(x, state):
    total = state[0] + ops.cast(x, "float32")
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

    def call(self, inputs):
        steps = tree.flatten(inputs)[0].shape[1]
        outputs = self._apply(self.operation, tree.map_structure(_fold, inputs))
        return tree.map_structure(lambda y: _unfold(y, steps), outputs)

    def _apply(self, operation, inputs):
        if self.arguments is None:
            return operation(inputs)
        tensors = tree.flatten(inputs)
        arguments = tree.map_structure(
            lambda x: tensors[int(x[7:])] if _is_slot(x) else x, self.arguments
        )
        return operation(*arguments["args"], **arguments["kwargs"])

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
        return cls(operation, deserialize(config.pop("arguments")), **config)


def _is_slot(x):
    return isinstance(x, str) and x.startswith("tensor:")


def _fold(x):
    """[B, T, ...] -> [B * T, ...]"""
    return ops.reshape(x, (-1, *ops.shape(x)[2:]))


def _unfold(y, steps):
    """[B * T, ...] -> [B, T, ...]"""
    return ops.reshape(y, (-1, steps, *ops.shape(y)[1:]))
