"""Convolutions by Winograd's algorithm: the same numbers, exactly."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras import layers as snn_layers
from snn_keras.time import winograd
from tests.graphs import dyadic


@pytest.mark.parametrize("size", [(4, 4), (5, 8), (7, 3), (3, 3)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("use_bias", [True, False])
def test_it_convolves(size, padding, use_bias):
    rng = np.random.default_rng(0)
    layer = keras.layers.Conv2D(5, 3, padding=padding, use_bias=use_bias)
    layer.build((None, *size, 3))
    layer.set_weights([dyadic(rng, w.shape, 16, 32) for w in layer.get_weights()])
    x = dyadic(rng, (4, *size, 3), 16, 32)
    kernel = winograd.transformed(layer.kernel.value)
    received = winograd.convolve(layer, kernel, keras.ops.convert_to_tensor(x))
    expected = np.asarray(layer(x))
    assert received.shape == expected.shape
    assert np.array_equal(np.asarray(received), expected)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kernel_size": 5},
        {"kernel_size": (3, 1)},
        {"kernel_size": 3, "strides": 2},
        {"kernel_size": 3, "dilation_rate": 2},
        {"kernel_size": 3, "groups": 2},
        {"kernel_size": 3, "dtype": "mixed_bfloat16"},
    ],
    ids=str,
)
def test_other_convolutions_are_left_alone(arguments):
    layer = keras.layers.Conv2D(128, **arguments)
    assert winograd.pays(keras.layers.Conv2D(128, 3), (64, 16, 16, 128), 8)
    assert not winograd.pays(layer, (64, 16, 16, 128), 8)


class OwnConv(keras.layers.Conv2D):
    """Does something else than the layer it derives from."""


def test_derived_layers_are_left_alone():
    assert not winograd.pays(OwnConv(128, 3), (64, 16, 16, 128), 8)


def test_what_does_not_pay_is_left_alone():
    layer = keras.layers.Conv2D(64, 3)
    assert not winograd.pays(layer, (64, 32, 32, 64), 8)  # tiles would not fit
    assert not winograd.pays(layer, (1, 4, 4, 64), 100)  # too few in a pass
    assert not winograd.pays(layer, (16, 4, 4, 64), 1)  # too few in the run


@pytest.mark.parametrize(
    "timesteps, neuron", [(9, "if"), (9, "signed"), ("settle", "signed")]
)
def test_spikes_are_the_same(timesteps, neuron, monkeypatch):
    rng = np.random.default_rng(1)
    x = inputs = keras.Input((8, 8, 3))
    for i, padding in enumerate(("same", "valid", "same")):
        conv = keras.layers.Conv2D(6, 3, padding=padding, name=f"conv{i}")
        x = snn_layers.LSQReLU(4, initial_step=0.5, name=f"act{i}")(conv(x))
    model = keras.Model(inputs, keras.layers.Flatten()(x))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights([dyadic(rng, shape, 8, 8) for shape in shapes])
    images = dyadic(rng, (5, 8, 8, 3), 8, 8)
    outputs, used = [], []
    original = winograd.convolve
    monkeypatch.setattr(
        winograd, "convolve", lambda *args: used.append(1) or original(*args)
    )
    for pays in (False, True):
        monkeypatch.setattr(winograd, "POSITIONS", 1 if pays else np.inf)
        monkeypatch.setattr(winograd, "POSITIONS_OF_RUN", 1)
        snn = snn_keras.convert(model, timesteps, neuron)
        assert len(used) == 0
        outputs.append(snn.predict(images, verbose=0))
    assert used
    assert np.abs(outputs[0]).sum() > 0
    assert np.array_equal(*outputs)
