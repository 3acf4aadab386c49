"""The whole C program of an integer network: its functions, memory and text."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.export import integer
from snn_keras.export.c import convolutions as convolutions
from snn_keras.export.c import depthwise as depthwise
from snn_keras.export.c import kernels, text
from snn_keras.export.c.elementwise import apply, start
from snn_keras.export.c.function import Function, Tensor
from snn_keras.export.c.memory import Memory
from snn_keras.export.c.moves import move
from snn_keras.export.c.stages import (
    ELEMENTWISE,
    SUMS,
    Stage,
    aliases_of,
    stages_of,
)
from snn_keras.export.c.sums import head
from snn_keras.export.integer import IntegerNetwork

LINE = 64  # bytes of a line of the cache of processors with vector instructions
FOREVER = 10**9  # the last stage that needs what is kept from step to step
WORDS = frozenset(["net", "x", "y", "v", "u", "z", "sums", "step", "image", "outputs"])


class Program:
    """The C functions and the memory of an integer network.

    Args:
        network: The `IntegerNetwork`.
        form: "unrolled" or "streaming".
        densities: The share of numbers that are not 0, of each tensor.
        simd: Whether the processor has vector instructions.

    Raises:
        ConversionError: if operations have no C; the message names all of them.
    """

    def __init__(
        self,
        network: IntegerNetwork,
        form: str,
        densities: Mapping[str, float],
        simd: bool = True,
    ) -> None:
        check(network)
        self.network = network
        self.form = form
        self.simd = simd
        self.memory = Memory(LINE if simd else 8)
        self.kernels: set[kernels.Kernel] = set()
        self._densities = densities
        static = (
            network.static() if form == "unrolled" and network.timesteps > 1 else ()
        )
        self.stages = stages_of(network, frozenset(static))
        self._aliases = aliases_of(network)
        self._shapes = {x.name: tuple(x.shape) for x in network.operations}
        self._shapes |= {x.name: tuple(x.shape) for x in network.inputs}
        self.arguments = _arguments([x.name for x in network.inputs], "image")
        self.results = _arguments(_distinct(x.name for x in network.outputs), "outputs")
        self._add_states()
        self.tensors = self._tensors()
        self.functions = [self._function(*x) for x in enumerate(self.stages, start=1)]
        self.memory.place()

    # --- Memory ----------------------------------------------------------------------

    def _add_states(self):
        for operation in self.network.operations:
            intervals = self.network.state_intervals[operation.name]
            zeros = operation.initial_state()
            states = zip(operation.state_names, zeros, intervals, strict=True)
            for name, rest, interval in states:
                dtype = text.dtype_between(interval.with_zero())
                self.memory.add_state(operation.name, name, dtype, rest.shape)

    def _tensors(self):
        """All tensors; their buffers live from their writer to their last reader."""
        writers = {stage.last.name: n for n, stage in enumerate(self.stages, start=1)}
        static = {stage.last.name for stage in self.stages if stage.is_static}
        last = dict.fromkeys(writers, 0) | {x.name: 0 for x in self.network.inputs}
        for n, stage in enumerate(self.stages, start=1):
            for name in stage.reads():
                last[self.base(name)] = n
        end = len(self.stages) + 1
        last |= {self.base(out.name): end for out in self.network.outputs}
        tensors: dict[str, Tensor] = {}
        for spec in self.network.inputs:
            tensors[spec.name] = self._input(spec, last[spec.name])
        for name, n in writers.items():
            first, until = (0, FOREVER) if name in static else (n, max(last[name], n))
            interval = self.network.intervals[name]
            dtype, shape = text.dtype_between(interval), self._shapes[name]
            count = int(np.prod(shape, dtype=int))
            buffer = self.memory.scratch(name, dtype, count, first, until)
            tensors[name] = Tensor(name, dtype, shape, interval, buffer)
        for name in self._aliases:
            of = tensors[self.base(name)]
            interval = self.network.intervals[name]
            tensors[name] = Tensor(
                name, of.dtype, self._shapes[name], interval, of.buffer, of.argument
            )
        return tensors

    def _input(self, spec, last):
        argument = self.arguments[spec.name]
        if not spec.zero_point:
            return Tensor(
                spec.name, spec.dtype, spec.shape, spec.interval, argument=argument
            )
        dtype = text.dtype_between(spec.interval)
        count = int(np.prod(spec.shape, dtype=int))
        buffer = self.memory.scratch(spec.name, dtype, count, 0, last)
        return Tensor(spec.name, dtype, spec.shape, spec.interval, buffer)

    def base(self, name: str) -> str:
        """The tensor whose memory this tensor is."""
        return self._aliases.get(name, name)

    def _function(self, number: int, stage: Stage) -> Function:
        name = f"layer_{number}_{text.identifier(stage.operations[0].name)}"
        function = Function(
            stage,
            number,
            name,
            self.memory,
            self.tensors,
            lambda tensor: self._densities[self.base(tensor)],
            self.kernels,
            self.simd,
        )
        before = self.memory.flash()
        if stage.head is None:
            start(function)
        elif isinstance(stage.head, SUMS):
            head(stage.head, function)
        else:
            move(stage.head, function)
        function.flash = self.memory.flash() - before
        return function

    def rows(self) -> list[tuple[str, str, str, int, int, str]]:
        """`(layer, operations, shape, flash, RAM kept, note)` of each function."""
        kept: dict[str, int] = {}
        for state in self.memory.states:
            size = text.size_of(state.dtype) * int(np.prod(state.shape, dtype=int))
            kept[state.operation] = kept.get(state.operation, 0) + size
        return [
            (
                ", ".join(x.name for x in function.stage.operations),
                ", ".join(type(x).__name__ for x in function.stage.operations),
                text.shape_text(function.shape),
                function.flash,
                sum(kept.get(x.name, 0) for x in function.stage.operations),
                function.notes[0] if function.notes else "",
            )
            for function in self.functions
        ]

    # --- What can be traced ----------------------------------------------------------

    def traced(self) -> list[tuple[str, str, tuple[int, ...], str]]:
        """`(name, dtype, shape, field)` of all spikes and states."""
        found: list[tuple[str, str, tuple[int, ...], str]] = []
        for number, operation in enumerate(self.network.neurons):
            tensor = self.tensors[operation.name]
            field = f"trace_{number}_{text.identifier(operation.name)}"
            found.append((operation.name, tensor.dtype, tensor.shape, field))
        for state in self.memory.states:
            name = f"{state.operation}/{state.name}"
            found.append((name, state.dtype, state.shape, state.field))
        return found


def check(network: IntegerNetwork) -> None:
    """Checks that all operations have C.

    Raises:
        ConversionError: if some have none; the message names all of them.
    """
    missing = [
        f"'{x.name}' ({type(x).__name__})" for x in network.operations if not _has_c(x)
    ]
    if missing:
        raise ConversionError(
            f"no C for: {', '.join(missing)}. Remedy: write how it changes an entry, "
            "@snn_keras.export.c.apply.register, as snn_keras/export/c/elementwise.py "
            "does, or other neurons."
        )


def _has_c(operation: Any) -> bool:
    if type(operation) is integer.Reshape:
        return True
    if isinstance(operation, ELEMENTWISE):
        writers: Any = apply
    else:
        writers = head if isinstance(operation, SUMS) else move
    kind = type(operation)
    # A class of its own needs C of its own: that of its base computes something else.
    return kind in writers.registry


def _distinct(names):
    return list(dict.fromkeys(names))


def _arguments(names: list[str], only: str) -> dict[str, str]:
    """C names of the arguments for these tensors."""
    if len(names) == 1:
        return {names[0]: only}
    found: dict[str, str] = {}
    for name in names:
        base = f"{only}_{text.identifier(name)}"
        taken = set(found.values())
        found[name] = base if base not in taken else f"{base}_{len(taken)}"
    return found


def shared(program: Program) -> str:
    """The C of all shared functions that a program calls."""
    order = sorted(program.kernels, key=lambda x: (isinstance(x, kernels.Add), x.name))
    return "\n\n".join(kernel.definition() for kernel in order)
