"""Hardware: the widths of numbers, and picojoules of operations and of memory."""

import dataclasses
import math
from collections.abc import Mapping

KINDS = ("multiply", "add", "shift", "compare")
SPIKES = ("events", "bit maps")


@dataclasses.dataclass(frozen=True)
class MemoryLevel:
    """A level of memory. What is held lies in the first level that it fits into.

    Args:
        name: What it is called.
        size: Its size in bytes; infinity for the last level.
        read: Picojoules to read a byte.
        write: Picojoules to write a byte; by default, as to read it.
    """

    name: str
    size: float
    read: float
    write: float | None = None

    def energy(self, reads: float, writes: float, bits: float) -> float:
        """Picojoules of so many reads and writes of words of so many bits."""
        write = self.read if self.write is None else self.write
        return bits / 8 * (reads * self.read + writes * write)


@dataclasses.dataclass(frozen=True)
class Hardware:
    r"""What operations and memory cost, and how wide the numbers are.

    Costs of whole numbers are given for two widths, and follow a power of the width
    between and beyond them. An operation of two widths a and b, such as the product of
    an activation and a weight, costs as one of $\sqrt{a b}$ bits.

    Args:
        name: What it is called.
        source: Where its figures come from.
        operations: `{"multiply": {bits: picojoules}, "add": ..., "shift": ...,
            "compare": ...}`, each for one width or for two.
        floats: `{"multiply": picojoules, "add": ..., "shift": ..., "compare": ...}` of
            float32 numbers, for the float opponent.
        memory: Levels of memory, the smallest first; the last one holds everything.
        weight_bits: Bits of a weight.
        sum_bits: Bits of a potential, of a sum of products, and of a bias.
        input_bits: Bits of a number that is no activation: of the network's input, and
            of what a temporal difference sends.
        spikes: How spikes are stored between layers: as `"events"`, the neuron's
            address and what the spike carries, each of which is added to potentials in
            memory; or as `"bit maps"`, a place for every neuron at every step, which
            each synapse reads, and sums in registers.
        apart: `{words: levels of memory}` for words that have memory of their own, such
            as `{"spikes": (...)}`; the words are those of `Cost.memory`.
        reuse: Whether weights and numbers that are multiplied, and bit maps, are read
            once a pass or step and then reused, instead of once at each synapse.

    Raises:
        ValueError: if an argument does not fit.
    """

    name: str
    source: str
    operations: Mapping[str, Mapping[int, float]]
    floats: Mapping[str, float]
    memory: tuple[MemoryLevel, ...]
    weight_bits: int = 8
    sum_bits: int = 16
    input_bits: int = 8
    spikes: str = "events"
    apart: Mapping[str, tuple[MemoryLevel, ...]] = dataclasses.field(
        default_factory=dict
    )
    reuse: bool = False

    def __post_init__(self):
        for name in ("operations", "floats"):
            given = getattr(self, name)
            if not isinstance(given, Mapping) or set(given) != set(KINDS):
                raise ValueError(
                    f"Hardware {self.name!r}: {name} must be a dict with the keys "
                    f"{sorted(KINDS)}. Received: {given!r}"
                )
        for levels in (self.memory, *self.apart.values()):
            sizes = [level.size for level in levels]
            if not sizes or sizes != sorted(sizes) or sizes[-1] != math.inf:
                raise ValueError(
                    f"Hardware {self.name!r}: memory must hold levels of growing "
                    f"sizes, the last one of size math.inf. Received sizes: {sizes}"
                )
        if self.spikes not in SPIKES:
            raise ValueError(
                f"Hardware {self.name!r}: spikes must be one of {list(SPIKES)}. "
                f"Received: {self.spikes!r}"
            )
        for name in ("weight_bits", "sum_bits", "input_bits"):
            bits = getattr(self, name)
            if isinstance(bits, bool) or not isinstance(bits, int) or bits < 1:
                raise ValueError(
                    f"Hardware {self.name!r}: {name} must be an integer >= 1. "
                    f"Received: {bits!r}"
                )

    def bits(self, width: int | str) -> int:
        """Bits of a width: a number of them, `"weight"`, `"sum"` or `"input"`."""
        return getattr(self, f"{width}_bits") if isinstance(width, str) else width

    def operation(self, kind: str, *widths: int | str) -> float:
        """Picojoules of an operation of a kind on numbers of these widths.

        Args:
            kind: One of the keys of `operations`.
            widths: As for `bits`; none of them for float32 numbers.
        """
        if not widths:
            return self.floats[kind]
        bits = math.prod(map(self.bits, widths)) ** (1 / len(widths))
        known = self.operations[kind]
        if bits in known:
            return known[int(bits)]
        small, large = min(known), max(known)
        if small == large:
            return known[small] * bits / small
        power = math.log(known[large] / known[small], large / small)
        return known[small] * (bits / small) ** power

    def level(self, held: float, words: str = "") -> MemoryLevel:
        """The level of memory that holds so many bits of words of this kind."""
        levels = self.apart.get(words, self.memory)
        return next(level for level in levels if held <= 8 * level.size)
