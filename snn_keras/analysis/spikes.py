"""Spikes of a run, counted layer by layer."""

import math

from keras import ops

from snn_keras.neurons import Spiking
from snn_keras.simulate import Monitored


def spike_statistics(snn, x, batch_size=None, verbose=0):
    """Counts the spikes of a run.

    A spike is any output of a neuron other than 0, in whichever sign. Extra
    steps before a run are not counted.

    Args:
        snn: A `SpikingModel`.
        x, batch_size, verbose: As for `predict`.

    Returns:
        `{"spikes": mean spikes a sample, "neurons": number of neurons,
        "layers": {name: {"spikes": ..., "neurons": ...}}}`.
    """
    _, counts = Monitored(snn, _Count()).predict(
        x, batch_size=batch_size, verbose=verbose
    )
    layers = {
        layer.name: {
            "spikes": float(counts[layer.name].mean(dtype="float64")),
            "neurons": math.prod(layer.cell.state_shape),
        }
        for layer in snn.layers
        if isinstance(layer, Spiking)
    }
    totals = {
        key: sum(layer[key] for layer in layers.values())
        for key in ("spikes", "neurons")
    }
    return {**totals, "layers": layers}


class _Count:
    """Monitor: the spikes of each sample so far, an integer."""

    def initial_state(self, layer, batch_size):
        return ops.zeros((batch_size,), "int32")

    def update(self, layer, state, currents, outputs):
        axes = tuple(range(1, len(outputs.shape)))
        return state + ops.sum(ops.cast(outputs != 0, "int32"), axis=axes)
