"""Finds values of an integer network that overflow, and coarsens their units."""

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.export import integer
from snn_keras.export.integer import INT32
from snn_keras.export.integer.operations import Operation
from snn_keras.export.rounding.choices import MARGIN

if TYPE_CHECKING:
    from snn_keras.export.rounding.writer import IntegerWriter

OPERAND = 2**8  # inputs of weights up to this magnitude are always accepted
EXACT = 2**12  # gains up to this value are used to avoid rounding


class Overflow:
    """Goes through operations and requests coarser units for values that are too large.

    Args:
        writer: The `IntegerWriter` that created the operations.
        operations: All operations, in running order.
    """

    def __init__(
        self, writer: "IntegerWriter", operations: Sequence[Operation]
    ) -> None:
        self._writer = writer
        self._choices = writer.choices
        self._operations = operations
        self._intervals = {x.name: x.interval for x in writer.inputs}
        self._sums = dict(self._intervals)

    def coarsen(self) -> None:
        """Requests the coarser units.

        Raises:
            ConversionError: if coarser units would leave too few bits of the weights.
        """
        outdated = set()  # operations whose bounds the next round will change
        steps = self._writer.steps
        for operation, reads in integer.walk(self._operations, self._intervals, steps):
            self._sums[operation.name] = self._sums_of(operation, reads)
            if outdated.isdisjoint(operation.inputs):
                if self._coarsen_input(operation) or self._coarsen(operation, reads):
                    outdated.add(operation.name)
            elif not isinstance(operation, integer.Fire):
                outdated.add(operation.name)

    def _sums_of(self, operation, reads):
        """Bounds of the sums of weighted inputs, without constants added to them."""
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

    def _coarsen_input(self, operation):
        """Coarsens the units of inputs of weights that an added constant made large.

        All weights are rounded in the same way, which has the largest effect there.
        """
        origin = self._writer.operands.get(operation.name)
        if origin is None:
            return False
        (name,) = operation.inputs
        most = max(OPERAND, 2 * self._sums[name].largest)
        ratio = _magnitude(*_ends(self._intervals[name])) / min(most, 2**30)
        return self._choices.coarsen(origin, ratio)

    def _coarsen(self, operation, reads):
        """Coarsens the units of values, states and constants that exceed 32 bits."""
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
        return self._choices.coarsen(origin, ratio)


def _ends(interval):
    return interval.low, interval.high


def _magnitude(*bounds):
    return functools.reduce(np.maximum, (np.abs(np.float64(x)) for x in bounds))
