"""Units: the real value of the integer 1, chosen as fine as the bits allow."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from snn_keras.export.integer import INT32
from snn_keras.typing import Array


def lowest_bit(x: Array) -> np.ndarray:
    """For each entry of `x`, the largest power of two that divides it; 0: infinity."""
    mantissa, exponent = np.frexp(np.asarray(x, "float64"))
    whole = np.abs(mantissa * 2.0**53).astype(np.int64)
    bit = np.ldexp((whole & -whole).astype("float64"), exponent - 53)
    return np.where(whole == 0, np.inf, bit)


def common_bit(*factors) -> float:
    """The largest power of two that divides all of `factors`."""
    return min(float(np.min(lowest_bit(factor))) for factor in factors)


def fine_unit(*factors) -> Array:
    """A unit that divides all factors, or 1/128 of the least if it were too fine."""
    least = functools.reduce(np.minimum, factors)
    bit = common_bit(*factors)
    largest = max(np.max(factor) for factor in factors)
    return np.float64(bit) if largest <= 2**12 * bit else least / 128


def compact(array: np.ndarray) -> np.ndarray:
    """An array in its smallest shape: a number, `(channels,)`, or as it is."""
    array = np.asarray(array)
    if array.size and (array == array.flat[0]).all():
        return array.reshape(-1)[0]
    rows = array.reshape(-1, array.shape[-1])
    return rows[0] if (rows == rows[0]).all() else array


def largest(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The largest values of `array` over surplus leading axes, broadcast to `shape`."""
    array = np.asarray(array)
    if array.ndim > len(shape):
        array = array.max(tuple(range(array.ndim - len(shape))))
    return np.broadcast_to(array, shape)


class Unit:
    """The units of a tensor's channels: constraints, and a solution.

    While the unit is open, constraints are added for the numbers to be expressed in it.
    `solve` then chooses a value for each channel: the largest power of two that divides
    all of the channel's numbers, if the bits allow it, so that nothing is rounded; else
    the finest unit that the bits allow, slightly enlarged so that thresholds are whole
    numbers.

    Args:
        channels: Number of channels.
    """

    def __init__(self, channels: int) -> None:
        self._least = np.zeros(channels)
        self._least_rounded = np.zeros(channels)
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
        """The solution, one number for each channel.

        Raises:
            RuntimeError: if it is not solved yet.
        """
        root, ratio = self.root()
        if root._solution is None:
            raise RuntimeError("a unit was read before it was solved")
        return root._solution * ratio

    @property
    def finest(self) -> np.ndarray:
        """The finest unit that the constraints so far allow if numbers are rounded."""
        root, ratio = self.root()
        return np.maximum(root._least, root._least_rounded) * ratio

    def root(self) -> "tuple[Unit, Array]":
        """The unit that this one has joined, and the ratio of this one to it."""
        if self._joined is None:
            return self, 1.0
        root, ratio = self._joined[0].root()
        return root, ratio * self._joined[1]

    def need(self, numbers: Array) -> None:
        """`numbers` `(..., channels)` should be whole and must fit in 32 bits."""
        root, ratio = self.root()
        numbers = np.asarray(numbers)
        bits = lowest_bit(numbers / ratio)
        axes = tuple(range(np.ndim(bits) - 1))
        root._bits = np.minimum(root._bits, bits.min(axes))
        self.at_least(np.abs(numbers).max(axes) / INT32)

    def at_least(self, least: Array, if_rounded: bool = False) -> None:
        """The unit must be at least `least`, `(channels,)`.

        Args:
            least: The least unit.
            if_rounded: Whether this holds only where numbers are rounded.
        """
        root, ratio = self.root()
        name = "_least_rounded" if if_rounded else "_least"
        setattr(root, name, np.maximum(getattr(root, name), least / ratio))

    def fit(self, fits: Callable) -> None:
        """`fits(unit, is_exact)` must be true for every channel."""
        root, ratio = self.root()
        root._fits.append(lambda value, is_exact: fits(value * ratio, is_exact))

    def anchor(self, numbers: Array) -> None:
        """`numbers` `(channels,)` are thresholds, which should be whole numbers."""
        root, ratio = self.root()
        if root._anchor is None:
            root._anchor = np.broadcast_to(numbers / ratio, root._least.shape)

    def make_uniform(self, factor: Array) -> None:
        """`factor` times the unit must be equal in all channels."""
        root, ratio = self.root()
        root._uniform_over = np.broadcast_to(factor * ratio, root._least.shape)

    def join(self, other: "Unit", ratio: Array) -> None:
        """Makes the unit `ratio` times `other`; both must be open and distinct."""
        mine, my_ratio = self.root()
        theirs, their_ratio = other.root()
        ratio = ratio * their_ratio / my_ratio  # the ratio of the two roots
        mine._joined = theirs, np.broadcast_to(ratio, mine._least.shape)
        for name in ("_least", "_least_rounded"):
            most = np.maximum(getattr(theirs, name), getattr(mine, name) / ratio)
            setattr(theirs, name, most)
        # `_bits` was computed for this root; other ratios do not keep powers of two.
        whole = np.where(_are_powers_of_two(ratio), mine._bits / ratio, 0.0)
        theirs._bits = np.minimum(theirs._bits, whole)
        theirs._fits += [
            lambda v, is_exact, fits=fits: fits(v * ratio, is_exact)
            for fits in mine._fits
        ]
        if theirs._anchor is None and mine._anchor is not None:
            theirs._anchor = mine._anchor / ratio

    def solve(self) -> None:
        """Chooses the solution; constraints must not be added afterwards."""
        root, _ = self.root()
        if root._solution is None:
            root._solution = root._choice()

    def _choice(self):
        """The exact unit for channels that have one, the rounded one for others."""
        exact = self._exact()
        good = self._together((exact > 0) & (exact >= self._least))
        # Where there is no exact unit, one in which nothing overflows.
        tried = np.where(good, exact, np.maximum(exact, self._least))
        tried = np.where(tried == 0, 1.0, tried)
        good = self._together(good & self._all_fit(tried, is_exact=True))
        if good.all():
            return exact
        rounded = self._rounded()
        return np.where(good, exact, rounded)

    def _together(self, good):
        """If the channels' units depend on each other, all must be exact, or none."""
        return good if self._uniform_over is None else np.full_like(good, good.all())

    def _exact(self):
        """The unit that divides all numbers; 0 if there is none."""
        value = np.where(np.isinf(self._bits), np.maximum(self._least, 1.0), self._bits)
        if self._uniform_over is None:
            return value
        even = value * self._uniform_over
        whole = _are_powers_of_two(even / np.min(even)).all()
        return np.min(even) / self._uniform_over if whole else np.zeros_like(value)

    def _rounded(self):
        least = np.maximum(self._least, self._least_rounded)
        least = np.where(least == 0, np.max(least) or 1.0, least)
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
            growth *= 1.1  # single parts would change the unit too slowly
        return value

    def _all_fit(self, value, is_exact=False):
        fits = np.ones(self._least.shape, bool)
        for check in self._fits:
            fits &= check(value, is_exact)
        return fits


def _are_powers_of_two(x):
    return np.abs(np.frexp(x)[0]) == 0.5


@dataclasses.dataclass(frozen=True, eq=False)
class ScaledTensor:
    """A tensor of the source as integers: real = integer x factor x unit + offset.

    Attributes:
        name: The tensor of the integer network.
        shape: Its shape, without the batch.
        factor: A factor > 0 that broadcasts against the shape; while the unit is open,
            it varies only along channels.
        unit: The `Unit` of its channels, or None for 1.
        origin: The numbers of the choices of its units (see `Choices`), which
            broadcast against the shape.
        timed: Whether it may differ from step to step.
        offset: A real constant that is still to be added.
        weights: The `Weights` that computed it, if no other operation followed.
        initial: A correction to the initial potential of the neurons that receive it.
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
        """The real value of 1; the unit must be solved."""
        return self.factor if self.unit is None else self.factor * self.unit.value

    def with_(self, **changes) -> "ScaledTensor":
        """A copy with other attributes."""
        return dataclasses.replace(self, **changes)
