"""The base class of quantized activations."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from snn_keras.backend import backend
from snn_keras.layers import noise as noise_lib
from snn_keras.layers.noise import Noise
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.ops import in_floats, power_of_two, quantize, scale_gradient
from snn_keras.typing import Array, Shape

_SMALLEST = 1e-6


class AtLeast(keras.constraints.Constraint):
    """Constraint that keeps a step size above zero in training."""

    def __init__(self, minimum: float = _SMALLEST) -> None:
        self.minimum = minimum

    def __call__(self, w: Array) -> Array:
        return ops.maximum(w, self.minimum)

    def get_config(self) -> dict:
        return {"minimum": self.minimum}


class QuantizedActivation(SourceActivation):
    """Base class of the quantized activations that convert to a spiking neuron.

    It quantizes to `levels` positive levels. A trainable size, one for the layer or
    one for each channel, is the step `s` (LSQReLU) or the threshold
    `theta = levels * s` (QCFS); a subclass decides which.

    A size that is not given is set by the first training batch,
    `s = 2 * mean(|v|) / sqrt(levels)` (the rule of the LSQ paper).

    Args:
        levels: Number of positive levels `p`, an integer >= 1.
        noise: None, a name or a `snn_keras.layers.Noise`; added in training.
        initial: The initial size > 0: a float, or a list if `axis` is given; None
            sets it by the first training batch.
        axis: None for one size per layer, or the axis that has a size per channel
            (usually -1).
        scale_gradient: Whether to multiply the gradient of the step by
            `1 / sqrt(N * levels)`, N the number of features that share the step.
        dyadic: Whether to use the nearest power of two as the step.
    """

    parameter = None  # "step" or "threshold"
    # A derived class may define these and still compute the same kind of function.
    open_to_derived = ("parameter", "neuron", "_to_step", "_from_step")

    def __init__(
        self,
        levels: int,
        noise: str | dict | Noise | None,
        initial: float | Sequence[float] | np.ndarray | None,
        axis: int | None,
        scale_gradient: bool,
        dyadic: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        # A regularizer may need the layer's step and levels.
        if hasattr(self.activity_regularizer, "bound_to"):
            self.activity_regularizer = self.activity_regularizer.bound_to(self)
        check_levels(self, levels)
        if not (axis is None or (isinstance(axis, int) and axis != 0)):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': axis must be None or an integer "
                f"other than 0, the batch axis. Received: axis={axis!r}"
            )
        if initial is not None:
            size = check_size(self, initial)
            if size.ndim != (0 if axis is None else size.ndim and 1):
                raise ValueError(
                    f"{type(self).__name__} '{self.name}': initial_{self.parameter} "
                    "must be a number, or with axis=... a list of one for each "
                    f"channel. Received: {initial!r} with axis={axis!r}"
                )
            number: Any = initial  # a scalar
            initial = size.tolist() if size.ndim else float(number)
        self.levels = int(levels)
        self.noise = noise_lib.get(noise)
        self.axis = axis
        self.scale_gradient = scale_gradient
        self.dyadic = dyadic
        self._initial: Any = initial
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if self.axis is not None and not -len(input_shape) < self.axis < len(
            input_shape
        ):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': axis={self.axis} is not an axis "
                f"of inputs of shape {tuple(input_shape)}."
            )
        shape: tuple = () if self.axis is None else (input_shape[self.axis],)
        given_shape = np.shape(self._initial)
        if given_shape and given_shape != shape:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': initial_{self.parameter} has "
                f"{given_shape[0]} entries, and axis {self.axis} of the input shape "
                f"{tuple(input_shape)} has {shape[0]}."
            )
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
        # Inside a JAX training step only non-trainable weights can be assigned, so
        # the size of the first batch is kept here. The trainable weight is an offset
        # to it until `_apply_data_size` adds both.
        self._from_data = (
            None
            if given
            else self.add_weight(
                shape=shape,
                initializer="zeros",
                trainable=False,
                aggregation="mean",
                autocast=False,  # an assignment to a cast copy would be lost
                name="from_data",
            )
        )

    def _given_size(self, shape, dtype=None):
        # Not broadcast, because in PyTorch all channels would share their memory.
        return ops.ones(shape, dtype) * ops.convert_to_tensor(self._initial, dtype)

    def call(self, v: Array, training: bool = False) -> Array:
        v = in_floats(v, self.compute_dtype)
        step = self._step_of(self._current_size(v, training), v)
        if training and self.scale_gradient:
            features = math.prod(v.shape[1:]) // max(math.prod(self._size.shape), 1)
            step = scale_gradient(step, 1.0 / math.sqrt(features * self.levels))
        if training and self.noise is not None:
            noisy = self.noise.on_input(v, step)
            return self.noise.on_output(self._quantize(noisy, step, training))
        return self._quantize(v, step, training)

    def used(self, step: Array) -> Array:
        """The step that is used for this trained one."""
        return power_of_two(step) if self.dyadic else step

    def _quantize(self, v, step, training=False):
        # One kernel in training; in inference a plain graph, which can be exported.
        if training:
            return backend.one_kernel(_quantizer(self.levels))(v, step)
        return quantize(v, step, self.levels)

    def _current_size(self, v, training):
        if self._from_data is None:
            return self._size
        size = self._size + self._from_data
        # Replicas cannot communicate inside a branch, so they do before it.
        shared = backend.mean_over_replicas(lambda: self._size_from(v))
        from_data = ops.cond(
            ops.any(size != 0),  # all sizes are 0 before the first batch
            lambda: ops.add(self._from_data, 0.0),
            lambda: ops.cast(
                ops.stop_gradient(
                    (self._size_from(v) if shared is None else shared) - self._size
                ),
                self._from_data.dtype,
            ),
        )
        if training:
            self._from_data.assign(from_data)
        size = self._size + from_data
        # Like the constraint of a given size: not below the smallest.
        return size + ops.stop_gradient(ops.maximum(size, _SMALLEST) - size)

    def _size_from(self, v):
        """The initial size of the LSQ paper, from one batch of pre-activations."""
        axes = list(range(len(v.shape)))
        if self.axis is not None:
            axes.remove(self.axis % len(v.shape))
        mean = ops.mean(ops.abs(ops.cast(v, self._size.dtype)), axis=axes)
        step = 2.0 * mean / math.sqrt(self.levels)
        return ops.maximum(self._from_step(step), _SMALLEST)

    def _apply_data_size(self):
        """Adds a size that was set by data to the trainable weight."""
        if self._from_data is None or not _has_value(self._from_data):
            return
        size = ops.convert_to_numpy(self._size.value)
        offset = ops.convert_to_numpy(self._from_data.value)
        if (size + offset).any() and (offset.any() or (size < _SMALLEST).any()):
            self._size.assign(np.maximum(size + offset, _SMALLEST))
            self._from_data.assign(np.zeros_like(offset))

    def step_for(self, a: Array) -> Array:
        """The step in use, a tensor that multiplies activations `a`; 0 while unset."""
        if self._from_data is None:
            return self._step_of(self._size, a)
        size = self._size + self._from_data
        step = self._step_of(ops.maximum(size, _SMALLEST), a)
        return ops.where(ops.any(size != 0), step, ops.zeros_like(step))

    def _step_of(self, size, v):
        """The step that a size makes, a tensor that multiplies `v`."""
        step = self.used(self._to_step(ops.cast(size, v.dtype)))
        if self.axis is None:
            return step
        shape = [1] * len(v.shape)
        shape[self.axis] = -1
        return ops.reshape(step, shape)

    def size_value(self) -> np.ndarray:
        """The trained size as a NumPy array, of shape () or (channels,).

        Raises:
            ValueError: if it is unset, not finite or not positive.
        """
        self._apply_data_size()
        return check_size(self, ops.convert_to_numpy(self._size.value))

    def step_value(self) -> np.ndarray:
        """The step `s` as a NumPy array; see `size_value`."""
        return wide(self.used(self._to_step(self.size_value())))

    def set_threshold(self, threshold: float | Sequence[float] | np.ndarray) -> None:
        """Sets the size so that the threshold becomes `threshold`.

        Args:
            threshold: A value > 0, or one for each channel if `axis` is given.
        """
        dtype = wide(self._size.value).dtype
        size = self._from_step(np.asarray(threshold, dtype) / self.levels)
        check_size(self, size)
        self._size.assign(np.broadcast_to(size, self._size.shape))
        if self._from_data is not None:
            self._from_data.assign(np.zeros(self._size.shape))

    def save_own_variables(self, store: dict) -> None:
        self._apply_data_size()
        super().save_own_variables(store)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "levels": self.levels,
            "noise": keras.saving.serialize_keras_object(self.noise),
            f"initial_{self.parameter}": self._initial,
            "axis": self.axis,
            "scale_gradient": self.scale_gradient,
            "dyadic": self.dyadic,
        }


def _has_value(x):
    """Whether `x` is neither a KerasTensor nor a tensor that is being traced."""
    try:
        ops.convert_to_numpy(x)
    except Exception:  # a backend may raise anything
        return False
    return True


@functools.cache
def _quantizer(levels):
    return lambda v, step: quantize(v, step, levels)


def wide(x: Array) -> np.ndarray:
    """`x` as a NumPy array in float32, or in float64 if that is its dtype."""
    x = np.asarray(ops.convert_to_numpy(x) if keras.ops.is_tensor(x) else x)
    return x if x.dtype == np.float64 else x.astype("float32")


def check_levels(layer: keras.layers.Layer, levels: int) -> None:
    """Raises a ValueError unless `levels` is an integer >= 1."""
    try:
        valid = not isinstance(levels, bool) and int(levels) == levels >= 1
    except (TypeError, ValueError, OverflowError):
        valid = False
    if not valid:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}': levels must be an integer >= 1. "
            f"Received: levels={levels!r}"
        )


def check_size(layer: keras.layers.Layer, size: Array) -> np.ndarray:
    """Returns `size` as an array, if every entry is finite and > 0.

    Raises:
        ValueError: otherwise.
    """
    try:
        values = wide(size)
    except (TypeError, ValueError):
        values = np.asarray([])
    valid = np.isfinite(values) & (values > 0)
    if not values.size or not valid.all():
        worst = values[~valid].ravel()[0] if values.size else size
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}': {layer.parameter} must be "
            f"finite and greater than 0. Received: {worst}. Train the layer, give "
            f"it initial_{layer.parameter}=..., or calibrate it on data with "
            "snn_keras.quantize_activations."
        )
    return values
