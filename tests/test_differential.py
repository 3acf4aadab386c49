"""Differential neurons: they correct what they sent, and rest at their source."""

import keras
import numpy as np
import pytest
from keras import ops

import snn_keras
from snn_keras import analysis
from snn_keras.neurons import DifferentialIFCell
from tests import reference
from tests.cells import run, spiking_layers
from tests.graphs import Maker, chain, dyadic, seeds


@pytest.mark.parametrize("seed", range(20))
def test_what_was_sent_and_what_is_left_is_what_came_in(seed):
    rng = np.random.default_rng(seed)
    levels, currents = int(rng.integers(1, 40)), dyadic(rng, (9, 4, 5), 16, 64)
    step, sizes = dyadic(rng, (5,), 8, 4) ** 2 + 0.5, levels.bit_length()
    largest = step * 2 ** (sizes - 1)
    cell = DifferentialIFCell(largest, sizes=sizes, ceiling=levels)
    sent, (potential, _) = run(cell, currents)
    assert np.array_equal(sent.sum(0) + potential, currents.sum(0))
    neuron = reference.DifferentialIF(step, levels)
    for z, current in zip(sent, currents, strict=True):
        assert np.array_equal(z, neuron.step(current))
    total = np.cumsum(sent, axis=0)
    assert (total >= 0).all() and (total <= levels * step).all()


@pytest.mark.parametrize("levels", [1, 2, 3, 5, 7, 31, 100, 255])
@pytest.mark.parametrize("changes", [False, True])
def test_it_rests_at_the_nearest_level_after_few_steps(levels, changes):
    """Ties, values out of range, and inputs that are corrected later."""
    v = np.arange(-4, 4 * levels + 8) / 4
    currents = np.zeros((30, 1, len(v)))
    currents[0] = v
    if changes:
        rng = np.random.default_rng(levels)
        currents[1:5] = dyadic(rng, (4, 1, len(v)), 4, 4 * levels)
        currents[4] = v - currents[:4].sum(0)
    sizes = levels.bit_length()
    cell = DifferentialIFCell(2.0 ** (sizes - 1), sizes=sizes, ceiling=levels)
    sent, _ = run(cell, currents)
    expected = np.clip(np.floor(v + 0.5), 0, levels)
    assert np.array_equal(sent.sum(0)[0], expected)
    assert not sent[levels.bit_length() + 4 * changes :].any()


def test_sizes_by_hand():
    """s = 1, p = 5, sizes 4, 2, 1: never above 5, never below 0."""
    currents = np.array([2.75, 0.0, 4.0, 0.0, -7.25, 0.0, 0.0])[:, None, None]
    cell = DifferentialIFCell(4.0, sizes=3, ceiling=5)
    sent, (potential, total) = run(cell, currents)
    assert sent.ravel().tolist() == [2.0, 1.0, 2.0, 0.0, -4.0, -1.0, 0.0]
    assert total.item() == 0 and potential.item() == -0.5


@pytest.mark.parametrize("timesteps", [1, 4])
@pytest.mark.parametrize("seed", seeds(200, quick=5))
def test_networks_are_those_of_the_reference(seed, timesteps):
    """Every spike, every potential, every output; and the law, of every neuron."""
    network, phase = Maker(seed).make(), (1, 2, 4)[seed % 3]
    model = network.model
    snn = snn_keras.convert(model, timesteps, "differential", input_steps=phase)
    trace = reference.simulate(
        network.nodes, network.inputs, timesteps, "differential", phase
    )
    what = ("spikes", "potentials", "currents")
    found = analysis.record(snn, network.keras_inputs, what=what, traces=True)
    steps = {n.name: n.params.get("step") for n in network.nodes}
    assert found["spikes"]
    for name, potentials in found["potentials"].items():
        assert np.array_equal(potentials, trace.potentials[name])
        assert np.array_equal(found["spikes"][name], np.sign(trace.spikes[name]))
        sent = (phase * np.asarray(steps[name]) * trace.spikes[name]).sum(0)
        assert np.array_equal(sent + potentials[-1], found["currents"][name].sum(0))
    outputs = keras.tree.flatten(snn.predict_over_time(network.keras_inputs, verbose=0))
    for name, y in zip(network.outputs, outputs, strict=True):
        assert np.array_equal(y, trace.decoded(name)), name


@pytest.mark.parametrize("seed", seeds(200, quick=5))
def test_networks_rest_at_their_source(seed):
    network = Maker(seed).make()
    assert snn_keras.plan(network.model, "settle", "differential").verdict() == (
        "exact: the decoded output is the source's"
    )
    snn = snn_keras.convert(network.model, "settle", "differential")
    x = network.keras_inputs
    expected = keras.tree.flatten(network.model.predict(x, verbose=0))
    received = keras.tree.flatten(snn.predict(x, verbose=0))
    for first, second in zip(expected, received, strict=True):
        assert np.array_equal(first, second)
    trace, _ = reference.settle(network.nodes, network.inputs, neuron="differential")
    names = [layer.name for layer in spiking_layers(snn)]  # others reach no output
    assert snn.settling_steps(x, verbose=0).tolist() == trace.last_spikes(names)


def test_a_spike_costs_an_addition_and_a_shift_at_each_weight():
    model, x = chain(4)
    snn = snn_keras.convert(model, 3, "differential")
    statistics = analysis.spike_statistics(snn, x)
    found = analysis.energy(snn, x).layers
    for layer, name, fan_out in (("second", "act1", 4), ("out", "act2", 3)):
        spikes = statistics.layers[name].spikes
        assert (
            spikes > 0 and statistics.layers[name].bits == 3 * spikes
        )  # sizes 4, 2, 1
        assert found[layer].spiking.add == fan_out * spikes
        assert found[layer].spiking.shift == fan_out * spikes


def test_a_stream_is_a_run():
    model, x = chain(4)
    snn = snn_keras.convert(model, 5, "differential")
    stream = snn.stream()
    frames = np.repeat(np.asarray(x)[:, None], 5, axis=1)
    over_time = snn.predict_over_time(x, verbose=0)
    received = ops.convert_to_numpy(stream(frames))
    assert np.array_equal(np.moveaxis(received, 1, 0), over_time)


@pytest.mark.parametrize("sizes", [0, 17, 2.5, True])
def test_sizes_are_checked(sizes):
    with pytest.raises(ValueError, match="sizes must be an integer"):
        DifferentialIFCell(sizes=sizes)


@pytest.mark.parametrize("ceiling", [0, -1, 2.5, True, "level"])
def test_the_ceiling_is_checked(ceiling):
    with pytest.raises(ValueError, match="ceiling must be an integer"):
        DifferentialIFCell(ceiling=ceiling)


def test_numbers_of_numpy_are_numbers():
    cell = DifferentialIFCell(4.0, sizes=np.int64(3), ceiling=np.int64(3))
    sent, _ = run(cell, np.array([20.0, 0.0, 0.0])[:, None, None])
    assert sent.sum() == 3.0
    assert cell.get_config()["sizes"] == cell.get_config()["ceiling"] == 3


def test_fewer_sizes_take_longer_and_rest_at_the_same():
    model, x = chain(5)
    cells = [DifferentialIFCell(sizes=n) for n in (1, 3)]
    slow, fast = (snn_keras.convert(model, "settle", cell) for cell in cells)
    expected = model.predict(x, verbose=0)
    for snn in (slow, fast):
        assert np.array_equal(snn.predict(x, verbose=0), expected)
    assert slow.settling_steps(x).mean() > fast.settling_steps(x).mean()
