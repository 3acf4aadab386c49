"""verify measures the mismatch, and names the layer where it enters."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import LSQReLU
from tests import reference
from tests.graphs import Maker, dyadic


def chain(depth=6, activation=None):
    """A deep network on dyadic numbers."""
    activation = activation or (lambda name: LSQReLU(3, initial_step=0.5, name=name))
    rng = np.random.default_rng(3)
    x = inputs = keras.Input((12,))
    for i in range(depth):
        x = keras.layers.Dense(12, name=f"dense{i}")(x)
        x = activation(f"act{i}")(x)
    model = keras.Model(inputs, keras.layers.Dense(4, name="head")(x))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            kernel, bias = layer.get_weights()
            layer.set_weights(
                [dyadic(rng, kernel.shape, 16, 8), dyadic(rng, bias.shape)]
            )
    return model, dyadic(rng, (40, 12), 16, 32)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("neuron", ["if", "signed"])
def test_figures_are_those_of_the_reference(seed, neuron):
    network = Maker(seed).make()
    timesteps, phase = 6, 4 if neuron == "signed" else None
    snn = snn_keras.convert(network.model, timesteps, neuron=neuron, input_steps=phase)
    report = snn_keras.verify(network.model, snn, network.keras_inputs, batch_size=2)
    trace = reference.simulate(
        network.nodes, network.inputs, timesteps, neuron, phase=phase
    )
    source = reference.evaluate(network.nodes, network.inputs)
    steps = {n.name: n.params.get("step") for n in network.nodes}
    assert report.layers
    for layer in report.layers:
        decoded = trace.decoded(layer.name)[-1]
        error = (decoded - source[layer.name]) / steps[layer.name]
        np.testing.assert_allclose(layer.mean, error.mean(), atol=1e-6)
        np.testing.assert_allclose(layer.std, error.std(), atol=1e-6)
        np.testing.assert_allclose(sum(layer.off.values()), 1.0)
        off = np.mean(np.abs(error) < 0.49)
        assert layer.off.get(0, 0.0) >= off


@pytest.mark.parametrize("neuron, timesteps", [("bit_serial", 2), ("signed", "settle")])
def test_lossless_networks_are_exact(neuron, timesteps):
    model, x = chain()
    snn = snn_keras.convert(model, timesteps, neuron=neuron)
    report = snn_keras.verify(model, snn, x)
    assert report.exact and report.entry is None and report.agreement == 1.0
    assert all(layer.off == {0: 1.0} for layer in report.layers)
    assert "no layer adds an error of its own" in str(report)


@pytest.mark.parametrize("depth, faulty", [(6, 0), (6, 5), (20, 2), (20, 11)])
def test_a_planted_fault_is_named(depth, faulty):
    model, x = chain(depth)
    snn = snn_keras.convert(model, "settle", neuron="signed")
    cell = snn.get_layer(f"act{faulty}").cell
    cell.theta.assign(cell.theta.value * 0.5)
    report = snn_keras.verify(model, snn, x)
    assert report.entry == f"act{faulty}"
    assert f"most error enters at 'act{faulty}'" in str(report)
    own = {layer.name: layer.own_rms for layer in report.layers}
    assert all(own[f"act{i}"] == 0 for i in range(depth) if i != faulty)
    found = report.layers[faulty]
    assert (found.threshold_ratio, found.cause) == (0.5, "threshold")
    assert "its threshold is 0.5 times the one" in str(report)
    for layer in report.layers[:faulty]:
        assert layer.off == {0: 1.0}


def test_report_as_plain_values():
    model, x = chain()
    report = snn_keras.verify(model, snn_keras.convert(model, 4), x)
    content = report.to_dict()
    assert content["timesteps"] == 4 and content["samples"] == len(x)
    assert [layer["name"] for layer in content["layers"]] == [
        f"act{i}" for i in range(6)
    ]
    assert content["entry"] == report.entry


def test_neurons_of_several_kinds():
    """A dict names the neurons of some layers; the rest are what they were."""
    model, x = chain()
    snn = snn_keras.convert(model, 9, neuron={"act0": "signed", "act3": "signed"})
    kinds = [type(snn.get_layer(f"act{i}").cell).__name__ for i in range(6)]
    assert (
        kinds
        == ["SignedIFCell", "IFCell", "IFCell"] + ["SignedIFCell"] + ["IFCell"] * 2
    )
    assert snn_keras.verify(model, snn, x).layers[0].off == {0: 1.0}


def relu_chain(depth=6):
    return chain(depth, lambda name: keras.layers.ReLU(name=name))


def relu_report(timesteps, step, neuron="if"):
    """Thresholds of `step * timesteps` in every layer of a network of ReLUs."""
    model, x = relu_chain()
    quantized, _ = chain(
        activation=lambda name: LSQReLU(timesteps, initial_step=step, name=name)
    )
    quantized.set_weights(
        [w for layer in quantized.layers for w in weights_of(layer, model)]
    )
    snn = snn_keras.convert(quantized, timesteps, neuron)
    return snn_keras.verify(model, snn, x), model, x


def weights_of(layer, other):
    """A layer's own weights if it is an activation, else those of `other`."""
    is_dense = isinstance(layer, keras.layers.Dense)
    return (other.get_layer(layer.name) if is_dense else layer).get_weights()


def test_a_float_source_shows_what_quantizing_costs():
    """Its errors are those of the decoded signal, in steps of theta / T."""
    report, model, x = relu_report(8, 0.125)
    relu = keras.Model(model.input, model.get_layer("act0").output)
    current = keras.Model(model.input, model.get_layer("dense0").output)
    expected, current = (m.predict(x, verbose=0) for m in (relu, current))
    # The first layer's current is constant: T levels of theta / T, exactly.
    sent = np.clip(np.floor(current / 0.125 + 0.5), 0, 8) * 0.125
    error = (sent - expected) / 0.125
    first = report.layers[0]
    np.testing.assert_allclose(
        (first.mean, first.std), (error.mean(), error.std()), rtol=1e-6
    )
    relative = np.linalg.norm(error) / np.linalg.norm(expected / 0.125)
    np.testing.assert_allclose(first.relative, relative, rtol=1e-6)
    assert first.saturated == np.mean(current > 1.0)
    np.testing.assert_allclose(first.own_rms, np.sqrt(np.mean(error**2)))


@pytest.mark.parametrize(
    "timesteps, step, cause, words, collapse",
    [
        (8, 0.0625, "saturation", "levels", None),
        (1, 16.0, "silence", "more time steps", "act0"),
    ],
)
def test_the_cause_is_named_with_its_remedy(timesteps, step, cause, words, collapse):
    report, *_ = relu_report(timesteps, step)
    worst = next(x for x in report.layers if x.name == report.entry)
    assert worst.cause == cause
    assert words in worst.diagnosis()
    assert report.collapse == collapse
    assert ("from 'act0' on the error drowns the signal" in str(report)) == (
        collapse == "act0"
    )


def test_a_constant_current_is_only_rounded():
    """Neurons of the first layer send what is nearest to it; timing has no part."""
    report, *_ = relu_report(8, 0.5)
    first = report.layers[0]
    assert first.saturated == 0
    assert (first.by_rounding, first.cause) == (1.0, "rounding")
    assert "rounds" in first.diagnosis() and "time steps" in first.diagnosis()
    finer, x = chain()  # three levels, and nine steps
    first = snn_keras.verify(finer, snn_keras.convert(finer, 9), x).layers[0]
    inside = first.by_rounding + first.by_saturation
    np.testing.assert_allclose(inside, 1.0)
    assert first.by_rounding > 0


def test_uneven_spikes_are_named_where_nothing_else_is_wrong():
    model, x = chain()
    report = snn_keras.verify(model, snn_keras.convert(model, 3, "if"), x)
    worst = next(x for x in report.layers if x.name == report.entry)
    assert worst.cause == "timing"
    assert 'neuron="signed"' in str(report)


def test_every_output_counts():
    inputs = keras.Input((4,))
    x = LSQReLU(3, initial_step=0.5, name="act")(keras.layers.Dense(4)(inputs))
    ends = [keras.layers.Dense(3, name=name)(x) for name in ("small", "large")]
    model = keras.Model(inputs, ends)
    kernel, bias = model.get_layer("large").get_weights()
    model.get_layer("large").set_weights([100 * kernel, bias])
    snn = snn_keras.convert(model, 2)
    x = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    report = snn_keras.verify(model, snn, x)
    pairs = list(
        zip(model.predict(x, verbose=0), snn.predict(x, verbose=0), strict=True)
    )
    errors = [np.abs(a - b).max() for a, b in pairs]
    assert report.output_error == pytest.approx(max(errors)) and errors[1] > errors[0]
    same = np.all([a.argmax(-1) == b.argmax(-1) for a, b in pairs], axis=0)
    assert report.agreement == same.mean()
