"""What every quantized activation has in common."""

import math

import keras
import numpy as np
from keras import ops

from snn_keras import _backend
from snn_keras.layers import noise as noise_lib
from snn_keras.ops import quantize, scale_gradient

_SMALLEST = 1e-6


class AtLeast(keras.constraints.Constraint):
    """Keeps a step size from training down to zero or below."""

    def __init__(self, minimum=_SMALLEST):
        self.minimum = minimum

    def __call__(self, w):
        return ops.maximum(w, self.minimum)

    def get_config(self):
        return {"minimum": self.minimum}


class QuantizedActivation(keras.layers.Layer):
    """Base of the activations that convert to a spiking neuron.

    It quantizes to `levels` positive levels with one trainable size, shared by
    the layer or one for each channel. A subclass says what that size is: the
    step `s` (LSQReLU) or the threshold `theta = levels * s` (QCFS).

    A size that was not given comes from the first training batch,
    `s = 2 * mean(|v|) / sqrt(levels)` (the LSQ paper's rule).

    Args:
        levels: Number of positive levels `p`, an integer >= 1.
        noise: None, a name or a `snn_keras.layers.Noise`; added in training.
        initial: The size to start from, > 0: a float, or with `axis` a list;
            None takes it from the first training batch.
        axis: None for one size a layer, or the axis that has a size for each
            channel (usually -1).
        scale_gradient: Whether to multiply the gradient of the step by
            `1 / sqrt(N * levels)`, N the features that share the step.
    """

    parameter = None  # "step" or "threshold"
    neuron = "if"  # what it becomes where the user does not say

    def __init__(self, levels, noise, initial, axis, scale_gradient, **kwargs):
        super().__init__(**kwargs)
        if isinstance(levels, bool) or int(levels) != levels or levels < 1:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': levels must be an integer "
                f">= 1. Received: levels={levels!r}"
            )
        if initial is not None:
            check_size(self, initial)
            initial = np.asarray(initial, "float32").tolist()
        self.levels = int(levels)
        self.noise = noise_lib.get(noise)
        self.axis = axis
        self.scale_gradient = scale_gradient
        self._initial = initial
        self.supports_masking = True

    def build(self, input_shape):
        shape = () if self.axis is None else (input_shape[self.axis],)
        if shape == (None,):
            raise ValueError(
                f"{type(self).__name__} '{self.name}' needs a fixed size along "
                f"axis {self.axis} to hold a step for each channel. Received "
                f"input shape {tuple(input_shape)}."
            )
        given = self._initial is not None
        self._size = self.add_weight(
            shape=shape,
            initializer=self._given_size if given else "zeros",
            constraint=AtLeast() if given else None,
            name=self.parameter,
        )
        # A trainable weight cannot be assigned inside a JAX training step, a
        # non-trainable one can: the first batch's size is kept here, and
        # trained as an offset from it until `_settle` moves it over.
        self._from_data = (
            None
            if given
            else self.add_weight(
                shape=shape, initializer="zeros", trainable=False, name="from_data"
            )
        )

    def _given_size(self, shape, dtype=None):
        return ops.broadcast_to(ops.convert_to_tensor(self._initial, dtype), shape)

    def call(self, v, training=False):
        step = self._broadcast(self._to_step(self._current_size(v, training)), v)
        if training and self.scale_gradient:
            features = math.prod(v.shape[1:]) // max(math.prod(self._size.shape), 1)
            step = scale_gradient(step, 1.0 / math.sqrt(features * self.levels))
        if training and self.noise is not None:
            noisy = self.noise.on_input(v, step)
            return self.noise.on_output(self._quantize(noisy, step))
        return self._quantize(v, step)

    def _quantize(self, v, step):
        return quantize(v, step, self.levels)

    def _current_size(self, v, training):
        if self._from_data is None:
            return ops.cast(self._size, v.dtype)
        size = self._size + self._from_data
        known = ops.all(size > 0)
        from_data = ops.cond(
            known,
            lambda: ops.convert_to_tensor(self._from_data),
            lambda: ops.stop_gradient(self._size_from(v) - self._size),
        )
        if training:
            self._from_data.assign(from_data)
        return ops.cast(self._size + from_data, v.dtype)

    def _size_from(self, v):
        """The LSQ paper's first size, from one batch of pre-activations."""
        axes = list(range(len(v.shape)))
        if self.axis is not None:
            axes.remove(self.axis % len(v.shape))
        mean = ops.mean(ops.abs(ops.cast(v, self._size.dtype)), axis=axes)
        step = 2.0 * mean / math.sqrt(self.levels)
        return ops.maximum(self._from_step(step), _SMALLEST)

    def _settle(self):
        """Moves a size that came from data into the trained weight."""
        if self._from_data is None or _backend.is_symbolic(self._from_data):
            return
        offset = ops.convert_to_numpy(self._from_data)
        if offset.any():
            self._size.assign(ops.convert_to_numpy(self._size) + offset)
            self._from_data.assign(np.zeros_like(offset))

    def _broadcast(self, step, v):
        if self.axis is None:
            return step
        shape = [1] * len(v.shape)
        shape[self.axis] = -1
        return ops.reshape(step, shape)

    def size_value(self):
        """The trained size as a NumPy array, of shape () or (channels,).

        Raises:
            ValueError: if it is unset, not finite or not positive.
        """
        self._settle()
        size = ops.convert_to_numpy(self._size).astype("float32")
        check_size(self, size)
        return size

    def step_value(self):
        """The step `s` as a NumPy array; see `size_value`."""
        return np.asarray(self._to_step(self.size_value()), "float32")

    def threshold_value(self):
        """The threshold `theta = levels * step` as a NumPy array."""
        return np.asarray(self.levels * self.step_value(), "float32")

    def set_threshold(self, threshold):
        """Sets the size so that the threshold becomes `threshold`.

        Args:
            threshold: A value > 0, or with `axis` one for each channel.
        """
        size = self._from_step(np.asarray(threshold, "float32") / self.levels)
        check_size(self, size)
        self._size.assign(np.broadcast_to(size, self._size.shape))
        if self._from_data is not None:
            self._from_data.assign(np.zeros(self._size.shape, "float32"))

    def save_own_variables(self, store):
        self._settle()
        super().save_own_variables(store)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self):
        return {
            **super().get_config(),
            "levels": self.levels,
            "noise": keras.saving.serialize_keras_object(self.noise),
            f"initial_{self.parameter}": self._initial,
            "axis": self.axis,
            "scale_gradient": self.scale_gradient,
        }


def check_size(layer, size):
    """Raises a ValueError unless every entry of `size` is finite and > 0."""
    size = np.asarray(size, "float32")
    if not (np.isfinite(size).all() and (size > 0).all()):
        worst = size[~(np.isfinite(size) & (size > 0))].ravel()[0]
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}': {layer.parameter} must be "
            f"finite and greater than 0. Received: {worst}. Train the layer, give "
            f"it initial_{layer.parameter}=..., or calibrate it on data with "
            "snn_keras.quantize_activations."
        )
