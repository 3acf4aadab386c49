"""Where numbers are: constants in flash; states and scratch in a struct."""

import dataclasses

import numpy as np

from snn_keras.export.c import text
from snn_keras.typing import Array

POOLS = {1: "bytes", 2: "halves", 4: "words", 8: "longs"}


@dataclasses.dataclass(eq=False)
class Buffer:
    """Scratch numbers that are needed from one stage to another.

    Attributes:
        what: What it holds, for comments.
        dtype: The type of a number.
        count: The number of numbers.
        first, last: The numbers of the stages.
        offset: Where it begins in the pool of its width; set by `Memory.place`.
    """

    what: str
    dtype: str
    count: int
    first: int
    last: int
    offset: int = -1

    @property
    def pool(self) -> str:
        """The field of the struct in which it is."""
        return POOLS[text.size_of(self.dtype)]

    @property
    def address(self) -> str:
        """The C expression of its first number."""
        place = f"net->{self.pool} + {self.offset}"
        return (
            place if not self.dtype.startswith("u") else f"({self.dtype}_t *)({place})"
        )


@dataclasses.dataclass(frozen=True, eq=False)
class State:
    """A field of the struct that is kept from step to step."""

    operation: str
    name: str
    dtype: str
    shape: tuple[int, ...]
    field: str


class Memory:
    """All constants, states and scratch buffers of a network in C.

    Args:
        line: The bytes of a line of the processor's cache. Buffers begin with a line if
            the struct does, since what lies across two takes twice the time.
    """

    def __init__(self, line: int) -> None:
        self.line = line
        self.constants: dict[str, np.ndarray] = {}
        self.states: list[State] = []
        self.buffers: list[Buffer] = []

    # --- Flash -----------------------------------------------------------------------

    def add_constant(self, name: str, values: Array) -> str:
        """Adds a constant array in its narrowest type; returns its C name."""
        values = np.asarray(values)
        name = self._unique(text.identifier(f"{name}"), self.constants)
        self.constants[name] = values.astype(text.dtype_of(values))
        return name

    def flash(self) -> int:
        """Bytes of all constants; code is not counted."""
        return sum(x.nbytes for x in self.constants.values())

    def _unique(self, name, taken):
        number, found = 1, name
        while found in taken:
            number += 1
            found = f"{name}_{number}"
        return found

    # --- RAM -------------------------------------------------------------------------

    def add_state(
        self, operation: str, name: str, dtype: str, shape: tuple[int, ...]
    ) -> State:
        """Adds a field that is kept from step to step."""
        taken = {state.field for state in self.states} | {"step", *POOLS.values()}
        field = self._unique(text.identifier(f"{operation}_{name}"), taken)
        self.states.append(State(operation, name, dtype, tuple(shape), field))
        return self.states[-1]

    def scratch(
        self, what: str, dtype: str, count: int, first: int, last: int
    ) -> Buffer:
        """Adds a scratch buffer."""
        buffer = Buffer(what, dtype, count, first, last)
        self.buffers.append(buffer)
        return buffer

    def place(self) -> None:
        """Places the scratch buffers: those of different stages share memory."""
        placed: list[Buffer] = []
        for buffer in sorted(self.buffers, key=lambda x: -x.count):
            others = sorted(
                (x for x in placed if _meet(x, buffer)), key=lambda x: x.offset
            )
            offset = 0
            for other in others:
                if offset + buffer.count <= other.offset:
                    break
                end = other.offset + other.count
                offset = max(offset, self._rounded(end, buffer.dtype))
            buffer.offset = offset
            placed.append(buffer)

    def pools(self) -> dict[str, int]:
        """The lengths of the pools of scratch that are not empty, widest first."""
        sizes = dict.fromkeys(reversed(POOLS.values()), 0)
        for buffer in self.buffers:
            end = buffer.offset + buffer.count
            end = self._rounded(end, buffer.dtype)
            sizes[buffer.pool] = max(sizes[buffer.pool], end)
        return {name: size for name, size in sizes.items() if size}

    def _rounded(self, count, dtype):
        """The count of numbers that fill the next whole line."""
        line = self.line // text.size_of(dtype)
        return -(-count // line) * line

    def fields(self) -> list[tuple[str, str, int, str]]:
        """The fields `(dtype, name, count, comment)`: scratch, then widest first."""
        what = "scratch, which holds nothing from step to step"
        widths = {pool: f"int{8 * width}" for width, pool in POOLS.items()}
        scratch = [(widths[x], x, count, what) for x, count in self.pools().items()]
        kept = [("int32", "step", 0, "steps since net_reset")]
        for state in self.states:
            count = int(np.prod(state.shape, dtype=int))
            kept.append((state.dtype, state.field, count, ""))
        return scratch + sorted(kept, key=lambda field: -text.size_of(field[0]))

    def ram(self) -> int:
        """Bytes of the struct."""
        sizes = [text.size_of(dtype) for dtype, *_ in self.fields()]
        counts = [count or 1 for _, _, count, _ in self.fields()]
        total = sum(a * b for a, b in zip(sizes, counts, strict=True))
        return -(-total // max(sizes)) * max(sizes)


def _meet(a, b):
    """Whether two buffers of one pool are needed at the same time."""
    return a.pool == b.pool and a.first <= b.last and b.first <= a.last
