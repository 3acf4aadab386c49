"""Multi-threshold neurons: what they send and keep is what came in."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras import analysis
from snn_keras.neurons import MultiThresholdIFCell
from tests import reference
from tests.cells import run
from tests.graphs import Maker, chain, dyadic, seeds


@pytest.mark.parametrize("seed", range(20))
def test_what_was_sent_and_what_is_left_is_what_came_in(seed):
    rng = np.random.default_rng(seed)
    theta = dyadic(rng, (5,), 8, 4) ** 2 + 0.5
    sizes, currents = int(rng.integers(1, 9)), dyadic(rng, (9, 4, 5), 16, 32)
    sent, (potential, _) = run(MultiThresholdIFCell(theta, sizes=sizes), currents)
    assert np.array_equal(sent.sum(0) + potential, currents.sum(0))
    neuron = reference.MultiThresholdIF(theta, sizes)
    for z, current in zip(sent, currents, strict=True):
        assert np.array_equal(z, neuron.step(current))
    assert (np.cumsum(sent, axis=0) >= 0).all()


def test_sizes_by_hand():
    """theta = 1, sizes 1, 1/2, 1/4: the nearest, until less than 3/16 is left.

    -3/8 is between 1/2 and 1/4, and takes the lesser: halves round up.
    """
    currents = np.array([2.0, 0.0, 0.0, -1.375, 0.0, 0.0, -4.0])[:, None, None]
    sent, (potential, total) = run(MultiThresholdIFCell(1.0, sizes=3), currents)
    assert sent.ravel().tolist() == [1.0, 1.0, 0.0, -1.0, -0.25, 0.0, -0.5]
    assert total.item() == 1 and potential.item() == -3.625


@pytest.mark.parametrize("timesteps", [1, 4])
@pytest.mark.parametrize("seed", seeds(200, quick=5))
def test_networks_are_those_of_the_reference(seed, timesteps):
    """Every spike, every potential, every output; and the law, of every neuron."""
    network = Maker(seed).make()
    snn = snn_keras.convert(network.model, timesteps, "multi_threshold")
    trace = reference.simulate(
        network.nodes, network.inputs, timesteps, "multi_threshold"
    )
    what = ("spikes", "potentials", "currents")
    found = analysis.record(snn, network.keras_inputs, what=what, traces=True)
    steps = {n.name: n.params.get("step") for n in network.nodes}
    levels = {n.name: n.params.get("levels") for n in network.nodes}
    assert found["spikes"]
    for name, potentials in found["potentials"].items():
        assert np.array_equal(potentials, trace.potentials[name])
        assert np.array_equal(found["spikes"][name], np.sign(trace.spikes[name]))
        least = np.asarray(steps[name]) * levels[name] / 2**7
        sent = (least * trace.spikes[name]).sum(0)
        assert np.array_equal(sent + potentials[-1], found["currents"][name].sum(0))
    outputs = keras.tree.flatten(snn.predict_over_time(network.keras_inputs, verbose=0))
    for name, y in zip(network.outputs, outputs, strict=True):
        for t in (1, 2, 4)[: timesteps.bit_length()]:  # thirds are rounded
            assert np.array_equal(y[t - 1], trace.decoded(name)[t - 1]), name


def test_a_spike_costs_an_addition_and_a_shift_at_each_weight():
    model, x = chain(4)
    snn = snn_keras.convert(model, 3, "multi_threshold")
    statistics = analysis.spike_statistics(snn, x)
    found = analysis.energy(snn, x).layers
    for layer, name, fan_out, neurons in (
        ("second", "act1", 4, 5),
        ("out", "act2", 3, 4),
    ):
        spikes = statistics.layers[name].spikes
        assert spikes > 0 and statistics.layers[name].bits == 4 * spikes
        assert found[layer].spiking.add == fan_out * spikes
        assert found[layer].spiking.shift == fan_out * spikes
        # A sign and three bisections at each of 3 steps; a spike resets and counts.
        assert found[name].spiking.compare == 3 * neurons * (1 + 4)
        assert found[name].spiking.add == 3 * neurons + 2 * spikes
    assert statistics.bits == 4 * statistics.spikes


@pytest.mark.parametrize("seed", range(5))
def test_every_addition_of_a_spike_has_its_shift(seed):
    """Whatever hands spikes on: pools, sums, concatenations."""
    network = Maker(seed).make()
    snn = snn_keras.convert(network.model, 2, "multi_threshold")
    found = analysis.energy(snn, network.keras_inputs).layers
    weighs = [x.spiking for x in found.values() if x.opponents["float"].cost.multiply]
    assert any(x.shift for x in weighs)
    for x in weighs:
        assert x.shift == x.add - x.multiply


def test_more_steps_come_closer_to_the_source():
    model, x = chain(4)
    source = model.predict(x, verbose=0)
    errors = [
        np.abs(
            snn_keras.convert(model, steps, "multi_threshold").predict(x, verbose=0)
            - source
        ).mean()
        for steps in (1, 4, 64)
    ]
    assert errors[0] > errors[1] > errors[2]


def test_an_early_answer_is_that_of_a_shorter_run():
    model, x = chain(4)
    long = snn_keras.convert(model, 4, "multi_threshold")
    short = snn_keras.convert(model, 2, "multi_threshold")
    over_time = long.predict_over_time(x, verbose=0)
    assert np.array_equal(over_time[1], short.predict(x, verbose=0))


@pytest.mark.parametrize("sizes", [0, 17, 2.5, True])
def test_sizes_are_checked(sizes):
    with pytest.raises(ValueError, match="sizes must be an integer"):
        MultiThresholdIFCell(sizes=sizes)
