"""Merges layers with weights and the neurons behind them.

The sum of an integrate-and-fire neuron's spikes follows from the sum of its input so
far, without a potential: with $L = \\lfloor (\\sum I + initial) / \\Theta \\rfloor$ and
the count $N$ so far, it fires where $L > N$. An int8 kernel computes $L$ from counts,
by its scale and its bias.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.operations import Operation
from snn_keras.export.tflite.held import COUNTERS, MOST, RANGE, WEIGHTED, Held
from snn_keras.export.tflite.requantization import (
    INT32_MAX,
    Requantization,
    Staircase,
    solve,
)

COPIES = (1, 2, 4, 8, 16)


@dataclasses.dataclass(frozen=True, eq=False)
class Merged:
    """Neurons and the layer with weights before them, as one operator.

    Attributes:
        neuron: The neurons.
        weights: The layer with weights.
        shifts: What is added between them: pairs of integers and the number of steps
            in which they are added; None for all.
        source: How the input of `weights` is held.
        copies: The number of copies of each input channel.
        levels: The largest level that counts.
    """

    neuron: integer.Fire
    weights: Operation
    shifts: tuple
    source: Held
    copies: int
    levels: int

    @property
    def gain(self) -> int:
        """What the sums of the kernel are, in units of those of the network."""
        return self.source.gain * self.copies

    def constants(self, step: int | None) -> Requantization | None:
        """The constants of a step, from 1; without what is added if it is None."""
        channels = self.weights.shape[-1]
        theta, zeros = self.vector(self.threshold), np.zeros(channels, np.int64)
        times = min(step or 1, self.source.shown or 1)
        if times == 1:  # sums of whole numbers, so that what is added is whole, too
            made = solve(Staircase(theta, zeros, 1, self.levels), *self._units)
            if made is None or step is None:
                return made
            bias = made.bias + self.gain * self.added(step)
            return dataclasses.replace(made, bias=bias)
        levels = min(step or 1, self.levels)
        return solve(
            Staircase(theta, self.added(step or 1), times, levels), *self._units
        )

    @property
    def _units(self):
        return self.gain, self.source.scale

    @property
    def threshold(self) -> np.ndarray:
        """The threshold of one level."""
        parts = getattr(self.neuron, "bits", 0)
        return self.neuron.threshold >> parts

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
        ends = np.int64(self.source.low), np.int64(self.source.high)
        sums = self.weights.bounds(integer.Interval(*ends), steps=1)
        for step in range(1, steps + 1):
            found = self.constants(step)
            if found is None:
                return False
            most = self.gain * sums.largest + np.max(np.abs(found.bias))
            if most > INT32_MAX:
                return False
        return True


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
    if levels not in range(1, RANGE + 1):
        return None
    weights, shifts, on = _before(neuron, made)
    source = held.get(weights.inputs[0]) if type(weights) in WEIGHTED else None
    if source is not None and on is not None:
        source = source.for_steps(on)
    each = (neuron.threshold, neuron.initial, *(offset for offset, _ in shifts))
    if source is None or not all(_is_of_channels(x, weights.shape[-1]) for x in each):
        return None
    tried = [(gain, 1) for gain in source.gains()]
    if type(weights) is not integer.DepthwiseConvolve:
        tried += [(source.gain, copies) for copies in COPIES[1:]]
    for gain, copies in tried:
        given = source if gain == source.gain else source.with_gain(gain)
        found = Merged(neuron, weights, shifts, given, copies, levels)
        if found.fits(steps):
            return found
    return None


def _before(neuron, made):
    """The operation before neurons, what is added between, and for how many steps."""
    operation: Any = made.get(neuron.inputs[0])
    shifts, on = [], None
    while True:
        if type(operation) is integer.Gate:
            on = operation.on if on is None else min(on, operation.on)
        elif type(operation) is integer.Shift:
            ends = [x for x in (on, operation.on) if x is not None]
            shifts.append((operation.offset, min(ends, default=None)))
        elif not _keeps_channels(operation):
            return operation, tuple(shifts), on
        operation = made.get(operation.inputs[0])


def _keeps_channels(operation):
    """Whether it changes nothing but places."""
    is_reshape = type(operation) is integer.Reshape
    return is_reshape and operation.shape[-1] == operation.input_shape[-1]


def _is_of_channels(array, channels):
    """Whether an array varies only along the last axis, of so many channels."""
    size = np.size(array)
    return size == 1 or np.shape(array)[-1] == size == channels


def _levels(neuron, steps):
    """The largest level of neurons; None if their channels differ in it."""
    if type(neuron) is not integer.FireBits:
        return min(getattr(neuron, "ceiling", None) or steps, steps)
    whole = 2**neuron.bits - 1
    if neuron.most is None:
        return whole
    tops = np.unique(
        np.minimum(neuron.most // (neuron.threshold >> neuron.bits), whole)
    )
    return int(tops[0]) if len(tops) == 1 else None  # of all channels
