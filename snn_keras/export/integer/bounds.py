"""Whether 32 bits hold all that an integer network computes, and what helps if not."""

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
    """Yields `(operation, what it reads)`, and adds what it makes to `intervals`.

    Args:
        operations: Operations, each behind all that it reads.
        intervals: The `Interval` of every input, by name.
        steps: Time steps of a run.
    """
    for operation in operations:
        reads = [intervals[name] for name in operation.inputs]
        yield operation, reads
        made = operation.bounds(*reads, steps=steps)
        intervals[operation.name] = made.within(INT32 + 1)  # enough to see that


def too_large(
    operations: Sequence[Operation],
    intervals: Mapping[str, Interval],
    operation: Operation,
    largest: float,
    steps: int,
    most_steps: int | None = None,
) -> str:
    """The message of what 32 bits do not hold.

    Args:
        operations, intervals: All of them, by name.
        operation: The one whose numbers are too large.
        largest: What they may reach.
        steps: Time steps of a run.
        most_steps: Steps that would do; 0 if no number of steps does.
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
    """Where the large numbers that it reads come from; None for an input."""
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
