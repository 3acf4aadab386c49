"""Bias correction takes away, layer by layer, the mean error of each channel."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.convert import normalize
from snn_keras.convert.probe import SourceProbe, SpikingProbe
from snn_keras.neurons import IFCell
from tests.graphs import dyadic


def network(activation):
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
    return model, dyadic(rng, (40, 6, 6, 2))


def relu(name):
    return keras.layers.ReLU(name=name)


def lsq(name):
    return snn_keras.layers.LSQReLU(3, initial_step=0.5, name=name)


def channel_means(signal):
    return signal.reshape(-1, signal.shape[-1]).mean(axis=0, dtype="float64")


@pytest.mark.parametrize("activation", [relu, lsq])
@pytest.mark.parametrize("neuron", ["if", IFCell(initial=0), "cos"])
def test_each_bias_is_the_mean_error_that_was_left_there(activation, neuron):
    model, x = network(activation)
    snn = snn_keras.convert(model, 4, neuron, data=x, bias_correction=True)
    graph = normalize.read(model)
    names = ["first", "second", "third"]
    _, expected = SourceProbe(model, graph, names).predict_on_batch(x)
    found = {n: snn.get_layer(f"{n}_bias").bias for n in names}
    biases = {n: keras.ops.convert_to_numpy(bias) for n, bias in found.items()}
    for name in names:
        for later in names[names.index(name) :]:
            found[later].assign(np.zeros_like(biases[later]))
        _, received = SpikingProbe(snn).predict_on_batch(x)
        error = channel_means(expected[name]) - channel_means(received[name][1])
        assert np.abs(error).max() > 0.001
        np.testing.assert_allclose(biases[name], error, atol=1e-7, rtol=1e-6)
        for restored in names:
            found[restored].assign(biases[restored])


def test_it_brings_a_network_of_plain_relus_nearer_to_its_source():
    model, x = network(relu)
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
