"""`QuantizedWeights`: a layer whose weights are numbers of few bits."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from snn_keras.layers.kernel_axes import channel_axes
from snn_keras.ops import (
    power_of_two,
    quantize_weight,
    round_half_up,
    straight_through,
    two_to,
)
from snn_keras.typing import Array, Shape

METHODS = ("lsq", "straight_through")
BITS = range(2, 9)
# Exponents below that of the largest weight among which the first step is sought.
_DEPTH = 5


@keras.saving.register_keras_serializable("snn_keras")
class QuantizedWeights(keras.layers.Wrapper):
    r"""A layer that computes with a kernel of few bits, and trains a float one.

    $$\hat w = s_c \lfloor \mathrm{clip}(w / s_c, -m, m) \rceil$$

    with $m = 2^{b-1} - 1$ and a step for each output channel c that is a power of two.
    The bias is rounded to the step of a kernel of 8 bits, $s_c 2^{b-8}$. So kernel and
    bias become whole numbers when the network is exported.

    Any layer is wrapped whose weights are named `kernel` (or `..._kernel`) and `bias`:
    in its call they are replaced by the rounded ones.

    Args:
        layer: The layer, without an activation of its own.
        bits: Bits b of a weight, 2 to 8.
        axis: -1 for a step per output channel, None for one per kernel.
        method: `"lsq"`: the step is trained (Esser et al. 2020), by its logarithm,
            so that no update makes it 0 (Jain et al. 2020). `"straight_through"`:
            it is the least at which no weight is clipped.
        sparsity: The share of weights, the smallest of each kernel, that are 0; or
            None for no pruning. `prune` changes it.

    Source: Esser et al. 2020, eq. 1-3 and section 2.2.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        bits: int = 8,
        *,
        axis: int | None = -1,
        method: str = "lsq",
        sparsity: float | None = None,
        **kwargs,
    ) -> None:
        super().__init__(layer, **kwargs)
        check_weight_settings(bits, axis, method, sparsity)
        self.bits = bits
        self.axis = axis
        self.method = method
        self.sparsity = sparsity

    @property
    def most(self) -> int:
        """The largest number of steps m of a weight."""
        return 2 ** (self.bits - 1) - 1

    # Found each time: an attribute would make them weights of this layer, too, and be
    # saved twice.
    @property
    def _kernels(self) -> list[keras.Variable]:
        return [w for w in self.layer.weights if w.name.endswith("kernel")]

    @property
    def _biases(self) -> list[keras.Variable]:
        return [w for w in self.layer.weights if w.name == "bias"]

    def build(self, input_shape: Shape = None) -> None:
        super().build(input_shape)
        if not self._kernels:
            raise ValueError(
                f"QuantizedWeights '{self.name}': '{self.layer.name}' "
                f"({type(self.layer).__name__}) has no weight named kernel. Its "
                f"weights: {[w.name for w in self.layer.weights]}. Remedy: a layer "
                "with a kernel, such as keras.layers.Dense."
            )
        self._axes = [self._kept(kernel) for kernel in self._kernels]
        self._exponents, self._masks = [], []
        for kernel, axes in zip(self._kernels, self._axes, strict=True):
            shape = tuple(n if i in axes else 1 for i, n in enumerate(kernel.shape))
            if self.method == "lsq":
                self._exponents.append(
                    self.add_weight(
                        shape=shape, initializer="zeros", name=f"{kernel.name}_exponent"
                    )
                )
            if self.sparsity is not None:
                self._masks.append(
                    self.add_weight(
                        shape=kernel.shape,
                        initializer="ones",
                        trainable=False,
                        name=f"{kernel.name}_mask",
                    )
                )
        self.reset()

    def _kept(self, kernel):
        """The axes of a kernel along which its step varies."""
        if self.axis is None:
            return ()
        return channel_axes(self.layer, kernel.name, len(kernel.shape))

    def reset(self) -> None:
        """Sets steps and masks anew by the present weights of the layer."""
        if self.sparsity is not None:
            self.prune(self.sparsity)
        for kernel, exponent in zip(self._kernels, self._exponents, strict=False):
            w = ops.convert_to_numpy(kernel.value)
            steps = nearest_steps(w, exponent.shape, self.most)
            exponent.assign(np.log2(steps))

    def prune(self, sparsity: float) -> None:
        """Sets this share of each kernel's weights to 0, the smallest."""
        check_weight_settings(self.bits, self.axis, self.method, sparsity)
        if self.sparsity is None:
            raise ValueError(
                f"QuantizedWeights '{self.name}' was made without pruning. Remedy: "
                "quantize_weights(model, sparsity=0.0), then prune."
            )
        self.sparsity = float(sparsity)
        for kernel, mask in zip(self._kernels, self._masks, strict=True):
            size = np.abs(ops.convert_to_numpy(kernel.value))
            smallest = np.argsort(size, axis=None, kind="stable")
            kept = np.ones(size.size, "float32")
            kept[smallest[: math.floor(sparsity * size.size)]] = 0.0
            mask.assign(kept.reshape(size.shape))

    def call(self, inputs: Array, **kwargs) -> Any:
        # A scope shows the layer other values of its weights.
        rounded = self._rounded()
        values = [(w, rounded.get(id(w), w.value)) for w in self.layer.variables]
        with keras.StatelessScope(values, initialize_variables=False):
            return self.layer(inputs, **kwargs)

    def _rounded(self):
        """The values with which the layer computes, by the id of its weights."""
        found: dict[int, Any] = {}
        for i, kernel in enumerate(self._kernels):
            w = kernel.value
            if self._masks:
                w = w * self._masks[i].value
            if self.method == "lsq":
                step, scale = two_to(self._exponents[i].value), self._scale(i)
                found[id(kernel)] = quantize_weight(w, step, self.most, scale)
            else:
                step = self._unclipped_step(w, self._axes[i])
                found[id(kernel)] = straight_through(round_half_up(w / step) * step, w)
        for bias in self._biases:
            unit = self._of_bias(ops.stop_gradient(step), bias)
            b = bias.value
            found[id(bias)] = straight_through(round_half_up(b / unit) * unit, b)
        return found

    def _scale(self, i):
        """The factor of the gradient of a step, of the LSQ paper's section 2.2."""
        shared = math.prod(self._kernels[i].shape) // math.prod(
            self._exponents[i].shape
        )
        return 1.0 / math.sqrt(shared * self.most)

    def _unclipped_step(self, w, axes):
        others = [i for i in range(len(w.shape)) if i not in axes]
        largest = ops.max(ops.abs(ops.stop_gradient(w)), others, keepdims=True)
        least = largest / self.most
        step = ops.stop_gradient(power_of_two(least))
        return ops.where(step < least, 2.0 * step, step)

    def _of_bias(self, step, bias):
        """The steps of a bias: those of the last kernel in 8 bits."""
        step = step * 2.0 ** (self.bits - 8)
        if math.prod(step.shape) == math.prod(bias.shape):
            return ops.reshape(step, bias.shape)
        return ops.min(step)

    def plain(self) -> keras.layers.Layer:
        """The layer alone, with the rounded weights, as a new layer of its class."""
        made = type(self.layer).from_config(self.layer.get_config())
        made.build(self.layer.get_build_config()["input_shape"])
        rounded = self._rounded()
        for own, theirs in zip(made.weights, self.layer.weights, strict=True):
            own.assign(rounded.get(id(theirs), theirs.value))
        made.activity_regularizer = self.activity_regularizer
        return made

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.layer.compute_output_shape(input_shape)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "bits": self.bits,
            "axis": self.axis,
            "method": self.method,
            "sparsity": self.sparsity,
        }


def nearest_steps(w: np.ndarray, shape: Shape, most: int) -> np.ndarray:
    """The powers of two, one for each channel, that round weights with least error.

    Args:
        w: Weights.
        shape: The shape of the steps, which broadcasts against the weights.
        most: The largest number of steps of a weight.
    """
    others = tuple(i for i, n in enumerate(shape) if n == 1)
    largest = np.abs(w).max(others, keepdims=True)
    largest = np.where(largest == 0, most, largest)
    highest = np.exp2(np.ceil(np.log2(largest / most)))
    steps = [highest * 2.0**-k for k in range(_DEPTH)]
    rounded = [np.clip(np.floor(w / s + 0.5), -most, most) * s for s in steps]
    errors = [np.square(r - w).sum(others, keepdims=True) for r in rounded]
    return np.take_along_axis(np.stack(steps), np.argmin(errors, axis=0)[None], axis=0)[
        0
    ]


def check_weight_settings(
    bits: int, axis: int | None, method: str, sparsity: float | None
) -> None:
    """Raises a ValueError unless the settings of `QuantizedWeights` are valid."""
    if isinstance(bits, bool) or bits not in BITS:
        raise ValueError(
            f"bits must be an integer from {BITS[0]} to {BITS[-1]}, of which one is "
            f"the sign. Received: bits={bits!r}"
        )
    if axis not in (None, -1) or isinstance(axis, bool):
        raise ValueError(
            "axis must be -1, a step for each output channel, or None, one for each "
            f"kernel. Received: axis={axis!r}"
        )
    if method not in METHODS:
        raise ValueError(
            f"method must be one of {METHODS}. Received: method={method!r}"
        )
    is_number = isinstance(sparsity, (int, float)) and not isinstance(sparsity, bool)
    if sparsity is not None and not (is_number and 0 <= sparsity < 1):
        raise ValueError(
            "sparsity must be None or the share of weights that are 0, from 0 to less "
            f"than 1. Received: sparsity={sparsity!r}"
        )
