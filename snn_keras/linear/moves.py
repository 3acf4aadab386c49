"""Linear forms of layers that move, copy and leave out elements."""

import dataclasses

import numpy as np

from snn_keras.linear.forms import Form


class Move(Form):
    """Each output is a copy of one element, or 0."""

    def keeps_channels(self, shape) -> bool:
        """Whether each element of an input of this shape stays in its channel."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Reshape(Move):
    """Another shape for the same elements in the same order."""

    shape: tuple

    def apply(self, x):
        return x.reshape(len(x), *self.shape)

    def keeps_channels(self, shape):
        return self.shape[-1:] == shape[-1:]


@dataclasses.dataclass(frozen=True)
class Transpose(Move):
    """Axes in another order; `axes` counts without the batch, from 0."""

    axes: tuple

    def apply(self, x):
        return x.transpose(0, *(a + 1 for a in self.axes))

    def keeps_channels(self, shape):
        return self.axes[-1] == len(shape) - 1


@dataclasses.dataclass(frozen=True)
class Pad(Move):
    """Zeros around it; `padding` is `(before, after)` for each axis."""

    padding: tuple

    def apply(self, x):
        return np.pad(x, [(0, 0), *self.padding])

    def keeps_channels(self, shape):
        return self.padding[-1] == (0, 0)


@dataclasses.dataclass(frozen=True)
class Crop(Move):
    """Every `strides`-th element from `begin` on, as many as `shape` says."""

    begin: tuple
    strides: tuple
    shape: tuple

    def apply(self, x):
        sides = zip(self.begin, self.strides, self.shape, strict=True)
        kept = [slice(b, b + s * (n - 1) + 1, s) for b, s, n in sides]
        return x[(slice(None), *kept)]

    def keeps_channels(self, shape):
        return self.begin[-1] == 0 and self.shape[-1] == shape[-1]


@dataclasses.dataclass(frozen=True)
class Repeat(Move):
    """Every element `times` times in a row, along each axis."""

    times: tuple

    def apply(self, x):
        for axis, times in enumerate(self.times, start=1):
            x = x.repeat(times, axis)
        return x

    def keeps_channels(self, shape):
        return self.times[-1] == 1


@dataclasses.dataclass(frozen=True)
class Concatenate(Move):
    """Tensors one behind the other along `axis`, counted without the batch."""

    axis: int

    def apply(self, *xs):
        return np.concatenate(xs, self.axis + 1)

    def keeps_channels(self, shape):
        return False
