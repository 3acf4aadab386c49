"""Intervals of integers."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True)
class Interval:
    """Bounds of a tensor: integers that broadcast against its shape without batch."""

    low: Array
    high: Array

    @classmethod
    def of(cls, *candidates) -> "Interval":
        """The smallest interval that contains all `candidates`."""
        return cls(*(functools.reduce(f, candidates) for f in (np.minimum, np.maximum)))

    def over(self, axes: int | tuple[int, ...]) -> "Interval":
        """Bounds over all entries along `axes`, which keep length 1."""
        low, high = (np.atleast_1d(x) for x in (self.low, self.high))
        return Interval(low.min(axes, keepdims=True), high.max(axes, keepdims=True))

    def full(self, shape: tuple[int, ...]) -> "Interval":
        """The same bounds, broadcast to `shape`."""
        return Interval(
            np.broadcast_to(self.low, shape), np.broadcast_to(self.high, shape)
        )

    def with_zero(self) -> "Interval":
        """The smallest interval that also contains 0, the value of padding."""
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))

    def within(self, most: float) -> "Interval":
        """The interval, clipped to magnitudes up to `most`."""
        return Interval(*(np.clip(x, -most, most) for x in (self.low, self.high)))

    @property
    def largest(self) -> int:
        """The largest magnitude."""
        return int(max(np.max(np.abs(self.low)), np.max(np.abs(self.high))))

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> "Interval":
        """The interval between the values of `function` at both bounds."""
        return Interval.of(function(self.low), function(self.high))


def of_channels(interval: Interval, channels: int) -> Interval:
    """Bounds `(channels,)` of a tensor `(..., channels)`."""
    interval = interval.full(np.broadcast_shapes(np.shape(interval.low), (channels,)))
    axes = tuple(range(np.ndim(interval.low) - 1))
    merged = interval.over(axes) if axes else interval
    return Interval(merged.low.reshape(channels), merged.high.reshape(channels))


def total(products: Sequence[np.ndarray], axes: int | tuple[int, ...]) -> Interval:
    """Bounds of a sum of terms that each lie between two products."""
    low, high = np.minimum(*products), np.maximum(*products)
    return Interval(low.sum(axes), high.sum(axes))


def ends_of(*intervals) -> list[np.ndarray]:
    return [x for interval in intervals for x in (interval.low, interval.high)]
