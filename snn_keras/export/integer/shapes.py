"""Integer operations that move, copy or add up entries."""

import dataclasses

import numpy as np

from snn_keras.export.integer.interval import Interval, ends_of
from snn_keras.export.integer.operations import Operation


@dataclasses.dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """Changes the shape; the entries and their order stay."""

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *self.shape)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return self.map_bounds(x)

    def map_bounds(self, x: Interval) -> Interval:
        """Bounds of the output, for each entry unless they are all equal."""
        if np.size(x.low) == np.size(x.high) == 1:
            return Interval(x.low.reshape(()), x.high.reshape(()))
        return Interval(*(self.map_array(bound) for bound in (x.low, x.high)))

    def map_array(self, array: np.ndarray) -> np.ndarray:
        """Moves an array that broadcasts against the input's shape in the same way."""
        return self.apply(np.broadcast_to(array, self.input_shape)[None])[0]

    input_shape: tuple = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Transpose(Reshape):
    """Permutes the axes; `axes` counts from 0, without the batch."""

    axes: tuple = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.transpose(0, *(a + 1 for a in self.axes))


@dataclasses.dataclass(frozen=True, eq=False)
class Pad(Reshape):
    """Pads with zeros; `padding` has `(before, after)` for each axis."""

    padding: tuple = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0), *self.padding])

    def map_bounds(self, x: Interval) -> Interval:
        return super().map_bounds(x).with_zero()


@dataclasses.dataclass(frozen=True, eq=False)
class Crop(Reshape):
    """Keeps every `strides`-th entry from `begin` on; `shape` is the result's."""

    begin: tuple = ()
    strides: tuple = ()

    def ends(self) -> list[int]:
        """The index after the last entry, along each axis."""
        sides = zip(self.begin, self.strides, self.shape, strict=True)
        return [begin + stride * (n - 1) + 1 for begin, stride, n in sides]

    def apply(self, x: np.ndarray) -> np.ndarray:
        sides = zip(self.begin, self.ends(), self.strides, strict=True)
        return x[(slice(None), *(slice(*side) for side in sides))]


@dataclasses.dataclass(frozen=True, eq=False)
class Repeat(Reshape):
    """Repeats every entry `times` times, along each axis."""

    times: tuple = ()

    def apply(self, x: np.ndarray) -> np.ndarray:
        for axis, times in enumerate(self.times, start=1):
            x = x.repeat(times, axis)
        return x


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate(Operation):
    """Concatenates tensors along `axis`, which counts without the batch."""

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
    """The sum over `axes`, which count without the batch and keep length 1."""

    axes: tuple
    input_shape: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.sum(tuple(a + 1 for a in self.axes), keepdims=True)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        x = x.full(self.input_shape)
        return Interval(
            x.low.sum(self.axes, keepdims=True), x.high.sum(self.axes, keepdims=True)
        )
