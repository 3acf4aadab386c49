"""Scales and biases with which int8 kernels of TFLite compute levels exactly.

A kernel with int8 output computes `round(scale (sum + bias))`, and runtimes round in
several ways. All of them are monotone in the sum. So the output is the level that was
asked for at every sum, if it is so at the two sums beside each threshold; these are
computed here, in each of the ways.
"""

import dataclasses

import numpy as np

INT32_MAX = 2**31 - 1
SHARES = (
    0.5,
    0.25,
    0.75,
    0.12,
    0.88,
    0.06,
    0.94,
    0.03,
    0.97,
)  # of the room for a scale


@dataclasses.dataclass(frozen=True)
class Staircase:
    r"""Levels of a sum, $\lfloor (times \cdot sum + offset) / threshold \rfloor$.

    Attributes:
        threshold: Integers >= 1, one for each channel.
        offset: Integers, one for each channel.
        times: An integer >= 1.
        levels: The number of levels above 0 that count.
    """

    threshold: np.ndarray
    offset: np.ndarray
    times: int
    levels: int

    def firsts(self) -> np.ndarray:
        """The least sum of each level, `(levels, channels)`."""
        numbers = np.arange(1, self.levels + 1)[:, None]
        return -((self.offset - numbers * self.threshold) // self.times)


@dataclasses.dataclass(frozen=True)
class Requantization:
    """The constants of an int8 kernel, for each channel.

    Attributes:
        bias: Integers that are added to sums.
        scale: The scales of weights, float32.
    """

    bias: np.ndarray
    scale: np.ndarray


def solve(stairs: Staircase, gain: int, unit: float) -> Requantization | None:
    """The constants that give these levels in every runtime; None if there are none.

    Args:
        stairs: The levels, of sums of whole numbers.
        gain: What the kernel's input holds is this many times such a number.
        unit: The scale of the kernel's input; that of its output is 1.
    """
    firsts = stairs.firsts()
    halves = np.arange(stairs.levels)[:, None] + 0.5
    middle = gain * (2 * stairs.offset - stairs.threshold + 1) / (2 * stairs.times)
    bias, scale = np.zeros(len(middle), np.int64), np.ones(len(middle), np.float32)
    missing = np.ones(len(middle), bool)
    for shift in (0, 1, -1, 2, -2):
        moved = np.floor(middle + 0.5).astype(np.int64) + shift
        above, below = gain * firsts + moved, gain * (firsts - 1) + moved
        if np.any(np.abs(above) > INT32_MAX):
            return None
        least = np.max(halves / np.maximum(above, 1), axis=0)
        most = np.min(halves / np.maximum(below, 0.5), axis=0)
        for share in SHARES:
            tried = ((least + share * (most - least)) / unit).astype(np.float32)
            found = missing & _is_small(tried, unit)
            found &= _separates(above, below, tried, unit)
            bias[found], scale[found] = moved[found], tried[found]
            missing &= ~found
        if not missing.any():
            return Requantization(bias, scale)
    return None


def _is_small(scale, unit):
    """Whether a scale needs neither a shift to the left nor one by 31 bits."""
    product = scale * np.float32(unit)
    return (product < 1) & (product > 2.0**-30)


def _separates(above, below, scale, unit):
    """Whether every runtime gives n at the first sum of level n, and less before it."""
    numbers = np.arange(1, len(above) + 1)[:, None]
    ways = [
        (way(above, scale, unit) >= numbers) & (way(below, scale, unit) < numbers)
        for way in (_float, _fused, _fixed_once, _fixed_twice)
    ]
    return np.logical_and.reduce(ways).all(axis=0)


def _float(sums, scale, unit):
    """XNNPACK: a float32 product, rounded to the nearest even integer."""
    return np.rint(sums.astype(np.float32) * (scale * np.float32(unit)))


def _fused(sums, scale, unit):
    """The same where product and rounding are one instruction."""
    factor = np.float64(scale * np.float32(unit))
    return np.rint(sums.astype(np.float32) * factor)


def _fixed_once(sums, scale, unit):
    """Fixed-point multipliers of TFLite, rounded once."""
    multiplier, exponent = _fixed(scale, unit)
    shift = 31 - exponent
    return (sums * multiplier + (np.int64(1) << (shift - 1))) >> shift


def _fixed_twice(sums, scale, unit):
    """The same, rounded after the product and again after the shift.

    This is TensorFlow Lite's reference and that of TensorFlow Lite Micro.
    """
    multiplier, exponent = _fixed(scale, unit)
    right = np.maximum(-exponent, 0)
    product = (sums * multiplier + 2**30) >> 31
    return (product + ((np.int64(1) << right) >> 1)) >> right


def _fixed(scale, unit):
    """Multipliers of 31 bits, and the exponents of 2 beside them."""
    mantissa, exponent = np.frexp(np.float64(scale) * np.float64(np.float32(unit)))
    return np.rint(mantissa * 2**31).astype(np.int64), exponent.astype(np.int64)
