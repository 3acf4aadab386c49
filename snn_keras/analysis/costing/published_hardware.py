"""Hardware whose figures were published, by name."""

import dataclasses
import math

from snn_keras.analysis.costing.hardware import Hardware, MemoryLevel

# Whole numbers and float32 at 45 nm, 0.9 V; caches are read 64 bits at a time; DRAM,
# 1.3 to 2.6 nJ for 64 bits, is taken in the middle. It has no shift and no comparison:
# those of whole numbers are of Datta et al. 2024, table 4; a comparison of floats is
# taken as an addition.
_HOROWITZ = Hardware(
    name="45 nm",
    source="M. Horowitz, Computing's energy problem, ISSCC 2014; shifts and "
    "comparisons: Datta et al. 2024, table 4",
    operations={
        "multiply": {8: 0.2, 32: 3.1},
        "add": {8: 0.03, 32: 0.1},
        "shift": {8: 0.024, 32: 0.13},
        "compare": {8: 0.03, 32: 0.08},
    },
    floats={"multiply": 3.7, "add": 0.9, "shift": 0.13, "compare": 0.9},
    memory=(
        MemoryLevel("8 KB cache", 8 * 2**10, 10 / 8),
        MemoryLevel("32 KB cache", 32 * 2**10, 20 / 8),
        MemoryLevel("1 MB cache", 2**20, 100 / 8),
        MemoryLevel("DRAM", math.inf, 1950 / 8),
    ),
)

# An addition of 32 bits takes 60 fJ, a product of 32 and 8 bits with its addition 293
# fJ; 32 bits are read from the memory beside the neurons for 296 fJ and written for 60
# fJ. A shift and a comparison are taken as an addition; floats are those of 45 nm.
_DAVIDSON = Hardware(
    name="22 nm",
    source="S. Davidson, S. B. Furber, Comparison of artificial and spiking neural "
    "networks on digital hardware, 2021; one memory of any size beside the neurons",
    operations={
        "multiply": {16: 0.233},
        "add": {32: 0.06},
        "shift": {32: 0.06},
        "compare": {32: 0.06},
    },
    floats=_HOROWITZ.floats,
    memory=(MemoryLevel("SRAM", math.inf, 0.296 / 4, 0.06 / 4),),
)

HARDWARE = {
    hardware.name: hardware
    for hardware in (
        _HOROWITZ,
        dataclasses.replace(
            _HOROWITZ, name="45 nm, 32 bit", weight_bits=32, sum_bits=32, input_bits=32
        ),
        dataclasses.replace(_HOROWITZ, name="45 nm, bit maps", spikes="bit maps"),
        dataclasses.replace(
            _HOROWITZ, name="45 nm, reuse", spikes="bit maps", reuse=True
        ),
        _DAVIDSON,
    )
}


def hardware_of(given: str | Hardware) -> Hardware:
    """The hardware of this name, or the hardware itself.

    Raises:
        ValueError: if it is neither.
    """
    if isinstance(given, Hardware):
        return given
    if not isinstance(given, str) or given not in HARDWARE:
        raise ValueError(
            f"hardware must be one of {sorted(HARDWARE)}, or an analysis.Hardware. "
            f"Received: {given!r}"
        )
    return HARDWARE[given]
