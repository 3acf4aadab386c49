"""Law: the spiking network's spikes are the reference's, every one of them."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.time import Neurons
from tests import reference
from tests.graphs import Maker, seeds


def recorder(snn):
    """A model that gives every layer's output over time, in one pass."""
    layers = {x.name: x.output for x in snn.layers if isinstance(x, Neurons)}
    return keras.Model(snn.input, layers)


@pytest.mark.compiled
@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("seed", seeds(200, quick=20))
def test_spikes_of_random_networks(seed, eager):
    network = Maker(seed).make()
    timesteps = 1 + seed % 6
    snn = snn_keras.convert(network.model, timesteps)
    trace = reference.simulate(network.nodes, network.inputs, timesteps)
    record = recorder(snn)
    outputs = (
        record(network.keras_inputs)
        if eager
        else record.predict(network.keras_inputs, verbose=0)  # XLA
    )
    assert outputs
    for name, sent in outputs.items():
        theta = snn.get_layer(name).cell.threshold
        expected = np.moveaxis(trace.spikes[name] * theta, 0, 1)
        assert np.array_equal(np.asarray(sent), expected), name


@pytest.mark.parametrize("seed", seeds(50, quick=5))
def test_decoded_outputs_over_time(seed):
    network = Maker(seed).make()
    snn = snn_keras.convert(network.model, timesteps=11)  # chunks of 4, 4 and 3
    trace = reference.simulate(network.nodes, network.inputs, 11)
    received = keras.tree.flatten(
        snn.predict_over_time(network.keras_inputs, verbose=0)
    )
    for name, over_time in zip(network.outputs, received, strict=True):
        sums = np.cumsum(trace.outputs[name], axis=0).astype("float32")
        for t in range(1, 12):
            mean = sums[t - 1] * (np.float32(1) / np.float32(t))
            assert np.array_equal(over_time[t - 1], mean), (name, t)
