"""Functions of all kinds between neurons: exact in total, whatever the neuron."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras.layers import LSQReLU
from snn_keras.time import TemporalDifference
from tests.graphs import dyadic
from tests.subjects import in_turn

FUNCTIONS = {
    "product": lambda x: x * ops.flip(x, axis=-1),
    "product_layer": lambda x: layers.Multiply()([x, x]),
    "quotient": lambda x: x / (x + 1.0),
    "reciprocal": lambda x: 1.0 / (x + 1.0),
    "power": lambda x: x**2,
    "dot": lambda x: layers.Dense(4)(layers.Dot(-1)([x, x])),
    "maximum": lambda x: ops.maximum(x, 0.25),
    "swish": layers.Activation("silu"),
    "gelu": layers.Activation("gelu"),
    "hard_swish": layers.Activation("hard_silu"),
    "fused": layers.Dense(4, activation="tanh"),
    "softmax": layers.Softmax(),
    "leaky_relu": layers.LeakyReLU(),
    "sloped_relu": layers.ReLU(negative_slope=0.25),
    "prelu": layers.PReLU(),
    "layer_norm": layers.LayerNormalization(),
    "group_norm": layers.GroupNormalization(2),
    "attention": lambda x: ops.reshape(
        layers.MultiHeadAttention(2, 2)(*[ops.reshape(x, (-1, 2, 2))] * 2), (-1, 4)
    ),
    "recurrent": lambda x: layers.SimpleRNN(4)(ops.expand_dims(x, 1)),
}


QUICK = ("product", "quotient", "softmax", "gelu", "sloped_relu", "layer_norm")
QUICK += ("attention", "recurrent")
EVERY_FUNCTION = pytest.mark.parametrize(
    "function",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in FUNCTIONS
    ],
)


def network(function):
    """A network with `function` between two activations, and inputs for it."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    x = layers.Dense(4, name="dense1")(inputs)
    x = LSQReLU(3, initial_step=0.5, name="act1")(x)
    x = layers.Dense(4, name="dense2")(function(x))
    x = LSQReLU(3, initial_step=0.25, name="act2")(x)
    model = keras.Model(inputs, layers.Dense(3, name="dense3")(x))
    for name in ("dense1", "dense2", "dense3"):
        layer = model.get_layer(name)
        rng = np.random.default_rng(len(layer.kernel.shape))
        layer.set_weights([dyadic(rng, w.shape, 8, 8) for w in layer.weights])
    return model, dyadic(np.random.default_rng(1), (40, 4), 16, 32)


LOSSLESS = {
    "signed": ("settle", {"neuron": "signed", "input_steps": 4}),
    "fused": (2, {"neuron": "bit_serial"}),
    "literal": (2, {"neuron": "bit_serial", "fused": False}),
}


@pytest.mark.parametrize(
    ("function", "form"),
    [
        *in_turn(QUICK, LOSSLESS),
        *(
            pytest.param(function, form, marks=pytest.mark.slow)
            for function in FUNCTIONS
            for form in LOSSLESS
            if function not in QUICK
        ),
    ],
)
def test_lossless_neurons_reach_the_source(function, form):
    timesteps, options = LOSSLESS[form]
    model, x = network(FUNCTIONS[function])
    snn = snn_keras.convert(model, timesteps, **options)
    assert snn_keras.verify(model, snn, x).exact
    np.testing.assert_allclose(
        snn.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )


@EVERY_FUNCTION
@pytest.mark.parametrize("input_steps", [None, 4])
def test_the_sum_decodes_to_the_function_of_the_decoded_signal(function, input_steps):
    model, x = network(FUNCTIONS[function])
    neuron = "if" if input_steps is None else "signed"
    snn = snn_keras.convert(model, 6, neuron, input_steps=input_steps)
    found = [y for y in snn.layers if isinstance(y, TemporalDifference)]
    assert found
    ends = {y.name: (y.input, y.output) for y in found}
    recorded = keras.Model(snn.input, ends).predict(x, verbose=0)
    for layer in found:
        signals, sent = recorded[layer.name]
        for t in range(1, 7):
            n = input_steps or t
            decoded = keras.tree.map_structure(
                lambda signal, n=n, t=t: signal[:, :t].sum(1) / n, signals
            )
            expected = np.asarray(layer.applied(decoded))
            np.testing.assert_allclose(
                sent[:, :t].sum(1) / n, expected, atol=2e-6, err_msg=f"{t}"
            )


def test_chunks_and_a_saved_network_give_the_same(tmp_path):
    model, x = network(FUNCTIONS["attention"])
    snn = snn_keras.convert(model, 7)
    expected = snn.predict_over_time(x, verbose=0)
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    assert np.array_equal(loaded.predict_over_time(x, verbose=0), expected)
    pieces = snn.with_timesteps(7)
    pieces.chunk_steps = 2
    np.testing.assert_allclose(
        pieces.predict_over_time(x, verbose=0), expected, atol=1e-5
    )


# --- Activation functions other than ReLU ------------------------------------------


CURVES = ("silu", "gelu", "hard_silu", "elu", "selu", "mish", "leaky_relu", "tanh")


def curved(activation):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(8, 3, activation=activation, name="first")(inputs)
    gate = layers.Activation("sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    x = layers.Conv2D(8, 3, name="second")(x * gate)
    x = layers.Activation(activation, name="curve")(x)
    model = keras.Model(inputs, layers.Dense(4, name="head")(layers.Flatten()(x)))
    return model, np.random.default_rng(0).normal(0, 1, (64, 6, 6, 2)).astype("float32")


@pytest.mark.parametrize("activation", CURVES)
def test_quantized_curves_stay_near_the_float_network(activation):
    model, x = curved(activation)
    expected = model.predict(x, verbose=0)
    errors = []
    for levels in (15, 255):
        quantized = snn_keras.quantize_activations(model, levels, data=x)
        errors.append(np.abs(quantized.predict(x, verbose=0) - expected).max())
        for name in ("first_" + activation, "curve"):
            shift = quantized.get_layer(f"{name}_quantized_before").offset
            step = quantized.get_layer(f"{name}_quantized").step_value()
            assert shift == -quantized.get_layer(f"{name}_quantized_after").offset
            assert shift / step == pytest.approx(round(shift / step))  # 0 stays 0
    assert errors[1] < 0.25 * errors[0]
    assert errors[1] < 0.05


@pytest.mark.parametrize("activation", ["silu", "tanh"])
@pytest.mark.parametrize(
    "timesteps, options",
    [
        ("settle", {"neuron": "signed", "input_steps": 8}),
        (4, {"neuron": "bit_serial"}),
    ],
    ids=["signed", "bit_serial"],
)
def test_quantized_curves_convert_exactly(activation, timesteps, options, tmp_path):
    model, x = curved(activation)
    quantized = snn_keras.quantize_activations(model, 15, data=x)
    quantized.save(tmp_path / "quantized.keras")
    quantized = keras.models.load_model(tmp_path / "quantized.keras")
    snn = snn_keras.convert(quantized, timesteps, **options)
    np.testing.assert_allclose(
        snn.predict(x, verbose=0), quantized.predict(x, verbose=0), atol=1e-4
    )


def test_the_curve_at_the_end_of_a_model_is_left_alone():
    inputs = keras.Input((4,))
    x = layers.ReLU()(layers.Dense(4)(inputs))
    model = keras.Model(inputs, layers.Dense(2, activation="tanh")(x))
    quantized = snn_keras.quantize_activations(model, 3)
    kinds = [type(layer).__name__ for layer in quantized.layers]
    assert kinds.count("LSQReLU") == 1 and "Activation" in kinds


def test_channels_of_a_curve_keep_their_zero():
    model, x = curved("silu")
    quantized = snn_keras.quantize_activations(model, 3, data=x, axis=-1)
    layer = quantized.get_layer("curve_quantized")
    before = quantized.get_layer("curve_quantized_before").offset
    shares = np.asarray(before) / layer.step_value()
    np.testing.assert_allclose(shares, np.round(shares), atol=1e-6)
    snn = snn_keras.convert(quantized, 2, "bit_serial")
    np.testing.assert_allclose(
        snn.predict(x, verbose=0), quantized.predict(x, verbose=0), atol=1e-5
    )
