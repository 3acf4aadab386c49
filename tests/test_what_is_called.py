"""What a model is called on, and what it hands on, is what Keras makes of it.

Expected values are the source network's own `predict`, or formulas of NumPy.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import ConversionError, EarlyExit, analysis, export
from snn_keras.layers import LSQReLU
from tests.exact import EXACT, TWO_BITS

# Keras warns of entries that it does not know, and where a mask ends.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*The structure of `inputs`"),
    pytest.mark.filterwarnings(r"ignore:Exception encountered(.|\n)*The structure of"),
    pytest.mark.filterwarnings("ignore:.*does not support masking"),
]
RNG = np.random.default_rng(0)
X = RNG.integers(-16, 16, (6, 4)).astype("float32") / 8
TOKENS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0], [6, 7, 8, 9, 1]])


def dense(units=4):
    return layers.Dense(units, kernel_initializer=Dyadic(), bias_initializer=Dyadic())


@keras.saving.register_keras_serializable("of_these_tests")
class Dyadic(keras.initializers.Initializer):
    """Multiples of 1/8."""

    def __call__(self, shape, dtype=None):
        rng = np.random.default_rng(1)
        return ops.convert_to_tensor(rng.integers(-8, 9, shape) / 8, dtype)


def neurons():
    return LSQReLU(3, initial_step=0.25)


def behind(x):
    """Neurons, between weights."""
    return dense(3)(neurons()(dense()(x)))


def inputs(number, shape=(4,)):
    return [keras.Input(shape) for _ in range(number)]


def check_exact(model, x):
    expected = model.predict(x, verbose=0)
    for way in EXACT:
        received = snn_keras.convert(model, **way).predict(x, verbose=0)
        np.testing.assert_allclose(received, expected, rtol=1e-6, atol=1e-6)


# --- Nested models -------------------------------------------------------------------


def nested(structure):
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    ins = {"list": [b, a], "dict": {"b": b, "a": a}}[structure]
    return keras.Model(ins, b - 3 * a)


@pytest.mark.parametrize("structure", ["list", "dict"])
@pytest.mark.parametrize("more", [(), ("z",), ("aa",)])
def test_a_nested_model_takes_a_dict_as_keras_does(structure, more):
    p, q = inputs(2)
    inner = nested(structure)
    given = {"a": p, "b": q, **dict.fromkeys(more, 5 * p)}
    check_exact(keras.Model([p, q], behind(inner(given))), [X, X[::-1].copy()])


def test_a_nested_model_casts_what_it_is_called_on():
    number = keras.Input((4,), dtype="int32")
    inner = keras.Model(number, ops.cast(number, "float32") / 2)
    x = keras.Input((4,))
    model = keras.Model(x, behind(inner(x)))
    check_exact(model, X)
    truncated = keras.Model(x, behind(x))
    truncated.set_weights(model.get_weights())
    expected = truncated.predict(np.trunc(X) / 2, verbose=0)
    np.testing.assert_allclose(model.predict(X, verbose=0), expected, atol=1e-6)


def test_a_constant_for_a_nested_model_is_cast():
    number, x = keras.Input((4,), dtype="int32"), keras.Input((4,))
    inner = keras.Model([x, number], x + ops.cast(number, "float32"))
    constant = ops.convert_to_tensor([[0.5, 1.5, -2.5, 3.0]])
    check_exact(keras.Model(x, behind(inner([x, constant]))), X)


def test_a_nested_sequential_model_casts():
    inner = keras.Sequential([keras.Input((4,), dtype="int32"), layers.Rescaling(0.5)])
    x = keras.Input((4,))
    check_exact(keras.Model(x, behind(inner(x))), X)


@pytest.mark.parametrize("ours, theirs", [((4, 1), (4,)), ((4,), (4, 1))])
def test_a_nested_model_changes_the_rank(ours, theirs):
    inner = keras.Sequential([keras.Input(theirs), dense(), neurons(), dense()])
    x = keras.Input(ours)
    check_exact(keras.Model(x, behind(inner(x))), X.reshape(-1, *ours))


def test_a_model_inside_time_distributed_casts():
    inner = keras.Sequential(
        [keras.Input((4,), dtype="int32"), layers.Rescaling(0.5), dense(), neurons()]
    )
    x = keras.Input((3, 4))
    model = keras.Model(x, dense(2)(layers.TimeDistributed(inner)(x)))
    check_exact(model, np.stack([X, X * 2, -X], axis=1))


# --- Constants -----------------------------------------------------------------------

CONSTANT = np.array([[0.5, -0.25, 1.0, 0.125]], "float32")
MERGES = [
    layers.Add,
    layers.Subtract,
    layers.Average,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
]


def merged(layer, constant=CONSTANT):
    x = keras.Input((4,))
    h = neurons()(dense()(x))
    return keras.Model(x, behind(layer()([h, ops.convert_to_tensor(constant)])))


@pytest.mark.parametrize("layer", MERGES)
def test_a_constant_beside_a_signal(layer):
    check_exact(merged(layer), X)


@pytest.mark.parametrize("layer", [layers.Add, layers.Average])
def test_energy_with_a_constant_is_that_of_the_function(layer):
    x = keras.Input((4,))
    h = neurons()(dense()(x)) + CONSTANT
    model = keras.Model(x, behind(h if layer is layers.Add else h / 2))
    figures = [
        analysis.energy(snn_keras.convert(m, 3, "if"), X).spiking
        for m in (merged(layer), model)
    ]
    assert figures[0] == figures[1]


@pytest.mark.parametrize("layer", [layers.Add, layers.Subtract, layers.Average])
def test_a_file_has_the_constant(layer, tmp_path):
    pytest.importorskip("tensorflow")
    snn = snn_keras.convert(merged(layer), 4, "if")
    network = export.to_tflite(snn, tmp_path / "n.tflite", X)
    expected = snn.predict(X, verbose=0)
    assert np.abs(network.predict(X) - expected).max() < 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("layer", [layers.Add, layers.Subtract, layers.Average])
def test_nir_has_the_constant(layer, tmp_path):
    pytest.importorskip("nir")
    snn = snn_keras.convert(merged(layer), 4, "if")
    export.to_nir(snn, tmp_path / "n.nir")
    read = export.from_nir(tmp_path / "n.nir").predict(X, verbose=0)
    assert np.allclose(read, snn.predict(X, verbose=0), rtol=1e-5, atol=1e-6)


def test_a_constant_for_each_sample_is_refused_over_time():
    model = merged(layers.Add, np.repeat(CONSTANT, len(X), axis=0))
    with pytest.raises(ConversionError, match=r"'add\w*' \(Add\).*batch of any size"):
        snn_keras.convert(model, 4, "if")


# --- Along the batch -----------------------------------------------------------------


def centred(h, x):
    return h - ops.mean(h, axis=0, keepdims=True)


def shares(h, x):
    return ops.softmax(h, axis=0)


def products(h, x):
    return ops.matmul(h, ops.transpose(h))


def with_sum_of_inputs(h, x):
    return h + ops.sum(x, axis=0)


def with_squares_of_inputs(h, x):
    return ops.concatenate([h, ops.matmul(x, ops.transpose(x))], axis=1)


def in_a_lambda(h, x):
    return layers.Lambda(lambda v: v - ops.max(v, axis=0))(h)


MIXING = [
    centred,
    shares,
    products,
    with_sum_of_inputs,
    with_squares_of_inputs,
    in_a_lambda,
]


def ending(end, **settings):
    x = keras.Input((4,), **settings)
    return keras.Model(x, end(dense()(neurons()(dense()(x))), x))


@pytest.mark.parametrize("end", MIXING)
def test_each_step_of_a_batch_is_finished_by_itself(end):
    model = ending(end)
    snn = snn_keras.convert(model, 3, "if")
    over_time = snn.predict_over_time(X, verbose=0)
    for step in range(3):
        alone = snn.with_timesteps(step + 1).predict(X, verbose=0)
        np.testing.assert_allclose(over_time[step], alone, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("end", MIXING[:4])
def test_what_mixes_a_batch_is_refused_where_samples_leave_it(end):
    snn = snn_keras.convert(ending(end), 3, "if")
    with pytest.raises(ValueError, match=r"along the batch axis.*Remedy"):
        snn.predict_early_exit(X, EarlyExit(0.1, "change"))
    with pytest.raises(ValueError, match=r"along the batch axis.*Remedy"):
        snn.stream()


def test_streams_are_refused_where_the_input_mixes_a_batch():
    x = keras.Input((4,))
    model = keras.Model(x, behind(x - ops.mean(x, axis=0, keepdims=True)))
    with pytest.raises(ValueError, match=r"along the batch axis.*Remedy"):
        snn_keras.convert(model, 3, "if").step_function()


def test_a_state_behind_the_neurons_is_refused_over_time():
    def end(h, x):
        return layers.LSTM(2, stateful=True)(layers.Reshape((4, 1))(h))

    model = ending(end, batch_size=6)
    snn = snn_keras.convert(model, 3, "if")
    with pytest.raises(ValueError, match=r"'lstm\w*' \(LSTM\).*Remedy: stateful=False"):
        snn.predict_over_time(X, verbose=0)


def test_samples_leave_where_a_feature_axis_is_as_long_as_the_batch():
    def end(h, x):
        return h * ops.exp(x)

    x = X[:4]  # as many as features
    snn = snn_keras.convert(ending(end), 8, "if")
    outputs, steps = snn.predict_early_exit(x, EarlyExit(0.5, "change"))
    over_time = snn.predict_over_time(x, verbose=0)
    expected = over_time[steps - 1, np.arange(len(x))]
    np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-6)


# --- Masks ---------------------------------------------------------------------------

RELUS = {
    "relu": ops.relu,
    "maximum": lambda h: ops.maximum(h, 0.0),
    "clip": lambda h: ops.clip(h, 0, 1e6),
    "layer": layers.ReLU(),
    "activation": layers.Activation("relu"),
    "lambda": lambda h: layers.Lambda(lambda v: ops.maximum(v, 0))(h),
    "behind identity": lambda h: ops.relu(layers.Lambda(lambda v: v)(h)),
    "behind linear": lambda h: layers.ReLU()(
        layers.Lambda(keras.activations.linear)(h)
    ),
    "behind a cast": lambda h: layers.ReLU()(
        layers.Lambda(lambda v: ops.cast(v, "float32"))(h)
    ),
}
READERS = {
    "pooling": lambda h: layers.GlobalAveragePooling1D()(h),
    "lstm": lambda h: layers.LSTM(2)(h),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("relu", RELUS)
def test_quantizing_keeps_masks_as_they_are(relu, reader):
    tokens = keras.Input((5,), dtype="int32")
    h = dense()(layers.Embedding(10, 4, mask_zero=True)(tokens))
    h = READERS[reader](RELUS[relu](h))
    model = keras.Model(tokens, dense(2)(h))
    fine = snn_keras.quantize_activations(
        model, 2**14 - 1, data=TOKENS, calibration="max"
    )
    expected = model.predict(TOKENS, verbose=0)
    np.testing.assert_allclose(fine.predict(TOKENS, verbose=0), expected, atol=1e-4)


def test_a_mask_at_the_end_is_told_from_where_it_comes():
    mask = np.array([[True, True, False, False]])
    x = keras.Input((4,))
    y = dense(3)(layers.Softmax(name="soft")(neurons()(dense()(x)), mask=mask))
    with pytest.raises(ConversionError, match=r"from 'soft'.*Remedy: keras.ops.copy"):
        snn_keras.plan(keras.Model(x, y), 4, "if")
    check_exact(keras.Model(x, ops.copy(y)), X)


# --- Inputs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "shape, given", [((1,), (24,)), ((4,), (6, 4, 1)), ((4, 1), (6, 4))]
)
def test_inputs_change_their_rank_as_in_keras(shape, given):
    x = keras.Input(shape)
    model = keras.Model(x, behind(x))
    data = X.reshape(given)
    check_exact(model, data)
    snn = snn_keras.convert(model, 3, "if")
    expected = snn.predict(data, verbose=0)
    np.testing.assert_allclose(snn(data), expected, atol=1e-6)
    over_time = snn.predict_over_time(data, verbose=0)
    np.testing.assert_allclose(over_time[-1], expected, atol=1e-6)
    frames = np.repeat(data[:, None], 3, axis=1)
    last = ops.convert_to_numpy(snn.stream()(frames))[:, -1]
    np.testing.assert_allclose(last, expected, atol=1e-6)


def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    return keras.Model({"a": a, "b": b}, behind(a - 2 * b))


def test_a_dict_may_hold_more():
    model = two_inputs()
    data = {"a": X, "b": X[::-1].copy(), "z": X * 3}
    check_exact(model, data)
    snn = snn_keras.convert(model, **TWO_BITS)
    assert "rounding" in str(snn_keras.verify(model, snn, data))


def test_a_dict_that_keras_takes_wrongly_is_refused():
    model = two_inputs()
    data = {"a": X, "b": X, "aa": X * 3}
    snn = snn_keras.convert(model, **TWO_BITS)
    with pytest.raises(ValueError, match=r"order of the names.*leave out \['aa'\]"):
        snn_keras.verify(model, snn, data)


def test_sparse_inputs():
    sparse = pytest.importorskip("scipy.sparse")
    x = keras.Input((4,), sparse=True)
    model = keras.Model(x, behind(x))
    check_exact(model, sparse.csr_matrix(X * (X > 0)))


def test_optional_inputs_are_refused_by_name():
    x, maybe = keras.Input((4,)), keras.Input((4,), optional=True, name="maybe")
    model = keras.Model([x, maybe], behind(x + maybe))
    with pytest.raises(ConversionError, match=r"\['maybe'\].*Remedy: keras.Input"):
        snn_keras.plan(model, **TWO_BITS)


# --- Outputs -------------------------------------------------------------------------


def test_an_output_that_nothing_reads_may_be_of_integers():
    x = keras.Input((4,))
    h = neurons()(dense()(x))
    check_exact(keras.Model(x, behind(ops.top_k(h, 3)[0])), X)
    values, places = ops.top_k(h, 3)
    model = keras.Model(x, behind(values + ops.cast(places, "float32")))
    with pytest.raises(ConversionError, match="type int32"):
        snn_keras.convert(model, **{**TWO_BITS, "fused": False})


@pytest.mark.parametrize("scaled", [False, True])
def test_files_refuse_an_input_among_the_outputs(scaled, tmp_path):
    pytest.importorskip("tensorflow")
    x = keras.Input((4,), name="image")
    model = keras.Model(x, [behind(x), x * 2 if scaled else x])
    snn = snn_keras.convert(model, 4, "if")
    with pytest.raises(ConversionError, match=r"'image'.*Remedy"):
        export.to_tflite(snn, tmp_path / "n.tflite", X)


class Taking(layers.Layer):
    """A layer of two tensors."""

    def call(self, x):
        return x["a"] - x["b"]


def test_a_sequential_model_without_a_graph_is_told_as_such():
    model = keras.Sequential([Taking(name="pair"), dense(), neurons(), dense(3)])
    model({"a": X, "b": X})
    with pytest.raises(ConversionError, match=r"Sequential.*no graph.*pair.*Remedy"):
        snn_keras.convert(model, 4)
