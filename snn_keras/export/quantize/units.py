"""Units: what one integer of a tensor means, chosen as fine as the bits allow."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

WEIGHT_MAX = 127  # int8, symmetric
SUM_MAX = 2**15 - 1  # int16, in which convolutions add up


def lowest_bit(x):
    """The largest power of two that divides each of `x`; infinity for 0."""
    mantissa, exponent = np.frexp(np.asarray(x, "float64"))
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    bit = np.ldexp((whole & -whole).astype("float64"), exponent - 53)
    return np.where(whole == 0, np.inf, bit)


def common_bit(*factors):
    """The largest power of two that divides all of `factors`."""
    return min(float(np.min(lowest_bit(factor))) for factor in factors)


def fine_unit(*factors):
    """A unit of which all factors are whole numbers; to 1 in 128 if they are odd."""
    least = functools.reduce(np.minimum, factors)
    bit = common_bit(*factors)
    largest = max(np.max(factor) for factor in factors)
    return np.float64(bit) if largest <= 2**12 * bit else least / 128


def plain(factor):
    """An array in its smallest shape: a number, or one for each last entry."""
    factor = np.asarray(factor, "float64")
    if factor.size and (factor == factor.flat[0]).all():
        return factor.reshape(-1)[0]
    rows = factor.reshape(-1, factor.shape[-1])
    return rows[0] if (rows == rows[0]).all() else factor


class Unit:
    """The unit of every channel of a tensor, open until `close`.

    What needs integers of this unit says so while it is open. If all of these numbers
    are multiples of a power of two that the bits allow, that is the unit, and nothing
    is rounded. Otherwise it is the finest that the bits allow, made a little coarser
    so that thresholds are whole.

    Args:
        channels: Number of channels.
    """

    def __init__(self, channels):
        self._least = np.zeros(channels)
        self._bits = np.full(channels, np.inf)
        self._fits = []
        self._anchor = None
        self._even_over = None
        self._joined = None
        self.value = None

    @property
    def is_open(self):
        """Whether it has no value yet."""
        return self.root()[0].value is None

    def root(self):
        """The unit that this one joined, and what this one is times that."""
        if self._joined is None:
            return self, 1.0
        root, ratio = self._joined[0].root()
        return root, ratio * self._joined[1]

    def need(self, numbers):
        """`numbers` `(..., channels)` are wanted in whole units."""
        root, ratio = self.root()
        bits = lowest_bit(np.asarray(numbers) / ratio)
        axes = tuple(range(np.ndim(bits) - 1))
        root._bits = np.minimum(root._bits, bits.min(axes))

    def fit(self, least, fits: Callable):
        """It shall be at least `least`, and `fits(unit)` true of every channel."""
        root, ratio = self.root()
        root._least = np.maximum(root._least, least / ratio)
        root._fits.append(lambda value: fits(value * ratio))

    def anchor(self, numbers):
        """`numbers` `(channels,)` are thresholds, worth a rounder unit."""
        root, ratio = self.root()
        if root._anchor is None:
            root._anchor = np.broadcast_to(numbers / ratio, root._least.shape)

    def make_even(self, factor):
        """`factor` times the unit shall be the same in all channels."""
        root, ratio = self.root()
        root._even_over = np.broadcast_to(factor * ratio, root._least.shape)

    def join(self, other, ratio):
        """From now on it is `ratio` times `other`. Both are open, and distinct."""
        mine, my_ratio = self.root()
        theirs, their_ratio = other.root()
        ratio = ratio * their_ratio / my_ratio  # of my root to theirs
        mine._joined = theirs, np.broadcast_to(ratio, mine._least.shape)
        theirs._least = np.maximum(theirs._least, mine._least / ratio)
        # Every number was measured against this root.
        if not _powers_of_two(ratio):
            theirs._bits = np.zeros_like(theirs._bits)
        theirs._bits = np.minimum(theirs._bits, mine._bits / ratio)
        theirs._fits += [lambda v, fits=fits: fits(v * ratio) for fits in mine._fits]
        if theirs._anchor is None and mine._anchor is not None:
            theirs._anchor = mine._anchor / ratio

    def close(self):
        """Chooses the unit; returns its value, one a channel."""
        root, ratio = self.root()
        if root.value is None:
            root.value = root._exact()
            if root.value is None:
                root.value = root._rounded()
        self.value = root.value * ratio
        return self.value

    def _exact(self):
        """A unit of which everything is a multiple, or None."""
        value = np.where(np.isinf(self._bits), np.maximum(self._least, 1.0), self._bits)
        if self._even_over is not None:
            even = value * self._even_over
            value = np.min(even) / self._even_over
            if not _powers_of_two(even / np.min(even)):
                return None
        fine = (value > 0) & (value >= self._least)
        return value if fine.all() and self._all_fit(value).all() else None

    def _rounded(self):
        least = np.where(self._least == 0, np.max(self._least) or 1.0, self._least)
        if self._even_over is not None:
            even = np.max(least * self._even_over)
            value = even / self._even_over
            while not self._all_fit(value).all():
                even *= 1.01
                value = even / self._even_over
            return value
        anchor = least if self._anchor is None else self._anchor
        parts = np.maximum(np.floor(anchor / least), 1.0)
        value = np.maximum(anchor / parts, least)
        while not (fits := self._all_fit(value)).all():
            fewer = np.where(parts > 1, anchor / np.maximum(parts - 1, 1), value * 1.01)
            value = np.where(fits, value, np.maximum(fewer, value))
            parts = np.where(fits, parts, np.maximum(parts - 1, 1))
        return value

    def _all_fit(self, value):
        fits = np.ones(self._least.shape, bool)
        for check in self._fits:
            fits &= check(value)
        return fits


def _powers_of_two(x):
    return bool((np.abs(np.frexp(x)[0]) == 0.5).all())


@dataclasses.dataclass(frozen=True, eq=False)
class Signal:
    """A tensor of the source as integers: real = integer x factor x unit + offset.

    Attributes:
        name: The tensor of the integer network.
        shape: Its shape, without the batch.
        factor: > 0; broadcasts against the shape, along channels if the unit is open.
        unit: A `Unit` for each channel, or None for 1.
        timed: Whether it may differ from step to step.
        offset: A real constant that is still to be added.
        weights: The `Weights` that made it, where nothing else has come since.
        initial: What the neurons it goes to start from, beside their own.
    """

    name: str
    shape: tuple
    factor: np.ndarray
    unit: Unit | None = None
    timed: bool = False
    offset: np.ndarray = 0.0
    weights: "Weights | None" = None
    initial: np.ndarray = 0.0

    @property
    def is_open(self):
        """Whether its unit may still be chosen."""
        return self.unit is not None and self.unit.is_open

    @property
    def scale(self):
        """Real value of 1. It closes the unit."""
        return self.factor if self.unit is None else self.factor * self.unit.close()

    def with_(self, **changes):
        """A copy with other attributes."""
        return dataclasses.replace(self, **changes)


class Weights:
    """Real weights that become int8, once the unit of their output is known.

    Args:
        real: Weights `(..., in, out)`, times the unit of the input.
        unit: The `Unit` of the output.
        digits: Intervals of the digits in which the input is sent, each with bounds
            that broadcast against `(in,)`.
        each: Whether every input has outputs of its own (depthwise), and `real` is
            `(..., in, multiplier)`.
    """

    def __init__(self, real, unit, digits, each=False):
        self.real = real
        self.unit = unit
        self.each = each
        self.sign = np.ones(real.shape[-2:] if each else real.shape[-1:])
        self._digits = digits
        channels = self._of_channels(np.abs(real), np.max)
        unit.need(real if not each else real.reshape(*real.shape[:-2], -1))
        sums = [self._sums(real, digit) for digit in digits]
        least = np.maximum.reduce([channels / WEIGHT_MAX, *(s / SUM_MAX for s in sums)])
        unit.fit(least, self._fits)

    def rounded(self, unit):
        """The weights as integers."""
        unit = unit.reshape(self.sign.shape)
        return np.floor(self.sign * self.real / unit + 0.5).astype(np.int64)

    def error(self, unit):
        """What rounding changes, as a share of the weights' root mean square."""
        unit = unit.reshape(self.sign.shape)
        lost = self.rounded(unit) * unit - self.sign * self.real
        whole = np.sqrt(np.sum(np.square(self.real)))
        return float(np.sqrt(np.sum(np.square(lost))) / whole) if whole else 0.0

    def _fits(self, unit):
        weights = self.rounded(unit)
        fits = self._of_channels(np.abs(weights), np.max) <= WEIGHT_MAX
        for digit in self._digits:
            fits &= self._sums(weights, digit) <= SUM_MAX
        return fits

    def _sums(self, weights, digit):
        """The largest magnitude that an output can have."""
        products = [np.asarray(b)[..., None] * weights for b in (digit.low, digit.high)]
        high = self._of_channels(np.maximum(*products), np.sum)
        low = self._of_channels(np.minimum(*products), np.sum)
        return np.maximum(high, -low)

    def _of_channels(self, x, reduce):
        kept = 2 if self.each else 1
        return reduce(x, axis=tuple(range(x.ndim - kept))).ravel()
