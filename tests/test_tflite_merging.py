"""Layers with weights and neurons, merged in int8 kernels: exact in every runtime."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from apps import data
from apps.sources import load_model
from snn_keras.errors import ConversionError
from snn_keras.export import FORMS, TFLiteNetwork, to_integers, to_tflite
from snn_keras.export.tflite import merging, requantization
from snn_keras.export.tflite.plan import make_plan
from snn_keras.export.tflite.requantization import Staircase, solve
from snn_keras.layers import LSQReLU

ROUNDINGS = [
    getattr(requantization, name)
    for name in ("_float", "_fused", "_fixed_once", "_fixed_twice")
]
IMAGES = np.random.default_rng(0).random((3, 6, 6, 2), "float32")


def stairs_of(seed):
    """Random levels of random sums."""
    rng = np.random.default_rng(seed)
    threshold = rng.integers(2, 4000, 5)
    offset = rng.integers(-3000, 3000, 5)
    return Staircase(
        threshold, offset, int(rng.integers(1, 5)), int(rng.integers(1, 16))
    )


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("seed", range(20))
def test_levels_are_exact_at_every_sum(seed, rounding):
    stairs, unit = stairs_of(seed), [1.0, 0.25, 0.0039][seed % 3]
    found = solve(stairs, 16, unit)
    assert found is not None
    sums = np.arange(-(2**15), 2**15)[:, None]
    expected = (stairs.times * sums + stairs.offset) // stairs.threshold
    made = rounding(16 * sums + found.bias, found.scale, unit)
    top = stairs.levels
    assert np.array_equal(np.clip(made, 0, top), np.clip(expected, 0, top))


def test_levels_that_no_kernel_gives_are_refused():
    """Two thresholds that one whole bias and one scale cannot both meet."""
    close = Staircase(np.array([3]), np.array([0]), times=5, levels=5)
    assert solve(close, 1, 1.0) is None  # sums of 1 pass a level and a half each
    assert solve(close, 16, 1.0) is not None


def merged(net, form, read=()):
    names = [out.name for out in net.outputs]
    return make_plan(net, [*names, *read], form == "streaming", merges=True).merged


@pytest.mark.parametrize(
    ("file", "neuron", "counts"),
    [
        ("fashion_mnist_adaptor", "if", {"unrolled": 4, "streaming": 3}),
        ("fashion_mnist_adaptor", "signed", {"unrolled": 4, "streaming": 3}),
        ("fashion_mnist_bits", "bit_serial", {"unrolled": 4, "streaming": 4}),
        ("fashion_mnist_bits", "differential", {"unrolled": 4, "streaming": 3}),
    ],
)
def test_all_layers_of_the_networks_that_ship_are_merged(
    file, neuron, counts, tmp_path
):
    """But for the one that reads an image that may change from step to step."""
    model = load_model(data.SHIPPED / f"{file}.keras")
    images = data.preprocess(data.shipped_test_images().images[:4])
    net = to_integers(snn_keras.convert(model, 4, neuron), images)
    for form in FORMS:
        assert len(merged(net, form)) == counts[form]
        path = tmp_path / f"{form}.tflite"
        to_tflite(net, path, form=form)
        assert np.array_equal(TFLiteNetwork(path).predict(images), net.predict(images))


@pytest.mark.parametrize("input_dtype", ["int8", "uint8", "int16"])
@pytest.mark.parametrize("neuron", ["if", "signed", "bit_serial", "differential"])
@pytest.mark.parametrize("delegate", [True, False])
def test_runtimes_agree(neuron, input_dtype, delegate, tmp_path):
    """XNNPACK rounds a float32 product, TensorFlow Lite's own kernels integers."""
    interpreter = pytest.importorskip(
        "ai_edge_litert.interpreter", reason="pip install .[export]"
    )
    kinds = interpreter.OpResolverType
    kind = kinds.AUTO if delegate else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    levels = 255 if neuron == "differential" else 3
    net = to_integers(small(neuron=neuron, levels=levels), IMAGES, input_dtype)
    path = tmp_path / "net.tflite"
    to_tflite(net, path, batch_size=3)
    runner = interpreter.Interpreter(
        str(path), experimental_op_resolver_type=kind
    ).get_signature_runner()
    (given,) = net.quantize(IMAGES)
    (name,) = (spec.name for spec in net.inputs)
    *_, (values, _) = net.run([given])
    for out in net.outputs:
        assert np.array_equal(runner(**{name: given})[out.name], values[out.name])


def small(*between, neuron="if", timesteps=3, levels=3):
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 6, 2))
    step = 0.6 / levels
    x = LSQReLU(levels, initial_step=step)(layers.Conv2D(4, 3, padding="same")(x))
    for layer in between:
        x = layer(x)
    x = LSQReLU(levels, initial_step=step)(layers.Conv2D(5, 3)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    return snn_keras.convert(model, timesteps, neuron)


BETWEEN = {
    "nothing": lambda: [],
    "average": lambda: [layers.AveragePooling2D(2)],
    "max": lambda: [layers.MaxPooling2D(2, 1, padding="same")],
    "averages": lambda: [
        layers.AveragePooling2D(2, 1),
        layers.ZeroPadding2D(1),
        layers.AveragePooling2D((1, 2), 1),
    ],
    "moves": lambda: [layers.ZeroPadding2D(1), layers.UpSampling2D(2)],
    "depthwise": lambda: [layers.DepthwiseConv2D(3), LSQReLU(3, initial_step=0.2)],
    "dense": lambda: [layers.Dense(3), LSQReLU(3, initial_step=0.2)],
}


KINDS = [
    *(("if", 3), ("signed", 3)),
    *(("differential", 3), ("differential", 100), ("differential", 255)),
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("neuron", "levels"), KINDS)
@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_layers_between_do_not_hinder(between, neuron, levels, form, tmp_path):
    net = to_integers(small(*between(), neuron=neuron, levels=levels), IMAGES)
    first = form == "streaming"  # reads the image, which may change
    assert len(merged(net, form)) == len(net.neurons) - first
    path = tmp_path / "net.tflite"
    to_tflite(net, path, form=form, batch_size=3)
    assert np.array_equal(TFLiteNetwork(path).predict(IMAGES), net.predict(IMAGES))


@pytest.mark.parametrize("levels", [3, 200])
@pytest.mark.parametrize("neuron", ["signed", "multi_threshold", "differential"])
def test_what_a_later_step_reads_is_not_overwritten(neuron, levels, tmp_path):
    """Flattened spikes share memory with the sum of spikes, which is the state."""
    net = to_integers(small(neuron=neuron, levels=levels), IMAGES)
    path = tmp_path / "net.tflite"
    to_tflite(net, path, batch_size=3)
    assert np.array_equal(TFLiteNetwork(path).predict(IMAGES), net.predict(IMAGES))


def residual(block, neuron):
    """Neurons behind the sum that a block makes of neurons' spikes."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((6, 6, 2))
    x = LSQReLU(3, initial_step=0.2)(layers.Conv2D(4, 3, padding="same")(x))
    x = LSQReLU(3, initial_step=0.1)(block(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    return snn_keras.convert(model, 3, neuron)


def activation(x):
    return LSQReLU(3, initial_step=0.15)(x)


def two_convolutions(x, strides=1):
    y = activation(layers.Conv2D(4, 3, strides, padding="same")(x))
    return layers.Conv2D(4, 3, padding="same")(y)


def of_three(x):
    wide = layers.Conv2D(4, 5, padding="same")(x)
    return layers.Add()([wide, x, layers.Conv2D(4, 1)(x)])


def padded(x):
    y = layers.Conv2D(4, 3, dilation_rate=2)(layers.ZeroPadding2D(2)(x))
    return layers.Add()([y, x])


def projected(x):
    return layers.Add()([two_convolutions(x, 2), layers.Conv2D(4, 1, 2)(x)])


def averaged(x):
    y = layers.Conv2D(4, 3, padding="same")(x)
    shortcut = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    return layers.Add()([y, layers.AveragePooling2D(2, 1)(shortcut)])


def of_dense(x):
    x = layers.Flatten()(x)
    x = activation(layers.Dense(5)(x))
    return layers.Add()([layers.Dense(5)(x), x])


BLOCKS = {
    "identity": lambda x: layers.Add()([two_convolutions(x), x]),
    "projection": projected,
    "three": of_three,
    "padding": padded,
    "average": averaged,
    "dense": of_dense,
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", ["if", "signed", "bit_serial", "differential"])
@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS)
def test_sums_of_branches_are_one_layer(block, neuron, form, tmp_path):
    net = to_integers(residual(block, neuron), IMAGES)
    first = form == "streaming" and neuron != "bit_serial"  # reads the image
    assert len(merged(net, form)) == len(net.neurons) - first
    path = tmp_path / "net.tflite"
    to_tflite(net, path, form=form, batch_size=3)
    assert np.array_equal(TFLiteNetwork(path).predict(IMAGES), net.predict(IMAGES))


UNLIKE = {
    "broadcast": lambda x: layers.Add()(
        [layers.Conv2D(4, 3, padding="same")(x), layers.MaxPooling2D(6)(x)]
    ),
    "two windows": lambda x: layers.Add()(
        [layers.Conv2D(4, 3)(x), layers.Conv2D(4, (1, 3))(x[:, 2:])]
    ),
    "more places": lambda x: layers.Add()(
        [layers.Conv2D(4, 3)(x), layers.Cropping2D(1)(x)]
    ),
    "places left out": lambda x: layers.Add()(
        [layers.Conv2D(4, 3, 2)(x[:, :5, :5]), layers.Conv2D(4, 3, 2)(x)]
    ),
    "strides": lambda x: layers.Add()(
        [layers.Conv2D(4, 3, 2, padding="same")(x), x[:, ::2, ::2]]
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("block", UNLIKE.values(), ids=UNLIKE)
def test_sums_that_are_no_layer_stay_exact(block, form, tmp_path):
    net = to_integers(residual(block, "if"), IMAGES)
    assert net.neurons[-1] not in merged(net, form)
    path = tmp_path / "net.tflite"
    to_tflite(net, path, form=form, batch_size=3)
    assert np.array_equal(TFLiteNetwork(path).predict(IMAGES), net.predict(IMAGES))


@pytest.mark.parametrize("gains", [[1], [1, 2, 4, 8, 16], [4, 8], [64]])
@pytest.mark.parametrize("most", [100, 127, 128, 3000, 40000])
def test_digits_add_up_to_weights(most, gains):
    weights = np.random.default_rng(0).integers(-most, most + 1, (3, 3, 2, 4))
    weights = gains[0] * np.append(weights.ravel()[:-1], most).reshape(weights.shape)
    digits = merging._digits(weights, gains)
    if digits is not None:
        assert all(digit.dtype == np.int8 for _, digit in digits)
        total = sum(gain * digit.astype(int) for gain, digit in digits)
        assert np.array_equal(total, weights)
    else:
        assert most > merging.MOST * (merging.MOST_PIECES - 1)


# --- Integers in float32 -------------------------------------------------------------


def test_floats_hold_integers_where_no_sum_is_rounded(tmp_path):
    net = to_integers(small(), IMAGES)
    path = tmp_path / "net.tflite"
    to_tflite(net, path, arithmetic="float32", batch_size=3)
    assert np.array_equal(TFLiteNetwork(path).predict(IMAGES), net.predict(IMAGES))


def test_floats_that_would_round_are_refused(tmp_path):
    snn = small(timesteps=2**14)
    with pytest.raises(ConversionError, match=r"float32 rounds(?s:.*)arithmetic="):
        to_tflite(snn, tmp_path / "n.tflite", IMAGES, "streaming", arithmetic="float32")
    assert not list(tmp_path.iterdir())


def test_an_unknown_arithmetic_is_refused(tmp_path):
    with pytest.raises(ValueError, match="arithmetic must be one of"):
        to_tflite(small(), tmp_path / "n.tflite", IMAGES, arithmetic="float16")
