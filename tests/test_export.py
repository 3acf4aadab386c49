"""Integer networks: the spiking network's, and the file's, spike for spike."""

import numpy as np
import pytest

import snn_keras
from snn_keras.errors import ConversionError
from snn_keras.export import quantize_weights
from tests import reference
from tests.graphs import Maker, seeds


def network_of(seed, neuron):
    """A random network, converted; None where it has three-dimensional layers."""
    levels = (1, 3, 7) if neuron == "bit_serial" else (1, 2, 3, 4, 7)
    network = Maker(seed, levels=levels).make()
    timesteps = 3 if neuron == "bit_serial" else 2 + seed % 4
    return network, snn_keras.convert(network.model, timesteps, neuron)


def integers(network, snn):
    """The integer network, or None where layers of three dimensions have none."""
    try:
        return quantize_weights(snn, network.keras_inputs)
    except ConversionError as error:
        assert "3D" in str(error)
        return None


@pytest.mark.parametrize("neuron", ["if", "signed"])
@pytest.mark.parametrize("seed", seeds(200, quick=20))
def test_integers_are_the_spiking_network(seed, neuron):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    assert net.is_exact, net.notes
    expected = reference.simulate(network.nodes, network.inputs, snn.timesteps, neuron)
    inputs = net.quantize(list(network.inputs.values()))
    for step, (values, _) in enumerate(net.run(inputs)):
        for layer in net.neurons:
            spikes = expected.spikes[layer.name][step]
            assert np.array_equal(values[layer.name], spikes), layer.name
        for name, y in zip(network.outputs, net.decode(values, step + 1), strict=True):
            assert np.array_equal(y, expected.running[name][step]), name
