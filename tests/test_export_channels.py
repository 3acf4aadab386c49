"""Channels of all sizes: each in a unit as fine as 32 bits allow, and no finer.

With `u` the unit of a channel, integers are the nearest to their real values: a weight
`W = w / u + a`, an offset `O = b / u + c`, a threshold `P = theta / u + d`, with `a`,
`c` and `d` at most 1/2. So `|O theta - b P| <= (theta + |b|) / 2`, whatever the unit.
"""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras.export import integer, to_integers
from snn_keras.layers import LSQReLU
from tests.subjects import COUNTING, in_turn

CHANNELS = 4
TIMESTEPS = 4
IMAGES = np.random.default_rng(0).random((4, 6, 6, CHANNELS), "float32")
TINY = [1e-3, 1e-6, 1e-9, 1e-20, 0.0]
KINDS = {
    "Conv2D": lambda: layers.Conv2D(CHANNELS, 3, name="layer"),
    "DepthwiseConv2D": lambda: layers.DepthwiseConv2D(3, name="layer"),
    "SeparableConv2D": lambda: layers.SeparableConv2D(CHANNELS, 3, name="layer"),
    "Dense": lambda: layers.Dense(CHANNELS, name="layer"),
    "Conv2DTranspose": lambda: layers.Conv2DTranspose(CHANNELS, 3, name="layer"),
    "Conv1D": lambda: layers.Conv1D(CHANNELS, 3, name="layer"),
}


def source(kind="Conv2D", residual=False, step=0.25):
    """A network whose second layer of neurons reads a layer that is normalized."""
    keras.utils.set_random_seed(1)
    layer = KINDS[kind]()
    x = inputs = keras.Input((6, CHANNELS) if kind == "Conv1D" else (6, 6, CHANNELS))
    x = shortcut = LSQReLU(3, initial_step=0.3, name="first")(layers.Dense(4)(x))
    x = layers.BatchNormalization(name="norm")(layer(x))
    if residual:
        x = layers.Add(name="sum")([x, layers.Cropping2D(1)(shortcut)])
    x = LSQReLU(3, initial_step=step, name="second")(x)
    model = keras.Model(inputs, layers.Dense(2, name="last")(layers.Flatten()(x)))
    rng = np.random.default_rng(1)
    ends = [(0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3), (0.5, 1.5)]
    model.get_layer("norm").set_weights([rng.uniform(*e, CHANNELS) for e in ends])
    layer.bias.assign(rng.uniform(-0.3, 0.3, layer.bias.shape))
    return model


def with_channel(model, factor, bias):
    """The model, what its layer sends in channel 2 times `factor`, plus `bias`."""
    norm = model.get_layer("norm")
    gamma, beta, mean, variance = norm.get_weights()
    gamma[2] *= factor
    beta[2] = bias
    norm.set_weights([gamma, beta, mean, variance])
    return model


def with_column(model, factor, bias):
    """The model, the weights of channel 2 times `factor`, and their bias set."""
    layer = model.get_layer("layer")
    *kernels, offset = layer.get_weights()
    kernel = kernels[-1]
    if isinstance(layer, layers.DepthwiseConv2D | layers.Conv2DTranspose):
        kernel[..., 2, :] *= factor
    else:
        kernel[..., 2] *= factor
    offset[2] = bias
    layer.set_weights([*kernels, offset])
    return model


def quantized(model, neuron="if", timesteps=TIMESTEPS):
    images = IMAGES[:, 0] if len(model.input_shape) == 3 else IMAGES
    return to_integers(snn_keras.convert(model, timesteps, neuron), images)


def theta_of(model, name, neuron="if"):
    layer, steps = model.get_layer(name), model.get_layer(name).levels
    if neuron == "differential":  # its largest size
        steps = 2 ** (steps.bit_length() - 1)
    return steps * float(keras.ops.convert_to_numpy(layer.step))


def real_channels(model, neuron="if"):
    """What a threshold sent adds to each channel, and their offsets, in float64."""
    layer, norm = model.get_layer("layer"), model.get_layer("norm")
    gamma, beta, mean, variance = (w.astype("float64") for w in norm.get_weights())
    gain = gamma / np.sqrt(variance + norm.epsilon)
    *kernels, bias = (w.astype("float64") for w in layer.get_weights())
    kernel = kernels[0]
    if len(kernels) > 1:
        kernel = kernel * kernels[1].reshape(CHANNELS, CHANNELS)
    elif isinstance(layer, layers.DepthwiseConv2D):
        kernel = kernel[..., 0]
    elif isinstance(layer, layers.Conv2DTranspose):
        kernel = kernel[::-1, ::-1].swapaxes(-1, -2)
    return kernel * gain * theta_of(model, "first", neuron), beta + gain * (bias - mean)


def of_second(net):
    """Kernel, gain, offset and threshold of the second neurons, channels last."""
    made = {x.name: x for x in net.operations}
    operation = made["second"]
    parts, gain, offset = operation.threshold, 1, 0
    while not hasattr(operation, "kernel"):
        operation = made[operation.inputs[0]]
        if isinstance(operation, integer.Shift):
            offset = operation.offset
        elif isinstance(operation, integer.Scale):
            gain = gain * operation.factor
    kernel = operation.kernel.astype("float64")
    kernel = kernel[..., 0] if kernel.shape[-1] == 1 else kernel
    return kernel, *np.broadcast_arrays(gain, offset, parts)


def assert_nearest(number, real, parts, theta, grain=1):
    """`number`, a multiple of `grain`, means `real`, as `parts` mean `theta`."""
    most = (grain * theta + np.abs(real)) / 2
    # The source's weights are float32.
    assert np.all(np.abs(number * theta - real * parts) <= 1.001 * most)


def assert_channels_are_nearest(model, net, neuron="if"):
    kernel, gain, offset, parts = of_second(net)
    real_kernel, real_offset = real_channels(model, neuron)
    theta = theta_of(model, "second", neuron)
    assert_nearest(offset, real_offset, parts, theta)
    (first,) = (x for x in net.operations if x.name == "first")
    units = 2 ** (getattr(first, "sizes", 1) - 1)  # to a threshold
    real_kernel = real_kernel.reshape(kernel.shape) / units
    assert_nearest(kernel * gain, real_kernel, parts, theta, gain)


@pytest.mark.parametrize(("kind", "bias"), in_turn(KINDS, [0.3, -1e4, 1e8, 1e-12]))
def test_a_channel_that_is_nearly_dead(kind, bias):
    for factor in TINY:
        model = with_channel(source(kind), factor, bias)
        assert_channels_are_nearest(model, quantized(model))


@pytest.mark.parametrize(("kind", "neuron"), in_turn(KINDS, COUNTING))
def test_a_column_that_is_nearly_nothing(kind, neuron):
    for factor in TINY:
        for bias in (0.3, -1e6):
            model = with_column(source(kind), factor, bias)
            assert_channels_are_nearest(model, quantized(model, neuron), neuron)


@pytest.mark.parametrize("step", [1e-2, 1e-4, 1e-6, 1e4])
def test_thresholds_of_all_sizes(step):
    model = source(step=step)
    net = quantized(model)
    assert_channels_are_nearest(model, net)
    assert (of_second(net)[-1] >= 16).all()  # finer than the weights, if need be


def test_no_unit_is_coarser_than_32_bits_ask():
    for factor in TINY[:-1]:
        for bias in (0.3, -1e4):
            net = quantized(with_channel(source(), factor, bias))
            kernel = of_second(net)[0]
            low, high = (
                getattr(net.state_intervals["second"][0], end)[2]
                for end in ("low", "high")
            )
            assert np.abs(kernel[..., 2]).max() >= 64 or max(high, -low) >= 2**30


def test_a_residual_sum_of_very_different_branches():
    for factor in TINY:
        model = with_channel(source(residual=True), factor, 0.3)
        net = quantized(model)
        made = {x.name: x for x in net.operations}
        (add,) = (x for x in net.operations if isinstance(x, integer.Add))
        gains = [made[name] for name in add.inputs]
        (gain,) = (x.factor for x in gains if isinstance(x, integer.Scale))
        parts, theta = made["second"].threshold, theta_of(model, "second")
        assert_nearest(gain, theta_of(model, "first"), parts, theta)


@pytest.mark.parametrize("factor", [1e-9, 1e-20, 0.0])
@pytest.mark.parametrize(
    ("bias", "timesteps"), [(0.3, 8), (0.3, 1), (0.7, 4), (5.0, 3)]
)
def test_a_dead_channel_fires_as_its_bias_says(factor, bias, timesteps):
    model = with_channel(source(), factor, bias)
    net = quantized(model, timesteps=timesteps)
    spikes = [values["second"][..., 2] for values, _ in net.run(net.quantize(IMAGES))]
    theta = theta_of(model, "second")
    count = min(timesteps, np.floor((timesteps * bias + theta / 2) / theta))
    assert np.all(sum(spikes) == count)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("residual", [False, True])
def test_dead_channels_that_weights_read(padding, residual):
    """No neurons between: the constant of a dead channel meets the next weights."""
    errors = []
    for factor in (1.0, 1e-6, 1e-12, 0.0):
        keras.utils.set_random_seed(2)
        x = inputs = keras.Input((6, 6, CHANNELS))
        x = y = LSQReLU(3, initial_step=0.3, name="first")(layers.Conv2D(4, 1)(x))
        x = layers.Conv2D(CHANNELS, 3, padding="same", name="layer")(x)
        x = layers.BatchNormalization(name="norm")(x)
        x = layers.Add()([x, y]) if residual else x
        x = layers.Conv2D(3, 3, padding=padding)(x)
        model = keras.Model(inputs, layers.GlobalAveragePooling2D()(x))
        snn = snn_keras.convert(with_channel(model, factor, 0.7), TIMESTEPS)
        expected = keras.ops.convert_to_numpy(snn(IMAGES))
        received = to_integers(snn, IMAGES).predict(IMAGES)
        errors.append(np.abs(received - expected).max() / np.abs(expected).max())
    assert max(errors) < 0.03


@pytest.mark.parametrize("factor", TINY)
def test_an_output_that_is_only_a_bias(factor):
    model = source()
    kernel, bias = model.get_layer("last").get_weights()
    kernel[:, 1] *= factor
    bias[1] = 0.3
    model.get_layer("last").set_weights([kernel, bias])
    net = quantized(model)
    (out,) = net.outputs
    most = out.scale / 2 + np.abs(kernel[:, 1]).sum() * theta_of(model, "second")
    assert np.all(np.abs(net.predict(IMAGES)[:, 1] - 0.3) <= 1.001 * most)


@pytest.mark.parametrize("timesteps", [8, 16, 20])
def test_bits_are_told_apart_however_many(timesteps):
    """Twice the last bit is more than the threshold's own rounding."""
    net = quantized(source(), "bit_serial", timesteps)
    for layer in net.neurons:
        assert np.all(layer.threshold % 2**timesteps == 0)
    model = source()
    theta = float(2 ** int(np.ceil(np.log2(3 + 1)))) * 0.25
    _, _, offset, parts = of_second(net)
    assert_nearest(offset, real_channels(model)[1], parts, theta, 2**timesteps)


def beside_sums(is_dyadic):
    """Spikes beside the sums of a layer without neurons, read by one layer."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, CHANNELS))
    x = LSQReLU(3, initial_step=0.5)(layers.Conv2D(4, 3, padding="same")(inputs))
    sums = layers.Conv2D(5, 3, padding="same")(x)
    x = layers.Conv2D(6, 3, name="reads")(layers.Concatenate()([sums, x]))
    x = layers.Flatten()(LSQReLU(3, initial_step=0.5)(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    if is_dyadic:
        weights = [np.clip(np.round(4 * w) / 4, -1, 1) for w in model.get_weights()]
        model.set_weights(weights)
    return model


@pytest.mark.parametrize("neuron", COUNTING)
def test_weights_of_spikes_beside_sums_keep_bits(neuron):
    net = quantized(beside_sums(is_dyadic=False), neuron)
    kernel = next(x.kernel for x in net.operations if x.name == "reads")
    assert np.abs(kernel[..., :5, :]).max() >= 16
    assert np.abs(kernel[..., 5:, :]).max() >= 16


def test_what_is_exact_stays_as_it_is():
    net = quantized(beside_sums(is_dyadic=True))
    assert not any(type(x) is integer.Scale for x in net.operations)
