"""`compare`: each row is what `convert` makes with the row's arguments."""

import dataclasses
import json

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import ConversionError, analysis
from snn_keras.analysis import Comparison, Row, SourceRow
from snn_keras.analysis.comparing import counting, running
from snn_keras.analysis.comparing.candidates import UNTRAINED
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import IFCell, MultiThresholdIFCell
from tests.graphs import dyadic
from tests.programs import once, program

RNG = np.random.default_rng(0)
X = dyadic(RNG, (64, 6), 16, 32)  # a power of two of samples: means are exact
DATA = dyadic(RNG, (50, 6), 16, 32)


def network(activation, outputs=4, last=None):
    rng = np.random.default_rng(1)
    inputs = keras.Input((6,))
    x = activation(name="act1")(layers.Dense(8, name="d1")(inputs))
    x = activation(name="act2")(layers.Dense(8, name="d2")(x))
    model = keras.Model(inputs, layers.Dense(outputs, last, name="d3")(x), name="net")
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.weights])
    return model


def lsq(name):
    return LSQReLU(4, initial_step=0.25, name=name)


def answers(model, x=X):
    return model.predict(x, verbose=0).argmax(-1)


LABELS = np.where(np.arange(64) % 4, answers(network(layers.ReLU)), 0)


def compared(model, x=X, y=None, **arguments):
    return snn_keras.compare(model, x, y, verbose=0, batch_size=16, **arguments)


def arguments_of(found, row):
    """The arguments of a row, as `best` gives them for the only row there is."""
    alone = dataclasses.replace(found, rows=(row,))
    return alone.best(within=100)


@pytest.mark.parametrize(
    ("model", "neurons", "timesteps"),
    [
        (network(lsq), [IFCell(initial=0.0), "cos"], (4,)),
        (network(layers.ReLU), None, (1, 3)),
        (network(lsq), None, (1, 3)),
        (
            network(lsq),
            {"corrected": "srp", "even": MultiThresholdIFCell(sizes=3)},
            (2, 4),
        ),
        (network(NoisySpike), None, (1, 2)),
        (network(layers.ReLU), {"auto": "auto", "one": {"act1": "if"}}, (1, 3)),
    ],
    ids=["cells", "float", "quantized", "named", "noisy", "open"],
)
def test_every_row_is_the_network_of_its_arguments(model, neurons, timesteps):
    found = compared(model, y=LABELS, data=DATA, neurons=neurons, timesteps=timesteps)
    expected = answers(model)
    assert found.source.accuracy == np.mean(expected == LABELS)
    assert {row.timesteps for row in found.rows} == set(timesteps)
    for row in found.rows:
        snn = snn_keras.convert(model, data=DATA, **arguments_of(found, row))
        assert snn.timesteps == row.timesteps
        if not snn.coding.repeats_source:  # otherwise neurons fire at random
            given = answers(snn)
            assert row.accuracy == np.mean(given == LABELS)
            assert row.agreement == np.mean(given == expected)
            spikes = analysis.spike_statistics(snn, X)
            assert (row.spikes, row.bits) == (spikes.spikes, spikes.bits)
            energy = analysis.energy(snn, X)
            assert row.additions == energy.spiking.add
            assert row.energy == pytest.approx(energy.spiking.energy, rel=1e-12)
            fair = energy.opponents[energy.fairest].cost
            assert row.opponent == pytest.approx(fair.energy, rel=1e-12)
            assert row.ratio == pytest.approx(energy.ratio, rel=1e-12)
            source = energy.opponents["float"].cost
            assert found.source.additions == source.add
            assert found.source.energy == pytest.approx(source.energy, rel=1e-12)


def test_a_neuron_runs_once_for_all_its_steps(monkeypatch):
    runs = []
    monkeypatch.setattr(
        running, "counts", lambda *a: runs.append(a[1]) or counting.counts(*a)
    )
    compared(network(layers.ReLU), data=DATA, timesteps=(1, 2, 4))
    # All but bit-serial neurons, which have other levels each.
    assert runs == [*2 * [(1, 2, 4)], (1,), (2,), (4,), *2 * [(1, 2, 4)]]


def test_time_is_in_proportion_to_the_steps_of_one_run():
    found = compared(network(lsq), neurons=["if"], timesteps=[1, 2, 4])
    first, second, last = (row.seconds for row in found.rows)
    assert (second, last) == (2 * first, 4 * first)


def test_state_by_hand():
    """8 + 8 neurons of float32: a potential each; multi-threshold ones also a sum."""
    found = compared(network(lsq), neurons=["if", "multi_threshold"], timesteps=[1])
    assert [row.state_bytes for row in found.rows] == [16 * 4, 16 * 8]


def row(neuron, timesteps, accuracy, energy):
    figures = dict.fromkeys(
        (
            *("agreement", "spikes", "bits", "additions", "opponent"),
            *("state_bytes", "seconds"),
        ),
        1.0,
    )
    return Row(
        neuron=neuron, timesteps=timesteps, accuracy=accuracy, energy=energy, **figures
    )


ROWS = (
    row("if", 1, 0.25, 4.0),
    row("if", 2, 0.5, 8.0),
    row("if", 4, 0.75, 16.0),
    row("bits", 2, 0.5, 7.0),
    row("bits", 4, 0.75, 32.0),
    row("bits", 8, 0.875, 64.0),
)


def made_up(rows=ROWS):
    source = SourceRow(additions=1.0, energy=1.0, seconds=1.0, accuracy=0.875)
    return Comparison("net", 8, 8, source, rows, {"if": "if", "bits": "bit_serial"})


def test_what_no_other_beats():
    found = made_up()
    assert found.unbeaten() == [ROWS[0], ROWS[3], ROWS[2], ROWS[5]]
    assert found.unbeaten("timesteps") == [*ROWS[:2], ROWS[3], ROWS[2], *ROWS[4:]]
    assert str(found).count(" *\n") + str(found).endswith("*") == 4


@pytest.mark.parametrize(
    ("within", "cost", "steps", "neuron"),
    [
        (0, "energy", 8, "bit_serial"),
        (12.5, "energy", 4, "if"),
        (37.5, "energy", 2, "bit_serial"),
        (37.5, "timesteps", 2, "if"),
        (100, "energy", 1, "if"),
    ],
)
def test_the_best_within_some_points(within, cost, steps, neuron):
    assert made_up().best(within, cost) == {"timesteps": steps, "neuron": neuron}


def test_equal_rows_are_both_unbeaten():
    twin = row("bits", 1, 0.25, 4.0)
    assert made_up((ROWS[0], twin, ROWS[1])).unbeaten() == [ROWS[0], twin, ROWS[1]]


def test_the_remedy_of_nothing_good_enough_works():
    found = made_up((row("if", 1, 0.875 - 0.01234, 1.0),))
    with pytest.raises(ValueError, match=r"Remedy: within=1\.24 or more"):
        found.best(within=1.23)
    assert found.best(within=1.24)["timesteps"] == 1


def test_nothing_is_good_enough():
    found = made_up(ROWS[:3])
    with pytest.raises(ValueError, match=r"if in 4 steps, is 12\.50 points below"):
        found.best(within=12)
    assert found.best(within=12.5)["timesteps"] == 4  # the remedy of the message


@pytest.mark.parametrize("within", [-1, np.nan, True])
def test_points_are_numbers(within):
    with pytest.raises(ValueError, match="within must be a number of points >= 0"):
        made_up().best(within)


def test_costs_are_named():
    with pytest.raises(ValueError, match="cost must be one of"):
        made_up().best(cost="money")


def test_an_interrupted_comparison_goes_on(tmp_path, monkeypatch):
    path, runs = tmp_path / "runs.json", []
    model = network(layers.ReLU)
    whole = compared(model, data=DATA, timesteps=[1, 2])

    def counts(*arguments):
        runs.append(arguments[1])
        if len(runs) == 3:
            raise KeyboardInterrupt
        return counting.counts(*arguments)

    monkeypatch.setattr(running, "counts", counts)
    with pytest.raises(KeyboardInterrupt):
        compared(model, data=DATA, timesteps=[1, 2], path=path)
    assert [p.name for p in tmp_path.iterdir()] == ["runs.json"]
    found = compared(model, data=DATA, timesteps=[1, 2], path=path)
    assert len(runs) == 2 + 1 + 4  # two were finished, and are not run again
    for first, second in zip(whole.rows, found.rows, strict=True):
        assert dataclasses.replace(first, seconds=second.seconds) == second
    more = compared(
        model, data=DATA, timesteps=[1, 2], path=path, neurons=["if", "srp"]
    )
    assert len(runs) == 7 + 1  # of the neuron that is new
    assert {row.neuron for row in more.rows} == {"if", "srp"}


def scaled(factor):
    """A network with a constant in it, which is no weight."""
    model = network(layers.ReLU)
    hidden = model.get_layer("act1").output * factor
    hidden = model.get_layer("act2")(model.get_layer("d2")(hidden))
    return keras.Model(model.input, model.get_layer("d3")(hidden), name="net")


def test_the_same_network_made_again_goes_on(tmp_path, monkeypatch):
    path, runs = tmp_path / "runs.json", []
    monkeypatch.setattr(
        running, "counts", lambda *a: runs.append(a[1]) or counting.counts(*a)
    )
    for _ in range(2):  # whose operations have other names
        compared(scaled(2.0), data=DATA, path=path, neurons=["if"], timesteps=1)
    assert runs == [(1,)]


@pytest.mark.parametrize(
    "change",
    [
        {"x": X + 1},
        {"data": DATA + 1},
        {"model": network(lambda name: layers.ReLU(6.0, name=name))},
        {"model": scaled(-3.0)},
        {"samples": 8},
        {"calibration": "max"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_file_holds_one_comparison(change, tmp_path):
    given = {
        "model": scaled(1.0),
        "data": DATA,
        "path": tmp_path / "runs.json",
    }
    given |= {"neurons": ["if"], "timesteps": [1]}
    compared(**given)
    content = given["path"].read_text()
    with pytest.raises(
        ValueError, match="holds runs of another network, of other data"
    ):
        compared(**given | change)
    assert given["path"].read_text() == content


def test_a_file_of_something_else_stays(tmp_path):
    path = tmp_path / "runs.json"
    path.write_text("my thesis")
    with pytest.raises(ValueError, match="as the runs of a comparison"):
        compared(network(layers.ReLU), data=DATA, path=path)
    assert path.read_text() == "my thesis"


def test_numbers_have_an_error_and_the_share_near_the_source():
    model = network(layers.ReLU, outputs=1)
    expected = model.predict(X, verbose=0)
    found = compared(model, y=expected[:, 0] + 1, data=DATA, neurons=["if"])
    assert found.source.error == 1.0 and found.source.accuracy is None
    snn = snn_keras.convert(model, 8, "if", data=DATA)
    given = snn.predict(X, verbose=0)
    near = np.abs(given - expected) <= 0.1 * np.std(expected.astype("float64"))
    last = found.rows[-1]
    assert last.agreement == near.mean()
    assert last.error == pytest.approx(
        np.sqrt(np.mean(np.square(given.astype("float64") - expected - 1))), rel=1e-12
    )
    assert last.quality == last.agreement


@pytest.mark.parametrize("kind", [int, bool])
def test_sides_of_a_half_are_answers(kind):
    model = network(layers.ReLU, outputs=1, last="sigmoid")
    expected = model.predict(X, verbose=0)[:, 0] >= 0.5
    labels = np.where(np.arange(64) % 4, expected, True)
    found = compared(
        model, y=labels.astype(kind), data=DATA, neurons=["if"], timesteps=2
    )
    snn = snn_keras.convert(model, 2, "if", data=DATA)
    given = snn.predict(X, verbose=0)[:, 0] >= 0.5
    assert found.source.accuracy == np.mean(expected == labels)
    assert found.rows[0].accuracy == np.mean(given == labels)
    assert found.rows[0].agreement == np.mean(given == expected)


def test_several_outputs_agree_where_all_do():
    one = network(layers.ReLU)
    hidden = one.get_layer("act2").output
    other = layers.Dense(3, name="other")(hidden)
    model = keras.Model(one.input, [one.output, other])
    found = compared(model, data=DATA, neurons=["if"], timesteps=[2])
    snn = snn_keras.convert(model, 2, "if", data=DATA)
    pairs = zip(snn.predict(X, verbose=0), model.predict(X, verbose=0), strict=True)
    same = [a.argmax(-1) == b.argmax(-1) for a, b in pairs]
    assert found.rows[0].agreement == np.mean(np.all(same, axis=0))
    with pytest.raises(ValueError, match="right answers of one output"):
        compared(model, y=LABELS, data=DATA)


def test_neurons_that_do_not_serve_are_left_out_and_named():
    found = compared(network(NoisySpike), timesteps=[1])
    assert {row.neuron for row in found.rows} == {"noisy_lif"}
    assert set(found.left_out) == set(UNTRAINED)
    assert "left out: if: neuron: " in str(found)
    with pytest.raises(ConversionError, match="trained to spike at random"):
        compared(network(NoisySpike), neurons=["if"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": None}, "thresholds come from data.*compare"),
        ({"data": DATA[:0]}, "data for input .* is empty"),
        ({"data": np.where(DATA > 1, np.nan, DATA)}, "not finite"),
        ({"data": DATA[:, :5]}, "has the wrong shape"),
        ({"x": X[:, :5]}, "has the wrong shape"),
        ({"y": LABELS[:-1]}, "y must hold a class for each of the 64 samples"),
        ({"y": LABELS + 4}, "whole numbers from 0 to 3"),
        ({"neurons": ["if", "of mine"]}, "neurons must be of the names"),
        ({"neurons": []}, "neurons must be of the names"),
        ({"neurons": [IFCell(), IFCell(initial=0.0)]}, "a name of its own"),
        ({"timesteps": []}, "at least one number of steps"),
        ({"timesteps": [0]}, "timesteps must be an integer >= 1"),
        ({"timesteps": ["settle"]}, "timesteps must be an integer >= 1"),
        ({"samples": 0}, "samples must be an integer >= 1"),
        ({"hardware": "16 bit"}, "hardware must be one of"),
        ({"calibration": "guess"}, "calibration must be one of"),
    ],
)
def test_bad_input(change, message):
    given = {"model": network(layers.ReLU), "x": X, "y": LABELS, "data": DATA}
    with pytest.raises(ValueError, match=message):
        compared(**given | change)


@pytest.mark.parametrize(
    "data", [DATA[:1], np.ones_like(DATA)], ids=["one", "constant"]
)
def test_little_data_serves(data):
    model = network(layers.ReLU)
    found = compared(model, data=data, neurons=["if"], timesteps=[2])
    snn = snn_keras.convert(model, 2, "if", data=data)
    assert found.rows[0].agreement == np.mean(answers(snn) == answers(model))


def test_figures_are_ready_for_json():
    neurons = {"own": IFCell(initial=0.0), "by layer": {"act1": "if", "act2": "srp"}}
    found = compared(network(lsq), neurons=neurons, timesteps=[2])
    plain = json.loads(json.dumps(found.as_dict()))
    assert plain["neurons"]["own"]["config"]["initial"] == 0.0
    assert plain["neurons"]["by layer"] == neurons["by layer"]
    assert plain["rows"][0]["agreement"] == found.rows[0].agreement


def test_the_plot_shows_every_row():
    left, right = made_up().plot().axes
    lines = {line.get_label(): line.get_xydata().tolist() for line in left.lines}
    assert lines["bits"] == [[2, 50], [4, 75], [8, 87.5]]
    assert [text.get_text() for text in right.texts] == list("124248")
    rings = right.collections[0].get_offsets().tolist()
    assert rings == [[0.004, 25], [0.007, 50], [0.016, 75], [0.064, 87.5]]


def test_a_report_shows_it(tmp_path):
    model = network(lsq)
    found = compared(model, y=LABELS, neurons=["if", "signed"], timesteps=[1, 2])
    path = tmp_path / "report.html"
    figures = analysis.report(
        model, snn_keras.convert(model, 2), X, LABELS, path, comparison=found
    )
    assert figures.comparison is found
    page = path.read_text()
    assert page.count('<th scope="row" class="text">signed</th>') == 2
    content = page.split('id="figures">')[1].split("</script>")[0]
    rows = json.loads(content)["comparison"]["rows"]
    assert rows == json.loads(json.dumps(found.as_dict()))["rows"]


@once
@pytest.mark.slow
def test_the_program_goes_on_where_it_was(tmp_path):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.save(tmp_path / "net.keras")
    given = [f"--model={tmp_path / 'net.keras'}", f"--output={tmp_path / 'found'}"]
    given += ["--samples=50", "--timesteps=1,2", "--within=100"]
    first = program("compare", *given, "--neurons=if,bit_serial")
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["found.json", "found.png", "found.runs.json", "net.keras"]
    rows = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert [(row["neuron"], row["timesteps"]) for row in rows] == [
        ("if", 1),
        ("if", 2),
        ("bit_serial", 1),
        ("bit_serial", 2),
    ]
    assert "within 100 points: snn_keras.convert(model, data=data, timesteps=1" in first
    again = program("compare", *given, "--neurons=bit_serial")
    assert "bit_serial, T = 1\n" in first and "bit_serial, T = 1\n" not in again
    assert json.loads((tmp_path / "found.json").read_text())["rows"] == rows[2:]
    printed = program("compare", *given, "--neurons=if", "--calibration=max", ok=False)
    assert "holds runs of another network, of other data" in printed
