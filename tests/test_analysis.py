"""What analysis counts is what the reference counts."""

import json

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras import analysis
from tests import reference
from tests.graphs import Maker, dyadic
from tests.subjects import COUNTING


@pytest.mark.parametrize("neuron", COUNTING)
@pytest.mark.parametrize("seed", range(5))
def test_spikes_are_those_of_the_reference(seed, neuron):
    network, timesteps = Maker(seed).make(), 6
    phase = 2 if neuron == "signed" else None
    snn = snn_keras.convert(network.model, timesteps, neuron, input_steps=phase)
    trace = reference.simulate(
        network.nodes, network.inputs, timesteps, neuron, phase=phase
    )
    found = analysis.spike_statistics(snn, network.keras_inputs, batch_size=2)
    assert found.layers
    for name, layer in found.layers.items():
        spikes = trace.spikes[name]
        _, samples, *shape = spikes.shape
        assert layer.neurons == np.prod(shape)
        assert layer.spikes * samples == np.count_nonzero(spikes)
    assert found.spikes == sum(layer.spikes for layer in found.layers.values())
    rows = [line.split()[0] for line in str(found).splitlines()[3:]]
    assert rows == [*found.layers, "whole"]
    assert json.loads(json.dumps(found.as_dict()))["spikes"] == found.spikes


@pytest.mark.parametrize("fused", [True, False])
def test_bit_serial_spikes_are_the_bits(fused):
    network = Maker(2, levels=(7,)).make()
    snn = snn_keras.convert(network.model, 3, "bit_serial", fused=fused)
    found = analysis.spike_statistics(snn, network.keras_inputs).layers
    levels = reference.integer_activation(network.nodes, network.inputs)
    assert found
    for name, counted in found.items():
        bits = sum(int(k).bit_count() for k in levels[name].ravel())
        assert counted.spikes * len(levels[name]) == pytest.approx(bits)


@pytest.mark.parametrize("neuron, steps", [("if", 5), ("bit_serial", 3)])
def test_accuracy_is_that_of_each_run(neuron, steps):
    inputs = keras.Input((4,))
    x = keras.layers.Dense(8)(inputs)
    x = snn_keras.layers.LSQReLU(7, initial_step=0.25, name="act")(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    rng = np.random.default_rng(0)
    x, labels = dyadic(rng, (30, 4)), np.arange(30) % 3
    snn = snn_keras.convert(model, steps, neuron)
    accuracy = analysis.accuracy_by_timesteps(snn, x, labels, verbose=0)
    answers = analysis.answers_by_timesteps(snn, x, verbose=0, timesteps=[2, steps])
    for t in range(1, steps + 1):
        run = snn.with_timesteps(t).predict(x, verbose=0).argmax(-1)
        assert accuracy[t - 1] == np.mean(run == labels)
        if t in (2, steps):
            np.testing.assert_array_equal(answers[[2, steps].index(t)], run)


def test_figures_are_read_by_name_too():
    network = Maker(0).make()
    snn = snn_keras.convert(network.model, 2)
    found = analysis.spike_statistics(snn, network.keras_inputs)
    (name, *_) = found.layers
    assert found["layers"][name]["spikes"] == found.layers[name].spikes
    with pytest.raises(KeyError, match="nothing"):
        found["nothing"]
