"""Checks that all values of an integer network fit in 32 bits."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np

from snn_keras.export.integer.firing import FireBits
from snn_keras.export.integer.interval import Interval
from snn_keras.export.integer.operations import (
    Convolve,
    Dense,
    DepthwiseConvolve,
    Operation,
)

INT32 = 2**31 - 1


def walk(
    operations: Iterable[Operation], intervals: dict[str, Interval], steps: int
) -> Iterator[tuple[Operation, list[Interval]]]:
    """Yields `(operation, intervals of its inputs)`; adds its output's to `intervals`.

    Args:
        operations: Operations in running order.
        intervals: The `Interval` of every input, by name.
        steps: Time steps of a run.
    """
    for operation in operations:
        reads = [intervals[name] for name in operation.inputs]
        yield operation, reads
        made = operation.bounds(*reads, steps=steps)
        intervals[operation.name] = made.within(INT32 + 1)  # shows an overflow, too


def too_large(
    operations: Sequence[Operation],
    intervals: Mapping[str, Interval],
    operation: Operation,
    largest: float,
    steps: int,
    most_steps: int | None = None,
) -> str:
    """The error message for values that do not fit in 32 bits.

    Args:
        operations: All operations.
        intervals: Their `Interval`s, by name.
        operation: The operation whose values are too large.
        largest: The largest magnitude that they may reach.
        steps: Time steps of a run.
        most_steps: The most steps for which they fit; 0 if there are none.
    """
    if most_steps is None:
        most_steps = int(steps * INT32 // largest) if operation.state_names else 0
    return (
        f"'{operation.name}' ({type(operation).__name__}) may reach {largest:.3g} in "
        f"{steps} steps, and 32 bits hold {INT32:.3g}. Remedy: "
        + _remedy(operations, intervals, operation, largest / INT32, most_steps)
    )


def _remedy(operations, intervals, operation, excess, most_steps):
    if most_steps:
        return f"fewer steps, convert(model, timesteps={most_steps})."
    source = _source(operations, intervals, operation)
    if isinstance(source, FireBits):
        bits = max(1, source.bits - math.ceil(math.log2(excess)))
        return (
            f"fewer time steps, of which each is a bit, convert(model, "
            f'timesteps={bits}, neuron="bit_serial").'
        )
    if source is None:
        return 'smaller inputs, input_dtype="int8".'
    return (
        f"a quantized activation behind '{source.name}', such as "
        "snn_keras.layers.LSQReLU: spikes are the smallest of numbers."
    )


def _source(operations, intervals, operation):
    """The operation from which large values come; None for an input."""
    if isinstance(operation, FireBits):
        return operation
    made = {x.name: x for x in operations}
    while True:
        name = max(operation.inputs, key=lambda name: intervals[name].largest)
        operation = made.get(name)
        if operation is None or isinstance(operation, FireBits):
            return operation
        if isinstance(operation, (Dense, Convolve)) and not _is_pool(operation):
            return operation


def _is_pool(operation):
    is_depthwise = isinstance(operation, DepthwiseConvolve)
    return is_depthwise and bool(np.all(operation.kernel == 1))
