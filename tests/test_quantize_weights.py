"""quantize_weights: weights of few bits, which every engine and export keeps."""

import io
import zipfile

import h5py
import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import ConversionError
from snn_keras.callbacks import Pruning
from snn_keras.export import CNetwork, TFLiteNetwork, to_c, to_integers, to_tflite
from snn_keras.layers import LSQReLU, QuantizedInput, QuantizedWeights
from snn_keras.layers.quantized_weights import METHODS
from snn_keras.ops import power_of_two, quantize_weight, two_to
from tests.autodiff import gradients
from tests.subjects import in_turn

# Layers with kernels, and the shapes of their inputs.
LAYERS = [
    (layers.Dense(5), (4,)),
    (layers.Dense(5, use_bias=False), (3, 4)),
    (layers.Conv1D(5, 3), (6, 4)),
    (layers.Conv2D(6, 3, padding="same", groups=2), (6, 6, 4)),
    (layers.Conv3D(3, 2), (4, 4, 4, 2)),
    (layers.DepthwiseConv1D(3, depth_multiplier=2), (6, 4)),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 4)),
    (layers.SeparableConv1D(5, 3), (6, 4)),
    (layers.SeparableConv2D(5, 3, depth_multiplier=2), (6, 6, 4)),
    (layers.Conv1DTranspose(5, 3, strides=2), (6, 4)),
    (layers.Conv2DTranspose(5, 3, strides=2), (5, 5, 4)),
    (layers.Conv3DTranspose(3, 2), (4, 4, 4, 2)),
    (layers.EinsumDense("abc,cde->abde", (None, 3, 5), bias_axes="de"), (6, 4)),
    (layers.TimeDistributed(layers.Dense(5)), (3, 4)),
]
KINDS = pytest.mark.parametrize(
    "layer, shape", LAYERS, ids=lambda x: type(x).__name__ if callable(x) else ""
)


def drawn(shape, seed=0):
    """Whole multiples of 1/16 in [-2, 2]."""
    return np.random.default_rng(seed).integers(-32, 33, shape).astype("float32") / 16


def fresh(layer, shape, **settings):
    """A wrapped layer of its own, with random weights, and its outputs."""
    made = QuantizedWeights(type(layer).from_config(layer.get_config()), **settings)
    made.build((None, *shape))
    for i, weight in enumerate(made.layer.weights):
        weight.assign(np.random.default_rng(i).normal(size=weight.shape))
    made.reset()
    return made


def step_of(w, axes):
    """For each channel, the largest power of two that divides its weights."""
    others = tuple(i for i in range(w.ndim) if i not in axes)
    step = 64.0
    steps = np.full([n if i in axes else 1 for i, n in enumerate(w.shape)], step)
    for _ in range(40):
        whole = (w / steps == np.round(w / steps)).all(others, keepdims=True)
        steps = np.where(whole, steps, steps / 2)
    return steps


@KINDS
@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("method", METHODS)
def test_weights_are_few_multiples_of_a_power_of_two(layer, shape, bits, method):
    made = fresh(layer, shape, bits=bits, method=method)
    plain = made.plain()
    for kernel, axes in zip(made._kernels, made._axes, strict=True):
        assert axes
        (w,) = [w for w in plain.weights if w.name == kernel.name]
        w = ops.convert_to_numpy(w.value).astype("float64")
        assert np.abs(w / step_of(w, axes)).max() <= made.most
    x = drawn((2, *shape))
    # Sums of these few dyadic numbers are exact in float32, in any order.
    one, other = (ops.convert_to_numpy(f(x)) for f in (made, plain))
    assert np.array_equal(one, other)


@KINDS
def test_the_axes_of_a_kernel_count_output_channels(layer, shape):
    """A change at one place along them leaves the other channels as they were."""
    made = fresh(layer, shape)
    inner, x = made.layer, drawn((2, *shape))
    kernel, axes = made._kernels[-1], made._axes[-1]
    before, w = ops.convert_to_numpy(inner(x)), ops.convert_to_numpy(kernel.value)
    changed = w.copy()
    place = tuple(0 if i in axes else slice(None) for i in range(w.ndim))
    changed[place] += 1.0
    kernel.assign(changed)
    differs = before != ops.convert_to_numpy(inner(x))
    kept = 2 if "Einsum" in type(layer).__name__ else 1
    channels = differs.any(tuple(range(differs.ndim - kept)))
    assert channels.ravel()[0] and channels.sum() == 1
    # And no axis is left out: without one of them, more channels change.
    for axis in range(w.ndim):
        if axis not in axes and w.shape[axis] > 1:
            changed = w.copy()
            changed[(slice(None),) * axis + (0,)] += 1.0
            kernel.assign(changed)
            differs = before != ops.convert_to_numpy(inner(x))
            assert differs.any(tuple(range(differs.ndim - kept))).all()


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("most", [1, 7, 127])
def test_gradients_are_those_of_the_paper(most, jit):
    """Esser et al. 2020, equation 3, for either sign."""
    w = np.array([[-9.0, -1.5, 0.25], [0.375, 1.0, 300.0]], "float32")
    step = np.array([[0.25, 0.5, 1.0]], "float32")
    upstream = drawn(w.shape)
    value, (to_w, to_step) = gradients(
        lambda w, s: quantize_weight(w, s, most, 0.5),
        w,
        step,
        jit=jit,
        upstream=upstream,
    )
    x = w / step
    inside = np.abs(x) <= most
    nearest = np.floor(np.clip(x, -most, most) + 0.5)
    assert np.array_equal(value, nearest * step)
    assert np.array_equal(to_w, upstream * inside)
    each = np.where(inside, nearest - x, np.sign(x) * most)
    assert np.array_equal(to_step, 0.5 * (upstream * each).sum(0, keepdims=True))


@pytest.mark.parametrize("jit", [False, True])
def test_powers_of_two_are_exact_and_pass_gradients(jit):
    powers = 2.0 ** np.arange(-30, 31).astype("float32")
    for share in (0.75, 1.0, 1.375):
        value, (gradient,) = gradients(power_of_two, powers * share, jit=jit)
        assert np.array_equal(value, powers)
        assert np.array_equal(gradient, np.ones_like(powers))


@pytest.mark.parametrize("jit", [False, True])
def test_exponents_are_rounded_and_have_the_gradient_of_a_power(jit):
    whole = np.arange(-30, 31).astype("float32")
    for share in (-0.5, 0.0, 0.25):
        value, (gradient,) = gradients(two_to, whole + share, jit=jit)
        assert np.array_equal(value, 2.0**whole)
        assert np.array_equal(gradient, value * np.float32(np.log(2.0)))


def test_batch_normalization_is_folded():
    inputs = keras.Input((6, 6, 2))
    norm = layers.BatchNormalization(epsilon=0.0)
    x = norm(layers.Conv2D(3, 3, use_bias=False, name="conv")(inputs))
    x = LSQReLU(4, initial_step=0.5)(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    draw = np.random.default_rng(0)
    for weight in model.weights:
        if "variance" in weight.name:
            weight.assign(4.0 ** draw.integers(-2, 3, weight.shape))
        elif weight.name != "step":
            weight.assign(drawn(weight.shape))
    made = snn_keras.quantize_weights(model, method="straight_through")
    assert not any(isinstance(x, layers.BatchNormalization) for x in made.layers)
    # Kernel and offsets have eight bits already, so that nothing is rounded.
    x = drawn((4, 6, 6, 2))
    assert np.array_equal(made.predict(x, verbose=0), model.predict(x, verbose=0))


def network(levels, seed=0, data=None, bits=8, order="activations", **settings):
    """A convolutional network of random weights with quantized weights."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.AveragePooling2D(2)(x)
    x = layers.ReLU()(layers.DepthwiseConv2D(3, padding="same")(x))
    x = layers.ReLU()(layers.Dense(12)(layers.Flatten()(x)))
    model = keras.Model(inputs, layers.Dense(3)(x))
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.moving_variance.assign(np.random.default_rng(1).uniform(0.5, 2, 6))
            layer.moving_mean.assign(np.random.default_rng(2).normal(0, 0.3, 6))
    quantized = {"levels": levels, "data": data}
    weights = {"bits": bits, "data": data, **settings}
    if order == "activations":
        model = snn_keras.quantize_activations(model, **quantized)
        return snn_keras.quantize_weights(model, **weights)
    model = snn_keras.quantize_weights(model, **weights)
    return snn_keras.quantize_activations(model, **quantized)


def images(count=40, seed=3):
    return np.random.default_rng(seed).random((count, 8, 8, 2)).astype("float32")


NEURONS = [("if", 2, 4), ("if", 4, 8), ("signed", 4, 6), ("bit_serial", 15, 4)]
EVERY_NEURON = pytest.mark.parametrize("neuron, levels, timesteps", NEURONS)
WEIGHTS = [(bits, method) for bits in (8, 5, 3) for method in METHODS]


@pytest.mark.parametrize(("weights", "neurons"), in_turn(WEIGHTS, NEURONS), ids=str)
def test_integers_are_the_spiking_network(weights, neurons):
    (bits, method), (neuron, levels, timesteps) = weights, neurons
    x = images()
    model = network(levels, data=x, bits=bits, method=method)
    snn = snn_keras.convert(model, timesteps, neuron)
    net = to_integers(snn, x)
    assert net.is_exact, net.notes
    over_time = net.predict_over_time(x)
    assert np.array_equal(over_time[-1], snn.predict(x, verbose=0))
    if neuron != "bit_serial":
        # A sum is divided by the number of steps so far: exact by powers of two.
        exact = [t - 1 for t in (1, 2, 4, 8) if t <= timesteps]
        assert np.array_equal(over_time[exact], snn.predict_over_time(x)[exact])
    else:
        assert np.array_equal(over_time[-1], model.predict(x, verbose=0))


@EVERY_NEURON
def test_files_are_the_spiking_network(neuron, levels, timesteps, tmp_path):
    pytest.importorskip("ai_edge_litert", reason="pip install .[export]")
    x = images()
    snn = snn_keras.convert(network(levels, data=x), timesteps, neuron)
    expected = snn.predict(x, verbose=0)
    assert to_tflite(snn, tmp_path / "net.tflite", x).is_exact
    assert np.array_equal(TFLiteNetwork(tmp_path / "net.tflite").predict(x), expected)
    to_c(snn, tmp_path / "net", x)
    assert np.array_equal(CNetwork(tmp_path / "net").predict(x), expected)


@pytest.mark.parametrize("order", ["activations", "weights"])
def test_either_order_is_exact_and_trains_on(order):
    x = images()
    model = network(15, data=x, bits=4, order=order)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("QuantizedWeights") == 4 and kinds.count("LSQReLU") == 3
    model.compile("adam", "mse")
    before = [ops.convert_to_numpy(w.value) for w in model.trainable_weights]
    model.fit(x, drawn((len(x), 3)), batch_size=20, epochs=2, verbose=0)
    after = [ops.convert_to_numpy(w.value) for w in model.trainable_weights]
    assert all((a != b).any() for a, b in zip(before, after, strict=True))
    snn = snn_keras.convert(model)
    net = to_integers(snn, x)
    assert net.is_exact, net.notes
    expected = model.predict(x, verbose=0)
    assert np.array_equal(snn.predict(x, verbose=0), expected)
    assert np.array_equal(net.predict(x), expected)


def stored_numbers(path):
    """How many numbers the weights of a file are."""
    found = []
    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(lambda _, x: found.append(getattr(x, "size", 0)))
    return sum(found)


def test_it_is_saved_and_cloned(tmp_path):
    x = images(8)
    model = network(15, data=x, sparsity=0.5)
    expected = model.predict(x, verbose=0)
    model.save(tmp_path / "net.keras")
    numbers = sum(int(np.prod(w.shape)) for w in model.weights)
    assert stored_numbers(tmp_path / "net.keras") == numbers  # each of them once
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), expected)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert np.array_equal(clone.predict(x, verbose=0), expected)


def test_the_source_is_not_changed():
    x = images(8)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3), LSQReLU(3)])
    model(drawn((2, 4)), training=True)
    before = [w.copy() for w in model.get_weights()]
    made = snn_keras.quantize_weights(model)
    made.compile("sgd", "mse")
    made.fit(drawn((8, 4)), drawn((8, 3)), verbose=0)
    assert x is not None and not model.layers[1].dyadic
    assert all(map(np.array_equal, before, model.get_weights()))


def test_sums_of_many_large_weights_take_narrower_digits(tmp_path):
    """Digits of 4 bits would overflow 16 bits, and nothing is rounded for that."""
    pytest.importorskip("ai_edge_litert", reason="pip install .[export]")
    inputs = keras.Input((300,))
    x = LSQReLU(15, initial_step=1.0)(layers.Dense(300, name="first")(inputs))
    x = LSQReLU(15, initial_step=64.0)(layers.Dense(2, name="second")(x))
    model = keras.Model(inputs, x)
    model.get_layer("first").kernel.assign(np.eye(300))
    kernel = np.full((300, 2), 100.0)
    kernel[0] = 127.0, 1.0
    model.get_layer("second").kernel.assign(kernel)
    snn = snn_keras.convert(model, 4, "bit_serial")
    x = np.random.default_rng(0).integers(0, 16, (20, 300)).astype("float32")
    x[0] = 15.0
    net = to_tflite(snn, tmp_path / "net.tflite", x)
    assert net.is_exact
    expected = snn.predict(x, verbose=0)
    assert np.array_equal(net.predict(x), expected)
    assert np.array_equal(TFLiteNetwork(tmp_path / "net.tflite").predict(x), expected)


# --- Pruning -------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity", [0.0, 0.25, 0.9])
def test_the_smallest_weights_are_pruned(sparsity):
    made = fresh(layers.Conv2D(8, 3), (6, 6, 4), sparsity=sparsity)
    size = np.abs(ops.convert_to_numpy(made.layer.kernel.value))
    kept = ops.convert_to_numpy(made._masks[0].value).astype(bool)
    assert (~kept).sum() == int(sparsity * size.size)
    assert sparsity == 0.0 or size[~kept].max() <= size[kept].min()
    plain = ops.convert_to_numpy(made.plain().kernel.value)
    assert not plain[~kept].any()


def test_pruning_rises_and_pruned_weights_stay():
    assert [Pruning(0.5, 2, 0.25).share(e) for e in range(4)] == [
        0.25,
        0.5 - 0.25 / 8,
        0.5,
        0.5,
    ]
    x = images(20)
    model = network(15, data=x, sparsity=0.0)
    model.compile("adam", "mse")
    model.fit(x, drawn((20, 3)), epochs=3, verbose=0, callbacks=[Pruning(0.75, 2)])
    for layer in model.layers:
        if isinstance(layer, QuantizedWeights):
            kernel = ops.convert_to_numpy(layer.plain().weights[0].value)
            assert (kernel == 0).sum() >= int(0.75 * kernel.size)
    assert to_integers(snn_keras.convert(model), x).is_exact


# --- Bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"bits": 1}, "bits must be an integer from 2 to 8.*bits=1"),
        ({"bits": 9}, "bits=9"),
        ({"bits": 4.5}, "bits=4.5"),
        ({"bits": True}, "bits=True"),
        ({"bits": "8"}, "bits='8'"),
        ({"axis": 0}, "axis must be -1.*axis=0"),
        ({"axis": False}, "axis=False"),
        ({"method": "pact"}, "method must be one of .*'lsq'.*method='pact'"),
        ({"sparsity": 1.0}, "sparsity must be None or.*sparsity=1.0"),
        ({"sparsity": -0.1}, "sparsity=-0.1"),
        ({"sparsity": float("nan")}, "sparsity=nan"),
        ({"data": np.zeros((0, 4))}, "(?i)empty|no sample|at least"),
        ({"data": np.full((3, 4), np.nan)}, "(?i)finite"),
        ({"data": np.zeros((3, 5))}, r"5"),
    ],
)
def test_bad_arguments(settings, message):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ValueError, match=message):
        snn_keras.quantize_weights(model, **settings)


def test_what_has_no_kernel_is_refused():
    inputs = keras.Input((4,), name="x")
    model = keras.Model(inputs, layers.ReLU()(inputs), name="net")
    with pytest.raises(
        ConversionError, match=r"'net' has no layer with a kernel.*ReLU"
    ):
        snn_keras.quantize_weights(model)
    twice = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    with pytest.raises(ConversionError, match="not quantized already"):
        snn_keras.quantize_weights(snn_keras.quantize_weights(twice))
    with pytest.raises(ValueError, match=r"'relu'.*has no weight named kernel"):
        QuantizedWeights(layers.ReLU(name="relu")).build((None, 4))
    with pytest.raises(ValueError, match=r"exponent must be an integer.*0.5"):
        QuantizedInput(0.5)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"sparsity": 1.0, "epochs": 2}, "sparsity=1.0"),
        ({"sparsity": 0.2, "epochs": 2, "first": 0.5}, "first=0.5"),
        ({"sparsity": 0.5, "epochs": 0}, "epochs=0"),
    ],
)
def test_bad_schedules(settings, message):
    with pytest.raises(ValueError, match=message):
        Pruning(**settings)


def test_pruning_needs_masks():
    model = snn_keras.quantize_weights(
        keras.Sequential([keras.Input((4,)), layers.Dense(3, name="dense")])
    )
    model.compile("sgd", "mse")
    x, y = drawn((4, 4)), drawn((4, 3))
    with pytest.raises(ConversionError, match=r"sparsity=0.0"):
        model.fit(x, y, verbose=0, callbacks=[Pruning(0.5, 1)])
    with pytest.raises(ValueError, match="'dense' was made without pruning"):
        model.get_layer("dense").prune(0.5)


def test_an_input_that_is_clipped_needs_eight_bits():
    x = images(8)
    snn = snn_keras.convert(network(15, data=x))
    assert to_integers(snn, x, "uint8").is_exact
    with pytest.raises(ConversionError, match=r'int16 does not.*input_dtype="int8"'):
        to_integers(snn, x, "int16")
