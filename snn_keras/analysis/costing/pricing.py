"""Prices work on hardware, and finds the spike rate at which two costs are equal."""

from typing import Any

from snn_keras.analysis.costing.hardware import KINDS, Hardware
from snn_keras.analysis.costing.opponents import OPPONENTS
from snn_keras.analysis.costing.result import Access, Cost, Opponent, Versus
from snn_keras.analysis.costing.work import LayerWork, Words, Work

# The words that are not used where spikes are stored so.
UNUSED = {"events": ("bit maps",), "bit maps": ("spikes", "sums")}


def priced(work: Work, hardware: Hardware) -> Cost:
    """What work costs. Counts may be arrays, one for each run; so are costs then."""
    counts: dict[str, Any] = dict.fromkeys(KINDS, 0.0)
    spent = 0.0
    for (kind, *widths), count in work.operations.items():
        counts[kind] = counts[kind] + count
        spent = spent + count * hardware.operation(kind, *widths)
    accesses = {
        name: access(words, hardware, name)
        for name, words in work.words.items()
        if name not in UNUSED[hardware.spikes]
    }
    memory = sum((x.energy for x in accesses.values()), 0.0)
    return Cost(**counts, operations=spent, memory=accesses, energy=spent + memory)


def access(words: Words, hardware: Hardware, name: str) -> Access:
    """What reading and writing words costs, in the level that holds them all."""
    bits = hardware.bits(words.bits)
    level = hardware.level(bits * words.held, name)
    reads = words.once if hardware.reuse and words.once is not None else words.reads
    energy = level.energy(reads, words.writes, bits)
    moved = (reads + words.writes) * bits
    return Access(reads, words.writes, moved, energy, level.name)


def total(costs: list[Cost]) -> Cost:
    """The sum of costs."""
    memory: dict[str, list[Access]] = {}
    for cost in costs:
        for name, found in cost.memory.items():
            memory.setdefault(name, []).append(found)
    counts = {kind: sum(getattr(cost, kind) for cost in costs) for kind in KINDS}
    accesses = {name: _sum(parts) for name, parts in memory.items()}
    operations, energy = (
        sum(getattr(cost, name) for cost in costs) for name in ("operations", "energy")
    )
    return Cost(**counts, operations=operations, memory=accesses, energy=energy)


def _sum(accesses):
    names = ("reads", "writes", "bits", "energy")
    levels = list(dict.fromkeys(x.level for x in accesses))
    sums = (sum(getattr(x, name) for x in accesses) for name in names)
    return Access(*sums, level=", ".join(levels))


def crossing(
    fixed: float, by_spikes: float, other: float, rate: float | None
) -> float | None:
    """The spike rate at which `fixed + by_spikes * share` is `other`.

    All spikes grow or shrink alike, by the share; what they cost with them.

    Args:
        fixed: What the spiking network costs without spikes.
        by_spikes: What its spikes cost.
        other: What the opponent costs, whatever the spikes.
        rate: The spike rate that was measured; None where no spike can arrive.

    Returns:
        The rate; 0 where the network costs more even without spikes; None where there
        is no spike.
    """
    return rate * max(other - fixed, 0.0) / by_spikes if rate else None


def against(
    works: list[LayerWork], hardware: Hardware, rate: float | None
) -> tuple[Cost, dict[str, Opponent]]:
    """The cost of layers, and of each opponent beside it.

    Args:
        works: The work of these layers, with means over samples as counts.
        hardware: The hardware.
        rate: The spike rate of these layers; None where no spike can arrive.
    """
    fixed, by_spikes = (
        total([priced(getattr(work, part), hardware) for work in works])
        for part in ("fixed", "by_spikes")
    )
    spiking = total([fixed, by_spikes])
    opponents = {}
    for name in OPPONENTS:
        cost = total([priced(work.opponents[name], hardware) for work in works])
        energy, operations = (
            _versus(fixed[part], by_spikes[part], cost[part], rate)
            for part in ("energy", "operations")
        )
        opponents[name] = Opponent(cost, energy, operations)
    return spiking, opponents


def _versus(fixed, by_spikes, other, rate):
    ratios = [x / other if other else None for x in (fixed + by_spikes, fixed)]
    return Versus(*ratios, crossing(fixed, by_spikes, other, rate))
