"""Other precisions than float32: what the source computes in, its neurons do."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras.layers import QCFS, LSQReLU
from tests.graphs import dyadic


def network(levels=3, scale=8):
    """A convolutional network; its weights are multiples of 1 / scale."""
    rng = np.random.default_rng(0)
    x = inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(6, 3, name="conv1")(x)
    x = LSQReLU(levels, initial_step=0.5, name="act1")(x)
    x = layers.MaxPooling2D(name="pool")(x)
    x = layers.Conv2D(6, 2, name="conv2")(x)
    x = QCFS(levels, initial_threshold=levels * 0.25, name="act2")(x)
    model = keras.Model(inputs, layers.Dense(4, name="head")(layers.Flatten()(x)))
    for name in ("conv1", "conv2", "head"):
        layer = model.get_layer(name)
        layer.set_weights([dyadic(rng, w.shape, scale, scale) for w in layer.weights])
    return model, dyadic(rng, (20, 6, 6, 2), 8, 8)


ALL = pytest.mark.parametrize(
    "timesteps, neuron",
    [
        (4, "if"),
        ("settle", "signed"),
        (2, "bit_serial"),
        (3, "srp"),
        (3, "cos"),
    ],
)


@ALL
def test_float64_sources_have_float64_neurons(policy, timesteps, neuron):
    policy("float64")
    model, x = network()
    step = 1 / 3 + 1e-12  # not a float32
    model.get_layer("act1").step.assign(step)
    policy("float32")
    snn = snn_keras.convert(model, timesteps, neuron)
    y = snn(x.astype("float64"))
    assert keras.backend.standardize_dtype(y.dtype) == "float64"
    cell = snn.get_layer("act1").cell
    unit = {"bit_serial": 4, "if": 3, "signed": 3, "srp": 3, "cos": 3}[neuron]
    assert cell.threshold == unit * step
    assert cell.state_dtype == "float64"
    if neuron in ("signed", "bit_serial"):
        report = snn_keras.verify(model, snn, x.astype("float64"))
        assert report.exact
        assert report.output_error < 1e-12


@pytest.mark.parametrize("low", ["mixed_bfloat16", "mixed_float16"])
@ALL
def test_low_precision_synapses_keep_float32_potentials(policy, low, timesteps, neuron):
    """With weights and signals of few bits, 16 bits are exact."""
    expected_model, x = network()
    expected = snn_keras.convert(expected_model, timesteps, neuron)
    policy(low)
    model, _ = network()
    policy("float32")
    snn = snn_keras.convert(model, timesteps, neuron)
    for name in ("act1", "act2"):
        assert snn.get_layer(name).cell.state_dtype == "float32"
        assert snn.get_layer(name).compute_dtype == low.removeprefix("mixed_")
    y = np.asarray(snn.predict(x, verbose=0), "float32")
    np.testing.assert_allclose(y, expected.predict(x, verbose=0), rtol=0.01, atol=0.05)


def test_a_low_precision_network_saves_and_loads(policy, tmp_path):
    policy("mixed_bfloat16")
    model, x = network()
    snn = snn_keras.convert(model, 4)
    snn.save(tmp_path / "snn.keras")
    policy("float32")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    one, other = (np.asarray(m(x), "float32") for m in (snn, loaded))
    assert np.array_equal(one, other)


def test_another_number_of_steps_keeps_the_precision(policy):
    policy("float64")
    inputs = keras.Input((4,), dtype="float64")
    x = layers.Dense(4, name="skip")(inputs)
    y = layers.Dense(4)(LSQReLU(3, initial_step=0.3)(x))
    model = keras.Model(inputs, layers.Add()([x, y]))
    policy("float32")
    data = np.random.default_rng(0).normal(size=(20, 4))
    for neuron, timesteps in (("signed", 40), ("bit_serial", 2)):
        snn = snn_keras.convert(model, 1, neuron).with_timesteps(timesteps)
        assert {layer.compute_dtype for layer in snn.layers[1:]} == {"float64"}
        np.testing.assert_allclose(
            snn.predict(data, verbose=0), model.predict(data, verbose=0), atol=1e-14
        )
