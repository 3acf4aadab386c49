"""The same integers in another place."""

import dataclasses

import numpy as np

from snn_keras.export.integer.interval import Interval, ends_of
from snn_keras.export.integer.operations import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """Another shape for the same entries in the same order."""

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *self.shape)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return self.map_bounds(x)

    def map_bounds(self, x: Interval) -> Interval:
        """Bounds, entry by entry, unless they are the same everywhere."""
        if np.size(x.low) == np.size(x.high) == 1:
            return Interval(x.low.reshape(()), x.high.reshape(()))
        return Interval(*(self.map_array(bound) for bound in (x.low, x.high)))

    def map_array(self, array: np.ndarray) -> np.ndarray:
        """What becomes of an array that broadcasts against the input's shape."""
        return self.apply(np.broadcast_to(array, self.input_shape)[None])[0]

    input_shape: tuple = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Transpose(Reshape):
    """Axes in another order; `axes` counts without the batch, from 0."""

    axes: tuple = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.transpose(0, *(a + 1 for a in self.axes))


@dataclasses.dataclass(frozen=True, eq=False)
class Pad(Reshape):
    """Zeros around it; `padding` is `(before, after)` for each axis."""

    padding: tuple = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0), *self.padding])

    def map_bounds(self, x: Interval) -> Interval:
        return super().map_bounds(x).with_zero()


@dataclasses.dataclass(frozen=True, eq=False)
class Crop(Reshape):
    """Every `strides`-th entry from `begin` on, as many along each axis as `shape`."""

    begin: tuple = ()
    strides: tuple = ()

    def ends(self) -> list[int]:
        """One behind the last entry, along each axis."""
        sides = zip(self.begin, self.strides, self.shape, strict=True)
        return [begin + stride * (n - 1) + 1 for begin, stride, n in sides]

    def apply(self, x: np.ndarray) -> np.ndarray:
        sides = zip(self.begin, self.ends(), self.strides, strict=True)
        return x[(slice(None), *(slice(*side) for side in sides))]


@dataclasses.dataclass(frozen=True, eq=False)
class Repeat(Reshape):
    """Every entry `times` times in a row, along each axis."""

    times: tuple = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        for axis, times in enumerate(self.times, start=1):
            x = x.repeat(times, axis)
        return x


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate(Operation):
    """Tensors one behind the other along `axis`, counted without the batch."""

    axis: int
    input_shapes: tuple

    def apply(self, *xs) -> np.ndarray:
        return np.concatenate(xs, self.axis + 1)

    def bounds(self, *intervals, steps: int) -> Interval:
        if all(np.size(x.low) == np.size(x.high) == 1 for x in intervals):
            return Interval.of(*(x.reshape(()) for x in ends_of(*intervals)))
        full = [x.full(s) for x, s in zip(intervals, self.input_shapes, strict=True)]
        return Interval(
            np.concatenate([x.low for x in full], self.axis),
            np.concatenate([x.high for x in full], self.axis),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Operation):
    """The sum over `axes`, counted without the batch; they are kept, of length 1."""

    axes: tuple
    input_shape: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.sum(tuple(a + 1 for a in self.axes), keepdims=True)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        x = x.full(self.input_shape)
        return Interval(
            x.low.sum(self.axes, keepdims=True), x.high.sum(self.axes, keepdims=True)
        )
