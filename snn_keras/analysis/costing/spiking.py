"""The work of a layer in the spiking network, event by event."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_keras.analysis.costing import opponents
from snn_keras.analysis.costing.work import LayerWork, Words, Work
from snn_keras.neurons import SpikingCell

NOTHING = {name: Work() for name in opponents.OPPONENTS}


def layer_work(
    found: Mapping[str, Any], steps: np.ndarray, cell: SpikingCell | None
) -> LayerWork:
    """The work of a layer, with counts for each run.

    Args:
        found: What `OperationCounter.of_runs` returned for the layer.
        steps: Number of steps of each run, `(runs,)`.
        cell: The layer's cell; None if it is no layer of neurons.
    """
    passes = found.get("passes", 1.0)  # of the source network
    fixed, by_spikes, others = Work(), _arriving(found), NOTHING
    if "source" in found:
        fixed = _numbers(found, steps)
        others = opponents.multiplying(found, passes)
    fixed += _maps_read(found, steps)
    if cell is not None:
        own, own_by_spikes = _neurons(found, steps, cell)
        fixed, by_spikes = fixed + own, by_spikes + own_by_spikes
        others = opponents.activating(found, passes)
    work = LayerWork(
        fixed,
        by_spikes,
        others,
        found["arrivals"],
        found["places"] * steps,
        found.get("spikes", 0.0),
        found.get("neurons", 0),
    )
    return work.each(lambda count: np.broadcast_to(np.float64(count), steps.shape))


def _arriving(found):
    """What arriving spikes cost: events read, and at each synapse a sum.

    At a synapse, a weight is read and added to a potential. Events come in any order:
    each reads and writes it. With bit maps the sum of a neuron's synapses stays in a
    register. A spike that meets no weight is added itself.
    """
    if not found["places"]:
        return Work()
    sums, weights = found["add"], found.get("weights", 0)
    words = {
        "spikes": Words(found["arrivals"], 0.0, _event_bits(found), found["places"]),
        "sums": Words(sums, sums, "sum", found["outputs"]),
    }
    if weights:
        words["weights"] = Words(sums, 0.0, "weight", weights)
    operations = {("add", "sum"): sums, ("shift", "sum"): found.get("shift", 0.0)}
    return Work(operations, words)


def _numbers(found, steps):
    """What multiplications of numbers cost: a weight and a number read for each."""
    macs, times = found["multiply_accumulate"], found["times"]
    held, numbers = found["weights"], found["numbers"]
    again = times * (macs > 0)  # nothing is read where there are no numbers
    words = {
        "weights": Words(macs, 0.0, "weight", held, again * held),
        "numbers": Words(macs, 0.0, "input", numbers, again * numbers),
    }
    return Work({("multiply", "input", "weight"): macs, ("add", "sum"): macs}, words)


def _neurons(found, steps, cell):
    """What neurons cost by steps, and what by the spikes that they send."""
    count, sent = found["neurons"], found["spikes"]
    updates = steps * float(count)
    silent, all_of_it = cell.operations(updates, 0.0), cell.operations(updates, sent)
    at_rest, words = cell.accesses(updates, 0.0), cell.accesses(updates, sent)

    def state(reads, writes):
        return Words(reads, writes, "sum", count * cell.state_words)

    constants = count if found["is_analog"] else found["channels"]
    fixed = Work(
        _operations(silent),
        {
            "potentials": state(at_rest["read"], at_rest["write"]),
            "constants": Words(at_rest["constant"], 0.0, "sum", constants),
        },
    )
    more = {kind: all_of_it[kind] - silent.get(kind, 0.0) for kind in all_of_it}
    reads, writes = (words[key] - at_rest[key] for key in ("read", "write"))
    by_spikes = Work(
        _operations(more),
        {
            "potentials": state(reads, writes),
            "spikes": Words(0.0, sent, _address(count) + cell.payload_bits, count),
        },
    )
    sent_bits = 1 + int(cell.payload_bits)
    maps = Work({}, {"bit maps": Words(0.0, updates, sent_bits, count)})
    return fixed + maps, by_spikes


def _operations(counts):
    """The operations of neurons, whose numbers are as wide as their potentials."""
    widths = {"multiply": ("sum", "sum")}
    return {(kind, *widths.get(kind, ("sum",))): n for kind, n in counts.items()}


def _maps_read(found, steps):
    """Bit maps: at every step each synapse reads the place of its neuron."""
    if not found["places"]:
        return Work()
    reads, once = (found[key] * steps for key in ("synapses", "places"))
    bits = 1 + int(found["payload"])
    return Work({}, {"bit maps": Words(reads, 0.0, bits, found["places"], once)})


def _event_bits(found):
    return _address(found["addresses"]) + int(found["payload"])


def _address(places):
    """Bits of an address among so many places."""
    return max(1, math.ceil(math.log2(max(places, 1))))
