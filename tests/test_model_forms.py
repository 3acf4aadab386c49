"""Whatever form a model comes in, it converts, and bit-serial neurons are exact."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras.graph import trace

FIRST = {"data_format": "channels_first"}


def sequential(folder):
    return keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(4, 3),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def built_later(folder):
    model = keras.Sequential([layers.Dense(5, "relu"), layers.Dense(5, "relu")])
    model.build((None, 4))
    return model


def sequential_in_sequential(folder):
    body = keras.Sequential([keras.Input((4,)), layers.Dense(5, "relu")])
    return keras.Sequential(
        [keras.Input((4,)), body, layers.Dense(4, "relu"), layers.Dense(2)]
    )


def called_many_times(folder):
    inputs = keras.Input((4,))
    cell = keras.Sequential([keras.Input((4,)), layers.Dense(4, "relu")])
    x = inputs
    for _ in range(4):
        x = cell(x)
    return keras.Model(inputs, x)


def named_ends(folder):
    sizes = {"image": (6, 6, 1), "numbers": (3,)}
    inputs = {name: keras.Input(size, name=name) for name, size in sizes.items()}
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(inputs["image"]))
    y = layers.Dense(8, "relu")(inputs["numbers"])
    both = layers.Concatenate()([x, y])
    return keras.Model(
        inputs, {"answer": layers.Dense(3)(both), "sum": layers.Dense(1, "relu")(both)}
    )


def saved(ending):
    def form(folder):
        path = folder / f"model.{ending}"
        sequential(folder).save(path)
        return keras.models.load_model(path, compile=False)

    return form


def audio(folder):
    inputs = keras.Input((64, 1))
    x = layers.Conv1D(4, 5, dilation_rate=2, padding="causal")(inputs)
    x = layers.MaxPooling1D(4)(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.SeparableConv1D(4, 3, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalMaxPooling1D()(x)))


def volume(folder):
    inputs = keras.Input((6, 6, 6, 1))
    x = layers.Conv3D(4, 3, activation="relu")(inputs)
    x = layers.ZeroPadding3D()(x)
    x = layers.Conv3D(4, 2, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling3D()(x)))


def channels_first(folder):
    inputs = keras.Input((2, 8, 8))
    x = layers.Conv2D(4, 3, **FIRST)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(axis=1)(x))
    y = layers.Conv2D(4, 3, padding="same", **FIRST)(layers.MaxPooling2D(2, **FIRST)(x))
    x = layers.Concatenate(axis=1)(
        [layers.ReLU()(y), layers.MaxPooling2D(2, **FIRST)(x)]
    )
    x = layers.UpSampling2D(2, **FIRST)(layers.ZeroPadding2D(1, **FIRST)(x))
    x = layers.Conv2D(4, 3, activation="relu", **FIRST)(x)
    return keras.Model(inputs, layers.GlobalAveragePooling2D(**FIRST)(x))


FORMS = {
    form.__name__: form
    for form in (
        *(sequential, built_later, sequential_in_sequential, called_many_times),
        *(named_ends, audio, volume),
    )
}
FORMS["channels_first"] = channels_first
FORMS["keras_file"] = saved("keras")
FORMS["h5_file"] = saved("h5")


@pytest.mark.parametrize(
    "policy_name",
    [
        "float64",
        *(
            pytest.param(x, marks=pytest.mark.slow)
            for x in ("float32", "mixed_bfloat16")
        ),
    ],
)
@pytest.mark.parametrize("form", FORMS)
def test_every_form_converts(form, policy_name, policy, tmp_path):
    if form == "channels_first" and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow convolves channels-first images on a GPU only")
    policy(policy_name)
    model = FORMS[form](tmp_path)
    rng = np.random.default_rng(0)
    x = keras.tree.map_structure(
        lambda x: rng.normal(0, 1, (20, *x.shape[1:])).astype(x.dtype),
        trace(model).inputs,
    )
    ann = snn_keras.quantize_activations(model, 3, data=x)
    expected = ann.predict(x, verbose=0)
    rate = snn_keras.convert(ann, 3)
    serial = snn_keras.convert(ann, 2, "bit_serial")
    for snn in (rate, serial):
        received = snn.predict(x, verbose=0)
        keras.tree.assert_same_structure(expected, received)
        for a, b in zip(
            keras.tree.flatten(expected), keras.tree.flatten(received), strict=True
        ):
            assert a.shape == b.shape and a.dtype == b.dtype
            if snn is serial and policy_name == "float64":
                np.testing.assert_allclose(a, b, rtol=1e-12)
    report = snn_keras.verify(ann, serial, x)
    if policy_name == "float64":
        assert all(layer.off == {0: 1.0} for layer in report.layers)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "bool", "float64"])
def test_inputs_of_every_type_are_cast(dtype):
    """Pixels as they are read; the source casts them, and so does all the rest."""
    inputs = keras.Input((6, 6, 1))
    x = layers.Conv2D(4, 3, activation="relu")(inputs - 128.0)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    x = np.random.default_rng(0).integers(0, 255, (8, 6, 6, 1)).astype(dtype)
    ann = snn_keras.quantize_activations(model, 3, data=x)
    snn = snn_keras.convert(ann, 2, "bit_serial")
    expected = ann.predict(x, verbose=0)
    assert np.array_equal(snn.predict(x, verbose=0), expected)
    assert snn_keras.verify(ann, snn, x).exact
    rate = snn_keras.convert(ann, 3)
    over_time = rate.predict_over_time(x, verbose=0)
    early, _ = rate.predict_early_exit(x, snn_keras.EarlyExit(np.inf))
    np.testing.assert_allclose(early, over_time[-1], rtol=1e-5)
    step = rate.step_function()
    outputs, _ = step(x, step.initial_state(8))
    np.testing.assert_allclose(np.asarray(outputs), over_time[0], rtol=1e-5)


def test_names_that_are_taken_are_numbered():
    inputs = keras.Input((4,))
    x = layers.Dense(4, activation="relu", name="fc")(inputs)
    x = layers.ReLU(name="fc_relu")(layers.Dense(4, name="second")(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    ann = snn_keras.quantize_activations(model, 3, data=x)
    assert {"fc_relu", "fc_relu_1"} <= {layer.name for layer in ann.layers}
    assert snn_keras.verify(ann, snn_keras.convert(ann, 2, "bit_serial"), x).exact


def test_a_linear_activation_is_kept_when_a_network_is_saved(tmp_path):
    inputs = keras.Input((4,))
    x = layers.Activation("linear")(layers.Dense(4, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(8, 4)).astype("float32")
    ann = snn_keras.quantize_activations(model, 3, data=x)
    ann.save(tmp_path / "ann.keras")
    kept = keras.models.load_model(tmp_path / "ann.keras")
    snn = snn_keras.convert(kept, 2, "bit_serial")
    assert np.array_equal(snn.predict(x, verbose=0), ann.predict(x, verbose=0))
