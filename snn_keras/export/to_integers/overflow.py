"""What 32 bits do not hold of a network of integers, and whose units that is."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.export import integer
from snn_keras.export.integer import INT32
from snn_keras.export.integer.operations import Operation
from snn_keras.export.to_integers.choices import MARGIN

if TYPE_CHECKING:
    from snn_keras.export.to_integers.writer import IntegerWriter

OPERAND = 2**8  # what a channel that weights multiply may reach in any case
EXACT = 2**12  # gains up to which a unit is chosen so that nothing is rounded


class Overflow:
    """Goes through operations and presses the units of what is too large.

    Args:
        writer: The `IntegerWriter` that made the operations.
        operations: All of them, each behind what it reads.
    """

    def __init__(
        self, writer: "IntegerWriter", operations: Sequence[Operation]
    ) -> None:
        self._writer = writer
        self._choices = writer.choices
        self._operations = operations
        self._intervals = {x.name: x.interval for x in writer.inputs}
        self._sums = dict(self._intervals)

    def press(self) -> None:
        """Presses them.

        Raises:
            ConversionError: if coarser units would leave too little of the weights.
        """
        unsound = set()  # what is to change, and what comes of it
        steps = self._writer.steps
        for operation, reads in integer.walk(self._operations, self._intervals, steps):
            self._sums[operation.name] = self._sums_of(operation, reads)
            if unsound.isdisjoint(operation.inputs):
                if self._press_operand(operation) or self._press(operation, reads):
                    unsound.add(operation.name)
            elif not isinstance(operation, integer.Fire):
                unsound.add(operation.name)

    def _sums_of(self, operation, reads):
        """Bounds of what weights add up to, without what else was added."""
        sums = [self._sums[name] for name in operation.inputs]
        if isinstance(operation, integer.Shift):
            return sums[0]
        if isinstance(operation, integer.Scale):
            factor = np.clip(operation.factor, -EXACT, EXACT)
            made = sums[0].map(lambda bound: bound * factor)
        else:
            is_weighted = operation.name in self._writer.operands
            made = operation.bounds(*(reads if is_weighted else sums), steps=1)
        return made.within(INT32 + 1)

    def _press_operand(self, operation):
        """Units of channels that weights multiply, made large by what was added.

        The weights of all channels are rounded alike, which matters most in these.
        """
        origin = self._writer.operands.get(operation.name)
        if origin is None:
            return False
        (name,) = operation.inputs
        most = max(OPERAND, 2 * self._sums[name].largest)
        ratio = _magnitude(*_ends(self._intervals[name])) / min(most, 2**30)
        return self._choices.press(origin, ratio)

    def _press(self, operation, reads):
        """The units of values, states and constants that exceed 32 bits."""
        steps = self._writer.steps
        reach = _magnitude(*operation.extremes(*reads, steps=steps))
        if np.max(reach) <= INT32:
            return False
        origin, ratio = self._writer.origins[operation.name], reach / INT32
        taken = steps if operation.state_names else 1
        most = self._choices.most_steps(origin, ratio, taken)
        if most < taken:
            few = max(1, int(most / MARGIN)) if most >= 1 else 0
            operations, largest = self._operations, float(np.max(reach))
            raise ConversionError(
                integer.too_large(
                    operations, self._intervals, operation, largest, steps, few
                )
            )
        return self._choices.press(origin, ratio)


def _ends(interval):
    return interval.low, interval.high


def _magnitude(*bounds):
    return functools.reduce(np.maximum, (np.abs(np.float64(x)) for x in bounds))
