"""Linear forms of layers that move, copy and leave out elements."""

import dataclasses

import numpy as np

from snn_keras.linear.forms import Form


@dataclasses.dataclass(frozen=True)
class Reshape(Form):
    """Another shape for the same elements in the same order."""

    shape: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *self.shape)


@dataclasses.dataclass(frozen=True)
class Transpose(Form):
    """Axes in another order; `axes` counts without the batch, from 0."""

    axes: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.transpose(0, *(a + 1 for a in self.axes))


@dataclasses.dataclass(frozen=True)
class Pad(Form):
    """Zeros around it; `padding` is `(before, after)` for each axis."""

    padding: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0), *self.padding])


@dataclasses.dataclass(frozen=True)
class Crop(Form):
    """Every `strides`-th element from `begin` on, as many as `shape` says."""

    begin: tuple
    strides: tuple
    shape: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        sides = zip(self.begin, self.strides, self.shape, strict=True)
        kept = [slice(b, b + s * (n - 1) + 1, s) for b, s, n in sides]
        return x[(slice(None), *kept)]


@dataclasses.dataclass(frozen=True)
class Repeat(Form):
    """Every element `times` times in a row, along each axis."""

    times: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        for axis, times in enumerate(self.times, start=1):
            x = x.repeat(times, axis)
        return x


@dataclasses.dataclass(frozen=True)
class Concatenate(Form):
    """Tensors one behind the other along `axis`, counted without the batch."""

    axis: int

    def apply(self, *xs) -> np.ndarray:
        return np.concatenate(xs, self.axis + 1)
