"""Units: what one integer of a tensor means, solved as fine as the bits allow."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from snn_keras.export.integer import INT32
from snn_keras.typing import Array


def lowest_bit(x: Array) -> np.ndarray:
    """The largest power of two that divides each of `x`; infinity for 0."""
    mantissa, exponent = np.frexp(np.asarray(x, "float64"))
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    bit = np.ldexp((whole & -whole).astype("float64"), exponent - 53)
    return np.where(whole == 0, np.inf, bit)


def common_bit(*factors) -> float:
    """The largest power of two that divides all of `factors`."""
    return min(float(np.min(lowest_bit(factor))) for factor in factors)


def fine_unit(*factors) -> Array:
    """A unit of which all factors are whole numbers; to 1 in 128 if they are odd."""
    least = functools.reduce(np.minimum, factors)
    bit = common_bit(*factors)
    largest = max(np.max(factor) for factor in factors)
    return np.float64(bit) if largest <= 2**12 * bit else least / 128


def compact(array: np.ndarray) -> np.ndarray:
    """An array in its smallest shape: a number, or one for each last entry."""
    array = np.asarray(array)
    if array.size and (array == array.flat[0]).all():
        return array.reshape(-1)[0]
    rows = array.reshape(-1, array.shape[-1])
    return rows[0] if (rows == rows[0]).all() else array


def largest(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The largest of `array` for each entry of `shape`, against which it broadcasts."""
    array = np.asarray(array)
    if array.ndim > len(shape):
        array = array.max(tuple(range(array.ndim - len(shape))))
    return np.broadcast_to(array, shape)


class Unit:
    """The unit of every channel of a tensor: constraints, and what solves them.

    What needs integers of this unit says so while it is open. `solve` then chooses:
    where all numbers of a channel are multiples of a power of two that the bits allow,
    that is the unit, and nothing is rounded. Elsewhere it is the finest that the bits
    allow, made a little coarser so that thresholds are whole.

    Args:
        channels: Number of channels.
    """

    def __init__(self, channels: int) -> None:
        self._least = np.zeros(channels)
        self._bits = np.full(channels, np.inf)
        self._fits = []
        self._anchor = None
        self._uniform_over = None
        self._joined = None
        self._solution = None

    @property
    def is_open(self) -> bool:
        """Whether it is not solved yet."""
        return self.root()[0]._solution is None

    @property
    def value(self) -> np.ndarray:
        """What solves it, one number a channel.

        Raises:
            RuntimeError: while it is open.
        """
        root, ratio = self.root()
        if root._solution is None:
            raise RuntimeError("a unit was read before it was solved")
        return root._solution * ratio

    @property
    def finest(self) -> np.ndarray:
        """The least that it may be, as far as is known."""
        root, ratio = self.root()
        return root._least * ratio

    def root(self) -> "tuple[Unit, Array]":
        """The unit that this one joined, and what this one is times that."""
        if self._joined is None:
            return self, 1.0
        root, ratio = self._joined[0].root()
        return root, ratio * self._joined[1]

    def need(self, numbers: Array) -> None:
        """`numbers` `(..., channels)` are wanted in whole units, of 32 bits."""
        root, ratio = self.root()
        numbers = np.asarray(numbers)
        bits = lowest_bit(numbers / ratio)
        axes = tuple(range(np.ndim(bits) - 1))
        root._bits = np.minimum(root._bits, bits.min(axes))
        self.at_least(np.abs(numbers).max(axes) / INT32)

    def at_least(self, least: Array) -> None:
        """It shall be at least `least` `(channels,)`."""
        root, ratio = self.root()
        root._least = np.maximum(root._least, least / ratio)

    def fit(self, fits: Callable) -> None:
        """`fits(unit)` shall be true of every channel."""
        root, ratio = self.root()
        root._fits.append(lambda value: fits(value * ratio))

    def anchor(self, numbers: Array) -> None:
        """`numbers` `(channels,)` are thresholds, worth a rounder unit."""
        root, ratio = self.root()
        if root._anchor is None:
            root._anchor = np.broadcast_to(numbers / ratio, root._least.shape)

    def make_uniform(self, factor: Array) -> None:
        """`factor` times the unit shall be the same in all channels."""
        root, ratio = self.root()
        root._uniform_over = np.broadcast_to(factor * ratio, root._least.shape)

    def join(self, other: "Unit", ratio: Array) -> None:
        """From now on it is `ratio` times `other`. Both are open, and distinct."""
        mine, my_ratio = self.root()
        theirs, their_ratio = other.root()
        ratio = ratio * their_ratio / my_ratio  # of my root to theirs
        mine._joined = theirs, np.broadcast_to(ratio, mine._least.shape)
        theirs._least = np.maximum(theirs._least, mine._least / ratio)
        # Every number was measured against this root.
        whole = np.where(_are_powers_of_two(ratio), mine._bits / ratio, 0.0)
        theirs._bits = np.minimum(theirs._bits, whole)
        theirs._fits += [lambda v, fits=fits: fits(v * ratio) for fits in mine._fits]
        if theirs._anchor is None and mine._anchor is not None:
            theirs._anchor = mine._anchor / ratio

    def solve(self) -> None:
        """Chooses its value; no more constraints are taken then."""
        root, _ = self.root()
        if root._solution is None:
            root._solution = root._choice()

    def _choice(self):
        """The exact unit in all channels that have one, the rounded one elsewhere."""
        exact = self._exact()
        good = self._together((exact > 0) & (exact >= self._least))
        if good.all() and self._all_fit(exact).all():
            return exact
        rounded = self._rounded()
        good &= self._all_fit(np.where(good, exact, rounded))
        return np.where(self._together(good), exact, rounded)

    def _together(self, good):
        """Channels whose units depend on each other are exact all, or none."""
        return good if self._uniform_over is None else np.full_like(good, good.all())

    def _exact(self):
        """A unit of which everything is a multiple; 0 where there is none."""
        value = np.where(np.isinf(self._bits), np.maximum(self._least, 1.0), self._bits)
        if self._uniform_over is None:
            return value
        even = value * self._uniform_over
        whole = _are_powers_of_two(even / np.min(even)).all()
        return np.min(even) / self._uniform_over if whole else np.zeros_like(value)

    def _rounded(self):
        least = np.where(self._least == 0, np.max(self._least) or 1.0, self._least)
        if self._uniform_over is not None:
            even = np.max(least * self._uniform_over)
            value = even / self._uniform_over
            while not self._all_fit(value).all():
                even *= 1.01
                value = even / self._uniform_over
            return value
        anchor = least if self._anchor is None else self._anchor
        parts = np.maximum(np.floor(anchor / least), 1.0)
        value, growth = np.maximum(anchor / parts, least), 1e-4
        while not (fits := self._all_fit(value)).all():
            fewer = np.minimum(parts - 1, np.floor(parts / (1 + growth)))
            coarser = np.where(parts > 1, anchor / np.maximum(fewer, 1), 1.01 * value)
            value = np.where(fits, value, np.maximum(coarser, value))
            parts = np.where(fits, parts, np.maximum(fewer, 1))
            growth *= 1.1  # a part is next to nothing where there are very many
        return value

    def _all_fit(self, value):
        fits = np.ones(self._least.shape, bool)
        for check in self._fits:
            fits &= check(value)
        return fits


def _are_powers_of_two(x):
    return np.abs(np.frexp(x)[0]) == 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class ScaledTensor:
    """A tensor of the source as integers: real = integer x factor x unit + offset.

    Attributes:
        name: The tensor of the integer network.
        shape: Its shape, without the batch.
        factor: > 0; broadcasts against the shape, along channels if the unit is open.
        unit: A `Unit` for each channel, or None for 1.
        origin: Where its units were chosen, as numbers of `Choices`; likewise.
        timed: Whether it may differ from step to step.
        offset: A real constant that is still to be added.
        weights: The `Weights` that made it, where nothing else has come since.
        initial: What the neurons it goes to start from, beside their own.
    """

    name: str
    shape: tuple
    factor: Array
    unit: Unit | None = None
    origin: np.ndarray = 0
    timed: bool = False
    offset: np.ndarray = 0.0
    weights: object = None
    initial: np.ndarray = 0.0

    @property
    def is_open(self) -> bool:
        """Whether its unit may still be chosen."""
        return self.unit is not None and self.unit.is_open

    @property
    def scale(self) -> np.ndarray:
        """Real value of 1; its unit has to be solved."""
        return self.factor if self.unit is None else self.factor * self.unit.value

    def with_(self, **changes) -> "ScaledTensor":
        """A copy with other attributes."""
        return dataclasses.replace(self, **changes)
