"""Whatever takes inputs takes them in every form, and finds the same in each."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import EarlyExit, analysis, export
from snn_keras.inputs import CALIBRATION_SAMPLES
from snn_keras.layers import LSQReLU
from tests.graphs import dyadic
from tests.test_inputs import FORMS, Batches, endless, numbers

KINDS = ("generator of x", "dict", "PyDataset", "dataset of (x, y)", "lists")


def relus():
    rng = np.random.default_rng(1)
    inputs = keras.Input((3,), name="x")
    y = layers.ReLU(name="act")(layers.Dense(6, name="d1")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="d2")(y), name="net")
    for layer in model.layers:
        layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def networks():
    """A source, and its network: shared, so that each run is compiled once."""
    rng = np.random.default_rng(1)
    inputs = keras.Input((3,), name="x")
    y = LSQReLU(7, initial_step=0.25, name="act")(layers.Dense(6)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(y), name="net")
    for layer in model.layers:
        if not isinstance(layer, LSQReLU):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model, snn_keras.convert(model, 4, "if")


def plain(found):
    """A result as lists, to be compared with ==."""
    return keras.tree.map_structure(
        lambda x: x.tolist() if isinstance(x, np.ndarray) else x, found
    )


CALIBRATING = {
    "quantize_activations": lambda m, data: snn_keras.quantize_activations(
        m, 7, data=data
    ),
    "convert": lambda m, data: snn_keras.convert(m, 4, "if", data=data),
    "bias correction": lambda m, data: snn_keras.convert(
        m, 2, "if", data=data, bias_correction=True
    ),
}


@pytest.mark.parametrize("use", CALIBRATING)
def test_calibration(use):
    model, x = relus(), numbers()
    expected, *found = (
        [w.tolist() for w in CALIBRATING[use](model, data).get_weights()]
        for data in (x, *(FORMS[kind](x) for kind in KINDS))
    )
    for kind, weights in zip(KINDS, found, strict=True):
        assert weights == expected, kind


def test_calibration_takes_the_first_samples_of_what_is_endless():
    model, x = relus(), numbers()
    repeated = np.concatenate([x] * (CALIBRATION_SAMPLES // len(x) + 1))
    expected, *found = (
        snn_keras.quantize_activations(model, 7, data=data).get_weights()
        for data in (
            repeated[:CALIBRATION_SAMPLES],
            endless(x),
            Batches((x[:4],), endless=True),
        )
    )
    for own, theirs in zip(found[0], expected, strict=True):
        np.testing.assert_array_equal(own, theirs)
    assert len(found[1]) == len(expected)


ANALYSING = {
    "verify": lambda ann, snn, x: snn_keras.verify(ann, snn, x).as_dict(),
    "mismatch": analysis.mismatch,
    "predict": lambda ann, snn, x: snn.predict(x, verbose=0),
    "predict_over_time": lambda ann, snn, x: snn.predict_over_time(x, verbose=0),
    "predict_early_exit": lambda ann, snn, x: snn.predict_early_exit(
        x, EarlyExit(0.5), batch_size=4
    ),
    "accuracy_by_timesteps": lambda ann, snn, x: analysis.accuracy_by_timesteps(
        snn, x, np.arange(10) % 2, verbose=0
    ),
    "record": lambda ann, snn, x: analysis.record(snn, x, traces=True),
    "spike_statistics": lambda ann, snn, x: analysis.spike_statistics(snn, x),
    "energy": lambda ann, snn, x: analysis.energy(snn, x),
    "to_integers": lambda ann, snn, x: export.to_integers(snn, x).inputs[0].scale,
}


@pytest.mark.parametrize("use", ANALYSING)
def test_analysis(use, networks):
    x = numbers()
    expected = plain(ANALYSING[use](*networks, x))
    for kind in KINDS:
        assert plain(ANALYSING[use](*networks, FORMS[kind](x))) == expected, kind


@pytest.mark.parametrize("use", ["verify", "predict", "predict_early_exit", "energy"])
def test_what_has_no_end_is_refused(use, networks):
    with pytest.raises(ValueError, match="data has no end"):
        ANALYSING[use](*networks, Batches((numbers(),), endless=True))


def test_inputs_go_by_their_names():
    """Keras flattens a dict by its keys; the network's inputs come in another order."""
    rng = np.random.default_rng(0)
    right, left = (keras.Input((3,), name=name) for name in ("right", "left"))
    y = LSQReLU(7, initial_step=0.25)(layers.Dense(4)(left * 2.0 - right))
    model = keras.Model([right, left], layers.Dense(2)(y))
    snn = snn_keras.convert(model, 3, "bit_serial")
    x, y = (dyadic(rng, (5, 3)) for _ in range(2))
    expected = snn.predict([x, y], verbose=0)
    named = {"left": y, "right": x, "other": x}
    np.testing.assert_array_equal(snn.predict(named, verbose=0), expected)
    assert np.any(snn.predict([y, x], verbose=0) != expected)
    with pytest.raises(ValueError, match=r"\['right', 'left'\]"):
        snn.predict({"left": y, "Right": x}, verbose=0)


def texts():
    """A network that begins with texts, and some."""
    words = ["a b c", "b b", "c a a", "d"] * 3
    turn = layers.TextVectorization(max_tokens=8, output_sequence_length=4)
    turn.adapt(words)
    inputs = keras.Input((), dtype="string", name="text")
    y = layers.GlobalAveragePooling1D()(layers.Embedding(8, 5)(turn(inputs)))
    y = layers.Dense(6, activation="relu", name="d1")(y)
    return keras.Model(inputs, layers.Dense(3)(y)), words


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="other backends have no texts"
)
def test_texts_are_read_and_their_vocabulary_is_kept():
    model, words = texts()
    quantized = snn_keras.quantize_activations(model, 2**16, data=words)
    x = np.array(words, object)
    np.testing.assert_allclose(
        quantized.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-4
    )
    snn = snn_keras.convert(quantized, 16, "bit_serial")
    report = snn_keras.verify(quantized, snn, words)
    assert report.before is None and report.agreement == 1.0
    with pytest.warns(UserWarning, match="runs without XLA, which cannot compile") as w:
        rate = snn_keras.convert(model, 4, "if", data=x)
    assert __file__ in {warning.filename for warning in w}
    outputs, _ = rate.predict_early_exit(words, EarlyExit(np.inf))
    np.testing.assert_allclose(outputs, rate.predict(x, verbose=0), atol=1e-6)


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow", reason="this backend has texts"
)
def test_texts_are_refused_where_there_are_none():
    model, words = texts()
    with pytest.raises(ValueError, match=r"takes texts.*KERAS_BACKEND=tensorflow"):
        snn_keras.quantize_activations(model, data=words)
