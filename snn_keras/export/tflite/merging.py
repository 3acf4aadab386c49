"""Merges layers with weights and the neurons behind them.

The sum of an integrate-and-fire neuron's spikes follows from the sum of its input so
far, without a potential: with $L = \\lfloor (\\sum I + initial) / \\Theta \\rfloor$ and
the count $N$ so far, it fires where $L > N$. An int8 kernel computes $L$ from counts,
by its scale and its bias. What neurons of several sizes send follows from
$H = \\lfloor 2 (\\sum I + initial) / \\lambda \\rfloor$, halves of their smallest size,
and the sum $N$ of what they sent: every threshold is a whole number of halves. Levels
beyond what int8 tells apart are the sum of two kernels.
"""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.operations import Operation
from snn_keras.export.tflite.branches import is_of_channels, summed
from snn_keras.export.tflite.held import COUNTERS, MOST, MOST_PIECES, RANGE, Held
from snn_keras.export.tflite.requantization import (
    INT32_MAX,
    Requantization,
    Staircase,
    solve,
)

GAINS = tuple(1 << k for k in range(8))


@dataclasses.dataclass(frozen=True)
class Piece:
    """Input channels of a merged layer.

    Attributes:
        name: The name of what they are.
        held: How the layer reads them.
        channels: Their number.
        strides: The places that are kept; empty for all.
        addend: Which of the tensors that hold it.
    """

    name: str
    held: Held
    channels: int
    strides: tuple = ()
    addend: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Merged:
    """Neurons and the layer with weights before them, as one operator.

    Attributes:
        neuron: The neurons.
        weights: The layer with weights, which reads all pieces, one behind the other.
        shifts: What is added between them: pairs of integers and the number of steps
            in which they are added; None for all.
        pieces: What the layer reads.
        source: How the input of `weights` is held.
        gain: What the sums of the kernel are, in units of those of the network.
        levels: The largest level that counts; of neurons of several sizes, in halves
            of the smallest.
    """

    neuron: integer.Fire
    weights: Operation
    shifts: tuple
    pieces: tuple
    source: Held
    gain: int
    levels: int

    @property
    def inputs(self) -> set:
        """Names of what it reads."""
        return {piece.name for piece in self.pieces}

    @property
    def parts(self) -> list[range]:
        """The levels that each kernel counts: as many as int8 tells apart."""
        ends = [*range(0, self.levels, RANGE), self.levels]
        return [range(*each) for each in itertools.pairwise(ends)]

    def constants(self, step: int | None, part: range) -> Requantization | None:
        """The constants of the kernel that counts a part of the levels.

        Args:
            step: The number of the step, from 1; None for constants without what is
                added.
            part: One of `parts`.
        """
        theta = self.vector(self.threshold)
        before = part.start * theta
        times = min(step or 1, self.source.shown or 1)
        if times == 1:  # sums of whole numbers, so that what is added is whole, too
            made = solve(Staircase(theta, -before, 1, len(part)), *self._units)
            if made is None or step is None:
                return made
            bias = made.bias + self.gain * self.added(step)
            return dataclasses.replace(made, bias=bias)
        by_one = not isinstance(self.neuron, integer.FireSizes)  # a level a step
        levels = min(step or 1, len(part)) if by_one else len(part)
        offset = self.added(step or 1) - before
        return solve(Staircase(theta, offset, times, levels), *self._units)

    @property
    def _units(self):
        return self.gain, self.source.scale

    @property
    def threshold(self) -> np.ndarray:
        """The threshold of one level."""
        neuron = self.neuron
        if isinstance(neuron, integer.FireSizes):
            return neuron.least >> 1
        return neuron.threshold >> getattr(neuron, "bits", 0)

    def vector(self, array: np.ndarray) -> np.ndarray:
        """One integer for each channel."""
        channels = self.weights.shape[-1]
        return np.broadcast_to(np.ravel(array), (channels,)).astype(np.int64)

    def added(self, step: int) -> np.ndarray:
        """What is added to the sum of the first steps, with the initial potential."""
        total = self.vector(self.neuron.initial)
        for offset, on in self.shifts:
            times = step if on is None else min(step, on)
            total = total + times * self.vector(offset)
        return total

    def fits(self, steps: int) -> bool:
        """Whether every step has constants, and sums fit in 32 bits."""
        largest = self.weights.bounds(self._read(), steps=1).largest
        for step, part in itertools.product(range(1, steps + 1), self.parts):
            found = self.constants(step, part)
            if found is None:
                return False
            if largest + np.max(np.abs(found.bias)) > INT32_MAX:
                return False
        return True

    def _read(self):
        """Bounds of each input channel of the kernel."""
        held = [piece.held for piece in self.pieces]
        times = [piece.channels for piece in self.pieces]
        ends = ([x.gain * x.low for x in held], [x.gain * x.high for x in held])
        return integer.Interval(*(np.repeat(np.int64(x), times) for x in ends))


def merge(
    neuron: Any, made: Mapping[str, Operation], held: Mapping[str, Held], steps: int
) -> Merged | None:
    """Neurons, merged with the layer before them; None if that is not possible.

    Args:
        neuron: The neurons.
        made: All operations by name.
        held: How sums are held, by name.
        steps: Time steps of a run.
    """
    if type(neuron) not in (*COUNTERS, integer.FireBits) or steps > MOST:
        return None
    levels = _levels(neuron, steps)
    if levels is None or not 1 <= levels <= 2 * RANGE - 1:
        return None
    found = summed(neuron, made)
    kernels = None if found is None else found.kernels()
    if kernels is None or any(x.name not in held for x in found.branches):
        return None
    channels = found.main.shape[-1]
    each = (neuron.threshold, neuron.initial, *(offset for offset, _ in found.shifts))
    if not all(is_of_channels(x, channels) for x in each):
        return None
    sources = _sources(found, held)
    if sources is None:
        return None
    for gain in GAINS:
        read = _pieces(found.branches, kernels, sources, gain)
        if read is None:
            continue
        pieces, kernel = read
        weights = dataclasses.replace(found.main, kernel=kernel)
        source = pieces[0].held
        result = Merged(neuron, weights, found.shifts, pieces, source, gain, levels)
        if result.fits(steps):
            return result
    return None


def _sources(found, held):
    """How the branches are held; None unless they can be added up."""
    sources = [held[branch.name] for branch in found.branches]
    if found.on is not None:
        sources = [source.for_steps(found.on) for source in sources]
    if None in sources or len({source.shown for source in sources}) > 1:
        return None
    return sources


def _pieces(branches, kernels, sources, gain):
    """What a merged layer reads, and its kernel; None if int8 cannot hold them."""
    pieces, parts = [], []
    for branch, kernel, source in zip(branches, kernels, sources, strict=True):
        digits = _digits(gain * kernel, source.gains())
        if digits is None:
            return None
        each = itertools.product(digits, range(source.addends))
        for (factor, part), addend in each:
            held = source if factor == source.gain else source.with_gain(factor)
            channels, strides = kernel.shape[-2], branch.strides
            pieces.append(Piece(branch.name, held, channels, strides, addend))
            parts.append(part)
    is_apart = type(branches[0].layer) is integer.DepthwiseConvolve
    if not 1 <= len(pieces) <= (1 if is_apart else MOST_PIECES):
        return None
    if len({piece.held.zero for piece in pieces}) > 1:
        held = [piece.held for piece in pieces]
        zero = max(-(2**7) - x.gain * x.low for x in held)
        if any(zero + x.gain * x.high > MOST for x in held):
            return None
        pieces = [
            dataclasses.replace(x, held=dataclasses.replace(x.held, zero=zero))
            for x in pieces
        ]
    return tuple(pieces), np.concatenate(parts, axis=-2)


def _digits(weights, gains):
    """Pairs of a gain and of int8 weights, whose products add up to the weights.

    None if there are none, or too many.
    """
    for gain in gains:
        if not np.any(weights % gain) and np.max(np.abs(weights)) <= MOST * gain:
            return [(gain, (weights // gain).astype(np.int8))]
    digits, rest = [], weights
    while np.max(np.abs(rest)) > MOST * gains[0]:
        digit = np.clip(np.rint(rest / gains[-1]), -MOST, MOST).astype(np.int8)
        digits.append((gains[-1], digit))
        rest = rest - gains[-1] * digit.astype(np.int64)
        if len(digits) == MOST_PIECES:
            return None
    if np.any(rest % gains[0]):
        return None
    if np.any(rest):
        digits.append((gains[0], (rest // gains[0]).astype(np.int8)))
    return digits


def _levels(neuron, steps):
    """The largest level of neurons; None if there is none, or channels differ in it."""
    if type(neuron) is integer.FireChanges:
        # A potential further above them has the same effect.
        return None if neuron.ceiling is None else 2 * neuron.ceiling - 1
    if type(neuron) is not integer.FireBits:
        return min(getattr(neuron, "ceiling", None) or steps, steps)
    whole = 2**neuron.bits - 1
    if neuron.most is None:
        return whole
    tops = np.unique(
        np.minimum(neuron.most // (neuron.threshold >> neuron.bits), whole)
    )
    return int(tops[0]) if len(tops) == 1 else None  # of all channels
