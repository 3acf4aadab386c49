"""`to_c`: writes spiking networks as C."""

import os

from snn_keras import files
from snn_keras.errors import ConversionError
from snn_keras.export.c import source, templates
from snn_keras.export.c.about import About
from snn_keras.export.c.densities import densities
from snn_keras.export.c.program import Program, check
from snn_keras.export.c.runner import CNetwork
from snn_keras.export.forms import check_form, integers_of
from snn_keras.export.integer import IntegerNetwork
from snn_keras.inputs import check_count
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

WRITTEN = ("net.h", "net.c", "main.c", "Makefile", "README.md", "net.json", "build")


def to_c(
    snn: SpikingModel | IntegerNetwork,
    path: str | os.PathLike,
    data: Inputs = None,
    form: str = "streaming",
    *,
    input_dtype: str = "int8",
    simd: bool = True,
    max_flash: int | None = None,
    max_ram: int | None = None,
    overwrite: bool = False,
) -> CNetwork:
    """Writes a spiking network as a folder of C, which computes where there are spikes.

    The C computes exactly what the integer network computes. It is C99 without
    allocation, float or any library but `stdint.h` and `string.h`. Weights are
    constants; states and scratch are in one struct.

    Layers with weights look for the numbers of their input that are not 0, and add the
    weights of these alone. The printed table says how many these are on `data`.

    Args:
        snn: A `SpikingModel`, or an `IntegerNetwork` that `quantize_weights` returned.
        path: The folder, which gets `net.h`, `net.c`, `main.c`, `Makefile`,
            `README.md`, and `net.json` for `CNetwork`.
        data: As for `quantize_weights`; may be left out for an `IntegerNetwork`.
        form: `"streaming"`: `net_step` runs a step, whose input may be another than
            that of the step before, and `net_run` all steps. `"unrolled"`: `net_run`
            alone, which computes what does not change from step to step once, and
            needs memory to keep it.
        input_dtype: As for `quantize_weights`.
        simd: Whether the processor has vector instructions, for which sums of 16 bits
            are worth some work. A Cortex-M4 has none.
        max_flash, max_ram: The most bytes of constants and of the struct; None for any.
        overwrite: Whether to replace a folder that `to_c` wrote.

    Returns:
        A `CNetwork`, which is not compiled before it is run. Printed, it shows the
        flash and the RAM of each layer.

    Raises:
        ConversionError: if layers have no integer form or no C (the message names all
            of them), or if the network is larger than `max_flash` or `max_ram`.
        ValueError, OSError: for other invalid arguments.
    """
    path = files.check_folder(path, overwrite, WRITTEN)
    check_form(form)
    for name, most in (("max_flash", max_flash), ("max_ram", max_ram)):
        if most is not None:
            check_count(name, most)
    network = integers_of(snn, data, input_dtype, "to_c")
    check(network)
    program = Program(network, form, densities(network, data), simd)
    _check_size(program, max_flash, max_ram)
    with files.folder_written_whole(path) as folder:
        (folder / "net.h").write_text(source.header(program))
        (folder / "net.c").write_text(source.body(program))
        (folder / "main.c").write_text(templates.main(program))
        (folder / "Makefile").write_text(templates.MAKEFILE)
        (folder / "README.md").write_text(templates.readme(program, path.name))
        About.of(program).write(folder / "net.json")
    return CNetwork(path)


def _check_size(program, max_flash, max_ram):
    """Refuses programs that are too large, naming what takes most."""
    memory = program.memory
    messages = []
    for name, most, size, column in (
        ("max_flash", max_flash, memory.flash(), 3),
        ("max_ram", max_ram, memory.ram(), 4),
    ):
        if most is None or size <= most:
            continue
        rows = [row for row in program.rows() if row[column]]
        rows = sorted(rows, key=lambda row: -row[column])[:3]
        parts = ", ".join(f"'{row[0]}' {row[column]:,}" for row in rows)
        messages.append(f"{size:,} bytes exceed {name}={most:,} (most: {parts})")
    if messages:
        raise ConversionError(
            f"'{program.network.name}' is too large: {'; '.join(messages)}. Remedy: "
            'fewer or smaller layers; for RAM, form="streaming", or bit-serial '
            "neurons, which keep no potentials."
        )
