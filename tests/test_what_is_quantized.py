"""What quantize_activations and convert find, and what they leave as it is.

Expected values are the source network's own, of `predict` and of `evaluate`, or
formulas of NumPy.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import ConversionError, analysis
from snn_keras.layers import LSQReLU, QuantizedActivation
from tests.exact import TWO_BITS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(16, 8)).astype("float32")
STEPS = RNG.normal(size=(16, 4, 8)).astype("float32")
FINE = {"levels": 2**14, "calibration": "max"}


def dense(units=8, **settings):
    return layers.Dense(units, **settings)


def quantized(**settings):
    return LSQReLU(3, initial_step=0.25, **settings)


def chain(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


def model_of(build, shape=(8,)):
    start = keras.Input(shape)
    return keras.Model(start, build(start))


def predict(model, x):
    return model.predict(x, verbose=0)


def activations(model):
    return [x for x in model.layers if isinstance(x, QuantizedActivation)]


def check_found(model, x, count):
    """So many activations are found; nothing but rounding changes, and bits are exact.

    Returns the quantized network.
    """
    fine = snn_keras.quantize_activations(model, data=x, **FINE)
    assert len(activations(fine)) == count
    expected = predict(model, x)
    np.testing.assert_allclose(predict(fine, x), expected, rtol=2e-3, atol=2e-3)
    coarse = snn_keras.quantize_activations(model, 3, data=x)
    snn = snn_keras.convert(coarse, **TWO_BITS)
    assert np.array_equal(predict(snn, x), predict(coarse, x))
    return coarse


# --- Inside TimeDistributed ----------------------------------------------------------


def shortcut(x):
    return layers.Add()([x, dense(activation="relu")(x)])


def many_ways(x):
    y = dense(activation="relu")(x) + 2.0 * ops.relu(dense()(x))
    z = layers.Concatenate(axis=1)([dense(4)(y), dense(4)(x)])
    return layers.Average()([layers.ReLU(max_value=0.5)(z), y])


def deeper(x):
    inner = keras.Model(start := keras.Input((8,)), shortcut(start))
    return layers.Multiply()([inner(x), dense(activation="relu")(inner(x))])


@pytest.mark.parametrize("build, count", [(shortcut, 1), (many_ways, 3), (deeper, 2)])
@pytest.mark.parametrize("times", [1, 2])
def test_branching_models_over_time_are_laid_open(build, count, times):
    wrapped = model_of(build)
    for _ in range(times):
        wrapped = layers.TimeDistributed(wrapped)
    x = STEPS if times == 1 else RNG.normal(size=(8, 2, 3, 8)).astype("float32")
    check_found(chain(x.shape[1:], wrapped, dense(2)), x, count)


def test_a_model_over_time_inside_a_model_over_time():
    inner = layers.TimeDistributed(model_of(shortcut))
    outer = model_of(lambda x: inner(x) + layers.ReLU()(x), (3, 8))
    x = RNG.normal(size=(8, 2, 3, 8)).astype("float32")
    check_found(chain(x.shape[1:], layers.TimeDistributed(outer), dense(2)), x, 2)


@pytest.mark.parametrize(
    "build",
    [
        lambda x: layers.Dot(-1)([x, dense(activation="relu")(x)]),
        lambda x: layers.Add()([x, ops.flip(dense(activation="relu")(x), axis=1)]),
        lambda x: layers.Concatenate(axis=1)([quantized()(x), ops.roll(x, 1, axis=1)]),
    ],
)
def test_models_over_time_that_stay_closed_are_refused_by_name(build):
    model = chain((4, 8), layers.TimeDistributed(model_of(build), name="whole"))
    model.add(layers.Reshape((-1,)))
    model.add(quantized())
    for call in (
        lambda: snn_keras.quantize_activations(model, 3, data=STEPS),
        lambda: snn_keras.convert(model, 4),
        lambda: snn_keras.plan(model, 4),
    ):
        with pytest.raises(ConversionError, match=r"(?s)'whole' \(.*unpacked.*Remedy"):
            call()


def test_models_over_time_without_activations_stay_whole():
    turned = model_of(lambda x: layers.Add()([x, ops.flip(x, axis=1)]))
    model = chain((4, 8), layers.TimeDistributed(turned), dense(), quantized())
    snn = snn_keras.convert(model, **TWO_BITS)
    assert np.array_equal(predict(snn, STEPS), predict(model, STEPS))


# --- What is no ReLU -----------------------------------------------------------------


@pytest.mark.parametrize(
    "limit",
    [
        lambda ids: ops.clip(ids, 0, 19),
        lambda ids: ops.maximum(ids, 0),
        lambda ids: ops.minimum(ops.maximum(ids, 0), 19),
        lambda ids: ops.relu(ids),
        lambda ids: layers.ReLU(max_value=19, dtype="int32")(ids),
        lambda ids: layers.Activation("relu", dtype="int32")(ids),
    ],
)
def test_limits_of_integers_are_no_relus(limit):
    start = keras.Input((4,), dtype="int32")
    x = layers.Embedding(20, 8)(limit(start))
    x = dense(3)(dense(activation="relu")(layers.Flatten()(x)))
    ids = RNG.integers(0, 20, (16, 4)).astype("int32")
    check_found(keras.Model(start, x), ids, 1)


def test_a_relu_that_saturates_at_0_is_0():
    model = chain((8,), dense(), layers.ReLU(max_value=0.0))
    model.add(dense(bias_initializer="ones"))
    model.add(layers.ReLU())
    model.add(dense(3))
    check_found(model, X, 1)


@pytest.mark.parametrize(
    "method", ["predict", "predict_on_batch", "test_step", "evaluate"]
)
def test_models_that_answer_in_their_own_way_are_refused(method):
    kind = type("Own", (keras.Model,), {method: lambda self, *args, **kwargs: None})
    start = keras.Input((8,))
    model = kind(start, dense(2)(quantized()(dense()(start))))
    with pytest.raises(ConversionError, match=f"has a {method} of its own.*Remedy"):
        snn_keras.convert(model, 4)
    with pytest.raises(ConversionError, match=f"has a {method} of its own.*Remedy"):
        snn_keras.quantize_activations(model)
    graph = keras.Model(model.inputs, model.outputs)  # the remedy
    assert snn_keras.convert(graph, 4) is not None


# --- Input that is prepared ----------------------------------------------------------


@pytest.mark.parametrize(
    "prepare",
    [
        lambda x: ops.clip(x, 0.0, 1.0),
        lambda x: ops.maximum(x, 0.0),
        lambda x: layers.ReLU()(x),
        lambda x: dense(activation="relu")(x),
    ],
)
def test_a_relu_before_all_quantized_activations_is_computed_once(prepare):
    model = model_of(lambda x: dense(3)(quantized()(dense()(prepare(x)))))
    model.set_weights([np.round(8 * w) / 8 for w in model.get_weights()])
    x = np.round(16 * X) / 16
    expected = predict(model, x)
    name = activations(model)[0].name
    for settings in (
        TWO_BITS,
        {**TWO_BITS, "fused": False},
        {**TWO_BITS, "data": x},
        {"timesteps": "settle", "neuron": {name: "signed"}},
    ):
        snn = snn_keras.convert(model, **settings)
        assert np.array_equal(predict(snn, x), expected)
    assert snn_keras.verify(model, snn, x).exact
    with pytest.raises(ConversionError, match="has no ReLU"):
        snn_keras.quantize_activations(model, data=x)


def test_a_relu_behind_a_quantized_activation_is_refused_and_quantized():
    model = chain((8,), layers.ReLU(name="first"), dense(), quantized(name="middle"))
    for part in (dense(), layers.ReLU(name="last"), dense(2)):
        model.add(part)
    with pytest.raises(ConversionError, match=r"1 of its.*\n.*'last'.*plain ReLU"):
        snn_keras.convert(model, 4)
    found = activations(snn_keras.quantize_activations(model, data=X))
    assert [layer.name for layer in found] == ["middle", "last"]


# --- Penalties -----------------------------------------------------------------------

L2 = keras.regularizers.L2(0.1)


@keras.saving.register_keras_serializable("of_the_tests")
class Mean(keras.regularizers.Regularizer):
    """No sum: of two steps it is not what it is of each."""

    def __call__(self, x):
        return ops.mean(ops.abs(x))

    def get_config(self):
        return {}


def over_time(layer, **settings):
    return layers.TimeDistributed(layer, **settings)


def activated(activation, penalty=L2):
    return dense(activation=activation, activity_regularizer=penalty)


def branching(penalty=L2):
    return model_of(lambda x: layers.Add()([x, activated("relu", penalty)(x)]))


PENALTIES = {
    "relu": lambda x: activated("relu")(x),
    "own_function": lambda x: activated(lambda v: ops.sin(v))(x),
    "layer": lambda x: activated(layers.ReLU())(x),
    "layer_with_its_own": lambda x: activated(layers.ReLU(activity_regularizer=L2))(x),
    "leaky": lambda x: activated(layers.LeakyReLU())(x),
    "softmax": lambda x: activated("softmax")(x),
    "tanh": lambda x: activated("tanh")(x),
    "linear": lambda x: activated(None)(x),
    "activation": lambda x: layers.Activation("tanh", activity_regularizer=L2)(x),
    "leaky_layer": lambda x: layers.LeakyReLU(activity_regularizer=L2)(x),
    "relu_layer": lambda x: layers.ReLU(activity_regularizer=L2)(x),
    "minimum": lambda x: ops.minimum(activated("relu")(x), 0.5),
    "dropout": lambda x: layers.Dropout(0.5, activity_regularizer=L2)(x),
}
OVER_TIME = {
    "wrapper": lambda x: over_time(activated("relu"))(x),
    "wrapper_s": lambda x: over_time(dense(activation="relu"), activity_regularizer=L2)(
        x
    ),
    "wrapped_layer": lambda x: over_time(layers.ReLU(activity_regularizer=L2))(x),
    "wrapped_curve": lambda x: over_time(
        layers.Activation("tanh"), activity_regularizer=L2
    )(x),
    "model": lambda x: over_time(branching())(x),
    "model_s": lambda x: over_time(branching(None), activity_regularizer=L2)(x),
    "both": lambda x: over_time(branching(), activity_regularizer=L2)(x),
    "chain": lambda x: over_time(chain((8,), activated("relu"), dense()))(x),
}


def penalty_of(model, x):
    """What `evaluate` gives where the data's own loss is 0."""
    model.compile(loss=lambda y, prediction: 0.0 * ops.sum(prediction, axis=-1))
    y = np.zeros((len(x), *model.output_shape[1:]), "float32")
    return model.evaluate(x, y, batch_size=len(x), verbose=0)


def check_penalty(build, x):
    start = keras.Input(x.shape[1:])
    y = build(layers.Dense(8)(start))
    model = keras.Model(start, dense(3)(layers.ReLU()(dense()(y))))
    fine = snn_keras.quantize_activations(model, data=x, **FINE)
    expected = penalty_of(model, x)
    np.testing.assert_allclose(penalty_of(fine, x), expected, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_of_activity_stay(name):
    check_penalty(PENALTIES[name], X)


@pytest.mark.parametrize("name", OVER_TIME)
def test_penalties_of_activity_over_time_stay(name):
    check_penalty(OVER_TIME[name], STEPS)


@pytest.mark.parametrize("activation", ["softmax", "relu", "tanh", "sigmoid", None])
def test_penalties_at_the_end_stay(activation):
    model = chain((8,), dense(activation="relu"), activated(activation))
    fine = snn_keras.quantize_activations(model, data=X, **FINE)
    expected = penalty_of(model, X)
    assert expected > 0
    np.testing.assert_allclose(penalty_of(fine, X), expected, rtol=1e-3)


def test_a_penalty_that_is_no_sum_of_steps_is_refused():
    model = chain((4, 8), over_time(branching(Mean()), name="whole"), dense())
    with pytest.raises(ConversionError, match=r"'whole'.*activity_regularizer.*Remedy"):
        snn_keras.quantize_activations(model, data=STEPS)


# --- Precision -----------------------------------------------------------------------


def in_float64():
    """A network in float64 where layers are in float32 by default."""
    kind = {"dtype": "float64"}
    start = keras.Input((4, 8), **kind)
    inner = keras.Input((8,), **kind)
    y = layers.Add(**kind)([inner, dense(activation="relu", **kind)(inner)])
    x = layers.TimeDistributed(keras.Model(inner, y), **kind)(start)
    x = layers.LeakyReLU(**kind)(dense(activation="tanh", **kind)(x))
    return keras.Model(start, dense(3, activation="softmax", **kind)(x))


def test_every_part_has_the_precision_of_its_layer(policy):
    model, x = in_float64(), STEPS.astype("float64")
    expected = predict(model, x)
    assert expected.dtype == "float64"
    ann = snn_keras.quantize_activations(model, 2**20, data=x, calibration="max")
    inner = [x for x in ann.layers if not isinstance(x, layers.InputLayer)]
    assert {layer.compute_dtype for layer in inner} == {"float64"}
    np.testing.assert_allclose(predict(ann, x), expected, rtol=2e-5)
    coarse = snn_keras.quantize_activations(model, 3, data=x)
    snn = snn_keras.convert(coarse, **TWO_BITS)
    assert np.array_equal(predict(snn, x), predict(coarse, x))
    assert predict(snn, x).dtype == "float64"


def test_a_source_in_float32_stays_so_under_another_policy(policy):
    model = chain((8,), dense(), quantized(), dense(activation="softmax"))
    policy("mixed_float16")
    snn = snn_keras.convert(model, **TWO_BITS)
    assert np.array_equal(predict(snn, X), predict(model, X))
    assert predict(snn, X).dtype == "float32"


# --- Memories and training -----------------------------------------------------------


def test_calibration_leaves_no_memory_behind():
    start = keras.Input(batch_shape=(4, 3, 8))
    memory = layers.LSTM(8, stateful=True, name="memory")
    model = keras.Model(start, dense(2)(dense(activation="relu")(memory(start))))
    states = [RNG.normal(size=(4, 8)).astype("float32") for _ in memory.states]
    for state, value in zip(memory.states, states, strict=True):
        state.assign(value)
    x = RNG.normal(size=(8, 3, 8)).astype("float32")
    ann = snn_keras.quantize_activations(model, data=x, batch_size=4, **FINE)
    for found in (memory, ann.get_layer("memory")):
        for state, value in zip(found.states, states, strict=True):
            assert np.array_equal(ops.convert_to_numpy(state), value)
    np.testing.assert_allclose(ann(x[:4]), model(x[:4]), atol=2e-3)


def test_single_weights_stay_frozen():
    model = chain((8,), dense(activation="relu", name="first"), dense(2, name="last"))
    model.get_layer("first").kernel.trainable = False
    model.get_layer("last").bias.trainable = False
    ann = snn_keras.quantize_activations(model, data=X)
    snn = snn_keras.convert(ann, 4)
    for found in (ann, snn):
        frozen = [tuple(w.shape) for w in found.weights if not w.trainable]
        assert sorted(frozen) == sorted([(8, 8), (2,)])
        assert len(found.trainable_weights) == len(found.weights) - 2


def twice_over_time(x):
    shared = layers.TimeDistributed(model_of(shortcut))
    return shared(shared(x))


def two_wrappers(x):
    inner = model_of(shortcut)
    return layers.TimeDistributed(inner)(layers.TimeDistributed(inner)(x))


def directly_and_over_time(x):
    layer = dense(activation="relu")
    return layers.TimeDistributed(layer)(layer(x))


def over_time_and_directly(x):
    layer = dense(name="mine")
    return layers.ReLU()(layer(layers.ReLU()(layers.TimeDistributed(layer)(x))))


def model_directly_and_over_time(x):
    inner = model_of(shortcut)
    return layers.TimeDistributed(inner)(
        layers.Add()([inner(x[:, 0]), x[:, 1]])[:, None]
    )


@pytest.mark.parametrize(
    "build, steps",
    [
        (twice_over_time, 1),
        (two_wrappers, 1),
        (directly_and_over_time, 1),
        (over_time_and_directly, 2),
        (model_directly_and_over_time, 1),
    ],
)
def test_shared_weights_stay_shared(build, steps):
    model = model_of(lambda x: dense(2)(build(x)), (4, 8))
    ann = check_found(model, STEPS, steps)
    assert len(ann.weights) == len(model.weights) + steps
    assert len(ann.trainable_weights) == len(model.trainable_weights) + steps


# --- Max pooling ---------------------------------------------------------------------

IMAGES = RNG.normal(size=(8, 6, 6, 2)).astype("float32")


class MyPooling(layers.MaxPooling2D):
    """Derived, and computes the same."""

    def __init__(self, size=2, **kwargs):
        super().__init__(size, **kwargs)

    def get_config(self):
        return {"size": 2, "name": self.name}


def siamese(pool):
    start = keras.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(start)
    inner = keras.Model(start, pool(x))
    first, second = keras.Input((6, 6, 2)), keras.Input((6, 6, 2))
    return keras.Model([first, second], inner(first) + inner(second))


def pooled(pool):
    start = keras.Input((6, 6, 2))
    x = layers.Conv2D(2, 3, padding="same", activation="relu", name="conv")(start)
    return keras.Model(start, pool(x))


def of_images(layer):
    """The layer, over a time axis of one step."""
    return lambda x: layers.TimeDistributed(layer)(x[:, None])[:, 0]


def shared(layer):
    return lambda x: layer(layers.ZeroPadding2D(3)(layer(x)))


@pytest.mark.parametrize(
    "maximum, mean",
    [
        (of_images(layers.MaxPooling2D()), of_images(layers.AveragePooling2D(2))),
        (MyPooling(), layers.AveragePooling2D(2)),
        (of_images(MyPooling()), of_images(layers.AveragePooling2D(2))),
        (shared(layers.MaxPooling2D()), shared(layers.AveragePooling2D(2))),
        (lambda x: ops.max_pool(x, 2, 2), lambda x: ops.average_pool(x, 2, 2)),
        (
            layers.GlobalMaxPooling2D(keepdims=True),
            layers.GlobalAveragePooling2D(keepdims=True),
        ),
    ],
)
@pytest.mark.parametrize("build", [pooled, siamese])
def test_max_pooling_in_every_form_is_replaced(build, maximum, mean):
    model, expected = build(maximum), build(mean)
    expected.set_weights(model.get_weights())
    x = [IMAGES, IMAGES[::-1]] if build is siamese else IMAGES
    fine = snn_keras.quantize_activations(
        model, data=x, replace_max_pooling=True, **FINE
    )
    np.testing.assert_allclose(predict(fine, x), predict(expected, x), atol=1e-3)
    assert np.abs(predict(model, x) - predict(expected, x)).max() > 1e-2


# --- Names of outputs ----------------------------------------------------------------


def heads():
    """Outputs of every sort, whose layers become several."""
    x = quantized()(dense()(start := keras.Input((8,))))
    inner = model_of(lambda v: layers.ReLU()(dense(3)(v)))
    inner.name = "nested"
    outputs = [
        dense(3, activation="softmax", name="kind")(x),
        dense(1, name="age")(x),
        dense(2, activation="sigmoid", name="flags")(x),
        dense(2, activation="relu", name="count")(x),
        layers.Dropout(0.5, name="dropped")(dense(2)(x)),
        quantized(name="spikes")(x),
        inner(x),
    ]
    return keras.Model(start, outputs)


NAMES = ["kind", "age", "flags", "count", "dropped", "spikes", "nested"]


@pytest.mark.parametrize("quantizer", ["lsq", "noisy_spike"])
def test_outputs_keep_their_names(tmp_path, quantizer):
    model = heads()
    assert model.output_names == NAMES
    ann = snn_keras.quantize_activations(model, data=X, quantizer=quantizer)
    if quantizer == "noisy_spike":
        assert ann.output_names == NAMES
        return
    snn = snn_keras.convert(ann, 4)
    snn.save(tmp_path / "snn.keras")
    ann.save(tmp_path / "ann.keras")
    y = dict(zip(NAMES, predict(model, X), strict=True))
    loads = keras.models.load_model
    for found in (
        *(ann, snn, snn.with_timesteps(3), snn_keras.convert(ann, **TWO_BITS)),
        *(loads(tmp_path / "ann.keras"), loads(tmp_path / "snn.keras")),
    ):
        assert found.output_names == NAMES
        found.compile(loss=dict.fromkeys(NAMES, "mse"))
        losses = found.evaluate(X, y, verbose=0, return_dict=True)
        for name, received in zip(NAMES, predict(found, X), strict=True):
            expected = np.square(received - y[name]).mean()
            np.testing.assert_allclose(losses[f"{name}_loss"], expected, 1e-3, 1e-9)


def test_a_model_over_time_keeps_its_name():
    wrapped = layers.TimeDistributed(model_of(shortcut), name="series")
    model = model_of(lambda x: wrapped(quantized()(dense()(x))), (4, 8))
    ann = snn_keras.quantize_activations(model, data=STEPS)
    assert ann.output_names == snn_keras.convert(ann, 4).output_names == ["series"]


# --- Open shapes ---------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, -1])
def test_reports_of_open_shapes(tmp_path, axis):
    model = chain((None, 8), layers.Conv1D(3, 3, activation="relu"))
    model.add(layers.Conv1D(4, 3, activation="relu"))
    model.add(layers.GlobalAveragePooling1D())
    x = RNG.normal(size=(6, 9, 8)).astype("float32")
    ann = snn_keras.quantize_activations(model, data=x, axis=axis)
    snn = snn_keras.convert(ann, 4)
    analysis.report(ann, snn, x, np.arange(6) % 4, tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 1000
    first, second = activations(ann)
    whole = analysis.record(snn, x, second.name, traces=True)[second.name]
    some = analysis.record(snn, x, second.name, traces=True, neurons=[0, 19])
    assert np.array_equal(some[second.name], whole.reshape(4, 6, 20)[..., [0, 19]])
    with pytest.raises(ValueError, match="has the neurons 0 to 20"):
        analysis.record(snn, x, first.name, neurons=[21])
