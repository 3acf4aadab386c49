"""Plans which sums over time a file holds in int8, and which neurons it merges.

The sum of an integrate-and-fire neuron's spikes follows from the sum of its input so
far, without a potential: with $L = \\lfloor (\\sum I + initial) / \\Theta \\rfloor$ and
the count $N$ so far, it fires where $L > N$. An int8 kernel computes $L$ from counts,
by its scale and its bias. So layers with weights and neurons become one operator.
"""

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.integer.operations import Operation
from snn_keras.export.tflite.requantization import (
    INT32_MAX,
    Requantization,
    Staircase,
    solve,
)

RANGE = 2**8 - 1  # of what int8 holds
MOST = 2**7 - 1
COPIES = (1, 2, 4, 8, 16)
WEIGHTED = integer.Dense, integer.Convolve, integer.DepthwiseConvolve
MOVES = (
    *(integer.Reshape, integer.Transpose, integer.Pad, integer.Crop, integer.Repeat),
    *(integer.Concatenate, integer.MaxPool),
)
COUNTERS = integer.Fire, integer.SignedFire


@dataclasses.dataclass(frozen=True)
class Held:
    """A sum over the steps so far, in int8: `q = gain * sum + zero`.

    Attributes:
        low, high: Bounds of the sum.
        gain: A power of two.
        zero: The q of a sum of 0.
        shown: None; or, of what is the same at each step, the number of steps in which
            it is shown, and q is that of a single step.
        scale: The scale of the tensor.
    """

    low: int
    high: int
    gain: int = 1
    zero: int = 0
    shown: int | None = None
    scale: float = 1.0

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


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a file computes of an integer network.

    Attributes:
        merged: `Merged` neurons by name.
        held: `Held` sums by name.
        values: Names of what is computed at each step, as such.
        totals: Names of what is computed as a sum over the steps so far, in int8.
    """

    merged: Mapping[str, Merged]
    held: Mapping[str, Held]
    values: frozenset
    totals: frozenset


def make_plan(
    network: IntegerNetwork, read: Iterable[str], streaming: bool, merges: bool
) -> Plan:
    """The plan of a file.

    Args:
        network: The integer network.
        read: Names of what is read at each step.
        streaming: Whether a call runs a single step.
        merges: Whether to merge neurons.
    """
    merged, held = {}, {}
    steps = network.timesteps
    if merges and (steps == 1 or not streaming):
        held = {x.name: _shown(x, steps) for x in network.inputs if x.dtype != "int16"}
    made = {x.name: x for x in network.operations}
    for operation in network.operations if merges else ():
        found = _merge(operation, made, held, steps)
        if found is not None:
            merged[operation.name] = found
        kept = _held(operation, held, steps, found)
        if kept is not None:
            held[operation.name] = kept
    values, totals = _needed(network, merged, set(read))
    return Plan(merged, held, frozenset(values), frozenset(totals))


def _needed(network, merged, values):
    """Names of the values and of the sums that are needed."""
    totals = set()
    for operation in reversed(network.operations):
        name = operation.name
        if name in merged and name in values | totals:
            totals |= {name, *merged[name].weights.inputs}
            continue
        if name in totals:
            if isinstance(operation, integer.Fire):
                values.add(name)
            else:
                totals.update(operation.inputs)
        if name in values:
            values.update(operation.inputs)
    return values, totals


def _shown(spec, steps):
    """How an input is held."""
    ends = (int(bound) for bound in (spec.interval.low, spec.interval.high))
    zero = spec.zero_point - (2**7 if spec.dtype == "uint8" else 0)
    return Held(*ends, zero=zero, shown=steps, scale=float(np.float32(spec.scale)))


def _held(operation, held, steps, merged):
    """How the sum of an operation's output is held; None if int8 cannot hold it."""
    if type(operation) in COUNTERS:
        most = getattr(operation, "ceiling", None) or steps
        return Held(0, min(most, steps)) if steps <= MOST else None
    if type(operation) is integer.FireBits:
        if merged is not None:
            return Held(0, merged.levels, zero=MOST - merged.levels)
        most = 2**operation.bits - 1
        return Held(0, most) if most <= MOST else None
    reads = [held.get(name) for name in operation.inputs]
    if any(x is None for x in reads):
        return None
    if type(operation) in WEIGHTED:
        return _sums(operation, *reads)
    if type(operation) is integer.Gate:
        return reads[0].for_steps(operation.on)
    return _moved(operation, reads) if type(operation) in MOVES else None


def _sums(operation, x):
    """How sums of weighted inputs are held, with as large a gain as there is room."""
    ends = np.int64(x.low), np.int64(x.high)
    sums = operation.bounds(integer.Interval(*ends), steps=1).with_zero()
    low, high = int(np.min(sums.low)), int(np.max(sums.high))
    if high - low > RANGE:
        return None
    made = Held(low, high, shown=x.shown)
    return made.with_gain(made.gains()[-1])


def _moved(operation, reads):
    """How entries of tensors are held after a move."""
    first = reads[0]
    if len({(x.gain, x.zero, x.shown, x.scale) for x in reads}) > 1:
        return None
    low, high = min(x.low for x in reads), max(x.high for x in reads)
    if isinstance(operation, integer.MaxPool) and low < 0 and np.any(operation.padding):
        return None
    return dataclasses.replace(first, low=min(low, 0), high=max(high, 0))


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


def _merge(neuron, made, held, steps):
    """The neurons, merged with the layer before them; None if that is not possible."""
    if type(neuron) not in (*COUNTERS, integer.FireBits) or steps > MOST:
        return None
    levels = _levels(neuron, steps)
    if levels not in range(1, RANGE + 1) or not _of_channels(
        neuron, neuron.threshold, neuron.initial
    ):
        return None
    shifts, operation, on = [], made.get(neuron.inputs[0]), None
    while type(operation) in (integer.Shift, integer.Reshape, integer.Gate):
        if type(operation) is integer.Gate:
            on = operation.on
        elif type(operation) is integer.Reshape:
            if operation.shape[-1] != operation.input_shape[-1]:
                return None
        elif not _of_channels(operation, operation.offset):
            return None
        else:
            ends = [x for x in (on, operation.on) if x is not None]
            shifts.append((operation.offset, min(ends, default=None)))
        operation = made.get(operation.inputs[0])
    source = held.get(operation.inputs[0]) if type(operation) in WEIGHTED else None
    if source is not None and on is not None:
        source = source.for_steps(on)
    if source is None:
        return None
    tried = [(gain, 1) for gain in source.gains()]
    if type(operation) is not integer.DepthwiseConvolve:
        tried += [(source.gain, copies) for copies in COPIES[1:]]
    for gain, copies in tried:
        given = source if gain == source.gain else source.with_gain(gain)
        found = Merged(neuron, operation, tuple(shifts), given, copies, levels)
        if found.fits(steps):
            return found
    return None


def _of_channels(operation, *arrays):
    """Whether arrays vary only along the last axis."""
    return all(
        np.size(x) == 1 or np.shape(x)[-1] == np.size(x) == operation.shape[-1]
        for x in arrays
    )
