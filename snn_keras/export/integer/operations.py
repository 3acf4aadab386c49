"""Integer operations without a state: products and sums."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from snn_keras.export.integer.interval import Interval, ends_of, of_channels, total


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One operation of an integer network.

    Attributes:
        name: The name of its output tensor.
        inputs: Names of the tensors that it reads.
        shape: The shape of the output, without the batch.
    """

    name: str
    inputs: tuple
    shape: tuple
    state_names = ()

    def initial_state(self) -> tuple:
        """The state at rest: arrays of 0 without a batch axis."""
        return ()

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        """Computes one time step.

        Args:
            values: Its inputs, integer arrays `(batch, ...)`.
            state: The arrays of the state, with a batch axis.
            step: The number of the time step, from 0.

        Returns:
            Its output `(batch, ...)`, and the new state.
        """
        return self.apply(*values), state

    def apply(self, *values) -> np.ndarray:
        """Computes the output of an operation without a state."""
        raise NotImplementedError

    def bounds(self, *intervals, steps: int) -> Interval:
        """Bounds of the output in a run of `steps` steps, from those of the inputs."""
        raise NotImplementedError

    def state_bounds(self, *intervals, steps: int) -> tuple:
        """Bounds of the state in a run of `steps` steps, from those of the inputs."""
        return ()

    def constants(self) -> tuple:
        """The arrays that it contains."""
        return ()

    def extremes(self, *intervals, steps: int) -> list:
        """All bounds and constants that must fit in 32 bits."""
        made = self.bounds(*intervals, steps=steps)
        states = self.state_bounds(*intervals, steps=steps)
        wide = [x for x in self.constants() if np.asarray(x).dtype != np.int8]
        return [*ends_of(made, *states), *wide]


def matmul(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The integer product, computed by floats that are exact for all partial sums."""
    largest = int(np.abs(kernel).sum(0, dtype=np.int64).max(initial=0))
    largest *= int(np.abs(x).max(initial=0))
    dtype = np.float32 if largest <= 2**24 else np.float64
    if largest > 2**53:
        raise OverflowError("an integer product exceeds 53 bits")
    return (x.astype(dtype) @ kernel.astype(dtype)).astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Operation):
    """`x @ kernel` along the last axis; the kernel is int8, `(in, out)`."""

    kernel: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        return matmul(x, self.kernel)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        x = of_channels(x, self.kernel.shape[0])
        kernel = self.kernel.astype(np.int64)
        return total([b[:, None] * kernel for b in (x.low, x.high)], 0)

    def constants(self) -> tuple:
        return (self.kernel,)


@dataclasses.dataclass(frozen=True, eq=False)
class Convolve(Operation):
    """Two-dimensional convolution; the kernel is int8, `(height, width, in, out)`.

    Attributes:
        strides, dilation: One integer for each axis.
        padding: `(before, after)` for each axis, filled with 0.
    """

    kernel: np.ndarray
    strides: tuple = (1, 1)
    padding: tuple = ((0, 0), (0, 0))
    dilation: tuple = (1, 1)

    def apply(self, x: np.ndarray) -> np.ndarray:
        window = self.kernel.shape[:2]
        views = patches(x, window, self.strides, self.padding, self.dilation)
        batch, height, width = views.shape[:3]
        # (batch, height, width, in, window) against (in, window, out)
        kernel = self.kernel.transpose(2, 0, 1, 3).reshape(-1, self.kernel.shape[-1])
        rows = views.reshape(batch * height * width, -1)
        return matmul(rows, kernel).reshape(batch, height, width, -1)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        x = of_channels(x, self.kernel.shape[2]).with_zero()
        kernel = self.kernel.astype(np.int64)
        return total([b[:, None] * kernel for b in (x.low, x.high)], (0, 1, 2))

    def constants(self) -> tuple:
        return (self.kernel,)


@dataclasses.dataclass(frozen=True, eq=False)
class DepthwiseConvolve(Convolve):
    """Depthwise convolution; the kernel is int8, `(height, width, in, multiplier)`."""

    def apply(self, x: np.ndarray) -> np.ndarray:
        window = self.kernel.shape[:2]
        views = patches(x, window, self.strides, self.padding, self.dilation)
        # There are few products per output, so NumPy's integers are fast enough.
        y = np.einsum("bhwcij,ijcm->bhwcm", views, self.kernel.astype(np.int64))
        return y.reshape(*y.shape[:3], -1)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        x = of_channels(x, self.kernel.shape[2]).with_zero()
        kernel = self.kernel.astype(np.int64)
        sums = total([b[:, None] * kernel for b in (x.low, x.high)], (0, 1))
        return Interval(sums.low.ravel(), sums.high.ravel())


def patches(
    x: np.ndarray,
    window: tuple,
    strides: tuple,
    padding: tuple,
    dilation: tuple,
    fill: int = 0,
) -> np.ndarray:
    """Views of the windows of `x`, `(batch, height, width, channels, *window)`."""
    x = np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=fill)
    reach = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    views = sliding_window_view(x, reach, axis=(1, 2))
    (a, b), (c, d) = strides, dilation
    return views[:, ::a, ::b, :, ::c, ::d]


@dataclasses.dataclass(frozen=True, eq=False)
class Scale(Operation):
    """Multiplies by integers that broadcast against the shape."""

    factor: np.ndarray

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x * self.factor

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return x.map(lambda bound: bound * self.factor)

    def constants(self) -> tuple:
        return (self.factor,)


@dataclasses.dataclass(frozen=True, eq=False)
class Shift(Operation):
    """Adds integers that broadcast against the shape, in the first `on` steps.

    Attributes:
        offset: The integers.
        on: Number of steps in which they are added; None for all.
    """

    offset: np.ndarray
    on: int | None = None

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        (x,) = values
        return x + self.offset if self.on is None or step < self.on else x, state

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        shifted = x.map(lambda bound: bound + self.offset)
        return shifted if self.on is None else Interval.of(*ends_of(x, shifted))

    def constants(self) -> tuple:
        return (self.offset,)


@dataclasses.dataclass(frozen=True, eq=False)
class Gate(Operation):
    """Passes its input in the first `on` steps, and 0 afterwards."""

    on: int

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        (x,) = values
        return x if step < self.on else np.zeros_like(x), state

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return x.with_zero()


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Operation):
    """The sum of two tensors, by broadcasting."""

    def apply(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + b

    def bounds(self, a: Interval, b: Interval, *, steps: int) -> Interval:
        return Interval(a.low + b.low, a.high + b.high)
