"""Linear forms of layers whose windows move over one, two or three axes."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from snn_keras.linear.forms import Arrays, Form, array
from snn_keras.linear.nodes import is_channels_first, spatial
from snn_keras.typing import Array


def padding_of(
    name: str,
    sizes: Sequence[int],
    window: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
) -> tuple[tuple[int, int], ...]:
    """Zeros `(before, after)` for Keras's paddings "same", "valid" and "causal"."""
    found = []
    for size, k, stride, d in zip(sizes, window, strides, dilation, strict=True):
        reach = d * (k - 1) + 1
        missing = {
            "valid": 0,
            "causal": reach - 1,
            "same": max((-(-size // stride) - 1) * stride + reach - size, 0),
        }[name]
        before = missing if name == "causal" else missing // 2
        found.append((before, missing - before))
    return tuple(found)


class _Windows(Arrays):
    """Base of forms with a moving window; strides etc. have a value for each axis."""

    def __post_init__(self):
        super().__post_init__()
        defaults = {"strides": 1, "padding": (0, 0), "dilation": 1, "spread": 1}
        for name, default in defaults.items():
            given = getattr(self, name)
            values = (default,) * len(self.window) if given is None else tuple(given)
            object.__setattr__(self, name, values)

    def places(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The number of window positions along each axis of an input of this shape."""
        found = []
        for axis, size in enumerate(spatial(self, shape)):
            reach = self.dilation[axis] * (self.window[axis] - 1) + 1
            padded = (size - 1) * self.spread[axis] + 1 + sum(self.padding[axis])
            found.append((padded - reach) // self.strides[axis] + 1)
        return tuple(found)

    def met(self, axis: int, shape: tuple[int, ...]) -> np.ndarray:
        """How many pairs (tap, window position) meet each entry along an axis.

        A tap is an entry of the window.
        """
        size, places = spatial(self, shape)[axis], self.places(shape)[axis]
        taps = np.arange(self.window[axis]) * self.dilation[axis]
        starts = np.arange(places) * self.strides[axis] - self.padding[axis][0]
        entries, between = np.divmod(np.add.outer(starts, taps), self.spread[axis])
        is_entry = (between == 0) & (entries >= 0) & (entries < size)
        return np.bincount(entries[is_entry], minlength=size)

    def of_images(self) -> "_Windows":
        """The same form with an additional first axis along which nothing moves."""
        fields = {
            field.name
            for field in dataclasses.fields(
                self  # type: ignore[arg-type]  # derived classes are dataclasses
            )
        }
        first = {
            "window": 1,
            "strides": 1,
            "padding": (0, 0),
            "dilation": 1,
            "spread": 1,
        }
        changes = {n: (v, *getattr(self, n)) for n, v in first.items() if n in fields}
        if "kernel" in fields:
            changes["kernel"] = self.kernel[None]
        return dataclasses.replace(  # type: ignore[type-var]  # a dataclass, as above
            self, **changes
        )

    def over_taps(
        self, x: np.ndarray, function: Callable[[tuple, np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """The sum of `function(tap, entries)` over the taps of the window.

        Args:
            x: `(batch, ...)`, in the form's data format.
            function: A function of a tap's indices, and of the entries that the tap
                meets at all window positions, `(batch, *places, channels)`.
        """
        is_first = is_channels_first(self)
        places = self.places(x.shape[1:])
        x = np.moveaxis(x, 1, -1) if is_first else x
        x = np.pad(self._spread(x), [(0, 0), *self.padding, (0, 0)])
        total: Any = 0
        for tap in np.ndindex(*self.window):
            starts = np.multiply(tap, self.dilation)
            met = [
                slice(start, start + stride * (count - 1) + 1, stride)
                for start, stride, count in zip(
                    starts, self.strides, places, strict=True
                )
            ]
            total = total + function(tap, x[(slice(None), *met)])
        return np.moveaxis(total, -1, 1) if is_first else total

    def _spread(self, x):
        """`x`, channels last, with `spread - 1` zeros between entries."""
        if max(self.spread) == 1:
            return x
        sizes = [
            (n - 1) * s + 1 for n, s in zip(x.shape[1:], self.spread, strict=False)
        ]
        apart = np.zeros((len(x), *sizes, x.shape[-1]), x.dtype)
        apart[(slice(None), *(slice(None, None, s) for s in self.spread))] = x
        return apart


@dataclasses.dataclass(frozen=True, eq=False)
class Convolution(_Windows):
    """A convolution: grouped, depthwise, strided, dilated, transposed, of any rank.

    At position p, with strides s, dilation d, padding b before, and the group g of
    output o:

        y[p, o] = bias[o] + sum over t, i of kernel[t, i, o] x[p s + t d - b, g, i]

    Attributes:
        kernel: `(*window, inputs of a group, outputs)`.
        bias: `(outputs,)`, or None.
        strides, dilation: An integer for each axis; None means 1.
        padding: Zeros `(before, after)` along each axis; None means no padding.
        groups: Number of groups of channels; that of the channels in a depthwise
            convolution.
        spread: For a transposed convolution, the strides: the entries of x are first
            set apart by this distance, with zeros between them. None means 1.
        data_format: "channels_last", or "channels_first".
    """

    kernel: np.ndarray
    bias: Array = None
    strides: tuple = None
    padding: tuple = None
    dilation: tuple = None
    groups: int = 1
    spread: tuple = None
    data_format: str = "channels_last"
    weighs = True
    arrays = (("kernel", array), ("bias", array))

    @property
    def window(self) -> tuple[int, ...]:
        """The lengths of the kernel along the spatial axes."""
        return self.kernel.shape[:-2]

    @property
    def is_depthwise(self) -> bool:
        """Whether each group is one of several channels."""
        return self.groups > 1 and self.kernel.shape[-2] == 1

    @property
    def ungrouped(self) -> np.ndarray:
        """The kernel over all input channels, with zeros outside of the groups."""
        *window, inside, outside = self.kernel.shape
        full = np.zeros((*window, self.groups, inside, outside))
        for group, out in enumerate(np.split(np.arange(outside), self.groups)):
            full[..., group, :, out] = np.moveaxis(self.kernel[..., out], -1, 0)
        return full.reshape(*window, self.groups * inside, outside)

    def apply(self, x: np.ndarray) -> np.ndarray:
        *_, inside, outside = self.kernel.shape
        bias = self.bias
        if bias.ndim and is_channels_first(self):
            bias = bias.reshape(-1, *(1,) * len(self.window))

        def product(tap, met):
            weights = self.kernel[tap].reshape(inside, self.groups, -1)
            met = met.reshape(*met.shape[:-1], self.groups, inside)
            y = np.einsum("...gi,igo->...go", met, weights)
            return y.reshape(*y.shape[:-2], outside)

        return self.over_taps(x, product) + bias

    def fan_out(self, shape: tuple[int, ...]) -> np.ndarray:
        counts = [self.met(axis, shape) for axis in range(len(self.window))]
        copies = self.kernel.shape[-1] // self.groups
        places = functools.reduce(np.multiply.outer, counts) * float(copies)
        axis = 0 if is_channels_first(self) else -1
        return np.broadcast_to(np.expand_dims(places, axis), shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Separable(Form):
    """A depthwise convolution, followed by a pointwise one (of a single tap).

    Attributes:
        depthwise, pointwise: The two `Convolution`s; only the second has a bias.
    """

    depthwise: Convolution
    pointwise: Convolution
    weighs = True

    def __post_init__(self):
        if set(self.pointwise.window) != {1} or self.pointwise.groups != 1:
            raise ValueError(
                "pointwise must be a convolution of one tap and one group. Received: a "
                f"window of {self.pointwise.window}, groups={self.pointwise.groups}."
            )

    @property
    def weights(self) -> float:
        """Those of both parts."""
        return self.depthwise.weights + self.pointwise.weights

    @property
    def merged(self) -> Convolution:
        """The single convolution that is equivalent to both."""
        kernel = self.depthwise.ungrouped @ self.pointwise.kernel
        bias = self.pointwise.bias
        return dataclasses.replace(self.depthwise, kernel=kernel, bias=bias, groups=1)

    def apply(self, x: np.ndarray) -> np.ndarray:
        return self.pointwise.apply(self.depthwise.apply(x))

    def fan_out(self, shape: tuple[int, ...]) -> np.ndarray:
        return self.depthwise.fan_out(shape)

    def inside(self, shape: tuple[int, ...]) -> float:
        places = np.prod(self.depthwise.places(shape), dtype="float64")
        return float(places * self.pointwise.kernel.size)


@dataclasses.dataclass(frozen=True, eq=False)
class Pool(_Windows):
    """Average pooling: each channel's mean in a window; padding does not count.

    Attributes:
        window: The lengths of the window along the spatial axes.
        strides, padding, data_format: As for `Convolution`.
    """

    window: tuple
    strides: tuple = None
    padding: tuple = None
    data_format: str = "channels_last"
    dilation = spread = None

    def apply(self, x: np.ndarray) -> np.ndarray:
        return self.hand_on(x) / self.counts(x.shape[1:])

    def hand_on(self, counts: np.ndarray) -> np.ndarray:
        return self.over_taps(counts, lambda tap, met: met)

    def counts(self, shape: tuple[int, ...]) -> np.ndarray:
        """The number of entries in the window at each position, without padding."""
        return self.hand_on(np.ones((1, *shape), np.int64))[0]
