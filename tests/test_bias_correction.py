"""Bias correction takes away the mean error of each channel."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.conversion import normalize
from snn_keras.conversion.bias_correction import Corrections, correct_biases
from snn_keras.conversion.building import build
from snn_keras.conversion.normalize import normal_form
from snn_keras.conversion.planning import plan
from snn_keras.conversion.probe import SourceProbe, SpikingProbe
from snn_keras.export import (
    FORMS,
    CNetwork,
    TFLiteNetwork,
    to_c,
    to_integers,
    to_tflite,
)
from snn_keras.neurons import IFCell
from snn_keras.time import Neurons
from tests.graphs import dyadic
from tests.test_c_export import compiled


def network(activation, samples=64):
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


def built(model, x, timesteps=4, neuron="if"):
    """The spiking network, with nothing corrected yet."""
    if any(isinstance(layer, keras.layers.ReLU) for layer in model.layers):
        model = snn_keras.quantize_activations(model, 4, data=x)
    return build(plan(model, timesteps, neuron, bias_correction=True), name="snn")


def mean_errors(model, snn, x):
    """What each channel of each layer lacks on average: `{layer: (channels,)}`."""
    graph = normalize.normal_form(model)
    _, expected = SourceProbe(model, graph, NAMES).predict_on_batch(x)
    _, received = SpikingProbe(snn).predict_on_batch(x)
    return {
        n: channel_means(expected[n]) - channel_means(received[n][1]) for n in NAMES
    }


def corrections(snn):
    return {n: snn.get_layer(f"{n}_bias").get_weights() for n in NAMES}


def distance(model, snn, x):
    """Mean square of what the network's outputs lack."""
    outputs = (m.predict(x, verbose=0) for m in (model, snn))
    return np.square(np.subtract(*outputs), dtype="float64").mean()


@pytest.mark.parametrize("neuron", ["if", "cos"])
def test_a_correction_is_a_bias_and_an_initial_potential(neuron):
    """Exactly, on dyadic numbers, wherever a run is cut."""
    rng = np.random.default_rng(3)
    model, x = network(lsq)
    corrected = built(model, x, 6, neuron)
    bias = {
        n: dyadic(rng, w[0].shape, 16, 8) for n, w in corrections(corrected).items()
    }
    start = {n: dyadic(rng, b.shape, 16, 8) for n, b in bias.items()}
    for name in NAMES:
        corrected.get_layer(f"{name}_bias").set_weights([bias[name], start[name]])
    plain = snn_keras.convert(model, 6, neuron)
    weighted = [layer for layer in plain.layers if layer.get_weights()]
    affine = [layer for layer in weighted if not isinstance(layer, Neurons)]
    for layer, name in zip(affine, NAMES, strict=False):
        kernel, constant = layer.get_weights()
        layer.set_weights([kernel, constant + bias[name]])
        cell = plain.get_layer(name).cell
        at_rest = cell.initial_state
        cell.initial_state = lambda shape, at_rest=at_rest, u=start[name]: [
            at_rest(shape)[0] + u,
            *at_rest(shape)[1:],
        ]
    expected = plain.predict(x, verbose=0)
    assert len(np.unique(expected)) > 20
    for chunk_steps in (None,) if neuron == "cos" else (None, 1, 4):
        corrected.chunk_steps = chunk_steps
        corrected.make_predict_function(force=True)
        assert np.array_equal(corrected.predict(x, verbose=0), expected)


@pytest.mark.parametrize("timesteps", [1, 2, 4])
def test_a_round_corrects_by_the_mean_errors(timesteps):
    model, x = network(lsq)
    snn = built(model, x, timesteps)
    one = snn.with_timesteps(1)
    first, mean = mean_errors(model, one, x), mean_errors(model, snn, x)
    found = Corrections(model, normal_form(model), snn, x, batch_size=32)
    left, errors = found.measure()
    np.testing.assert_allclose(left, distance(model, snn, x), rtol=1e-6)
    found.add(errors, rate=0.75)
    for name, (bias, initial) in corrections(snn).items():
        rest = first[name]
        if timesteps > 1:
            rest = (timesteps * mean[name] - first[name]) / (timesteps - 1)
        assert np.abs(rest).max() > 0.001
        np.testing.assert_allclose(bias, 0.75 * rest, atol=1e-7, rtol=1e-6)
        change = first[name] - rest
        np.testing.assert_allclose(initial, 0.75 * change, atol=1e-7, rtol=1e-6)


@pytest.mark.parametrize(
    "activation, neuron", [(relu, IFCell(initial=0)), (lsq, "cos")]
)
def test_it_keeps_the_best_of_all_rounds(activation, neuron):
    model, x = network(activation)
    snn = built(model, x, 3, neuron)
    uncorrected, before = distance(model, snn, x), corrections(snn)
    found = []
    for rounds in (0, 1, 3, 6):
        for name, weights in before.items():
            snn.get_layer(f"{name}_bias").set_weights(weights)
        correct_biases(model, normal_form(model), snn, x, rounds=rounds, rate=1.0)
        found.append(distance(model, snn, x))
    assert found[0] == uncorrected > found[-1]
    assert found == sorted(found, reverse=True)


@pytest.mark.compiled  # it takes many runs
@pytest.mark.parametrize("timesteps", [1, 4])
def test_it_brings_a_network_of_plain_relus_nearer_to_its_source(timesteps):
    """On inputs that it did not see."""
    model, x = network(relu, samples=512)
    seen, unseen = x[:256], x[256:]
    errors = []
    for correct in (False, True):
        snn = snn_keras.convert(
            model, timesteps, IFCell(initial=0), data=seen, bias_correction=correct
        )
        errors.append(distance(model, snn, unseen))
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


def dyadic_network(neuron):
    """A spiking network with corrections that are dyadic, and its inputs."""
    rng = np.random.default_rng(4)
    model, x = network(lsq)
    snn = built(model, x, neuron=neuron)
    for name, weights in corrections(snn).items():
        values = [dyadic(rng, w.shape, 16, 8) for w in weights]
        snn.get_layer(f"{name}_bias").set_weights(values)
    return snn, x


@pytest.mark.parametrize("neuron", ["if", "multi_threshold"])
def test_the_integers_of_a_corrected_network_are_exact(neuron):
    snn, x = dyadic_network(neuron)
    net = to_integers(snn, x)
    assert net.is_exact
    (out,) = net.outputs
    expected = snn.predict_over_time(x, verbose=0)
    for step, (values, _) in enumerate(net.run(net.quantize([x]))):
        total = values[out.name] * out.scale
        assert np.array_equal(total, (step + 1) * expected[step])


@compiled
@pytest.mark.parametrize("neuron", ["if", "multi_threshold"])
def test_exports_of_a_corrected_network_are_its_integers(neuron, tmp_path):
    snn, x = dyadic_network(neuron)
    net = to_integers(snn, x)
    for form in FORMS:
        path = tmp_path / f"{form}.tflite"
        to_tflite(net, path, form=form, batch_size=len(x))
        assert np.array_equal(TFLiteNetwork(path).predict(x), net.predict(x))
    to_c(net, tmp_path / "c")
    assert np.array_equal(CNetwork(tmp_path / "c").predict(x), net.predict(x))


def lsq_model():
    return network(lsq)[0]


def test_levels_of_plain_relus_need_not_be_the_timesteps():
    model, x = network(relu)
    snn = snn_keras.convert(model, "settle", "signed", data=x, levels=5)
    quantized = snn_keras.quantize_activations(model, 5, data=x)
    np.testing.assert_allclose(
        snn.predict(x, verbose=0), quantized.predict(x, verbose=0), atol=1e-5
    )
