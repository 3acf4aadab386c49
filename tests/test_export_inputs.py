"""Inputs of exported networks: in every form that `predict` takes, and by name."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras.export import TFLiteNetwork, to_integers, to_tflite
from snn_keras.layers import LSQReLU

RNG = np.random.default_rng(0)
# Of two scales, so that one taken for the other shows.
DATA = {
    "zebra": RNG.random((6, 4), "float32"),
    "ape": 8 * RNG.random((6, 4), "float32"),
}
LABELS = np.zeros(6, "int32")


def converted(structure):
    """A network of two inputs, as a list or as a dict."""
    keras.utils.set_random_seed(0)
    inputs = [keras.Input((4,), name=name) for name in DATA]
    parts = [
        LSQReLU(3, initial_step=0.5, name=f"{x.name}_act")(layers.Dense(4)(x))
        for x in inputs
    ]
    output = layers.Dense(2)(layers.Add()(parts))
    if structure is dict:
        inputs = {x.name: x for x in inputs}
    return snn_keras.convert(keras.Model(inputs, output), 3)


class Batches(keras.utils.PyDataset):
    """Batches of 4 and 2, with labels."""

    def __len__(self):
        return 2

    def __getitem__(self, i):
        part = slice(4 * i, 4 * i + 4)
        return {k: v[part] for k, v in DATA.items()}, LABELS[part]


def generator(labels):
    for i in range(6):
        x = tuple(v[i : i + 1] for v in DATA.values())
        yield (x, LABELS[i : i + 1]) if labels else (x,)


def dataset():
    import tensorflow as tf

    return tf.data.Dataset.from_tensor_slices((DATA, LABELS)).batch(4)


FORMS = {
    "list": lambda: list(DATA.values()),
    "tuple": lambda: tuple(DATA.values()),
    "dict": lambda: dict(DATA),
    "dict in another order": lambda: dict(sorted(DATA.items())),
    "dataset": dataset,
    "PyDataset": Batches,
    "generator": lambda: generator(labels=False),
    "generator with labels": lambda: generator(labels=True),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same(form):
    snn = converted(list)
    expected = to_integers(snn, list(DATA.values()))
    net = to_integers(snn, FORMS[form]())
    assert net.inputs == expected.inputs
    assert [x.name for x in net.inputs] == list(DATA)
    outputs = expected.predict(list(DATA.values()))
    assert np.array_equal(net.predict(FORMS[form]()), outputs)


@pytest.mark.parametrize("structure", [list, dict])
def test_order_never_matters(structure, tmp_path):
    net = to_tflite(converted(structure), tmp_path / "net.tflite", DATA, batch_size=2)
    assert {x.name: bool(x.scale < 0.01) for x in net.inputs} == {
        "zebra": True,
        "ape": False,
    }
    file = TFLiteNetwork(tmp_path / "net.tflite")
    expected = to_integers(converted(list), DATA).predict(list(DATA.values()))
    other = {**DATA, "unknown": DATA["ape"]}  # which predict takes, too
    for names in (DATA, sorted(DATA), other):
        given = {name: other[name] for name in names}
        assert np.array_equal(net.predict(given), expected)
        assert np.array_equal(file.predict(given), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ape": None},
            r"missing are \['ape'\]; given are \['zebra'\].*\['zebra', 'ape'\]",
        ),
        ({"ape": DATA["ape"][:, :3]}, r"'ape' has the wrong shape"),
        ({"ape": DATA["ape"][:3]}, "as many samples for every input"),
        ({"ape": DATA["ape"] * np.nan}, r"'ape' holds 24 values that are not finite"),
    ],
)
def test_bad_names_and_arrays_are_told(change, message, tmp_path):
    snn = converted(list)
    given = {k: v for k, v in {**DATA, **change}.items() if v is not None}
    net = to_tflite(snn, tmp_path / "net.tflite", DATA)
    file = TFLiteNetwork(tmp_path / "net.tflite")
    for takes in (lambda x: to_integers(snn, x), net.predict, file.predict):
        with pytest.raises(ValueError, match=message):
            takes(given)


def test_an_input_may_be_called_step(tmp_path):
    """A stream's state holds the number of the step, too."""
    x = inputs = keras.Input((4,), name="step")
    x = LSQReLU(3, initial_step=0.5)(layers.Dense(4, bias_initializer="ones")(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    images, path = DATA["zebra"], tmp_path / "net.tflite"
    net = to_integers(snn_keras.convert(model, 3, "differential"), images)
    to_tflite(net, path, form="streaming", batch_size=6)
    assert np.array_equal(TFLiteNetwork(path).predict(images), net.predict(images))
