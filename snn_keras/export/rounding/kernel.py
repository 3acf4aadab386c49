"""Kernels, which become int8 once the unit of their output is solved."""

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.interval import Interval
from snn_keras.export.rounding.constants import Note
from snn_keras.export.rounding.units import Unit

# The widest digits of the input, and the narrowest.
_WIDE, _NARROW = integer.DIGIT_BITS[0], integer.DIGIT_BITS[-1]
WEIGHT_MAX = 127  # int8, symmetric


class Weights:
    """Real weights that become int8 once the unit of their output is solved.

    Args:
        layer: The layer to which they belong, for notes on rounding.
        real: The weights `(..., in, out)`, multiplied by the unit of the input.
        unit: The `Unit` of the output.
        inputs: The `Interval` of the integers that they multiply.
        each: Whether the layer is depthwise, and `real` is `(..., in, multiplier)`.

    Attributes:
        least: The finest unit `(channels,)` that the bits of weights and sums allow
            where weights are rounded. Where they need not be, the input is decomposed
            into narrower digits instead.
        spread: The root of the sum of squares of the largest inputs, `(channels,)`.
    """

    def __init__(
        self,
        layer: str,
        real: np.ndarray,
        unit: Unit,
        inputs: Interval,
        each: bool = False,
    ) -> None:
        self.layer = layer
        self.real = real
        self.unit = unit
        self.each = each
        self.sign = np.ones(real.shape[-2:] if each else real.shape[-1:])
        self._inputs = inputs
        channels = self._of_channels(np.abs(real), np.max)
        unit.need(real if not each else real.reshape(*real.shape[:-2], -1))
        least, self.least = (
            np.maximum(channels / WEIGHT_MAX, self._sums(real, bits) / integer.SUM_MAX)
            for bits in (_NARROW, _WIDE)
        )
        unit.at_least(least)
        unit.at_least(self.least, if_rounded=True)
        unit.fit(self._fits)
        ends = integer.of_channels(inputs, real.shape[-2])
        squares = np.maximum(*np.square([ends.low, ends.high], dtype="float64"))
        squares = np.broadcast_to(squares[:, None], real.shape)
        self.spread = np.sqrt(self._of_channels(squares, np.sum))

    def integers(self, note: Note) -> np.ndarray:
        """The kernel in int8."""
        unit = self.unit.value
        for text in self.notes(unit):
            note(self.layer, text)
        return self.rounded(unit).astype(np.int8)

    def rounded(self, unit: np.ndarray) -> np.ndarray:
        """The weights, rounded to integers in this unit."""
        unit = unit.reshape(self.sign.shape)
        return np.floor(self.sign * self.real / unit + 0.5).astype(np.int64)

    def notes(self, unit: np.ndarray) -> list[str]:
        """Sentences that describe the error of rounding."""
        lost = (
            self.rounded(unit) * unit.reshape(self.sign.shape) - self.sign * self.real
        )
        lost, whole = (
            self._of_channels(np.square(x), np.sum) for x in (lost, self.real)
        )
        few = (unit > 8 * self.least) & (lost > 0)
        error = np.sqrt(np.sum(lost[~few]) / (np.sum(whole[~few]) or 1.0))
        notes = [f"weights rounded by {100 * error:.2g} %"] if error else []
        if few.any():
            notes.append(
                f"weights of {few.sum()} of {few.size} channels held in fewer bits: "
                "they are small beside the rest"
            )
        return notes

    def _fits(self, unit, is_exact):
        weights = self.rounded(unit)
        fits = self._of_channels(np.abs(weights), np.max) <= WEIGHT_MAX
        sums = self._sums(weights, _NARROW if is_exact else _WIDE)
        return fits & (sums <= integer.SUM_MAX)

    def _sums(self, weights, bits):
        return integer.largest_sums(weights, self._inputs, bits, self.each)

    def _of_channels(self, x, reduce):
        kept = 2 if self.each else 1
        return reduce(x, axis=tuple(range(x.ndim - kept))).ravel()
