"""What a monitor gets to see of a layer of neurons."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops

from snn_keras.time.spiking import OnePassSpiking
from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True)
class LayerActivity:
    """What a layer of neurons did in a piece of a run.

    Attributes:
        start: Steps already run, an integer or a scalar integer tensor.
        currents: What it received, `(batch, steps, ...)`.
        outputs: What it sent, `(batch, steps, ...)`.
        potentials: A function that computes the potentials after each step,
            `(batch, steps, ...)`: who does not call it does not pay for it.
    """

    start: Any
    currents: Any
    outputs: Any
    potentials: Callable

    @classmethod
    def of_one_pass(cls, layer: OnePassSpiking, current: Array) -> "LayerActivity":
        """What neurons do that run in one pass: all of their input comes at once."""
        return cls(
            0,
            ops.expand_dims(current, 1),
            layer.spikes(current),
            lambda: layer.potentials(current),
        )
