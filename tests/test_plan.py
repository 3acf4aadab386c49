"""The plan says what becomes of every layer, what is approximated, and why."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras.layers import LSQReLU, SlipReLU


def model(levels=3):
    inputs = keras.Input((4,), name="x")
    x = layers.Dense(4, name="first")(inputs)
    x = LSQReLU(levels, initial_step=0.5, name="act1")(x)
    x = layers.Softmax(name="gate")(x)
    x = layers.Dropout(0.5, name="drop")(x)
    x = LSQReLU(levels, initial_step=0.25, name="act2")(layers.Dense(4, name="mid")(x))
    x = layers.Dense(2, name="last")(x)
    return keras.Model(inputs, layers.Softmax(name="end")(x), name="net")


def table(plan):
    """The printed table: `{layer: {column: cell}}`, by the header's columns."""
    _, header, _, *lines = str(plan).splitlines()
    lines = lines[: len(plan.steps)]
    names = header.split()
    starts = [header.index(name) for name in names] + [None]
    cells = [
        [line[a:b].strip() for a, b in itertools.pairwise(starts)] for line in lines
    ]
    return {row[0]: dict(zip(names, row, strict=True)) for row in cells}


def test_every_layer_has_a_line():
    printed = table(snn_keras.plan(model(), 4))
    expected = {
        "first": ("Dense", "Affine", "once", "once", "", ""),
        "act1": ("LSQReLU", "Neuron", "IFCell", "over time", "1.5"),
        "gate": ("Softmax", "Opaque", "temporal difference", "over time", ""),
        "drop": ("Dropout", "Identity", "dropped", "over time", "", ""),
        "mid": ("Dense", "Affine", "every step", "over time", "", ""),
        "act2": ("LSQReLU", "Neuron", "IFCell", "over time", "0.75"),
        "last": ("Dense", "Affine", "every step", "over time", "", ""),
        "end": ("Softmax", "Opaque", "once, decoded", "decoded", "", ""),
    }
    columns = ("type", "rule", "becomes", "computed", "threshold", "approximates")
    assert list(printed) == list(expected)
    for name, cells in expected.items():
        for column, cell in zip(columns, cells, strict=False):
            assert printed[name][column] == cell, (name, column)
    assert "when spikes arrive" in printed["act1"]["approximates"]
    assert "numbers, not spikes" in printed["gate"]["approximates"]


@pytest.mark.parametrize(
    "timesteps, neuron, approximates",
    [
        (4, "if", "when spikes arrive"),
        (4, "srp", "when spikes arrive"),
        (4, "cos", "when spikes arrive"),
        (4, "signed", "exact once no neuron fires"),
        (4, snn_keras.neurons.SignedIFCell(ceiling=None), "when spikes arrive"),
        ("settle", "signed", ""),
        (2, "bit_serial", ""),
        (1, "bit_serial", "1 bits where its levels have 2"),
    ],
)
def test_what_the_neurons_approximate(timesteps, neuron, approximates):
    plan = snn_keras.plan(model(), timesteps, neuron)
    printed = table(plan)
    verdict = str(plan).splitlines()[-1]
    for name in ("act1", "act2"):
        cell = printed[name]["approximates"]
        assert (approximates in cell) if approximates else not cell
    if approximates:
        assert verdict.startswith("2 of 2 layers of neurons approximate")
    else:
        assert verdict == "exact: the decoded output is the source's"


def test_the_time_line_is_told():
    first = str(snn_keras.plan(model(), "settle", "signed")).splitlines()[0]
    assert first == "net, runs until it settles, input on for 3"
    first = str(snn_keras.plan(model(), 5, "cos")).splitlines()[0]
    assert first == "net, 5 time steps after 4 extra steps"


@pytest.mark.parametrize(
    "cell, words",
    [
        ({"ceiling": 1}, "counts to 1, not 3"),
        ({"initial": 0.0}, "does not start from half the threshold"),
    ],
)
def test_configured_cells_that_are_not_exact_say_so(cell, words):
    plan = snn_keras.plan(model(), "settle", snn_keras.neurons.SignedIFCell(**cell))
    assert words in table(plan)["act1"]["approximates"]
    assert not str(plan).splitlines()[-1].startswith("exact")


@pytest.mark.parametrize("timesteps, neuron", [("settle", "signed"), (2, "bit_serial")])
def test_a_slope_between_the_levels_is_left_out(timesteps, neuron):
    inputs = keras.Input((4,))
    x = SlipReLU(3, initial_threshold=1.0, name="slip")(layers.Dense(4)(inputs))
    slipping = keras.Model(inputs, layers.Dense(2)(x))
    plan = snn_keras.plan(slipping, timesteps, neuron)
    assert "slope" in table(plan)["slip"]["approximates"]
    snn = snn_keras.convert(slipping, timesteps, neuron)
    x = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")
    report = snn_keras.verify(slipping, snn, x)
    assert report.entry == "slip" and report.layers[0].own_rms > 0.01
