"""How sparse the tensors of an integer network are, measured on data."""

import numpy as np

from snn_keras.export.integer import IntegerNetwork
from snn_keras.typing import Inputs

SAMPLES = 16
ASSUMED = 0.25  # without data: the share of spikes, of what depends on time


def densities(network: IntegerNetwork, data: Inputs = None) -> dict[str, float]:
    """The share of numbers that are not 0, of all tensors by name.

    Args:
        network: The `IntegerNetwork`.
        data: Inputs as `predict` takes them, of which the first 16 are run; None
            assumes a quarter where there are spikes and all elsewhere.
    """
    names = [*(x.name for x in network.inputs), *(x.name for x in network.operations)]
    if data is None:
        static = network.static()
        return {name: 1.0 if name in static else ASSUMED for name in names}
    quantized = [q[:SAMPLES] for q in network.quantize(data)]
    steps = [
        {name: np.mean(values[name] != 0) for name in names}
        for values, _ in network.run(quantized)
    ]
    return {name: float(np.mean([step[name] for step in steps])) for name in names}
