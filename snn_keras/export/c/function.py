"""The C function of a stage: its pointers, its constants and its lines."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from snn_keras.export.c import text
from snn_keras.export.c.memory import Buffer, Memory
from snn_keras.export.c.stages import Stage, lengths
from snn_keras.export.integer import Interval, Operation
from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """An array in C.

    Attributes:
        name: Its name in the integer network.
        dtype: The type of its numbers.
        shape: Its shape, without a batch.
        interval: Bounds of its numbers.
        buffer: Its memory; None for an argument of the function.
        argument: Its C name where it is an argument.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    interval: Interval
    buffer: Buffer | None = None
    argument: str = ""


class Function:
    """Collects the C function of one stage.

    Args:
        stage: The `Stage`.
        number: Its place among all stages.
        name: The C name of the function.
        memory: The `Memory`, to which constants and buffers are added.
        tensors: All tensors, by name.
        density: The share of numbers of a tensor that are not 0.
        kernels: The shared C functions; those that are called are added.
        simd: Whether the processor has vector instructions.
    """

    def __init__(
        self,
        stage: Stage,
        number: int,
        name: str,
        memory: Memory,
        tensors: Mapping[str, Tensor],
        density: Callable[[str], float],
        kernels: set,
        simd: bool,
    ) -> None:
        self.stage = stage
        self.number = number
        self.name = name
        self.memory = memory
        self.tensors = tensors
        self.density = density
        self.kernels = kernels
        self.simd = simd
        self.code = text.Code(1)
        self.flash = 0  # bytes of its constants
        self.notes: list[str] = []  # choices, for the comment
        # Pointers as parameters, whose `restrict` compilers trust: `(type, what is
        # given, comment)` by name. Addresses are known when all memory is placed.
        self._pointers: dict[str, tuple[str, Callable[[], str], str]] = {}

    # --- What it reads and writes ----------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its output."""
        return self.output.shape

    @property
    def output(self) -> Tensor:
        """The tensor that it writes."""
        return self.tensors[self.stage.last.name]

    def read(self, name: str, local: str) -> Tensor:
        """A tensor, whose numbers are then found at `local`."""
        tensor = self.tensors[name]
        self._declare(tensor, local, "const ")
        return tensor

    def write(self) -> str:
        """The local name of the output."""
        self._declare(self.output, "y", "")
        return "y"

    def state(self, operation: Operation, name: str) -> tuple[str, str]:
        """`(local name, dtype)` of a state."""
        state = next(
            x
            for x in self.memory.states
            if (x.operation, x.name) == (operation.name, name)
        )
        given = f"net->{state.field}"
        self._pointers[state.field] = f"{state.dtype}_t", lambda: given, ""
        return state.field, state.dtype

    def scratch(self, local: str, dtype: str, count: int) -> str:
        """The local name of scratch for this function alone."""
        buffer = self.memory.scratch(local, dtype, count, self.number, self.number)
        self._pointers[local] = f"{dtype}_t", lambda: buffer.address, "scratch"
        return local

    def constant(self, name: str, values: Array) -> str:
        """The C name of a constant array."""
        return self.memory.add_constant(name, values)

    def _declare(self, tensor, local, const):
        def address():
            return tensor.argument if tensor.buffer is None else tensor.buffer.address

        self._pointers[local] = f"{const}{tensor.dtype}_t", address, tensor.name

    # --- Text ------------------------------------------------------------------------

    def entries(self, name: str, values: Array) -> str:
        """The C expression of the entry of a constant at place `p`, channel `c`."""
        values = np.asarray(values)
        if np.all(values == values.flat[0]):
            value = values.flat[0]
            return text.number(value, text.dtype_of(value))
        place = index(values.shape, self.shape)
        return f"{self.constant(name, values)}[{place}]"

    def call(self) -> str:
        """The call of the function."""
        given = [address() for _, address, _ in self._pointers.values()]
        return f"{self.name}({', '.join([*self._net('net'), *given])});"

    def definition(self) -> str:
        """The definition of the function."""
        stage = self.stage
        names = ", ".join(x.name for x in stage.operations)
        kinds = ", ".join(type(x).__name__ for x in stage.operations)
        about = [f"{names} ({kinds}): {text.shape_text(self.shape)}", *self.notes]
        parameters = self._net("const struct net *net")
        for name, (dtype, _, what) in self._pointers.items():
            end = f" {text.comment(what)}" if what else ""
            parameters.append(f"{dtype} *restrict {name}{end}")
        lines = [
            text.comment("; ".join(about)),
            f"static void {self.name}(",
            ",\n".join(f"    {parameter}" for parameter in parameters) + ") {",
            str(self.code),
            "}",
        ]
        return "\n".join(lines)

    def _net(self, name):
        """The struct, where the function asks for the step."""
        return [name] if "net->" in str(self.code) else []


def index(shape: Sequence[int], out: Sequence[int]) -> str:
    """The C index of the entry that broadcasts to place `p`, channel `c` of `out`."""
    places, channels = lengths(out)
    shape = (1,) * (len(out) - len(shape)) + tuple(shape)
    if int(np.prod(shape, dtype=int)) == 1:
        return "0"
    if shape == tuple(out):
        return f"p * {channels} + c"
    lead, last = lengths(shape)
    if last in (1, channels) and lead in (1, places):
        if lead == 1:
            return "c"
        return "p" if last == 1 else f"p * {channels} + c"
    terms, stride, after = [], last, 1
    if last > 1:
        terms.append("c")
    for own, n in zip(reversed(shape[:-1]), reversed(out[:-1]), strict=True):
        if own > 1:
            terms.append(f"p / {after} % {n} * {stride}")
        stride, after = stride * own, after * n
    return " + ".join(terms)
