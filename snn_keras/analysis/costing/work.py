"""`Work`: what is computed, read and written, in counts without prices."""

import dataclasses
from collections.abc import Mapping
from typing import Any

# A count is a number, or an array with one for each run.
Count = Any


@dataclasses.dataclass(frozen=True)
class Words:
    """Words that are read and written.

    Attributes:
        reads, writes: How many words.
        bits: The width of a word: a number of bits, or a width of a `Hardware`.
        held: The number of words that lie in the memory.
        once: How many are read where every word is read once a pass and then reused;
            None for what cannot be reused.
    """

    reads: Count
    writes: Count
    bits: int | str
    held: float
    once: Count = None

    def __add__(self, other: "Words") -> "Words":
        bits, held = self.bits, max(self.held, other.held)
        if isinstance(bits, int) and isinstance(other.bits, int):
            bits = max(bits, other.bits)
        again = [x.reads if x.once is None else x.once for x in (self, other)]
        once = None if self.once is other.once is None else sum(again)
        reads, writes = self.reads + other.reads, self.writes + other.writes
        return Words(reads, writes, bits, held, once)

    def each(self, function: Any) -> "Words":
        """The words with a function applied to every count."""
        counts = (self.reads, self.writes, self.once)
        reads, writes, once = (None if x is None else function(x) for x in counts)
        return Words(reads, writes, self.bits, self.held, once)


@dataclasses.dataclass(frozen=True)
class Work:
    """The work of a layer.

    Attributes:
        operations: `{(kind, *widths): count}`; no widths for floats.
        words: `{name: Words}`.
    """

    operations: Mapping[tuple, Count] = dataclasses.field(default_factory=dict)
    words: Mapping[str, Words] = dataclasses.field(default_factory=dict)

    def __add__(self, other: "Work") -> "Work":
        operations, words = dict(self.operations), dict(self.words)
        for key, count in other.operations.items():
            operations[key] = operations.get(key, 0.0) + count
        for name, more in other.words.items():
            words[name] = words[name] + more if name in words else more
        return Work(operations, words)

    def each(self, function: Any) -> "Work":
        """The work with a function applied to every count."""
        operations = {key: function(count) for key, count in self.operations.items()}
        words = {name: x.each(function) for name, x in self.words.items()}
        return Work(operations, words)


@dataclasses.dataclass(frozen=True)
class LayerWork:
    """The work of a layer in the spiking network and in its opponents.

    Attributes:
        fixed: In the spiking network, whether or not there are spikes.
        by_spikes: In the spiking network, in proportion to the spikes.
        opponents: `{name of the opponent: Work}`.
        arrivals: Number of spikes that arrive; 0 where none can.
        places: Number of places at which they can arrive, in all steps.
        spikes: Number of spikes that it sends, of a layer of neurons.
        neurons: Number of its neurons.
    """

    fixed: Work
    by_spikes: Work
    opponents: Mapping[str, Work]
    arrivals: Count
    places: Count
    spikes: Count
    neurons: int

    def __add__(self, other: "LayerWork") -> "LayerWork":
        return LayerWork(
            self.fixed + other.fixed,
            self.by_spikes + other.by_spikes,
            {k: work + other.opponents[k] for k, work in self.opponents.items()},
            self.arrivals + other.arrivals,
            self.places + other.places,
            self.spikes + other.spikes,
            max(self.neurons, other.neurons),
        )

    def each(self, function: Any) -> "LayerWork":
        """The work with a function applied to every count."""
        return LayerWork(
            self.fixed.each(function),
            self.by_spikes.each(function),
            {name: work.each(function) for name, work in self.opponents.items()},
            function(self.arrivals),
            function(self.places),
            function(self.spikes),
            self.neurons,
        )
