"""Sums over the steps so far that int8 holds."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.operations import Operation

RANGE = 2**8 - 1  # of what int8 holds
MOST = 2**7 - 1
MOST_PIECES = 40  # tensors that a merged layer reads; more are slow
WEIGHTED = integer.Dense, integer.Convolve, integer.DepthwiseConvolve
MOVES = (
    *(integer.Reshape, integer.Transpose, integer.Pad, integer.Crop, integer.Repeat),
    *(integer.Concatenate, integer.MaxPool),
)
COUNTERS = integer.Fire, integer.SignedFire, integer.FireChanges


@dataclasses.dataclass(frozen=True)
class Held:
    """A sum over the steps so far, in int8: `q = gain * sum + zero`.

    Attributes:
        low, high: Bounds of the sum; of each, where it is held as several.
        gain: A power of two.
        zero: The q of a sum of 0.
        shown: None; or, of what is the same at each step, the number of steps in which
            it is shown, and q is that of a single step.
        scale: The scale of the tensor.
        addends: Number of tensors that add up to the sum, each held so.
    """

    low: int
    high: int
    gain: int = 1
    zero: int = 0
    shown: int | None = None
    scale: float = 1.0
    addends: int = 1

    def with_gain(self, gain: int) -> "Held":
        """The same sums with another gain, from the least q on."""
        zero = -(2**7) - gain * self.low
        scale = self.scale * self.gain / gain
        return dataclasses.replace(self, gain=gain, zero=zero, scale=scale)

    def for_steps(self, on: int) -> "Held | None":
        """The same, gone after `on` steps; None unless it is the same at each step."""
        if self.shown is None:
            return None
        return dataclasses.replace(self, shown=min(self.shown, on))

    def gains(self) -> list[int]:
        """This gain, and larger ones that int8 holds."""
        spread = max(self.high - self.low, 1)
        powers = [self.gain << k for k in range(8)]
        return [self.gain, *(g for g in powers[1:] if g * spread <= RANGE)]


def shown(spec: integer.Input, steps: int) -> Held:
    """How an input is held."""
    low, high = int(spec.interval.low), int(spec.interval.high)
    zero = spec.zero_point - (2**7 if spec.dtype == "uint8" else 0)
    return Held(low, high, zero=zero, shown=steps, scale=float(np.float32(spec.scale)))


def held_output(
    operation: Operation, held: Mapping[str, Held], steps: int, levels: int | None
) -> Held | None:
    """How the sum of an operation's output is held; None if int8 cannot hold it.

    Args:
        operation: The operation.
        held: How the sums before it are held, by name.
        steps: Time steps of a run.
        levels: The largest level of neurons that are merged; None for others.
    """
    if type(operation) in COUNTERS:
        most = _most_sent(operation, steps)
        return None if most is None else Held(0, most, zero=min(0, MOST - most))
    if type(operation) is integer.FireBits:
        if levels is not None:
            return Held(0, levels, zero=MOST - levels)
        most = 2**operation.bits - 1
        return Held(0, most) if most <= MOST else None
    reads = [held.get(name) for name in operation.inputs]
    if any(x is None for x in reads):
        return None
    if type(operation) in WEIGHTED:
        return _sums(operation, *reads) or _addends(operation, *reads)
    if type(operation) is integer.Gate:
        return reads[0].for_steps(operation.on)
    return _moved(operation, reads) if type(operation) in MOVES else None


def _most_sent(neuron, steps):
    """The largest sum of what neurons send; None if it may exceed int8."""
    ceiling = getattr(neuron, "ceiling", None)
    if type(neuron) is integer.FireChanges:
        return None if ceiling is None or ceiling > RANGE else ceiling
    return min(ceiling or steps, steps) if steps <= MOST else None


def _sums(operation, x):
    """How sums of weighted inputs are held, with as large a gain as there is room."""
    if x.addends > 1:
        return None
    ends = np.int64(x.low), np.int64(x.high)
    sums = operation.bounds(integer.Interval(*ends), steps=1).with_zero()
    low, high = int(np.min(sums.low)), int(np.max(sums.high))
    if high - low > RANGE:
        return None
    made = Held(low, high, shown=x.shown)
    return made.with_gain(made.gains()[-1])


def _addends(operation, x):
    """How sums over the places of a window are held: as what is at each place."""
    adds = type(operation) is integer.DepthwiseConvolve and np.all(
        operation.kernel == 1
    )
    addends = x.addends * operation.kernel[..., 0, 0].size
    if not adds or operation.kernel.shape[-1] > 1 or addends > MOST_PIECES:
        return None
    low, high = min(x.low, 0), max(x.high, 0)
    return dataclasses.replace(x, low=low, high=high, addends=addends)


def _moved(operation, reads):
    """How entries of tensors are held after a move."""
    first = reads[0]
    if len({(x.gain, x.zero, x.shown, x.scale, x.addends) for x in reads}) > 1:
        return None
    low, high = min(x.low for x in reads), max(x.high for x in reads)
    if isinstance(operation, integer.MaxPool) and (
        first.addends > 1 or (low < 0 and np.any(operation.padding))
    ):
        return None
    return dataclasses.replace(first, low=min(low, 0), high=max(high, 0))
