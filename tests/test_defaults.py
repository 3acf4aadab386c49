"""The shortest call: what `convert` chooses where nothing is said."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import (
    BitSerialCell,
    DifferentialIFCell,
    IFCell,
    MultiThresholdIFCell,
    by_name,
)
from tests.graphs import chain


def network(activation):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6,))
    x = activation(name="act1")(keras.layers.Dense(16)(inputs))
    x = activation(name="act2")(keras.layers.Dense(12)(x))
    x = keras.layers.Dense(4)(x)
    return keras.Model(inputs, x, name="net")


X = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")


@pytest.mark.parametrize(
    ("neuron", "timesteps"),
    [
        ("if", 5),
        ("bit_serial", 3),
        ("signed", "settle"),
        ("differential", "settle"),
        ("srp", 5),
    ],
)
def test_a_quantized_network_takes_the_steps_that_its_neurons_need(neuron, timesteps):
    model, x = chain(5)
    snn = snn_keras.convert(model, neuron=neuron)
    assert snn.timesteps == timesteps
    assert str(snn_keras.plan(model, neuron=neuron)) == str(
        snn_keras.plan(model, timesteps, neuron)
    )
    if neuron in ("bit_serial", "differential", "signed"):
        assert np.array_equal(snn.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    ("levels", "cell", "timesteps"),
    [
        ((3, 3), BitSerialCell, 2),
        ((5, 7), BitSerialCell, 3),  # cut off at five levels, both of three bits
        ((1, 1), BitSerialCell, 1),
        ((3, 7), DifferentialIFCell, "settle"),
    ],
)
def test_a_quantized_network_gives_its_answers_where_nothing_is_asked_for(
    levels, cell, timesteps
):
    levels = iter(levels)
    model = network(lambda **names: LSQReLU(next(levels), initial_step=0.25, **names))
    for layer in model.layers:  # in eighths, so that no sum is rounded
        layer.set_weights([np.round(8 * w) / 8 for w in layer.get_weights()])
    x = np.round(8 * X) / 8
    snn = snn_keras.convert(model)
    assert cells(snn) == {cell} and snn.timesteps == timesteps
    assert np.array_equal(snn.predict(x, verbose=0), model.predict(x, verbose=0))
    named = "bit_serial" if cell is BitSerialCell else "differential"
    expected = snn_keras.plan(model, timesteps, named)
    assert str(snn_keras.plan(model)) == str(expected)


def test_what_is_asked_for_is_taken_as_the_activations_name_it():
    model, _ = chain(5)
    assert cells(snn_keras.convert(model, 5)) == {IFCell}
    assert cells(snn_keras.convert(model, neuron="if")) == {IFCell}


def test_noise_trained_neurons_take_the_steps_of_their_paper():
    assert snn_keras.convert(network(NoisySpike)).timesteps == 5


def cells(snn):
    return {type(layer.cell) for layer in snn.layers if hasattr(layer, "cell")}


def test_a_float_network_gives_its_answers(capsys):
    """`convert(model, data=x)`: eight bits an activation, and one line that says so."""
    model = network(keras.layers.ReLU)
    snn = snn_keras.convert(model, data=X)
    assert cells(snn) == {DifferentialIFCell} and snn.timesteps == 8
    (line,) = capsys.readouterr().out.splitlines()
    start = "net is a float network, converted with neuron='differential', timesteps=8;"
    assert line.startswith(start)
    ours, theirs = (m.predict(X, verbose=0).argmax(-1) for m in (snn, model))
    assert np.mean(ours == theirs) >= 0.99


@pytest.mark.parametrize("timesteps", [1, np.int64(5), 6, "settle"])
def test_a_float_network_in_few_steps(timesteps):
    snn = snn_keras.convert(network(keras.layers.ReLU), timesteps, data=X)
    assert cells(snn) == {DifferentialIFCell} and snn.timesteps == timesteps


def test_what_is_float_still_takes_the_levels_of_what_is_not():
    inputs = keras.Input((6,))
    x = LSQReLU(5, initial_step=0.25)(keras.layers.Dense(8)(inputs))
    x = keras.layers.ReLU(name="float")(keras.layers.Dense(8)(x))
    model = keras.Model(inputs, keras.layers.Dense(4)(x))
    snn = snn_keras.convert(model, neuron="bit_serial", data=X)
    assert snn.timesteps == 3  # the bits of 5 levels, of both


def test_more_bits_than_a_float_holds_do_no_harm():
    model = network(keras.layers.ReLU)
    snn = snn_keras.convert(model, 40, "bit_serial", data=X)
    ours, theirs = (m.predict(X, verbose=0) for m in (snn, model))
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-6)


def test_what_is_said_is_done(capsys):
    model = network(keras.layers.ReLU)
    snn = snn_keras.convert(model, neuron="multi_threshold", data=X)
    assert cells(snn) == {MultiThresholdIFCell} and snn.timesteps == 8
    capsys.readouterr()
    snn_keras.convert(model, 3, "if", data=X)
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("named", "rest"),
    [
        ("differential", DifferentialIFCell),
        ("signed", DifferentialIFCell),
        ("if", MultiThresholdIFCell),
        ("srp", MultiThresholdIFCell),
        ("bit_serial", BitSerialCell),
        ("auto", DifferentialIFCell),
    ],
)
def test_activations_that_a_dict_leaves_open(named, rest):
    """They take the first neuron whose coding fits those that are named."""
    model = network(keras.layers.ReLU)
    snn = snn_keras.convert(model, 8, {"act1": named}, data=X)
    assert type(snn.get_layer("act2").cell) is rest
    own = DifferentialIFCell if named == "auto" else by_name[named]
    assert type(snn.get_layer("act1").cell) is own
