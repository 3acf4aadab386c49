"""Networks with several outputs: each is what a network of it alone has."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import EarlyExit, analysis
from snn_keras.layers import LSQReLU
from tests.graphs import dyadic

FORMS = ("dict", "list")
TIMESTEPS = 8


def activation(name):
    return LSQReLU(4, initial_step=0.25, name=name)


def network():
    """A trunk with a head of classes and one of numbers, each with neurons."""
    inputs = keras.Input((6,))
    trunk = activation("trunk_act")(layers.Dense(8, name="trunk")(inputs))
    heads = {}
    for name, size in (("kind", 4), ("place", 2)):
        x = activation(f"{name}_act")(layers.Dense(8, name=f"{name}_1")(trunk))
        heads[name] = layers.Dense(size, name=name)(x)
    model = keras.Model(inputs, heads)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.weights])
    return model, dyadic(rng, (41, 6), 16, 32)


def in_form(model, form):
    """The same network, whose outputs are a dict or a list."""
    outputs = list(model.output.values())
    return model if form == "dict" else keras.Model(model.inputs, outputs)


def one(model, name):
    """The network of one output."""
    return keras.Model(model.inputs, model.output[name])


def by_name(outputs, form):
    return (
        outputs
        if form == "dict"
        else dict(zip(("kind", "place"), outputs, strict=True))
    )


@pytest.mark.parametrize(
    "form, neuron",
    [
        ("dict", "if"),
        ("list", "bit_serial"),
        pytest.param("list", "differential", marks=pytest.mark.slow),
    ],
)
def test_outputs_by_timesteps(form, neuron):
    model, x = network()
    snn = snn_keras.convert(in_form(model, form), TIMESTEPS, neuron)
    steps = [1, 3, 8]
    found = analysis.outputs_by_timesteps(snn, x, verbose=0, timesteps=steps)
    for name, outputs in by_name(found, form).items():
        alone = snn_keras.convert(one(model, name), TIMESTEPS, neuron)
        for t, output in zip(steps, outputs, strict=True):
            run = alone.with_timesteps(t) if neuron == "bit_serial" else alone
            expected = (
                run.predict(x, verbose=0)
                if neuron == "bit_serial"
                else run.predict_over_time(x, verbose=0)[t - 1]
            )
            assert np.array_equal(output, expected)
    with pytest.raises(ValueError, match=r"2 outputs, \['kind', 'place'\].*Remedy"):
        analysis.accuracy_by_timesteps(snn, x, np.zeros(41), verbose=0)


@pytest.mark.parametrize(
    "looked_at, form, neuron",
    [
        (None, "dict", "if"),
        *(
            pytest.param(looked_at, form, neuron, marks=pytest.mark.slow)
            for looked_at in (None, "kind", "place")
            for form in FORMS
            for neuron in ("if", "differential")
        ),
    ],
)
def test_samples_stop_with_the_least_certain_output(looked_at, form, neuron):
    model, x = network()
    snn = snn_keras.convert(in_form(model, form), TIMESTEPS, neuron)
    over_time = by_name(snn.predict_over_time(x, verbose=0), form)
    chosen = ["kind", "place"] if looked_at is None else [looked_at]
    most = {"if": 0.5, "differential": 0.25}[neuron]
    changes = [
        np.abs(np.diff(over_time[name], axis=0)).max(axis=2) <= most for name in chosen
    ]
    certain = np.concatenate([np.zeros((1, len(x)), bool), np.all(changes, axis=0)])
    certain[-1] = True
    expected = 1 + certain.argmax(axis=0)
    key = looked_at
    if form == "list" and looked_at is not None:
        key = ["kind", "place"].index(looked_at)
    rule = EarlyExit(most, "change", output=key)
    outputs, steps = snn.predict_early_exit(x, rule, batch_size=16)
    assert steps.tolist() == expected.tolist() and len(set(steps.tolist())) > 1
    assert rule.steps(snn.predict_over_time(x, verbose=0)).tolist() == steps.tolist()
    for name, output in by_name(outputs, form).items():
        at_end = over_time[name][steps - 1, np.arange(len(x))]
        assert np.array_equal(output, at_end)


def drawn():
    """Outputs over time that come closer to the right ones with every step."""
    rng = np.random.default_rng(0)
    labels = {"kind": rng.integers(0, 3, 60), "place": rng.normal(size=(60, 2))}
    right = {"kind": np.eye(3)[labels["kind"]], "place": labels["place"]}
    share = np.arange(1, 17)[:, None, None]
    over_time = {
        k: y + rng.normal(size=(16, *y.shape)) / share for k, y in right.items()
    }
    return over_time, labels


def test_calibration_keeps_every_output_with_labels():
    over_time, labels = drawn()
    samples = np.arange(60)

    def lost(rule):
        steps = rule.steps(over_time)
        kinds, places = (over_time[k][steps - 1, samples] for k in ("kind", "place"))
        whole = {name: y[-1] for name, y in over_time.items()}

        def error(y):
            return np.sqrt(np.mean(np.square(y - labels["place"])))

        of_kinds = np.mean(whole["kind"].argmax(-1) == labels["kind"]) - np.mean(
            kinds.argmax(-1) == labels["kind"]
        )
        return of_kinds, (error(places) - error(whole["place"])) / labels["place"].std()

    arguments = {"tolerance": 0.1, "criterion": "change", "every": 1}
    both = EarlyExit.calibrated(over_time, labels, **arguments)
    assert max(lost(both)) <= 0.1
    kinds = EarlyExit.calibrated(over_time, {**labels, "place": None}, **arguments)
    assert lost(kinds)[0] <= 0.1 < lost(kinds)[1]
    assert kinds.steps(over_time).mean() < both.steps(over_time).mean() < 16
    margin = {**arguments, "criterion": "margin"}
    looks = EarlyExit.calibrated(over_time, labels, **margin, output="kind")
    assert looks.output == "kind" and max(lost(looks)) <= 0.1


@pytest.mark.parametrize(
    "labels, words",
    [
        (
            {"kind": np.zeros(60, int)},
            r"a dict of \['kind'\] for outputs that are a di",
        ),
        (np.zeros(60, int), "one array for outputs that are a dict of"),
        ({"kind": None, "place": None}, "None for every output"),
    ],
)
def test_labels_of_another_structure_are_refused(labels, words):
    over_time, _ = drawn()
    with pytest.raises(ValueError, match=words):
        EarlyExit.calibrated(over_time, labels, criterion="change")


@pytest.mark.parametrize("form, names", [("dict", "'kind', 'place'"), ("list", "0, 1")])
def test_an_unknown_output_is_refused(form, names):
    model, x = network()
    snn = snn_keras.convert(in_form(model, form), 2)
    with pytest.raises(ValueError, match=rf"output='size' must be one of \[{names}\]"):
        snn.predict_early_exit(x, EarlyExit(0.5, output="size"))
    alone = snn_keras.convert(one(model, "kind"), 2)
    with pytest.raises(ValueError, match=r"output=0 must be one of \[\].*Remedy: None"):
        alone.predict_early_exit(x, EarlyExit(0.5, output=0))


@pytest.mark.parametrize(
    "neuron",
    [
        "bit_serial",
        pytest.param("if", marks=pytest.mark.slow),
        pytest.param("differential", marks=pytest.mark.slow),
    ],
)
def test_spikes_and_costs_are_those_of_the_networks_of_one_output(neuron):
    model, x = network()
    timesteps = 3
    snn = snn_keras.convert(model, timesteps, neuron)
    spikes = analysis.spike_statistics(snn, x).layers
    energy = analysis.energy(snn, x).layers
    for name in ("kind", "place"):
        alone = snn_keras.convert(one(model, name), timesteps, neuron)
        found = analysis.spike_statistics(alone, x).layers
        assert found == {layer: spikes[layer] for layer in found}
        costs = analysis.energy(alone, x).layers
        for layer in (f"{name}_1", name):
            assert costs[layer].spiking == energy[layer].spiking
            assert costs[layer].rate == energy[layer].rate


def test_a_report_and_compared_labels_are_of_one_output(tmp_path):
    model, x = network()
    snn = snn_keras.convert(model, 2)
    with pytest.raises(ValueError, match="report of each, of models with one output"):
        analysis.report(model, snn, x, None, tmp_path / "report.html")
    with pytest.raises(ValueError, match="right answers of one output"):
        snn_keras.compare(model, x, np.zeros(41, int), timesteps=[1], neurons=["if"])


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_a_stream_gives_each_output_after_every_step(form):
    model, x = network()
    snn = snn_keras.convert(in_form(model, form), 4, "if")
    stream = snn.stream()
    frames = np.repeat(x[:, None], 4, axis=1)
    pieces = [stream(frames[:, :1]), stream(frames[:, 1:])]
    over_time = by_name(snn.predict_over_time(x, verbose=0), form)
    for name, expected in over_time.items():
        found = [keras.ops.convert_to_numpy(by_name(y, form)[name]) for y in pieces]
        found = np.moveaxis(np.concatenate(found, axis=1), 1, 0)
        assert np.array_equal(found, expected)


@pytest.mark.slow
def test_training_reaches_every_output():
    model, x = network()
    snn = snn_keras.convert(model, 4, "if")
    kinds = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    snn.compile("sgd", {"kind": kinds, "place": "mse"})
    heads = [
        snn.get_layer(name).trainable_variables[0]
        for name in ("kind", "place", "trunk")
    ]
    before = [keras.ops.convert_to_numpy(w) for w in heads]
    labels = {"kind": np.zeros(41, int), "place": np.ones((41, 2), "float32")}
    snn.fit(x, labels, verbose=0)
    for weight, old in zip(heads, before, strict=True):
        assert (keras.ops.convert_to_numpy(weight) != old).any()
