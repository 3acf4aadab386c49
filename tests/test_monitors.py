"""Laws of what is recorded of neurons, on networks of dyadic numbers."""

import functools

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras import analysis
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import NoisyLIFCell
from tests import reference
from tests.graphs import Maker, dyadic
from tests.subjects import COUNTING

WHAT = ("spikes", "potentials", "currents")


def source(activation=LSQReLU, seed=0):
    """Two layers of neurons, dyadic weights, and inputs."""
    rng = np.random.default_rng(seed)

    def neurons(name):
        if activation is NoisySpike:
            return NoisySpike(name=name)
        return LSQReLU(4, initial_step=0.25, name=name)

    inputs = keras.Input((4, 3))
    x = neurons("act1")(keras.layers.Dense(5)(inputs))
    x = keras.layers.Dense(6)(keras.layers.Flatten()(x))
    x = neurons("act2")(x)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model, dyadic(rng, (6, 4, 3))


def spiking(kind, timesteps=5):
    """A spiking network of a kind, with inputs."""
    model, x = source(NoisySpike if kind == "noisy_lif" else LSQReLU)
    if kind in ("bit_serial", "fused"):
        fused = kind == "fused"
        return snn_keras.convert(model, 3, "bit_serial", fused=fused), x
    if kind == "noisy_lif":
        return snn_keras.convert(model, 4, NoisyLIFCell(alpha=4)), x
    return snn_keras.convert(model, timesteps, kind), x


@functools.cache
def recorded(kind):
    """Every spike, potential and current of that network, on its inputs."""
    snn, x = spiking(kind)
    return analysis.record(snn, x, what=WHAT, traces=True)


KINDS = ("if", "signed", "noisy_lif", "srp", "bit_serial", "fused")


@pytest.mark.parametrize("neuron", COUNTING)
@pytest.mark.parametrize("seed", range(2))
def test_traces_are_those_of_the_reference(seed, neuron):
    network, timesteps = Maker(seed).make(), 5
    phase = 2 if neuron == "signed" else None
    snn = snn_keras.convert(network.model, timesteps, neuron, input_steps=phase)
    trace = reference.simulate(
        network.nodes, network.inputs, timesteps, neuron, phase=phase
    )
    what = ("spikes", "potentials")
    found = analysis.record(snn, network.keras_inputs, what=what, traces=True)
    assert found["spikes"] and set(found["spikes"]) <= set(trace.spikes)
    for name in found["spikes"]:
        assert np.array_equal(found["spikes"][name], np.sign(trace.spikes[name])), name
        assert np.array_equal(found["potentials"][name], trace.potentials[name]), name


@pytest.mark.parametrize("kind", KINDS)
def test_sums_chunks_and_statistics_agree(kind):
    snn, x = spiking(kind)
    traces = recorded(kind)
    snn.chunk_steps = 2
    again = analysis.record(snn, x, what=WHAT, traces=True, batch_size=3)
    for name, z in traces["spikes"].items():
        assert np.array_equal(again["spikes"][name], z), name
        for what in ("potentials", "currents"):
            # The share of noise is a quotient, which compilers round in their own way.
            off = 1e-6 if kind == "noisy_lif" else 0
            assert np.abs(again[what][name] - traces[what][name]).max() <= off, name
    sums = analysis.record(snn, x, what=WHAT)
    for name, z in traces["spikes"].items():
        assert z.shape[:2] == (snn.timesteps, len(x)) and z.dtype == "int8"
        assert np.array_equal(sums["spikes"][name], np.abs(z).sum(0, dtype="int32"))
        for what in ("potentials", "currents"):
            total = traces[what][name].sum(0, dtype="float64")
            assert sums[what][name] == pytest.approx(total / snn.timesteps, abs=1e-6)
    statistics = analysis.spike_statistics(snn, x, batch_size=3)
    for name, layer in statistics.layers.items():
        z = traces["spikes"][name] != 0
        by_step = z.reshape(len(z), -1).sum(1) / len(x)
        assert layer.over_time == tuple(by_step.tolist())
        assert layer.spikes == z.sum() / len(x)
        assert layer.rate == layer.spikes / z[:, 0].size
        assert layer.sparsity == 1 - layer.rate
    assert statistics.steps == snn.timesteps


@pytest.mark.parametrize("kind", ["if", "signed", "bit_serial", "fused"])
def test_potentials_are_what_currents_bring_and_spikes_take(kind):
    snn, _ = spiking(kind)
    found = recorded(kind)
    for name, u in found["potentials"].items():
        cell = snn.get_layer(name).cell
        theta = cell.theta_value()
        z, current = found["spikes"][name], found["currents"][name]
        if snn.coding.charges_first:  # all is in before the first bit is sent
            weights = theta * 2.0 ** -np.arange(1, len(z) + 1)
            start = theta * 2.0 ** -(len(z) + 1) + current.sum(0)
            sent = np.cumsum(z * weights.reshape(-1, *[1] * (z.ndim - 1)), axis=0)
            assert np.array_equal(u, np.asarray(cell.saturated(start)) - sent)
            continue
        expected = theta / 2 + np.cumsum(current, axis=0) - theta * np.cumsum(z, axis=0)
        assert np.array_equal(u, expected), name


def test_noisy_neurons_fall_to_0_where_they_fire():
    found = recorded("noisy_lif")
    for name, z in found["spikes"].items():
        assert 0 < z.mean() < 1
        u = found["potentials"][name]
        assert (u[z == 1] == 0).all() and (u[z == 0] != 0).mean() > 0.9


def test_chosen_neurons_are_those_of_the_whole():
    snn, x = spiking("if")
    whole = recorded("if")["spikes"]
    flat = {name: z.reshape(*z.shape[:2], -1) for name, z in whole.items()}
    some = analysis.record(snn, x, neurons=[5, 0], traces=True)
    for name, z in some.items():
        assert np.array_equal(z, flat[name][..., [5, 0]])
    by_layer = analysis.record(snn, x, neurons={"act1": [19]}, traces=True)
    assert np.array_equal(by_layer["act1"], flat["act1"][..., [19]])
    assert np.array_equal(by_layer["act2"], whole["act2"])
    one = analysis.record(snn, x, layers="act2", traces=True)
    assert list(one) == ["act2"] and np.array_equal(one["act2"], whole["act2"])


def test_networks_that_settle():
    model, x = source()
    settled = snn_keras.convert(model, "settle", "signed")
    steps = int(settled.settling_steps(x, verbose=0).max())
    run = settled.with_timesteps(max(steps, settled.coding.input_steps))
    counts, expected = analysis.record(settled, x), analysis.record(run, x)
    for name in expected:
        assert np.array_equal(counts[name], expected[name])
    found = analysis.spike_statistics(settled, x)
    assert found.layers["act1"].over_time is None
    assert found.spikes == analysis.spike_statistics(run, x).spikes
    with pytest.raises(ValueError, match=r"no fixed number of steps.*with_timesteps"):
        analysis.record(settled, x, traces=True)


def test_bad_requests_say_what_there_is():
    snn, x = spiking("if")
    with pytest.raises(ValueError, match=r"\['act1', 'act2'\].*Received: \['act3'\]"):
        analysis.record(snn, x, layers=["act1", "act3"])
    with pytest.raises(ValueError, match=r"neurons 0 to 5,.*Received: \[6\]"):
        analysis.record(snn, x, layers=["act2"], neurons=[6])
    with pytest.raises(ValueError, match=r"one of \['currents'.*Received: what='u'"):
        analysis.record(snn, x, what="u")
    with pytest.raises(ValueError, match="needs a spiking network"):
        analysis.record(source()[0], x)
