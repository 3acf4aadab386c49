"""How sparse the tensors of an integer network are, measured on data."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from snn_keras.export.integer import IntegerNetwork
from snn_keras.typing import Inputs

SAMPLES = 16
ASSUMED = 0.25  # without data: the share of spikes, of what depends on time


@dataclasses.dataclass(frozen=True)
class Density:
    """How many numbers of a tensor are worth looking at.

    Attributes:
        events: The share of numbers that are not 0.
        halves: How many halves of a number are not 0, on average: its lowest 4 bits are
            one half, all others the other.
    """

    events: float
    halves: float

    @classmethod
    def of(cls, values: np.ndarray) -> "Density":
        """The density of these values."""
        low, high = np.mean(values & 15 != 0), np.mean(values >> 4 != 0)
        return cls(float(np.mean(values != 0)), float(low + high))

    @classmethod
    def mean(cls, found: Sequence["Density"]) -> "Density":
        """The mean of several densities."""
        events = [x.events for x in found]
        halves = [x.halves for x in found]
        return cls(float(np.mean(events)), float(np.mean(halves)))


def densities(network: IntegerNetwork, data: Inputs = None) -> dict[str, Density]:
    """The `Density` of all tensors, by name.

    Args:
        network: The `IntegerNetwork`.
        data: Inputs as `predict` takes them, of which the first 16 are run; None
            assumes a quarter where there are spikes and all elsewhere.
    """
    names = [*(x.name for x in network.inputs), *(x.name for x in network.operations)]
    if data is None:
        whole, some = Density(1.0, 2.0), Density(ASSUMED, ASSUMED)
        static = network.static()
        return {name: whole if name in static else some for name in names}
    quantized = [q[:SAMPLES] for q in network.quantize(data)]
    steps = [
        {name: Density.of(values[name]) for name in names}
        for values, _ in network.run(quantized)
    ]
    return {name: Density.mean([step[name] for step in steps]) for name in names}
