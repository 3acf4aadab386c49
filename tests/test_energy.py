"""Operations and energy, against networks that are counted by hand."""

import json

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import analysis
from snn_keras.layers import LSQReLU

EYE = np.eye(3, dtype="float32")


def spikes_of(snn, x):
    """The spikes of every neuron of every layer, by the monitor of `verify`."""
    from snn_keras.analysis.operations import OperationCounter

    return OperationCounter(snn).predict_on_batch(x)[1]


def two_layers(levels=4):
    """Three inputs, three neurons of threshold 1, two outputs."""
    inputs = keras.Input((3,))
    hidden = layers.Dense(3, name="fc1")(inputs)
    hidden = LSQReLU(levels, initial_step=0.25, name="act")(hidden)
    model = keras.Model(inputs, layers.Dense(2, name="fc2")(hidden))
    model.get_layer("fc1").set_weights([EYE, np.zeros(3, "float32")])
    return model


def test_two_layers_by_hand():
    # Of threshold 1 and currents 1, 1/2, 0 from potential 1/2, the neurons fire at
    # steps 1, 2, 3, 4; at 1, 3; never: six spikes.
    snn = snn_keras.convert(two_layers(), 4)
    found = analysis.energy(snn, np.array([[1.0, 0.5, 0.0]], "float32"))
    layer = found.layers
    assert layer["act"].spikes == 6 and layer["act"].neurons == 3
    # 9 weights once a run; 2 weights for each spike; each of 3 neurons adds and
    # compares at each of 4 steps, and resets at each of 6 spikes.
    none = {"multiply": 0, "add": 0, "shift": 0, "compare": 0}
    expected = {
        "fc1": {**none, "multiply": 9, "add": 9},
        "fc2": {**none, "add": 12},
        "act": {**none, "add": 12 + 6, "compare": 12},
    }
    for name, figures in expected.items():
        assert figures.items() <= layer[name].spiking.as_dict().items()
    whole = {**none, "multiply": 9, "add": 9 + 12 + 18, "compare": 12}
    price = 3.1 * 9 + 0.1 * 39 + 0.08 * 12
    cost = pytest.approx(price, rel=1e-12)
    assert found.spiking == analysis.Operations(**whole, energy=cost)
    source = {**none, "multiply": 15, "add": 15, "compare": 3}
    price = 3.1 * 15 + 0.1 * 15 + 0.08 * 3
    cost = pytest.approx(price, rel=1e-12)
    assert found.source == analysis.Operations(**source, energy=cost)
    ratio = found.spiking.energy / found.source.energy
    assert found.ratio == ratio and found.steps == 4
    rows = [line.split() for line in str(found).splitlines()]
    assert ["fc2", *("0.0", "12.0", "0.0", "0.0"), "0.001", "0.019"] in rows
    assert "energy over the source's: 0.679" in str(found)


def test_figures_are_ready_for_json():
    snn = snn_keras.convert(two_layers(), 4)
    found = analysis.energy(snn, np.ones((2, 3), "float32"))
    content = json.loads(json.dumps(found.as_dict()))
    assert list(content) == [
        *("spiking", "source", "ratio", "steps", "layers", "constants")
    ]
    add = found.layers["act"].spiking.add
    assert content["layers"]["act"]["spiking"]["add"] == add > 0


def test_means_over_samples_and_batches():
    snn = snn_keras.convert(two_layers(), 4)
    x = np.random.default_rng(0).integers(0, 5, (7, 3)).astype("float32") / 4
    apart = [analysis.energy(snn, x[i : i + 1]).spiking.add for i in range(7)]
    assert analysis.energy(snn, x, batch_size=3).spiking.add == np.mean(apart)


def convolutions(padding, strides, pooling):
    inputs = keras.Input((6, 6, 2))
    x = LSQReLU(4, initial_step=0.25, name="act1")(inputs)
    shortcut = x
    if pooling:
        x = layers.AveragePooling2D(2, padding="same", name="pool")(x)
        x = layers.UpSampling2D(2, name="up")(x)
    x = layers.Conv2D(2, 3, strides, padding, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    if padding == "same" and strides == 1:
        x = layers.Add(name="add")([x, shortcut])
    x = LSQReLU(4, initial_step=0.25, name="act2")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("pooling", [False, True])
@pytest.mark.parametrize(
    "padding, strides", [("same", 1), ("same", 2), ("valid", 1), ("valid", 2)]
)
def test_convolutions_synapse_by_synapse(padding, strides, pooling):
    snn = snn_keras.convert(convolutions(padding, strides, pooling), 4)
    x = np.random.default_rng(0).integers(-4, 9, (2, 6, 6, 2)).astype("float32") / 8
    spikes = spikes_of(snn, x)
    sent = spikes["act1"].astype(float)
    if pooling:  # every spike of a window reaches its four copies
        pooled = sent.reshape(2, 3, 2, 3, 2, 2).sum((2, 4))
        sent = pooled.repeat(2, axis=1).repeat(2, axis=2)
    size = -(-6 // strides) if padding == "same" else (6 - 3) // strides + 1
    missing = (size - 1) * strides + 3 - 6 if padding == "same" else 0
    before = max(missing, 0) // 2
    additions, weights = 0, 0
    for i, j in np.ndindex(size, size):
        for a, b in np.ndindex(3, 3):
            row, column = i * strides + a - before, j * strides + b - before
            if 0 <= row < 6 and 0 <= column < 6:
                additions = additions + 2 * sent[:, row, column].sum(-1)
                weights += 2 * 2
    found = analysis.energy(snn, x).layers
    assert found["conv"].spiking.add == additions.mean()
    assert found["conv"].spiking.multiply == 0
    assert found["conv"].source.multiply == weights
    # Each spike of the last layer reaches three outputs past the mean.
    assert found["head"].spiking.add == 3 * spikes["act2"].sum((1, 2, 3)).mean()
    neurons, last = spikes["act2"][0].size, spikes["act2"].sum((1, 2, 3)).mean()
    by_shortcut = 0
    if padding == "same" and strides == 1:  # past all weights
        by_shortcut = spikes["act1"].sum((1, 2, 3)).mean()
    updates = 4 * neurons + last + by_shortcut
    assert found["act2"].spiking.add == updates


def test_bit_serial_neurons_shift():
    snn = snn_keras.convert(two_layers(levels=7), 3, "bit_serial")  # one pass
    x = np.array([[1.25, 0.5, 0.0]], "float32")  # levels 5, 2, 0: bits 101, 010, 000
    found = analysis.energy(snn, x).layers
    assert found["act"].spikes == 3
    expected = {"multiply": 0, "add": 9 + 3, "shift": 9, "compare": 9}
    received = found["act"].spiking
    assert {k: getattr(received, k) for k in expected} == expected
    assert found["fc2"].spiking.add == 6


def test_numbers_behind_a_temporal_difference_multiply_at_every_step():
    inputs = keras.Input((4, 4, 1))
    x = LSQReLU(4, initial_step=0.25, name="act")(inputs)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Dense(3, name="fc")(layers.Flatten()(x))
    x = LSQReLU(4, initial_step=0.25, name="last")(x)
    snn = snn_keras.convert(keras.Model(inputs, x), 5)
    found = analysis.energy(snn, np.ones((1, 4, 4, 1), "float32")).layers["fc"]
    assert found.spiking.multiply == 5 * 4 * 3
    assert found.source.multiply == 4 * 3


def test_separable_convolution():
    inputs = keras.Input((5, 5, 2))
    x = LSQReLU(4, initial_step=0.25, name="act")(inputs)
    x = layers.SeparableConv2D(3, 3, name="conv")(x)
    snn = snn_keras.convert(keras.Model(inputs, x), 2)
    x = np.ones((1, 5, 5, 2), "float32")
    found = analysis.energy(snn, x).layers["conv"]
    # Every neuron fires twice; nine 3x3 windows, two channels. Behind the depthwise
    # part there are numbers: 9 places, 2 x 3 weights, 2 steps.
    assert found.spiking.multiply == 2 * 9 * 2 * 3
    assert found.spiking.add == 2 * 9 * 9 * 2 + 2 * 9 * 2 * 3
    assert found.source.multiply == 9 * 9 * 2 + 9 * 2 * 3


def test_settling_networks_count_their_own_steps():
    snn = snn_keras.convert(two_layers(), "settle", "signed")
    x = np.array([[1.0, 0.5, 0.0], [0.25, 0.0, 0.0]], "float32")
    steps = snn.settling_steps(x, verbose=0)
    expected = np.maximum(steps, snn.coding.input_steps).mean()
    assert analysis.energy(snn, x).steps == expected


def test_corrected_biases_cost_nothing_more():
    inputs = keras.Input((3,))
    x = layers.ReLU(name="act")(layers.Dense(3, name="fc1")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="fc2")(x))
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    plain, corrected = (
        snn_keras.convert(model, 4, data=x, levels=4, bias_correction=b)
        for b in (False, True)
    )
    one, other = (analysis.energy(snn, x).layers for snn in (plain, corrected))
    assert one["fc1"].spiking == other["fc1"].spiking
    for name, found in (("plain", one), ("corrected", other)):
        assert found["fc2"].spiking.add == 2 * found["act"].spikes, name


def test_constants_are_named_or_given():
    snn = snn_keras.convert(two_layers(), 4)
    x = np.ones((1, 3), "float32")
    own = {"multiply": 1.0, "add": 0.0, "shift": 0.0, "compare": 0.0}
    found = analysis.energy(snn, x, constants=own)
    assert found.spiking.energy == 9 and found.constants == own
    with pytest.raises(ValueError, match=r"'float32'.*Received: 'joule'"):
        analysis.energy(snn, x, constants="joule")
    with pytest.raises(ValueError, match=r"data for input .* is empty"):
        analysis.energy(snn, x[:0])
