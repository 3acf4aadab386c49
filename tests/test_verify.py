"""verify measures the mismatch, and names the layer where it enters."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import LSQReLU
from tests import reference
from tests.graphs import Maker, dyadic
from tests.subjects import COUNTING


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
@pytest.mark.parametrize("neuron", COUNTING)
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


def moved(snn, name, factor):
    """Multiplies the weights of a layer, which may run step by step."""
    for layer in snn.layers:
        if name in (layer.name, getattr(getattr(layer, "operation", None), "name", "")):
            layer.set_weights([factor * w for w in layer.get_weights()])
            return
    raise AssertionError(f"no {name}")


@pytest.mark.parametrize("neuron", ["if", "bit_serial"])
def test_an_error_before_the_first_neuron_is_named(neuron):
    """The input is scaled by 1 in the source and by 1.5 in the spiking network."""
    inner, x = chain(2)
    inputs = keras.Input((12,))
    scaled = keras.layers.Rescaling(1.0, name="scale")(inputs)
    model = keras.Model(inputs, inner(scaled))
    snn = snn_keras.convert(model, 2, neuron)
    snn.get_layer("scale").scale = 1.5
    report = snn_keras.verify(model, snn, x, batch_size=16)
    kernel = inner.get_layer("dense0").get_weights()[0].astype("float64")
    off = 0.5 * x.astype("float64") @ kernel / 0.5  # in steps of 0.5
    assert report.before == "act0"
    # But for what is rounding: less than a millionth of the largest current.
    rms = report.layers[0].before_rms
    assert rms == pytest.approx(np.sqrt(np.mean(off**2)), rel=1e-4)
    assert report.layers[0].between == ("scale", "dense0")
    assert report.layers[1].before_rms == 0 and report.behind is None
    assert "in front of 'act0', in 'scale', 'dense0'" in str(report)
    assert report.as_dict()["before"] == "act0"
    found = snn_keras.analysis.mismatch(model, snn, x)
    assert found.before == "act0" and "in front of 'act0'" in found.diagnosis


def test_an_error_between_neurons_or_behind_them_is_named():
    model, x = chain(4)
    snn = snn_keras.convert(model, 4, "if")
    assert snn_keras.verify(model, snn, x).before is None
    moved(snn, "dense2", 2.0)
    report = snn_keras.verify(model, snn, x)
    assert report.before == "act2" and report.behind is None
    assert [layer.before_rms > 0 for layer in report.layers] == [False] * 2 + [
        True,
        False,
    ]
    moved(snn, "dense2", 0.5)
    moved(snn, "head", 2.0)
    report = snn_keras.verify(model, snn, x)
    assert (report.before, report.behind) == (None, "head")
    # Twice the weights: what is off is what the source's would have given.
    assert report.outputs[0].own_error == np.abs(snn.predict(x, verbose=0)).max() / 2
    assert "behind the last neurons: output 'head' is off by up to" in str(report)


def test_an_activation_inside_a_layer_is_looked_at_from_its_other_side():
    rng = np.random.default_rng(0)
    inputs = keras.Input((6,))
    y = keras.layers.Dense(5, activation="relu", name="one")(inputs)
    y = keras.layers.Dense(5, activation="relu", name="two")(y)
    model = keras.Model(inputs, keras.layers.Dense(2)(y))
    x = rng.normal(size=(20, 6)).astype("float32")
    snn = snn_keras.convert(model, 4, "if", data=x)
    report = snn_keras.verify(model, snn, x)
    assert report.before is None and report.entry is not None
    moved(snn, "one", 2.0)
    report = snn_keras.verify(model, snn, x)
    assert report.before == "one_relu" and report.layers[1].before_rms == 0


def test_bias_correction_is_no_error():
    model, x = chain(2)
    snn = snn_keras.convert(model, 4, "if", data=x, bias_correction=True)
    layer = snn.get_layer("act1_bias")
    layer.set_weights([np.full(12, 0.25), np.full(12, -0.5)])
    assert snn_keras.verify(model, snn, x).before is None


@pytest.mark.parametrize("timesteps", [2, "settle"])
@pytest.mark.parametrize("power, blamed", [(-22, False), (-12, True)])
def test_rounding_is_not_blamed(timesteps, power, blamed):
    """A threshold that is off by an ulp or two sends what it should, but for that."""
    model, x = chain(3)
    for name in ("dense1", "dense2"):  # so that no neuron is at a tie
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel, bias + 2.0**-10])
    neuron = "signed" if timesteps == "settle" else "bit_serial"
    snn = snn_keras.convert(model, timesteps, neuron)
    cell = snn.get_layer("act1").cell
    cell.theta.assign(cell.theta.value * (1 + 2.0**power))
    report = snn_keras.verify(model, snn, x)
    assert report.layers[1].std > 0  # it is there, and no count is another
    assert report.layers[1].off == {0: 1.0}
    assert report.entry == ("act1" if blamed else None)
    assert ("no layer adds an error of its own beyond rounding" in str(report)) != (
        blamed
    )


def test_report_as_plain_values():
    model, x = chain()
    report = snn_keras.verify(model, snn_keras.convert(model, 4), x)
    content = report.as_dict()
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
    assert 'neuron="differential"' in str(report)


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
