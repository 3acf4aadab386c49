"""Early exit: each sample's answer is that of the step at which it stopped."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import EarlyExit
from snn_keras.layers import LSQReLU
from tests.graphs import dyadic


def network(neuron="if", timesteps=8):
    rng = np.random.default_rng(0)
    inputs = keras.Input((6,))
    x = LSQReLU(4, initial_step=0.25, name="act1")(layers.Dense(8, name="d1")(inputs))
    x = LSQReLU(4, initial_step=0.25, name="act2")(layers.Dense(8, name="d2")(x))
    model = keras.Model(inputs, layers.Dense(4, name="d3")(x))
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.weights])
    return snn_keras.convert(model, timesteps, neuron), dyadic(rng, (41, 6), 16, 32)


@pytest.mark.parametrize(
    "neuron, criterion, threshold, every",
    [
        ("if", "margin", 1.0, 1),
        ("if", "margin", 0.5, 3),
        ("if", "entropy", -1.0, 1),
        ("cos", "margin", 1.0, 1),
    ],
)
def test_outputs_are_those_of_the_step(neuron, criterion, threshold, every):
    snn, x = network(neuron)
    rule = EarlyExit(threshold, criterion, every)
    over_time = snn.predict_over_time(x, verbose=0)
    expected = rule.steps(over_time)
    outputs, steps = snn.predict_early_exit(x, rule, batch_size=16)
    assert steps.tolist() == expected.tolist()
    samples = np.arange(len(x))
    np.testing.assert_allclose(outputs, over_time[steps - 1, samples], atol=1e-6)
    assert len(set(steps.tolist())) > 1  # some stop before others


def test_no_threshold_stops_at_once_and_an_infinite_one_never():
    snn, x = network()
    for threshold, step in ((-1.0, 1), (np.inf, 8)):
        _, steps = snn.predict_early_exit(x, EarlyExit(threshold))
        assert set(steps.tolist()) == {step}


@pytest.mark.parametrize("criterion", ["margin", "entropy"])
@pytest.mark.parametrize("tolerance", [0.02, 0.05])
def test_calibration_finds_the_lowest_threshold(tolerance, criterion):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 200)
    noise = rng.normal(0, 1, (8, 200, 4)) / np.arange(1, 9)[:, None, None]
    over_time = noise + 1.0 * np.eye(4)[labels]
    rule = EarlyExit.calibrated(over_time, labels, tolerance, criterion, every=1)

    def accuracy(threshold):
        steps = EarlyExit(threshold, criterion).steps(over_time)
        answers = over_time[steps - 1, np.arange(200)].argmax(-1)
        return np.mean(answers == labels)

    whole = np.mean(over_time[-1].argmax(-1) == labels)
    assert accuracy(rule.threshold) >= whole - tolerance
    assert rule.steps(over_time).mean() < 8
    assert accuracy(-np.inf) < whole - tolerance


def test_certainty():
    outputs = np.array([[1.0, 3.0, 2.5], [0.0, 0.0, 0.0]])
    assert EarlyExit(0.5).is_certain(outputs).tolist() == [True, False]
    entropy = EarlyExit(-1.0, "entropy").certainty(outputs)
    p = np.exp(outputs) / np.exp(outputs).sum(-1, keepdims=True)
    np.testing.assert_allclose(entropy, np.sum(p * np.log(p), -1))


@pytest.mark.parametrize(
    "arguments, words",
    [({"criterion": "mood"}, "criterion='mood'"), ({"every": 0}, "every=0")],
)
def test_rules_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        EarlyExit(0.5, **arguments)


def test_networks_without_an_early_answer_are_refused():
    inputs = keras.Input((6,))
    y = LSQReLU(3, initial_step=0.25)(layers.Dense(8)(inputs))
    two = keras.Model(inputs, [layers.Dense(2)(y), layers.Dense(3)(y)])
    x = np.zeros((2, 6), "float32")
    with pytest.raises(ValueError, match="one output"):
        snn_keras.convert(two, 4).predict_early_exit(x, EarlyExit(0.5))
    with pytest.raises(ValueError, match="fused=False"):
        snn_keras.convert(two, 2, "bit_serial").predict_early_exit(x, EarlyExit(0.5))
    literal = snn_keras.convert(two, 2, "bit_serial", fused=False)
    with pytest.raises(ValueError, match="before its last step"):
        literal.predict_early_exit(x, EarlyExit(0.5))


def test_weights_may_change_between_calls():
    snn, x = network()
    rule = EarlyExit(np.inf)
    before, _ = snn.predict_early_exit(x, rule)
    snn.set_weights([w * 1.5 for w in snn.get_weights()])
    after, _ = snn.predict_early_exit(x, rule)
    np.testing.assert_allclose(after, snn.predict(x, verbose=0), atol=1e-5)
    assert np.abs(after - before).max() > 0.1


def test_one_output_a_sample_is_refused():
    inputs = keras.Input((6,))
    y = layers.Dense(1)(LSQReLU(3, initial_step=0.25)(layers.Dense(8)(inputs)))
    snn = snn_keras.convert(keras.Model(inputs, y), 4)
    with pytest.raises(ValueError, match="two classes"):
        snn.predict_early_exit(np.zeros((2, 6), "float32"), EarlyExit(0.5))
