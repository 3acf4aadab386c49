"""`LayerActivity`: what a monitor receives of a layer of neurons."""

import dataclasses
from collections.abc import Callable
from typing import Any

from keras import ops

from snn_keras.time.spiking import OnePassSpiking
from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True)
class LayerActivity:
    """The activity of a layer of neurons in a piece of a run.

    Attributes:
        start: Number of steps already run, an integer or a scalar integer tensor.
        currents: The currents that it received, `(batch, steps, ...)`.
        outputs: The spikes that it sent, `(batch, steps, ...)`.
        potentials: A function that returns the potentials after each step,
            `(batch, steps, ...)`. They are computed only if it is called.
    """

    start: Any
    currents: Any
    outputs: Any
    potentials: Callable

    @classmethod
    def of_one_pass(cls, layer: OnePassSpiking, current: Array) -> "LayerActivity":
        """The activity of neurons that compute all steps in one pass."""
        return cls(
            0,
            ops.expand_dims(current, 1),
            layer.spikes(current),
            lambda: layer.potentials(current),
        )
