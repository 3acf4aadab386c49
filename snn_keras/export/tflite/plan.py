"""Plans what a file computes at each step, and what as a sum over the steps so far."""

import dataclasses
from collections.abc import Iterable, Mapping

from snn_keras.export import integer
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.tflite.held import Held, held_output, shown
from snn_keras.export.tflite.merging import Merged, merge


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
        held = {x.name: shown(x, steps) for x in network.inputs if x.dtype != "int16"}
    made = {x.name: x for x in network.operations}
    for operation in network.operations if merges else ():
        found = merge(operation, made, held, steps)
        if found is not None:
            merged[operation.name] = found
        levels = None if found is None else found.levels
        kept = held_output(operation, held, steps, levels)
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
            totals |= {name, *merged[name].inputs}
            continue
        if name in totals:
            if isinstance(operation, integer.Fire):
                values.add(name)
            else:
                totals.update(operation.inputs)
        if name in values:
            values.update(operation.inputs)
    return values, totals
