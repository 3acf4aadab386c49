"""Runs a spiking network in C on an emulated Cortex-M4, and counts instructions.

    python -m apps.microcontroller --model=saved_models/fashion_mnist_sparse.keras \\
        --dataset=fashion_mnist --neuron=bit_serial --timesteps=4 \\
        --output=build/microcontroller

Writes the network as C into the folder, compiles it with arm-none-eabi-gcc for Arm's
MPS2 board, and runs test images in qemu-system-arm. Prints the instructions of an
image, and flash and RAM as the linker placed them. Every output must equal the integer
network's.
"""

import pathlib
import shutil
import subprocess

import numpy as np
from absl import app, flags

import snn_keras
from snn_keras import export, neurons
from snn_keras.export.c.text import constant

from . import sources

FLAGS = flags.FLAGS
BOARD = pathlib.Path(__file__).parent / "board"
COMPILER = "arm-none-eabi-gcc"
TARGET = ("-mcpu=cortex-m4", "-mthumb")
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
EMULATOR = "qemu-system-arm"
MACHINE = ("-machine", "mps2-an386", "-nographic", "-monitor", "none")
COUNTING = ("-icount", "shift=0", "-semihosting-config", "enable=on,target=native")
PACKAGES = "apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm"


def define_flags():
    """Flags of this program; a function, so that others can import the rest."""
    sources.define_flags()
    sources.define_calibration_flags()
    flags.adopt_module_key_flags(sources)
    flags.DEFINE_string("output", "build/microcontroller", "The folder to write.")
    flags.DEFINE_integer("timesteps", 4, "Time steps of a run.", lower_bound=1)
    flags.DEFINE_enum(
        "neuron", "auto", ["auto", *sorted(neurons.by_name)], "The neurons."
    )
    flags.DEFINE_enum("form", "streaming", list(export.FORMS), "The form of the C.")
    flags.DEFINE_string("optimize", "-O2", "How the compiler optimizes.")
    flags.DEFINE_integer("images", 20, "Test images to run.", lower_bound=1)


def missing_tools() -> list[str]:
    """The programs that are needed and not installed."""
    return [name for name in (COMPILER, EMULATOR) if shutil.which(name) is None]


def build(folder: pathlib.Path, images: np.ndarray, optimize: str = "-O2"):
    """Compiles the network of a folder with images; returns the program's file."""
    work = folder / "build"
    work.mkdir(exist_ok=True)
    flat = images.reshape(len(images), -1)
    dtype = images.dtype.name
    numbers = constant("images_flat", flat, dtype).split("{", 1)[1]
    (work / "images.h").write_text(
        f"#include <stdint.h>\n#define IMAGES {len(flat)}\n"
        f"static const {dtype}_t images_flat[{flat.size}] = {{{numbers}\n"
        f"#define images(i) (images_flat + (i) * {flat.shape[1]})\n"
    )
    program = work / "net.elf"
    files = [BOARD / "startup.c", BOARD / "main.c", folder / "net.c"]
    command = [COMPILER, *TARGET, "-std=c99", optimize, *WARNINGS, f"-I{folder}"]
    command += [
        f"-I{work}",
        "-nostartfiles",
        "-ffunction-sections",
        "-Wl,--gc-sections",
    ]
    command += ["-T", str(BOARD / "mps2_an386.ld"), *map(str, files)]
    subprocess.run([*command, "-o", str(program)], check=True)
    return program


def sizes(program: pathlib.Path) -> dict[str, int]:
    """Bytes of flash and RAM, as the linker placed them; images are not counted."""
    listed = subprocess.run(
        ["arm-none-eabi-nm", "--print-size", str(program)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    found = {"flash": 0, "RAM": 0}
    for line in listed.splitlines():
        _, *size, kind, name = line.split()
        if size and name != "images_flat":
            place = "RAM" if kind in "bBdD" else "flash"
            found[place] += int(size[0], 16)
    return found


def emulate(program: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    """Runs the program; returns the instructions of each image, and its outputs."""
    command = [EMULATOR, *MACHINE, *COUNTING, "-kernel", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = (done.stdout + done.stderr).splitlines()
    rows = [line.replace(":", "").split() for line in lines if ":" in line]
    numbers = np.array([[int(x) for x in row] for row in rows])
    return numbers[:, 0], numbers[:, 1:]


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    if missing_tools():
        raise app.UsageError(f"missing: {missing_tools()}. Remedy: {PACKAGES}.")
    model, test_images, _ = sources.model_and_test_set()
    data = sources.calibration_images(model)
    snn = snn_keras.convert(model, FLAGS.timesteps, FLAGS.neuron, data=data)
    samples = test_images[:1000]
    net = export.quantize_weights(snn, samples)
    if len(net.inputs) != 1 or len(net.outputs) != 1:
        raise app.UsageError("the network must have one input and one output.")
    folder = pathlib.Path(FLAGS.output)
    folder.parent.mkdir(parents=True, exist_ok=True)
    arguments = {"simd": False, "overwrite": True}
    print(export.to_c(net, folder, samples, FLAGS.form, **arguments))
    (images,) = net.quantize(samples[: FLAGS.images])
    program = build(folder, images, FLAGS.optimize)
    instructions, outputs = emulate(program)
    *_, (values, _) = net.run([images])
    expected = values[net.outputs[0].name].reshape(len(images), -1)
    same = np.all(outputs == expected, axis=1)
    for place, size in sizes(program).items():
        print(f"{place}: {size:,} bytes")
    print(
        f"instructions an image: {int(np.median(instructions)):,} (median), "
        f"{instructions.min():,} to {instructions.max():,}"
    )
    print(f"outputs equal the integer network's: {same.sum()} of {len(same)}")
    if not same.all():
        raise SystemExit(1)


if __name__ == "__main__":
    define_flags()
    app.run(main)
