"""Laws of the lossless neurons: at rest, the network is its source, exactly."""

import itertools

import keras
import numpy as np
import pytest

import snn_keras
from apps import data
from apps.sources import load_model
from snn_keras.conversion.probe import Totals
from snn_keras.layers import LSQReLU
from snn_keras.neurons import SignedIFCell
from snn_keras.simulate import Monitored, runs
from snn_keras.time import OnePassSpiking, TemporalDifference
from tests import reference
from tests.cells import spiking_layers
from tests.graphs import ALL_KINDS, KINDS, Maker, seeds


def step_of(network, name):
    """The quantization step of an activation, as its node has it."""
    return next(n.params["step"] for n in network.nodes if n.name == name)


KINDS_BY_SEED = pytest.mark.parametrize(
    "seed, kinds",
    [
        pytest.param(
            *seed.values, kinds, marks=seed.marks, id=f"{seed.values[0]}-{name}"
        )
        if hasattr(seed, "values")
        else pytest.param(seed, kinds, id=f"{seed}-{name}")
        for seed in seeds(200, quick=15)
        for name, kinds in (("linear", KINDS), ("all", ALL_KINDS))
    ],
)


def test_bit_serial_networks_compute_the_numbers_of_their_source():
    """Trained weights, float32: what rounds, rounds alike."""
    rng = np.random.default_rng(0)
    fashion = data.shipped_test_images().images[:100] / 255
    images = {
        "fashion_mnist_bits": fashion,
        "fashion_mnist_sparse": fashion,
        "cifar10_bits": rng.uniform(0, 1, (20, 32, 32, 3)),
    }
    for name, x in images.items():
        ann = load_model(data.SHIPPED / f"{name}.keras")
        snn = snn_keras.convert(ann, timesteps=4, neuron="bit_serial")
        x = x.astype("float32")
        expected, received = ann.predict(x, verbose=0), snn.predict(x, verbose=0)
        assert np.array_equal(received, expected), name


@KINDS_BY_SEED
def test_signed_neurons_settle_to_the_source(seed, kinds):
    network = Maker(seed, kinds=kinds).make()
    phase = (None, 1, 2, 4, 8)[seed % 5]
    if kinds is ALL_KINDS and phase is None:
        phase = 4  # a signal / P that is rounded does not decode exactly
    snn = snn_keras.convert(network.model, "settle", neuron="signed", input_steps=phase)
    phase = snn.coding.input_steps
    outputs, totals = Monitored(snn, Totals()).predict(network.keras_inputs, verbose=0)
    sums = {name: sent for name, (_, sent) in totals.items()}
    levels = reference.integer_activation(network.nodes, network.inputs)
    assert sums
    for name, total in sums.items():
        theta = phase * np.asarray(step_of(network, name))
        assert np.array_equal(total, theta * levels[name]), name
    if phase & (phase - 1) == 0:  # else the decoded outputs are rounded
        source = reference.evaluate(network.nodes, network.inputs)
        flat = keras.tree.flatten(outputs)
        for name, output in zip(network.outputs, flat, strict=True):
            assert np.array_equal(output, source[name]), name


@pytest.mark.parametrize("seed", seeds(50, quick=10))
def test_signed_neurons_spike_for_spike(seed):
    network = Maker(seed).make()
    phase, timesteps = 1 + seed % 4, 6
    snn = snn_keras.convert(
        network.model, timesteps, neuron="signed", input_steps=phase
    )
    trace = reference.simulate(
        network.nodes, network.inputs, timesteps, "signed", phase
    )
    layers = {x.name: x.output for x in spiking_layers(snn)}
    recorded = keras.Model(snn.input, layers).predict(network.keras_inputs, verbose=0)
    for name, sent in recorded.items():
        theta = phase * np.asarray(step_of(network, name))
        expected = np.moveaxis(trace.spikes[name] * theta, 0, 1)
        assert np.array_equal(sent, expected), name


def test_settling_steps_are_the_references():
    for seed in range(5):
        network = Maker(seed).make()
        snn = snn_keras.convert(network.model, "settle", neuron="signed", input_steps=2)
        outputs, steps = snn.predict_until_settled(network.keras_inputs, verbose=0)
        again = snn.predict(network.keras_inputs, verbose=0)
        assert all(map(np.array_equal, *map(keras.tree.flatten, (outputs, again))))
        assert np.array_equal(
            steps, snn.settling_steps(network.keras_inputs, verbose=0)
        )
        trace, _ = reference.settle(network.nodes, network.inputs, 2, 1000)
        names = [layer.name for layer in spiking_layers(snn)]
        assert steps.tolist() == trace.last_spikes(names)


@pytest.mark.compiled  # it takes 16,384 steps
def test_a_run_settles_after_more_steps_than_it_may_take_at_rest():
    levels, step = 2**14, 2.0**-12
    inputs = keras.Input((3,))
    outputs = LSQReLU(levels, initial_step=step)(inputs)
    model = keras.Model(inputs, outputs)
    x = np.array([[0.5, 4.0, 7.0], [-1.0, 2.0**-12, 3.75]], "float32")
    snn = snn_keras.convert(model, "settle", "signed")
    received, steps = snn.predict_until_settled(x, verbose=0)
    assert levels > runs.SETTLE_LIMIT and steps.max() == levels
    assert np.array_equal(received, model.predict(x, verbose=0))
    assert np.array_equal(received, np.clip(x, 0, 4))


def test_a_run_that_was_ended_says_so(monkeypatch):
    network = Maker(0).make()
    snn = snn_keras.convert(network.model, "settle", neuron="signed", input_steps=2)
    monkeypatch.setattr(runs, "SETTLE_LIMIT", 0)
    with pytest.warns(UserWarning, match="still fired at step 2.*not settled"):
        snn.predict_until_settled(network.keras_inputs, verbose=0)


@pytest.mark.parametrize("levels", [1, 3, 7, 15, 255, 2, 5, 12])
@pytest.mark.parametrize("seed", seeds(20, quick=2))
def test_bit_serial_spikes_are_the_bits(seed, levels):
    bits = levels.bit_length()
    # Products of 8-bit activations are too fine for float32 to hold exactly.
    kinds = ALL_KINDS if bits < 8 and seed % 2 else KINDS
    network = Maker(1000 * bits + seed, levels=(levels,), kinds=kinds).make()
    level = reference.integer_activation(network.nodes, network.inputs)
    literal = snn_keras.convert(network.model, bits, neuron="bit_serial", fused=False)
    fused = snn_keras.convert(network.model, bits, neuron="bit_serial")
    layers = {x.name: x.output for x in spiking_layers(literal)}
    sent = keras.Model(literal.input, layers).predict(network.keras_inputs, verbose=0)
    currents = {x.name: x.input for x in fused.layers if isinstance(x, OnePassSpiking)}
    currents = keras.Model(fused.input, currents).predict(
        network.keras_inputs, verbose=0
    )
    assert set(sent) == set(currents)
    for name, outputs in sent.items():
        expected = reference.bits(level[name], bits)  # [T, B, ...]
        weights = 2.0 ** np.arange(bits - 1, -1, -1)
        weights = weights.reshape(-1, *[1] * (expected.ndim - 1))
        step = np.asarray(step_of(network, name))
        expected = np.moveaxis(expected * weights * step, 0, 1)
        assert np.array_equal(outputs, expected), name
        layer = fused.get_layer(name)
        assert np.array_equal(np.asarray(layer.spikes(currents[name])), expected), name
    source = reference.evaluate(network.nodes, network.inputs)
    for snn in (literal, fused):
        flat = keras.tree.flatten(snn.predict(network.keras_inputs, verbose=0))
        for name, output in zip(network.outputs, flat, strict=True):
            assert np.array_equal(output, source[name]), name


@pytest.mark.parametrize("timesteps", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("seed", seeds(5, quick=2))
def test_bit_serial_with_more_or_fewer_steps_than_bits(seed, timesteps):
    network = Maker(seed, levels=(7, 5)).make()
    trace = reference.simulate(network.nodes, network.inputs, timesteps, "bit_serial")
    snn = snn_keras.convert(network.model, timesteps, neuron="bit_serial", fused=False)
    other = snn_keras.convert(network.model, 3, neuron="bit_serial", fused=False)
    for model in (snn, other.with_timesteps(timesteps)):
        layers = {x.name: x.output for x in spiking_layers(model)}
        sent = keras.Model(model.input, layers).predict(network.keras_inputs, verbose=0)
        for name, outputs in sent.items():
            spikes = np.moveaxis(trace.spikes[name], 0, 1)
            assert np.array_equal(outputs != 0, spikes), name


@pytest.mark.parametrize("levels", [1, 3, 5, 7])
@pytest.mark.parametrize("fused, more", [(True, 2), (False, 2), (True, 60)])
def test_bit_serial_with_more_steps_has_finer_levels_of_the_same_clip(
    levels, fused, more
):
    step, bits, timesteps = 0.5, levels.bit_length(), levels.bit_length() + more
    x = np.arange(-1, levels * step + 2, 1 / 32, "float32")[:, None]
    inputs = keras.Input((1,))
    activation = LSQReLU(levels, initial_step=step)
    model = keras.Model(
        inputs, keras.layers.Dense(1, use_bias=False)(activation(inputs))
    )
    model.layers[-1].set_weights([np.ones((1, 1))])
    snn = snn_keras.convert(model, timesteps, "bit_serial", fused=fused)
    other = snn_keras.convert(model, bits, "bit_serial", fused=fused)
    parts = 2.0 ** (timesteps - bits)
    finer = np.floor(parts * np.clip(x / step, 0, levels) + 0.5) * step / parts
    for spiking in (snn, other.with_timesteps(timesteps)):
        assert np.array_equal(spiking.predict(x, verbose=0), finer)


@pytest.mark.parametrize("neuron", ["if", SignedIFCell(ceiling=None), "signed"])
@pytest.mark.parametrize("seed", seeds(20, quick=4))
def test_max_pooling_sums_to_the_pooled_sum(seed, neuron):
    kinds = ("max_pool", "conv", "activation", "merge")
    candidates = (Maker(i, kinds=kinds).make() for i in itertools.count(50 * seed))
    for network in candidates:
        snn = snn_keras.convert(network.model, 7, neuron=neuron)
        pools = [x for x in snn.layers if isinstance(x, TemporalDifference)]
        if pools:
            break
    ends = {x.name: (x.input, x.output) for x in pools}
    recorded = keras.Model(snn.input, ends).predict(network.keras_inputs, verbose=0)
    for pool in pools:
        x, y = recorded[pool.name]
        whole = np.asarray(pool.operation(x.sum(axis=1)))
        assert np.array_equal(y.sum(axis=1), whole)
