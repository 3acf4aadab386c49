"""Hardware: the widths of numbers, and picojoules of operations and of memory."""

import dataclasses
import math
from collections.abc import Mapping

KINDS = ("multiply", "add", "shift", "compare")
SPIKES = ("events", "bit maps")
# Words of memory; what they are, `Cost` says.
WORDS = (
    *("weights", "constants", "potentials", "sums", "spikes", "bit maps"),
    *("numbers", "activations", "summed"),
)


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
            self._check(
                isinstance(given, Mapping) and set(given) == set(KINDS),
                f"{name} must be a dict with the keys {sorted(KINDS)}",
                given,
            )
        for kind in KINDS:
            self._check(
                _are_costs(self.operations[kind]),
                f"operations[{kind!r}] must be a dict from one or two widths in bits "
                "to picojoules, all of them above 0 or all 0",
                self.operations[kind],
            )
            self._check(
                _is_cost(self.floats[kind]),
                f"floats[{kind!r}] must be picojoules, 0 or more",
                self.floats[kind],
            )
        self._check(
            isinstance(self.apart, Mapping) and set(self.apart) <= set(WORDS),
            f"apart must be a dict with keys among {list(WORDS)}",
            self.apart,
        )
        for levels in (self.memory, *self.apart.values()):
            self._check(
                isinstance(levels, tuple) and _are_levels(levels),
                "memory must be a tuple of MemoryLevel of growing sizes, the last one "
                "of size math.inf, with costs of 0 or more",
                levels,
            )
        self._check(
            self.spikes in SPIKES, f"spikes must be one of {list(SPIKES)}", self.spikes
        )
        for name in ("weight_bits", "sum_bits", "input_bits"):
            bits = getattr(self, name)
            valid = isinstance(bits, int) and not isinstance(bits, bool) and bits >= 1
            self._check(valid, f"{name} must be an integer >= 1", bits)

    def _check(self, valid, expected, given):
        if not valid:
            raise ValueError(f"Hardware {self.name!r}: {expected}. Received: {given!r}")

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
        if known[small] == known[large]:  # of which both may be 0
            return known[small]
        power = math.log(known[large] / known[small], large / small)
        return known[small] * (bits / small) ** power

    def level(self, held: float, words: str = "") -> MemoryLevel:
        """The level of memory that holds so many bits of words of this kind."""
        levels = self.apart.get(words, self.memory)
        return next(level for level in levels if held <= 8 * level.size)


def _is_cost(value):
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and 0 <= value < math.inf


def _are_costs(given):
    """Whether these are costs by width, which a power of the width can join."""
    if not isinstance(given, Mapping) or not 1 <= len(given) <= 2:
        return False
    widths = all(isinstance(bits, int) and bits >= 1 for bits in given)
    costs = list(given.values())
    return widths and all(map(_is_cost, costs)) and (all(costs) or not any(costs))


def _are_levels(levels):
    if not levels or not all(isinstance(level, MemoryLevel) for level in levels):
        return False
    sizes = [level.size for level in levels]
    costs = [c for x in levels for c in (x.read, x.write) if c is not None]
    return (
        sizes == sorted(sizes) and sizes[-1] == math.inf and all(map(_is_cost, costs))
    )
