"""Linear forms of layers that move, copy or leave out elements."""

import dataclasses

import numpy as np

from snn_keras.linear.forms import Form


@dataclasses.dataclass(frozen=True)
class Reshape(Form):
    """Changes the shape; the elements and their order stay."""

    shape: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(len(x), *self.shape)


@dataclasses.dataclass(frozen=True)
class Transpose(Form):
    """Permutes the axes; `axes` counts from 0, without the batch."""

    axes: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return x.transpose(0, *(a + 1 for a in self.axes))


@dataclasses.dataclass(frozen=True)
class Pad(Form):
    """Pads with zeros; `padding` has `(before, after)` for each axis."""

    padding: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        return np.pad(x, [(0, 0), *self.padding])


@dataclasses.dataclass(frozen=True)
class Crop(Form):
    """Keeps every `strides`-th element from `begin` on; `shape` is the result's."""

    begin: tuple
    strides: tuple
    shape: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        sides = zip(self.begin, self.strides, self.shape, strict=True)
        kept = [slice(b, b + s * (n - 1) + 1, s) for b, s, n in sides]
        return x[(slice(None), *kept)]


@dataclasses.dataclass(frozen=True)
class Repeat(Form):
    """Repeats every element `times` times, along each axis."""

    times: tuple

    def apply(self, x: np.ndarray) -> np.ndarray:
        for axis, times in enumerate(self.times, start=1):
            x = x.repeat(times, axis)
        return x


@dataclasses.dataclass(frozen=True)
class Concatenate(Form):
    """Concatenates tensors along `axis`, which counts without the batch."""

    axis: int

    def apply(self, *xs) -> np.ndarray:
        return np.concatenate(xs, self.axis + 1)
