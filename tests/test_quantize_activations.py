"""quantize_activations: finds every ReLU, calibrates it, and keeps all the rest."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras.layers import QCFS, LSQReLU, NoiseAdaptor, QuantizedActivation
from tests import reference


def conv(**kwargs):
    return layers.Conv2D(3, 3, **kwargs)


def shared_relu(x):
    relu = layers.ReLU()
    return relu(conv()(relu(conv()(x))))


def shared_convolution(x):
    layer = layers.Conv2D(2, 3, padding="same", activation="relu")
    return layer(layer(x))


def nested(x):
    start = keras.Input((8, 8, 2))
    inner = keras.Model(start, layers.ReLU()(conv(activation="relu")(start)))
    return layers.ReLU()(conv()(inner(x)))


def nested_sequential(x):
    inner = keras.Sequential(
        [layers.Conv2D(2, 1, activation="relu"), conv(), layers.ReLU()]
    )
    return inner(x)


def nested_twice(x):
    """A nested model with two ReLUs, called twice."""
    start = keras.Input((8, 8, 2))
    y = layers.Conv2D(2, 3, padding="same", activation="relu")(start)
    inner = keras.Model(start, layers.ReLU()(layers.Conv2D(2, 1)(y)))
    return inner(inner(x))


def two_branches(x):
    return layers.ReLU()(conv()(x)) + conv(activation="relu")(x)


# How a model may say ReLU, and how many of them it then has.
FORMS = {
    "layer": (lambda x: layers.ReLU()(conv()(x)), 1),
    "layer_with_a_ceiling": (lambda x: layers.ReLU(max_value=0.75)(conv()(x)), 1),
    "activation": (lambda x: layers.Activation("relu")(conv()(x)), 1),
    "activation_relu6": (lambda x: layers.Activation("relu6")(conv()(x)), 1),
    "activation_of_ops": (lambda x: layers.Activation(ops.relu)(conv()(x)), 1),
    "conv": (lambda x: conv(activation="relu")(x), 1),
    "conv_relu6": (lambda x: conv(activation="relu6")(x), 1),
    "conv_relu_layer": (lambda x: conv(activation=layers.ReLU(0.75))(x), 1),
    "conv_ops": (lambda x: conv(activation=ops.relu)(x), 1),
    "conv_batch_norm": (
        lambda x: layers.ReLU()(layers.BatchNormalization()(conv()(x))),
        1,
    ),
    "dense": (lambda x: layers.Dense(3, activation="relu")(layers.Flatten()(x)), 1),
    "einsum_dense": (
        lambda x: layers.EinsumDense("bhwc,cd->bhwd", (8, 8, 3), activation="relu")(x),
        1,
    ),
    "separable": (lambda x: layers.SeparableConv2D(3, 3, activation="relu")(x), 1),
    "depthwise": (lambda x: layers.DepthwiseConv2D(3, activation="relu")(x), 1),
    "transposed": (lambda x: layers.Conv2DTranspose(3, 3, activation="relu")(x), 1),
    "ops_relu": (lambda x: ops.relu(conv()(x)), 1),
    "ops_relu6": (lambda x: ops.relu6(conv()(x)), 1),
    "activations_relu": (lambda x: keras.activations.relu(conv()(x)), 1),
    "activations_relu6": (lambda x: keras.activations.relu6(conv()(x)), 1),
    "shared_relu": (shared_relu, 2),
    "shared_convolution": (shared_convolution, 1),
    "nested": (nested, 3),
    "nested_sequential": (nested_sequential, 2),
    "nested_twice": (nested_twice, 2),
    "two_branches": (two_branches, 2),
}
EVERY_FORM = pytest.mark.parametrize("form", FORMS)


def make(form):
    """A network with the ReLUs of `form`, and inputs that make them saturate."""
    inputs = keras.Input((8, 8, 2), name="image")
    x = layers.Flatten(name="last_flatten")(FORMS[form][0](inputs))
    model = keras.Model(inputs, layers.Dense(4, name="last")(x), name="source")
    rng = np.random.default_rng(0)
    model.set_weights([positive_where_asked(rng, w) for w in model.weights])
    return model, rng.normal(0, 2, (20, 8, 8, 2)).astype("float32")


def positive_where_asked(rng, weight):
    """Random values for a weight; a variance is positive."""
    values = rng.normal(0.05, 0.5, weight.shape)
    return np.abs(values) + 0.5 if "variance" in weight.path else values


def activations(model):
    return [x for x in model.layers if isinstance(x, QuantizedActivation)]


def predict(model, x):
    return model.predict(x, verbose=0)


# --- ReLUs are found -----------------------------------------------------------------


@EVERY_FORM
def test_every_form_is_found(form):
    model, x = make(form)
    quantized = snn_keras.quantize_activations(model, levels=5, data=x)
    found = activations(quantized)
    assert len(found) == FORMS[form][1]
    assert all(type(layer) is LSQReLU and layer.levels == 5 for layer in found)
    snn = snn_keras.convert(quantized, 3)  # refuses a ReLU that was left
    assert predict(snn, x).shape == (20, 4)


@EVERY_FORM
def test_the_float_part_is_the_same(form):
    """With 2**16 levels up to the largest activation, only rounding is left."""
    model, x = make(form)
    expected = predict(model, x)
    fine, coarse = (
        snn_keras.quantize_activations(model, p, data=x, calibration="max")
        for p in (2**16, 2)
    )
    # An activation is off by half a step, 2**-17 of its largest value; the weights
    # behind it let that grow by less than a hundredfold.
    bound = 100 * 2.0**-17 * np.abs(expected).max()
    assert np.abs(predict(fine, x) - expected).max() < bound
    assert np.abs(predict(coarse, x) - expected).max() > bound


@EVERY_FORM
def test_weights_are_copied(form):
    model, _ = make(form)
    quantized = snn_keras.quantize_activations(model)
    own = {w.path for layer in activations(quantized) for w in layer.weights}
    copies = [w for w in quantized.weights if w.path not in own]
    assert not {id(w) for w in copies} & {id(w) for w in model.weights}
    copied = sorted(np.asarray(w.value).tobytes() for w in copies)
    assert copied == sorted(np.asarray(w.value).tobytes() for w in model.weights)


@EVERY_FORM
def test_the_source_is_unchanged(form):
    model, x = make(form)
    before = state_of(model)
    expected = predict(model, x)
    quantized = snn_keras.quantize_activations(model, data=x)
    quantized.compile("sgd", "mse")
    quantized.fit(x, expected, verbose=0)
    after = state_of(model)
    assert after["config"] == before["config"]
    assert after["nodes"] == before["nodes"]
    for new, old in zip(after["weights"], before["weights"], strict=True):
        assert np.array_equal(new, old)
    assert np.array_equal(predict(model, x), expected)


def state_of(model):
    """All that using a model for something else could change in it."""
    every = list(model._flatten_layers())
    return {
        "config": model.get_config(),
        "weights": model.get_weights(),
        "nodes": [(layer.name, len(layer._inbound_nodes)) for layer in every],
    }


def test_layer_outputs_of_the_source_stay_accessible():
    model, x = make("conv_batch_norm")
    outputs = [layer.output for layer in model.layers]
    snn_keras.quantize_activations(model, data=x)
    # `output` raises where a layer has been called a second time.
    assert [layer.output for layer in model.layers] == outputs


def test_sequential_models():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(5, activation="relu"),
            layers.Dense(4),
            layers.ReLU(),
            layers.Dense(3),
        ]
    )
    x = np.random.default_rng(0).normal(size=(30, 6)).astype("float32")
    quantized = snn_keras.quantize_activations(
        model, levels=2**16, data=x, calibration="max"
    )
    assert len(activations(quantized)) == 2
    np.testing.assert_allclose(predict(quantized, x), predict(model, x), atol=1e-3)


def test_quantized_activations_that_are_there_stay():
    inputs = keras.Input((4,))
    x = LSQReLU(7, initial_step=0.375, name="mine")(layers.Dense(4)(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.ReLU(name="new")(x)))
    data = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    quantized = snn_keras.quantize_activations(model, levels=2, data=data)
    mine, new = quantized.get_layer("mine"), quantized.get_layer("new")
    assert (mine.levels, new.levels) == (7, 2)
    assert mine.step_value() == 0.375


def test_layers_keep_their_settings():
    inputs = keras.Input((4,))
    x = layers.Normalization(mean=[1.0] * 4, variance=[4.0] * 4)(inputs)
    x = layers.Dense(4, activation="relu", name="frozen", trainable=False)(x)
    x = layers.Dropout(0.25, name="dropout")(x)
    model = keras.Model(inputs, layers.Dense(2, activation="softmax", name="out")(x))
    data = np.random.default_rng(0).normal(size=(30, 4)).astype("float32")
    quantized = snn_keras.quantize_activations(
        model, levels=2**16, data=data, calibration="max"
    )
    assert not quantized.get_layer("frozen").trainable
    assert quantized.get_layer("dropout").rate == 0.25
    np.testing.assert_allclose(
        predict(quantized, data), predict(model, data), atol=1e-4
    )


def test_an_adapted_normalization_is_copied():
    data = np.random.default_rng(0).normal(3, 2, size=(30, 4)).astype("float32")
    norm = layers.Normalization()
    norm.adapt(data)
    model = keras.Sequential(
        [keras.Input((4,)), norm, layers.Dense(4, activation="relu"), layers.Dense(2)]
    )
    quantized = snn_keras.quantize_activations(
        model, levels=2**16, data=data, calibration="max"
    )
    np.testing.assert_allclose(
        predict(quantized, data), predict(model, data), atol=1e-3
    )


# --- Calibration ---------------------------------------------------------------------

CALIBRATIONS = ["mse", "max", "percentile", "lsq"]


def one_relu(v, ceiling=None):
    """A network whose ReLU receives `v`, its input, as it is."""
    inputs = keras.Input(v.shape[1:])
    x = layers.ReLU(max_value=ceiling, name="relu")(inputs)
    return keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))


def threshold_for(v, ceiling=None, **kwargs):
    model = one_relu(v, ceiling)
    quantized = snn_keras.quantize_activations(model, data=v, **kwargs)
    return quantized.get_layer("relu").threshold_value()


def normal(shape=(500, 8), seed=0):
    return np.random.default_rng(seed).normal(0.2, 1.0, shape).astype("float32")


def squared_error(theta, v, levels, ceiling):
    a = reference.quantize(v.astype(float), theta / levels, levels)
    return np.mean(np.square(a - np.clip(v, 0, ceiling)))


@pytest.mark.parametrize("quantizer", ["lsq", "qcfs"])
@pytest.mark.parametrize("ceiling", [None, 1.0])
@pytest.mark.parametrize("levels", [1, 3, 8])
def test_mse_is_the_least_error_of_a_grid(levels, ceiling, quantizer):
    v = normal()
    theta = threshold_for(v, ceiling, levels=levels, quantizer=quantizer)
    limits = (levels, ceiling or np.inf)
    grid = np.linspace(0, min(v.max(), ceiling or np.inf), 1001)[1:]
    best = min(squared_error(candidate, v, *limits) for candidate in grid)
    # Ours tries every hundredth of the range: within 1 % of the finer grid's best.
    assert squared_error(theta, v, *limits) <= 1.01 * best


@pytest.mark.parametrize("ceiling", [None, 1.0])
def test_max_is_the_largest_activation(ceiling):
    v = normal()
    theta = threshold_for(v, ceiling, calibration="max", levels=4)
    assert theta == min(v.max(), ceiling or np.inf)


def test_max_sees_every_value_of_much_data():
    v = normal((3000, 100))
    v[1234, 56] = 50.0
    assert threshold_for(v, calibration="max", levels=4) == 50.0


@pytest.mark.parametrize("ceiling", [None, 1.0])
def test_percentile(ceiling):
    v = normal()
    theta = threshold_for(v, ceiling, calibration="percentile", levels=4)
    expected = min(np.percentile(v, 99.9), ceiling or np.inf)
    assert expected < v.max()
    np.testing.assert_allclose(theta, expected, rtol=1e-6)


@pytest.mark.parametrize("levels", [1, 2])
def test_lsq_is_the_papers_first_step(levels):
    v = normal()
    theta = threshold_for(v, calibration="lsq", levels=levels)
    expected = levels * 2 * np.abs(v).mean() / np.sqrt(levels)
    assert expected < v.max()
    np.testing.assert_allclose(theta, expected, rtol=1e-6)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_calibration_does_not_depend_on_the_batch_size(calibration):
    v = normal()
    thetas = [
        threshold_for(v, calibration=calibration, batch_size=n) for n in (7, 64, 500)
    ]
    np.testing.assert_allclose(thetas, thetas[0], rtol=1e-6)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_channels_are_calibrated_apart(calibration):
    v = normal((300, 3, 4)) * np.float32([0.5, 1.0, 3.0, 10.0])
    kwargs = {"calibration": calibration, "levels": 2}
    received = threshold_for(v, axis=-1, **kwargs)
    expected = [threshold_for(v[..., c : c + 1], **kwargs) for c in range(4)]
    np.testing.assert_allclose(received, expected, rtol=1e-6)
    assert len(set(received.tolist())) == 4


@pytest.mark.parametrize("form", ["activation_relu6", "conv_relu6", "ops_relu6"])
@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_relu6_is_a_ceiling(form, calibration):
    model, x = make(form)
    quantized = snn_keras.quantize_activations(
        model, levels=7, data=10 * x, calibration=calibration
    )
    (layer,) = activations(quantized)
    theta = layer.threshold_value()
    assert theta == 6 if calibration == "max" else 0 < theta <= 6


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_the_threshold_is_never_above_the_largest_activation(calibration):
    v = -np.abs(normal((3000, 2)))
    v[17] = 0.25  # the one positive sample: less than the 99.9th percentile sees
    theta = threshold_for(v, calibration=calibration)
    assert 0 < theta <= 0.25


@pytest.mark.parametrize("axis", [None, -1])
def test_a_silent_activation_is_warned_of(axis):
    v = normal()
    v[:, 0 if axis else slice(None)] = -1.0
    who = r"'relu' \(1 of 8 channels\)" if axis else "'relu'"
    with pytest.warns(UserWarning, match=f"^{who} is silent on the calibration data"):
        theta = threshold_for(v, axis=axis, levels=3)
    assert np.all(theta > 0)


def test_all_silent_activations_are_in_one_warning():
    x = inputs = keras.Input((2,))
    for i in range(14):
        x = keras.layers.ReLU(name=f"relu{i}")(x)
    model = keras.Model(inputs, x)
    with pytest.warns(UserWarning) as caught:
        snn_keras.quantize_activations(model, data=-np.ones((5, 2)))
    caught = [w for w in caught if "silent" in str(w.message)]
    (message,) = (str(w.message) for w in caught)
    names = ", ".join(f"'relu{i}'" for i in range(10))
    assert message == (
        f"{names} and 4 more are silent on the calibration data; their steps are set "
        "to 1. Calibrate on more data."
    )
    assert caught[0].filename == __file__


def test_the_layers_behind_see_float_activations():
    """Errors of one layer's quantization do not move the next one's threshold."""
    model, x = make("shared_relu")
    thetas = [
        [
            layer.threshold_value()
            for layer in activations(
                snn_keras.quantize_activations(model, p, data=x, calibration="max")
            )
        ]
        for p in (1, 2**16)
    ]
    np.testing.assert_allclose(*thetas, rtol=1e-6)


# --- Arguments arrive ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantizer", "kind"), [("lsq", LSQReLU), ("qcfs", QCFS)], ids=["lsq", "qcfs"]
)
def test_quantizer_and_levels(quantizer, kind):
    model, x = make("nested")
    quantized = snn_keras.quantize_activations(model, 6, quantizer, data=x)
    found = activations(quantized)
    assert [(type(layer), layer.levels) for layer in found] == [(kind, 6)] * 3


def test_quantizers_get_the_same_thresholds():
    model, x = make("nested")
    lsq, qcfs = (
        snn_keras.quantize_activations(model, 4, quantizer, data=x)
        for quantizer in ("lsq", "qcfs")
    )
    for one, other in zip(activations(lsq), activations(qcfs), strict=True):
        np.testing.assert_allclose(
            one.threshold_value(), other.threshold_value(), rtol=1e-6
        )
    np.testing.assert_allclose(predict(lsq, x), predict(qcfs, x), rtol=1e-4, atol=1e-4)


SEEDED = pytest.mark.parametrize("seeded", [False, True], ids=["name", "object"])


@SEEDED
def test_noise_arrives_as_a_copy_for_each(seeded):
    noise = NoiseAdaptor(seed=3) if seeded else "adaptor"
    model, x = make("nested")
    quantized = snn_keras.quantize_activations(model, noise=noise, data=x)
    copies = [layer.noise for layer in activations(quantized)]
    assert [type(copy) for copy in copies] == [NoiseAdaptor] * 3
    assert len({id(copy) for copy in [noise, *copies]}) == 4
    again = predict(quantized, x)
    assert np.array_equal(predict(quantized, x), again)
    noisy = [ops.convert_to_numpy(quantized(x, training=True)) for _ in range(2)]
    assert not np.array_equal(*noisy)


@SEEDED
def test_layers_have_noise_of_their_own(seeded):
    noise = NoiseAdaptor(seed=3) if seeded else "adaptor"
    model, _ = make("nested")
    quantized = snn_keras.quantize_activations(model, levels=1, noise=noise)
    v = np.full((32, 32), 0.5, "float32")
    draws = []
    for layer in activations(quantized):
        alone = LSQReLU(1, layer.noise, initial_step=1.0)
        draws.append(ops.convert_to_numpy(alone(v, training=True)))
    assert not np.array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[1], draws[2])


def test_no_noise_by_default():
    model, x = make("layer")
    (layer,) = activations(snn_keras.quantize_activations(model, data=x))
    assert layer.noise is None


@pytest.mark.parametrize("quantizer", ["lsq", "qcfs"])
def test_axis_gives_every_channel_a_step(quantizer):
    model, x = make("conv")
    for data in (x, None):
        quantized = snn_keras.quantize_activations(
            model, quantizer=quantizer, data=data, axis=-1
        )
        (layer,) = activations(quantized)
        assert layer.axis == -1
        assert layer.trainable_variables[0].shape == (3,)


@pytest.mark.parametrize("quantizer", ["lsq", "qcfs", "slip_relu"])
@pytest.mark.parametrize("scaled", [False, True])
def test_gradients_of_the_steps_are_scaled(quantizer, scaled):
    model, x = make("nested")
    for data in (x, None):
        quantized = snn_keras.quantize_activations(
            model, quantizer=quantizer, data=data, scale_gradient=scaled
        )
        layers = activations(quantized)
        assert [layer.scale_gradient for layer in layers] == [scaled] * 3


@pytest.mark.parametrize("noise", [None, "adaptor"])
def test_without_data_the_first_batch_sets_the_steps(noise):
    model, x = make("nested")
    quantized = snn_keras.quantize_activations(model, noise=noise)
    with pytest.raises(ValueError, match="step must be finite and greater than 0"):
        snn_keras.convert(quantized, 3)
    quantized.compile(keras.optimizers.SGD(0.0), "mse")
    quantized.fit(x, predict(model, x), verbose=0)
    for layer in activations(quantized):
        assert layer.step_value() > 0
    assert predict(snn_keras.convert(quantized, 3), x).shape == (20, 4)


def test_the_result_saves_and_loads(tmp_path):
    model, x = make("nested")
    quantized = snn_keras.quantize_activations(model, noise="adaptor", data=x)
    quantized.save(tmp_path / "quantized.keras")
    loaded = keras.models.load_model(tmp_path / "quantized.keras")
    assert np.array_equal(predict(loaded, x), predict(quantized, x))


# --- Max pooling ---------------------------------------------------------------------


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("everywhere", [False, True], ids=["window", "global"])
def test_max_pooling_is_replaced(rank, everywhere):
    def network(kind):
        inputs = keras.Input((5,) * rank + (2,))
        x = layers.Dense(2, activation="relu", name="dense")(inputs)
        if everywhere:
            x = getattr(layers, f"Global{kind}Pooling{rank}D")(name="pool")(x)
        else:
            pool = getattr(layers, f"{kind}Pooling{rank}D")
            x = pool(2, strides=1, padding="same", name="pool")(x)
        outputs = layers.Dense(2, name="last")(layers.Flatten()(x))
        return keras.Model(inputs, outputs)

    model, expected = network("Max"), network("Average")
    expected.set_weights(model.get_weights())
    x = normal((6, *(5,) * rank, 2))
    kwargs = {"levels": 2**16, "data": x, "calibration": "max"}
    kept = snn_keras.quantize_activations(model, **kwargs)
    replaced = snn_keras.quantize_activations(model, replace_max_pooling=True, **kwargs)
    assert type(replaced.get_layer("pool")) is type(expected.get_layer("pool"))
    np.testing.assert_allclose(predict(kept, x), predict(model, x), atol=1e-3)
    np.testing.assert_allclose(predict(replaced, x), predict(expected, x), atol=1e-3)
    assert np.abs(predict(model, x) - predict(expected, x)).max() > 1e-2


# --- Data in every structure ---------------------------------------------------------


def two_inputs(structure):
    """A network of two inputs of different widths, in a dict or a list."""
    wide, narrow = keras.Input((5,), name="wide"), keras.Input((3,), name="narrow")
    x = layers.Dense(4, activation="relu", name="first")(wide)
    y = layers.Dense(4, activation="relu", name="second")(narrow)
    outputs = layers.Dense(2)(x + 3 * y)
    data = {"wide": normal((40, 5)), "narrow": normal((40, 3), 1)}
    if structure == "dict":
        return keras.Model({"wide": wide, "narrow": narrow}, outputs), data
    return keras.Model([wide, narrow], outputs), list(data.values())


@pytest.mark.parametrize("structure", ["dict", "list"])
def test_several_inputs(structure):
    model, data = two_inputs(structure)
    quantized = snn_keras.quantize_activations(
        model, levels=2**16, data=data, calibration="max"
    )
    expected = predict(model, data)
    np.testing.assert_allclose(predict(quantized, data), expected, atol=1e-3)
    if structure == "dict":
        backwards = dict(reversed(data.items()))
        again = snn_keras.quantize_activations(
            model, levels=2**16, data=backwards, calibration="max"
        )
        assert np.array_equal(predict(again, data), predict(quantized, data))


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float64", "float16", "bool"])
def test_data_of_any_dtype(dtype):
    """As `predict`, calibration takes numbers of any type."""
    x = (np.random.default_rng(0).integers(0, 4, (30, 5)) > 1).astype(dtype)
    model = keras.Sequential(
        [keras.Input((5,)), layers.Dense(4, activation="relu"), layers.Dense(2)]
    )
    theta, expected = (
        activations(
            snn_keras.quantize_activations(model, data=data, calibration="max")
        )[0].threshold_value()
        for data in (x, x.astype("float32"))
    )
    np.testing.assert_allclose(theta, expected, rtol=1e-6)


def test_data_as_a_tensor_of_the_backend():
    model, x = make("layer")
    received, expected = (
        activations(snn_keras.quantize_activations(model, data=data))[0].step_value()
        for data in (ops.convert_to_tensor(x), x)
    )
    assert received == expected


def test_bit_serial_networks_have_all_levels_by_default():
    model = relu_chain()
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    snn = snn_keras.convert(model, 3, "bit_serial", data=x)
    ann = snn_keras.quantize_activations(model, 7, data=x)
    report = snn_keras.verify(ann, snn, x)
    assert all(layer.off == {0: 1.0} for layer in report.layers)


def test_networks_without_a_relu_have_no_noisy_spikes():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(4, activation="silu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    with pytest.raises(snn_keras.ConversionError, match="has no ReLU"):
        snn_keras.quantize_activations(model, quantizer="noisy_spike", data=x)


def relu_chain():
    inputs = keras.Input((4,))
    x = keras.layers.Dense(6, activation="relu")(inputs)
    x = keras.layers.Dense(6, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(2)(x))
