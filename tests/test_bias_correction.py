"""Bias correction takes away the mean error of each channel."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.convert import normalize
from snn_keras.convert.bias_correction import correct_biases
from snn_keras.convert.build import build
from snn_keras.convert.plan import plan
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.neurons import IFCell
from tests.graphs import dyadic


def network(activation, samples=40):
    """A small convolutional network on dyadic numbers, and inputs."""
    rng = np.random.default_rng(5)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(4, 3, padding="same"),
            activation("first"),
            keras.layers.Conv2D(3, 3),
            activation("second"),
            keras.layers.Flatten(),
            keras.layers.Dense(5),
            activation("third"),
            keras.layers.Dense(2),
        ]
    )
    for layer in model.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            layer.set_weights([dyadic(rng, w.shape, 16, 8) for w in layer.weights])
    return model, dyadic(rng, (samples, 6, 6, 2))


def relu(name):
    return keras.layers.ReLU(name=name)


def lsq(name):
    return snn_keras.layers.LSQReLU(3, initial_step=0.5, name=name)


def channel_means(signal):
    return signal.reshape(-1, signal.shape[-1]).mean(axis=0, dtype="float64")


NAMES = ["first", "second", "third"]


def built(quantized, neuron):
    """The spiking network, with biases that are not corrected yet."""
    return build(plan(quantized, 4, neuron, bias_correction=True), name="snn")


def mean_errors(model, snn, x):
    """What each channel of each layer lacks on average: `{layer: (channels,)}`."""
    graph = normalize.read(model)
    _, expected = SourceProbe(model, graph, NAMES).predict_on_batch(x)
    _, received = SpikingProbe(snn).predict_on_batch(x)
    return {
        n: channel_means(expected[n]) - channel_means(received[n][1]) for n in NAMES
    }


def biases(snn):
    found = {n: snn.get_layer(f"{n}_bias").bias for n in NAMES}
    return {n: keras.ops.convert_to_numpy(bias) for n, bias in found.items()}


@pytest.mark.parametrize("activation, neuron", [(relu, "if"), (lsq, "cos")])
def test_each_round_adds_the_mean_error_that_is_left(activation, neuron):
    model, x = network(activation)
    is_float = activation is relu
    quantized = snn_keras.quantize_activations(model, 4, data=x) if is_float else model
    snn = built(quantized, neuron)
    for _ in range(2):
        errors, before = mean_errors(model, snn, x), biases(snn)
        correct_biases(model, snn, x, most_rounds=1)
        for name, bias in biases(snn).items():
            assert np.abs(errors[name]).max() > 0.001
            added = bias - before[name]
            np.testing.assert_allclose(added, errors[name], atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize(
    "activation, neuron", [(relu, IFCell(initial=0)), (lsq, "if"), (lsq, "srp")]
)
def test_it_ends_when_the_mean_errors_are_gone(activation, neuron):
    model, x = network(activation, samples=1000)
    snn = snn_keras.convert(model, 4, neuron, data=x, bias_correction=True)
    for name, errors in mean_errors(model, snn, x).items():
        threshold = float(snn.get_layer(name).cell.theta)
        assert 0 < np.sqrt(np.square(errors).mean()) <= 0.003 * threshold


def test_it_brings_a_network_of_plain_relus_nearer_to_its_source():
    model, x = network(relu, samples=400)
    answers = model.predict(x, verbose=0)
    errors = []
    for correct in (False, True):
        snn = snn_keras.convert(
            model, 4, IFCell(initial=0), data=x, bias_correction=correct
        )
        errors.append(np.square(snn.predict(x, verbose=0) - answers).mean())
    assert errors[1] < 0.75 * errors[0]


def test_a_corrected_network_saves_and_runs_for_another_time(tmp_path):
    model, x = network(relu)
    snn = snn_keras.convert(model, 4, data=x, bias_correction=True)
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), snn.predict(x, verbose=0))
    outputs = snn.with_timesteps(9).predict_over_time(x, verbose=0)
    assert np.array_equal(outputs[3], snn.predict(x, verbose=0))
    assert "currents corrected on data" in str(
        snn_keras.plan(lsq_model(), 4, bias_correction=True)
    )


def lsq_model():
    return network(lsq)[0]


def test_levels_of_plain_relus_need_not_be_the_timesteps():
    model, x = network(relu)
    snn = snn_keras.convert(model, "settle", "signed", data=x, levels=5)
    quantized = snn_keras.quantize_activations(model, 5, data=x)
    np.testing.assert_allclose(
        snn.predict(x, verbose=0), quantized.predict(x, verbose=0), atol=1e-5
    )
