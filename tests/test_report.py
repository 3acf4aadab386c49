"""The report says what the functions of analysis say, in one sound file."""

import html.parser
import json

import keras
import matplotlib
import numpy as np
import pytest

import snn_keras
from apps import data
from snn_keras import analysis
from snn_keras.analysis import ClassPair, Flip
from snn_keras.analysis.costing.opponents import FAIR
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import NoisyLIFCell
from tests.graphs import dyadic
from tests.programs import once, program

matplotlib.use("Agg")
EMPTY = {"meta", "link", "img"}


def source(activation=LSQReLU):
    """A classifier of small images, with inputs and labels."""
    rng = np.random.default_rng(0)

    def neurons(name):
        if activation is LSQReLU:
            return LSQReLU(7, initial_step=0.25, name=name)
        return activation(name=name)

    inputs = keras.Input((6, 6, 1))
    x = neurons("act1")(keras.layers.Conv2D(2, 3, name="conv")(inputs))
    x = keras.layers.Dense(8, name="fc1")(keras.layers.Flatten()(x))
    x = keras.layers.Dense(4, name="fc2")(neurons("act2")(x))
    model = keras.Model(inputs, x, name="small")
    for name in ("conv", "fc1", "fc2"):
        layer = model.get_layer(name)
        layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model, dyadic(rng, (20, 6, 6, 1)), rng.integers(0, 4, 20)


class Page(html.parser.HTMLParser):
    """Reads a report back: its elements, tables and figures."""

    def __init__(self, path):
        super().__init__()
        self.open, self.elements, self.tables = [], [], {}
        self.script = ""
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open
        self.figures = json.loads(self.script)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.elements.append((tag, attributes))
        if tag not in EMPTY:
            self.open.append(tag)
        if tag == "caption":
            self.caption = ""
        if tag == "tr" and "tbody" in self.open:
            self.row = self.tables.setdefault(self.caption, {})
            self.values = []
        if tag == "data" and "tbody" in self.open:
            self.values.append(float(attributes["value"]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "tr" and "tbody" in self.open:
            self.row[self.name] = self.values

    def handle_data(self, text):
        if "caption" in self.open:
            self.caption += text
        if self.open and self.open[-1] == "th":
            self.name = text
        if "script" in self.open:
            self.script += text


def written(tmp_path, ann, snn, x, y, **options):
    """The figures of a report, and its page."""
    path = tmp_path / "report.html"
    figures = analysis.report(ann, snn, x, y, path, **options)
    page = Page(path)
    assert page.figures == json.loads(json.dumps(figures.as_dict()))
    assert path.stat().st_size < 5e6
    check_sound(page)
    return figures, page


def check_sound(page):
    """One page that loads nothing, with names where they are wanted."""
    given = [attributes for _, attributes in page.elements]
    ids = [a["id"] for a in given if "id" in a]
    assert len(ids) == len(set(ids))
    for tag, a in page.elements:
        assert tag not in ("iframe", "object", "a")
        assert not any(name.startswith("on") for name in a)
        assert a.get("src", "data:image/").startswith("data:image/")
        assert a.get("href", "data:").startswith("data:")
        if tag == "img":
            assert a["alt"]
        if tag == "script":
            assert a["type"] == "application/json"
    sections = [a for tag, a in page.elements if tag == "section"]
    assert [a["id"] for a in sections] == [
        *("accuracy", "mismatch", "spikes", "energy", "neurons", "disagreements"),
        "plan",
    ]
    assert all(a["aria-labelledby"] in ids for a in sections)


def test_report_says_what_the_functions_say(tmp_path):
    ann, x, y = source()
    snn = snn_keras.convert(ann, 6)
    figures, page = written(tmp_path, ann, snn, x, y, samples=10, batch_size=10)
    part = x[:10]
    accuracy = analysis.accuracy_by_timesteps(snn, x, y, 10, 0)
    assert figures.accuracy.spiking == tuple(accuracy.tolist())
    answers = ann.predict(x, verbose=0)
    assert figures.accuracy.source == np.mean(answers.argmax(-1) == y)
    assert figures.mismatch == analysis.mismatch(ann, snn, part, 10)
    assert figures.spikes == analysis.spike_statistics(snn, part, 10)
    for name, found in figures.energy.items():
        assert found == analysis.energy(snn, part, 10, name)
    outputs = snn.predict(x, verbose=0)
    assert figures.disagreements == analysis.disagreements(answers, outputs, y)
    for name, layer in figures.traces.layers.items():
        chosen = {"layers": name, "neurons": layer.neurons, "traces": True}
        for what in ("spikes", "potentials"):
            z = analysis.record(snn, x[:1], what=what, **chosen)[name]
            assert np.array_equal(getattr(layer, what), z[:, 0].T)
    check_tables(page, figures)
    shown = str(figures).splitlines()
    assert shown[0].split() == ["figure", "small_snn,", "T", "=", "6"]
    assert shown[3].endswith(f" {figures.accuracy.at_end:.2%}")


def check_tables(page, figures):
    """The numbers of the tables are those of the figures."""
    table = page.tables["Accuracy on 20 samples"]
    for t, value in enumerate(figures.accuracy.spiking, start=1):
        assert table[f"T = {t}"][0] == value
    assert table["source"] == [figures.accuracy.source]
    table = page.tables["Mismatch in quantization steps, share of neurons"]
    for name, layer in figures.mismatch.layers.items():
        off = layer.off.values()
        assert table[name] == [layer.mean, layer.std, *off, layer.own]
    table = page.tables["Spikes, a run of one sample"]
    steps = page.tables["Spikes a sample at each step"]
    for i, (name, layer) in enumerate(figures.spikes.layers.items()):
        shares = (layer.rate, layer.sparsity)
        assert table[name] == [layer.spikes, layer.neurons, *shares]
        assert [row[i] for row in steps.values()] == list(layer.over_time)
    table = page.tables["Operations of an inference"]
    kinds = ("multiply", "add", "shift", "compare")
    found = figures.energy["45 nm"]
    others = {name: opponent.cost for name, opponent in found.opponents.items()}
    sides = {"spiking network": found.spiking, **others}
    moved = page.tables["Memory that an inference reads and writes, KiB"]
    for name, cost in sides.items():
        assert table[name] == [cost[kind] for kind in kinds]
        bits = [x.bits / 8192 for x in cost.memory.values()]
        assert sorted(x for x in moved[name] if x) == sorted(x for x in bits if x)
    table = page.tables["Energy of an inference, nJ"]
    for name, found in figures.energy.items():
        costs = (found.spiking, *(x.cost for x in found.opponents.values()))
        crossing = found.opponents[found.fairest].crossing
        expected = [*(x.energy / 1e3 for x in costs), found.ratio, crossing]
        assert table[name] == expected
    table = page.tables["Energy by layer on 45 nm, nJ"]
    for name, layer in figures.energy["45 nm"].layers.items():
        assert table[name][0] == layer.spiking.energy / 1e3


@pytest.mark.parametrize("kind", ["bit_serial", "settle", "noisy_lif", "relu"])
def test_networks_without_some_figures(tmp_path, kind):
    activation = {"noisy_lif": NoisySpike, "relu": keras.layers.ReLU}.get(kind, LSQReLU)
    ann, x, y = source(activation)
    if kind == "relu":
        snn = snn_keras.convert(ann, 4, data=x)
    elif kind == "noisy_lif":
        snn = snn_keras.convert(ann, 2, NoisyLIFCell(alpha=2))
    elif kind == "settle":
        snn = snn_keras.convert(ann, "settle", "signed")
    else:
        snn = snn_keras.convert(ann, 3, "bit_serial")
    labels = {"settle": None, "noisy_lif": np.eye(4)[y]}.get(kind, y)
    figures, _ = written(tmp_path, ann, snn, x, labels, timesteps=None)
    assert (figures.mismatch is None) == (kind == "noisy_lif")
    assert (figures.plan is None) == (kind == "relu")
    assert (figures.accuracy is None) == (kind == "settle")
    if kind in ("bit_serial", "settle"):  # exact
        assert figures.disagreements.count == 0
        shares = [layer.off["0"] for layer in figures.mismatch.layers.values()]
        assert shares == [1.0, 1.0]
    if kind == "bit_serial":
        accuracy = analysis.accuracy_by_timesteps(snn, x, y, verbose=0)
        assert figures.accuracy.spiking == tuple(accuracy.tolist())
        assert figures.accuracy.at_end == figures.accuracy.source


def other(end):
    """A network of small images that is no classifier, with inputs and labels."""
    rng = np.random.default_rng(4)
    ends = {
        "number": lambda x: keras.layers.Dense(1)(keras.layers.Flatten()(x)),
        "side": lambda x: keras.layers.Dense(1, activation="sigmoid")(
            keras.layers.Flatten()(x)
        ),
        "map": keras.layers.Conv2D(3, 3),
        "depth": keras.layers.Conv2D(1, 1),
    }
    labels = {
        "number": rng.normal(size=20),
        "side": rng.integers(0, 2, (20, 1)),
        "map": rng.integers(0, 3, (20, 4, 4)),
        "depth": rng.normal(size=(20, 6, 6, 1)),
    }
    inputs = keras.Input((6, 6, 1))
    x = keras.layers.Conv2D(2, 3, padding="same")(inputs)
    x = LSQReLU(7, initial_step=0.25, name="act1")(x)
    model = keras.Model(inputs, ends[end](x), name="small")
    for layer in model.layers:
        if not isinstance(layer, LSQReLU):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model, dyadic(rng, (20, 6, 6, 1)), labels[end]


def batches_of(x, y):
    """A generator of batches: it gives them once."""
    for i in range(0, len(x), 8):
        yield x[i : i + 8], y[i : i + 8]


@pytest.mark.parametrize("end", ["number", "side", "map", "depth"])
def test_networks_that_are_no_classifiers(tmp_path, end):
    ann, x, y = other(end)
    snn = snn_keras.convert(ann, 2, "if")
    figures, page = written(tmp_path, ann, snn, batches_of(x, y), y)
    source = ann.predict(x, verbose=0)
    over_time = snn.predict_over_time(x, verbose=0)
    found = figures.disagreements
    if end in ("number", "depth"):
        right = y.reshape(source.shape)

        def score(outputs):
            return np.sqrt(np.mean(np.square(outputs.astype("float64") - right)))

        off = np.abs(over_time[-1] - source)
        differ = off > 0.1 * source.std(dtype="float64")
        title = "Root mean square error"
        assert found.flips[0].sample == off.reshape(20, -1).max(1).argmax()
    else:

        def answers(outputs):
            return outputs >= 0.5 if end == "side" else outputs.argmax(-1)

        def score(outputs):
            return np.mean(answers(outputs) == y)

        differ = answers(over_time[-1]) != answers(source)
        title = "Accuracy"
    accuracy = figures.accuracy
    assert accuracy.measure == title.lower()
    assert accuracy.source == pytest.approx(score(source))
    assert accuracy.spiking == pytest.approx([score(z) for z in over_time])
    assert accuracy.at_end == accuracy.spiking[-1]
    assert (found.answers, found.count) == (differ.size, differ.sum())
    assert 0 < found.count < found.answers
    assert found.share == pytest.approx(differ.mean())
    assert list(page.tables[f"{title} on 20 samples"]) == ["source", "T = 1", "T = 2"]
    assert figures.network.answer == found.answer
    assert figures.mismatch.outputs[0].share == pytest.approx(1 - differ.mean())


def test_bad_requests_come_before_the_work(tmp_path):
    ann, x, y = source()
    snn = snn_keras.convert(ann, 2)
    path = tmp_path / "report.html"
    with pytest.raises(ValueError, match=r"each of the 20 samples.*shape: \(3,\)"):
        analysis.report(ann, snn, x, y[:3], path)
    with pytest.raises(ValueError, match=r"samples must be an integer >= 1"):
        analysis.report(ann, snn, x, y, path, samples=0)
    with pytest.raises(ValueError, match=r"neurons must be a dict of layers"):
        analysis.report(ann, snn, x, y, path, neurons=[1])
    with pytest.raises(ValueError, match="needs a spiking network"):
        analysis.report(ann, ann, x, y, path)
    two = keras.Model(ann.input, [ann.output, ann.get_layer("act1").output])
    with pytest.raises(ValueError, match=r"one output. Received a network with 2.*i\]"):
        analysis.report(two, snn_keras.convert(two, 2), x, y, path)
    assert list(tmp_path.iterdir()) == []
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        analysis.report(ann, snn, x, y, path)
    assert path.read_text() == "mine"


def test_mismatch_is_that_of_verify():
    ann, x, _ = source()
    snn = snn_keras.convert(ann, 3)
    found, report = analysis.mismatch(ann, snn, x), snn_keras.verify(ann, snn, x)
    assert found.entry == report.entry and found.agreement == report.agreement
    for layer in report.layers:
        figures = found.layers[layer.name]
        assert (figures.mean, figures.std) == (layer.mean, layer.std)
        histogram = figures.histogram
        pairs = zip(histogram.steps, histogram.share, strict=True)
        assert dict(pairs) == layer.off
        assert figures.off["-1"] == layer.off.get(-1, 0.0)
        below = sum(share for k, share in layer.off.items() if k < -2)
        assert figures.off["below"] == below
        assert sum(figures.off.values()) == pytest.approx(1)
        assert f"\n{layer.name} " in str(found)
    assert str(found).endswith(found.diagnosis)


def test_disagreements_by_hand():
    eye = np.eye(3)
    found = analysis.disagreements(
        eye[[0, 1, 2, 0, 0]], eye[[0, 2, 2, 1, 1]], [0, 2, 2, 0, 2]
    )
    assert found.pairs == (ClassPair(0, 1, 2), ClassPair(1, 2, 1))
    assert (found.count, found.gained, found.lost) == (3, 1, 1)
    assert found.flips[0] == Flip(1, 1, source=1, spiking=2, label=2)
    assert "3 of 5 answers differ" in str(found) and str(found).endswith("1, 3 and 4")
    with pytest.raises(ValueError, match=r"\(5, 3\) and \(4, 3\)"):
        analysis.disagreements(eye[[0] * 5], eye[[0] * 4])
    with pytest.raises(ValueError, match=r"a class for each of the 3 samples"):
        analysis.disagreements(eye, eye, [1])


def test_disagreements_of_maps_and_of_numbers_by_hand():
    eye = np.eye(3)
    source = eye[[[0, 1], [2, 2], [1, 0]]]  # three samples of two positions
    spiking = eye[[[0, 2], [2, 2], [0, 2]]]
    found = analysis.disagreements(source, spiking, [[0, 2], [2, 2], [1, 1]])
    assert (found.answers, found.count, found.share) == (6, 3, 0.5)
    assert found.flips == (Flip(2, 2), Flip(0, 1))
    assert (found.gained, found.lost) == (1, 1)
    assert {(pair.source, pair.spiking) for pair in found.pairs} == {
        *((1, 2), (1, 0), (0, 2))
    }
    # A standard deviation of 2: what is further than 0.2 away differs.
    source = np.array([[3.0], [-1.0], [3.0], [-1.0]])
    spiking = source + np.array([[0.25], [0.125], [-1.0], [0.0]])
    found = analysis.disagreements(source, spiking, [3, -1, 2, -1])
    assert (found.answer, found.count, found.spread) == ("numbers", 2, 2.0)
    assert found.flips == (Flip(2, 1, 3.0, 2.0, 2), Flip(0, 1, 3.0, 3.25, 3))
    assert "2 of 4 numbers are further than 0.1" in str(found)
    with pytest.raises(ValueError, match="numbers have no confusion matrix"):
        analysis.plot_confusion_of_disagreements(found)
    sides = analysis.disagreements([[0.25], [0.75]], [[0.5], [1.0]], answer="sides")
    assert sides.pairs == (ClassPair(0, 1, 1),)


def test_pictures_hold_what_they_are_given():
    spikes = {"a": np.array([[[1, 0]], [[-1, 1]]]), "b": np.array([[[0]], [[1]]])}
    ax = analysis.plot_raster(spikes)
    drawn = sorted(tuple(p) for line in ax.lines for p in line.get_xydata()[:, :2])
    assert [p for p in drawn if p[1] == int(p[1])] == [(1, 0), (2, 0), (2, 1), (2, 2)]
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b"]
    with pytest.raises(ValueError, match=r"sample 3 of traces"):
        analysis.plot_raster(spikes, sample=3)
    ax = analysis.plot_potentials(spikes, {"a": [1, 1], "b": [1]}, spikes)
    assert len(ax.get_yticks()) == 3
    flips = analysis.disagreements(np.eye(5)[[4, 4, 1]], np.eye(5)[[0, 0, 1]])
    ax = analysis.plot_confusion_of_disagreements(flips)
    assert ax.images[0].get_array().tolist() == [[0, 0], [2, 0]]
    same = analysis.disagreements(np.eye(5), np.eye(5))
    assert not analysis.plot_confusion_of_disagreements(same).images
    matplotlib.pyplot.close("all")


def test_pictures_of_a_network():
    ann, x, _ = source()
    snn = snn_keras.convert(ann, 3)
    found = analysis.mismatch(ann, snn, x)
    ax = analysis.plot_mismatch(found)
    off = found.layers["act2"].off
    widths = [abs(b.get_width()) for b in ax.patches if round(b.get_y() + 0.31) == 1]
    wanted = [off[k] for k in ("-1", "-2", "below", "+1", "+2", "above")]
    assert widths == pytest.approx([100 * share for share in wanted])
    rates = analysis.spike_statistics(snn, x)
    widths = [b.get_width() for b in analysis.plot_spike_rates(rates).patches]
    bars = [*rates.layers.values(), rates]
    assert widths == pytest.approx([100 * figures.rate for figures in bars])
    found = analysis.energy(snn, x)
    widths = [b.get_width() for b in analysis.plot_energy({"45 nm": found}).patches]
    sides = [found.spiking, *(found.opponents[k].cost for k in FAIR)]
    for row, cost in enumerate(sides):
        wanted = pytest.approx(cost.energy / 1e3)
        assert sum(widths[4 * row : 4 * row + 4]) == wanted
    ax = analysis.plot_crossing({"45 nm": found})
    fair = found.opponents[found.fairest]
    lines = [line for line in ax.lines if len(line.get_xdata()) > 2]
    both = fair.with_memory, fair.without_memory
    for line, versus in zip(lines, both, strict=True):
        drawn = np.interp(100 * found.rate, *line.get_data())
        assert drawn == pytest.approx(versus.ratio)
        assert line.get_ydata()[0] == versus.silent
    matplotlib.pyplot.close("all")


@once
@pytest.mark.slow
def test_program_writes_a_report(tmp_path):
    model = data.SHIPPED / "fashion_mnist_adaptor.keras"
    path = tmp_path / "report.html"
    options = ("--dataset=fashion_mnist", "--timesteps=4", "--samples=60")
    printed = program(
        "report", f"--model={model}", *options, "--inspected=20", f"--output={path}"
    )
    figures = Page(path).figures
    assert figures["samples"] == 60 and figures["inspected"] == 20
    assert f"{figures['accuracy']['at_end']:.2%}" in printed
    assert "overwrite=True" in program(
        "report", f"--model={model}", *options, f"--output={path}", ok=False
    )
