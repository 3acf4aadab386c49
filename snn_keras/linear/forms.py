"""Linear forms: maps along axes, scales and sums. Shapes do not include the batch."""

import dataclasses
import math

import numpy as np
from keras import ops

from snn_keras.typing import Array


def array(values: Array) -> np.ndarray:
    """Weights or constants in float64; 0 for None."""
    return np.asarray(
        0.0 if values is None else ops.convert_to_numpy(values), "float64"
    )


def without_leading_ones(values: np.ndarray) -> np.ndarray:
    """`array(values)` without leading axes of length 1; it broadcasts as before."""
    values = array(values)
    while values.ndim and len(values) == 1:
        values = values[0]
    return values


class Form:
    """A layer as a linear map plus a constant.

    Attributes:
        weighs: Whether it has weights. Every spike that meets a weight costs one
            addition. A form without weights hands spikes on to later weights.
    """

    weighs = False

    @property
    def weights(self) -> float:
        """The number of its weights, without those that are only added."""
        return float(np.size(getattr(self, "kernel", ())))

    def apply(self, *xs) -> np.ndarray:
        """The layer's outputs for arrays `(batch, ...)`."""
        raise NotImplementedError

    def fan_out(self, shape: tuple[int, ...]) -> np.ndarray:
        """The number of weights that each element of an input of this shape meets."""
        raise NotImplementedError

    def inside(self, shape: tuple[int, ...]) -> float:
        """The number of multiplications by weights of intermediate results."""
        return 0.0

    def hand_on(self, *counts) -> np.ndarray:
        """The number of spikes that arrive at each output, from those at the inputs.

        A spike arrives once at every output that depends on the spike's element.
        """
        return self.apply(*counts)


class Arrays(Form):
    """Base of forms that convert fields to arrays, as `arrays` says."""

    arrays = ()  # pairs (name of a field, function that converts its value)

    def __post_init__(self):
        for name, change in self.arrays:
            object.__setattr__(self, name, change(getattr(self, name)))


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Arrays):
    """A dense layer, along the last axis: y = x @ kernel + bias.

    Attributes:
        kernel: `(inputs, outputs)`.
        bias: `(outputs,)`, or None.
    """

    kernel: np.ndarray
    bias: Array = None
    weighs = True
    arrays = (("kernel", array), ("bias", array))

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x @ self.kernel + self.bias

    def fan_out(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, float(self.kernel.shape[-1]))


@dataclasses.dataclass(frozen=True, eq=False)
class Einsum(Arrays):
    """y = einsum(equation, x, kernel) + bias; the labels include the batch."""

    equation: str
    kernel: np.ndarray
    bias: Array = None
    weighs = True
    arrays = (("kernel", array), ("bias", array))

    def apply(self, x: np.ndarray) -> np.ndarray:
        return np.einsum(self.equation, x, self.kernel) + self.bias

    def fan_out(self, shape: tuple[int, ...]) -> np.ndarray:
        """One weight for every combination of output labels that x does not have."""
        operands, result = self.equation.split("->")
        labels, of_kernel = operands.split(",")
        sizes = dict(zip(of_kernel, self.kernel.shape, strict=True))
        others = math.prod(sizes[i] for i in result if i not in labels and i != ".")
        return np.full(shape, float(others))


@dataclasses.dataclass(frozen=True, eq=False)
class Scale(Arrays):
    """y = gain x + offset; gain and offset broadcast against the shape of x."""

    gain: Array
    offset: np.ndarray = None
    arrays = (("gain", without_leading_ones), ("offset", without_leading_ones))

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x * self.gain + self.offset

    def hand_on(self, counts: np.ndarray) -> np.ndarray:
        passes = (self.gain != 0).astype(counts.dtype)
        return counts * passes + np.zeros(self.offset.shape, counts.dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Arrays):
    """y = (signs[0] x_0 + signs[1] x_1 + ... + constant) / divisor, by broadcasting."""

    signs: tuple
    constant: np.ndarray = None
    divisor: float = 1.0
    arrays = (("constant", without_leading_ones),)

    def apply(self, *xs) -> np.ndarray:
        parts = [x * sign for x, sign in zip(xs, self.signs, strict=True)]
        return (sum(parts) + self.constant) / self.divisor

    def hand_on(self, *counts) -> np.ndarray:
        return sum(counts) + np.zeros(self.constant.shape, counts[0].dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Total(Form):
    """The sum or the mean over some axes, which are counted without the batch."""

    axes: tuple
    keepdims: bool = False
    mean: bool = False

    def apply(self, x: np.ndarray) -> np.ndarray:
        total = self.hand_on(x)
        return total / math.prod(x.shape[a + 1] for a in self.axes if self.mean)

    def hand_on(self, counts: np.ndarray) -> np.ndarray:
        return counts.sum(tuple(a + 1 for a in self.axes), keepdims=self.keepdims)


@dataclasses.dataclass(frozen=True, eq=False)
class Along(Form):
    """A product with a fixed matrix along each of some axes.

    Attributes:
        axes: The axes, counted without the batch.
        matrices: A matrix `(inputs, outputs)` for each axis.
    """

    axes: tuple
    matrices: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        for axis, matrix in zip(self.axes, self.matrices, strict=True):
            x = np.moveaxis(np.moveaxis(x, axis + 1, -1) @ matrix, -1, axis + 1)
        return x

    def hand_on(self, counts: np.ndarray) -> np.ndarray:
        reach = tuple((m != 0).astype(counts.dtype) for m in self.matrices)
        return Along(self.axes, reach).apply(counts)
