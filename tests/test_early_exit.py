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
        ("if", "change", 0.25, 1),
        ("if", "change", 0.25, 3),
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
    model = keras.Model(inputs, layers.Dense(2)(y))
    x = np.zeros((2, 6), "float32")
    with pytest.raises(ValueError, match="fused=False"):
        snn_keras.convert(model, 2, "bit_serial").predict_early_exit(x, EarlyExit(0.5))
    literal = snn_keras.convert(model, 2, "bit_serial", fused=False)
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


def ending(end):
    """A spiking network of small images with another end, and inputs."""
    rng = np.random.default_rng(1)
    inputs = keras.Input((4, 4, 1))
    x = LSQReLU(4, initial_step=0.25)(layers.Conv2D(3, 3, padding="same")(inputs))
    model = keras.Model(inputs, end(x))
    for layer in model.layers:
        if not isinstance(layer, LSQReLU):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return snn_keras.convert(model, 8, "if"), dyadic(rng, (12, 4, 4, 1), 16, 32)


def number(x):
    return layers.Dense(1)(layers.Flatten()(x))


@pytest.mark.parametrize("criterion", ["margin", "entropy"])
def test_one_number_a_sample_has_no_margin(criterion):
    snn, x = ending(number)
    words = r"one number. Remedy: EarlyExit\(threshold, \"change\"\).*two classes"
    with pytest.raises(ValueError, match=words):
        snn.predict_early_exit(x, EarlyExit(0.5, criterion))
    with pytest.raises(ValueError, match=words):
        EarlyExit.calibrated(np.zeros((8, 3, 1)), np.zeros(3), criterion=criterion)


def test_a_number_stops_when_it_no_longer_changes():
    snn, x = ending(number)
    rule = EarlyExit(0.5, "change", 2)
    over_time = snn.predict_over_time(x, verbose=0)[..., 0]
    expected = []
    for y in over_time.T:  # looked at after steps 2, 4, 6
        stop = [t for t in (4, 6) if abs(y[t - 1] - y[t - 3]) <= 0.5]
        expected.append((stop or [8])[0])
    outputs, steps = snn.predict_early_exit(x, rule, batch_size=8)
    assert steps.tolist() == expected and len(set(expected)) > 1
    np.testing.assert_array_equal(outputs[:, 0], over_time[steps - 1, np.arange(12)])


@pytest.mark.parametrize("criterion, threshold", [("margin", 0.25), ("change", 0.3)])
def test_a_map_stops_with_its_least_certain_position(criterion, threshold):
    snn, x = ending(layers.Conv2D(3, 1))
    over_time = snn.predict_over_time(x, verbose=0)
    rule = EarlyExit(threshold, criterion, 1)
    top = np.sort(over_time, axis=-1)
    change = np.abs(np.diff(over_time, axis=0)).max(axis=(2, 3, 4))
    certain = {
        "margin": (top[..., -1] - top[..., -2]).min(axis=(2, 3)) >= threshold,
        "change": np.concatenate([np.zeros((1, 12), bool), change <= threshold]),
    }[criterion]
    certain[-1] = True
    outputs, steps = snn.predict_early_exit(x, rule, batch_size=8)
    assert steps.tolist() == (1 + certain.argmax(axis=0)).tolist()
    assert len(set(steps.tolist())) > 1
    np.testing.assert_array_equal(outputs, over_time[steps - 1, np.arange(12)])


def test_calibration_of_numbers_keeps_their_error():
    """The running mean of draws about the labels: surer with every step."""
    rng = np.random.default_rng(0)
    labels = rng.normal(size=50)
    draws = labels + rng.normal(size=(32, 50))
    over_time = (np.cumsum(draws, axis=0) / np.arange(1, 33)[:, None])[..., None]

    def error(steps):
        return np.sqrt(np.mean((over_time[steps - 1, np.arange(50), 0] - labels) ** 2))

    rules = [
        EarlyExit.calibrated(over_time, labels, tolerance, "change", 2)
        for tolerance in (0.0, 0.25)
    ]
    allowed = error(np.full(50, 32)) + 0.25 * labels.std()
    assert error(rules[1].steps(over_time)) <= allowed
    assert rules[1].steps(over_time).mean() < rules[0].steps(over_time).mean()
    looser = EarlyExit(2 * rules[1].threshold, "change", 2)
    assert error(looser.steps(over_time)) > allowed


def test_calibration_of_maps_and_one_hot_labels():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (20, 2, 2))
    noise = (
        rng.normal(size=(8, 20, 2, 2, 3)) / np.arange(1, 9)[:, None, None, None, None]
    )
    over_time = noise + np.eye(3)[labels]
    rules = [
        EarlyExit.calibrated(over_time, y, 0.05, "margin", 1)
        for y in (labels, labels[..., None], np.eye(3)[labels])
    ]
    assert rules[0] == rules[1] == rules[2]
    steps = rules[0].steps(over_time)
    right = over_time[steps - 1, np.arange(20)].argmax(-1) == labels
    whole = over_time[-1].argmax(-1) == labels
    assert right.mean() >= whole.mean() - 0.05 and steps.mean() < 8


@pytest.mark.parametrize(
    "labels, words",
    [
        (np.zeros(4), r"a class for each of the 5 samples.*Received shape: \(4,\)"),
        (np.full(5, 3), r"whole numbers from 0 to 2. Received: 5 others, such as 3"),
        (np.array(["a"] * 5), "finite numbers. Received: dtype <U1"),
        (np.full(5, 0.5), "whole numbers from 0 to 2"),
    ],
)
def test_labels_are_checked(labels, words):
    with pytest.raises(ValueError, match=words):
        EarlyExit.calibrated(np.zeros((8, 5, 3)), labels)


def test_without_a_look_none_stops_early():
    rule = EarlyExit.calibrated(np.zeros((3, 5, 1)), np.zeros(5), 1.0, "change", 4)
    assert rule.steps(np.zeros((3, 5, 1))).tolist() == [3] * 5
    assert rule.threshold == -np.inf
