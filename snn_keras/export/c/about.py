"""`net.json`: what `CNetwork` needs to know of a network in C."""

import dataclasses
import json
import math
import pathlib

from snn_keras.export.c.program import Program
from snn_keras.export.c.text import size_of
from snn_keras.export.integer import Input, Output
from snn_keras.untrusted import read_json


@dataclasses.dataclass(frozen=True)
class Traced:
    """Spikes or a state that a trace gives."""

    name: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Its size."""
        return math.prod(self.shape) * size_of(self.dtype)


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of a network in C.

    Attributes:
        name: Its name.
        form: "unrolled" or "streaming".
        timesteps: Time steps of a run.
        flash: Bytes of the constants.
        ram: Bytes of the struct with states and scratch.
        inputs, outputs: As those of the integer network.
        shapes: The shapes of the outputs, by name, in the order of the C's arguments.
        traced: All spikes and states, in the order of their numbers.
        rows: `(layer, operations, shape, flash, RAM kept, note)` of each function.
    """

    name: str
    form: str
    timesteps: int
    flash: int
    ram: int
    inputs: list[Input]
    outputs: list[Output]
    shapes: dict[str, tuple[int, ...]]
    traced: list[Traced]
    rows: list[tuple[str, str, str, int, int, str]]

    @classmethod
    def of(cls, program: Program) -> "About":
        """What is known of a program."""
        network = program.network
        return cls(
            network.name,
            program.form,
            network.timesteps,
            program.memory.flash(),
            program.memory.ram(),
            network.inputs,
            network.outputs,
            {name: program.tensors[name].shape for name in program.results},
            [Traced(*x[:3]) for x in program.traced()],
            program.rows(),
        )

    def write(self, path: pathlib.Path) -> None:
        """Writes the file."""
        content = dataclasses.asdict(self)
        path.write_text(json.dumps(content, indent=1, default=lambda x: x.item()))

    @classmethod
    def read(cls, path: pathlib.Path) -> "About":
        """Reads the file.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is damaged.
        """
        remedy = "snn_keras.export.to_c(snn, path, data)."
        return read_json(path, cls, "what is known of a network in C", remedy)
