"""What an export refuses: by name, and with a remedy after which it exports."""

import re

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras.errors import ConversionError
from snn_keras.export import nir, rounding, to_integers, to_nir
from snn_keras.layers import LSQReLU
from snn_keras.linear import registry
from tests.users import closed

IMAGES = np.random.default_rng(0).random((3, 6, 6, 4), "float32")


def is_dense(layer):
    return isinstance(getattr(layer, "operation", None), layers.Dense)


def act():
    return LSQReLU(3, initial_step=0.5)


def network(*between, neuron="if", timesteps=2, **options):
    """A spiking network with functions of a tensor between its neurons."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input(IMAGES.shape[1:])
    x = act()(layers.Conv2D(4, 1)(x))
    for function in between:
        x = function(x)
    x = layers.Dense(2)(layers.Flatten()(act()(x)))
    model = keras.Model(inputs, x)
    return snn_keras.convert(model, timesteps, neuron, **options)


def as_integers(snn, folder):
    return to_integers(snn, IMAGES)


def as_nir(snn, folder):
    pytest.importorskip("nir", reason="pip install .[nir]")
    return to_nir(snn, folder / "net.nir")


@closed
class Doubled(layers.Conv2D):
    """A layer whose `call` is its own."""

    def call(self, inputs):
        return 2 * super().call(inputs)


def in_front(layer, **options):
    """A network with a layer in front of all neurons, where any layer converts."""
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Flatten()(act()(layers.Conv2D(4, 3)(layer(inputs))))
    return snn_keras.convert(keras.Model(inputs, layers.Dense(2)(x)), 2, **options)


def of_size(*shape):
    """A network for inputs of some shape."""
    inputs = keras.Input(shape)
    x = layers.GlobalAveragePooling2D()(act()(layers.Conv2D(4, 3)(inputs)))
    return snn_keras.convert(keras.Model(inputs, layers.Dense(2)(x)), 2)


def pooled(**options):
    """A network with max pooling, its ReLUs quantized."""
    inputs = keras.Input(IMAGES.shape[1:])
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    ann = snn_keras.quantize_activations(model, 3, data=IMAGES, **options)
    return snn_keras.convert(ann, 2)


def of_two(combine):
    """`combine` of two linear maps of a tensor."""
    return lambda x: combine(layers.Conv2D(4, 1)(x), layers.Conv2D(4, 1)(x))


def turned(x, *axes):
    return ops.transpose(x, axes)


def deep(x, between=()):
    """Linear layers one behind the other, and what stands between them."""
    for _ in range(5):
        x = layers.Dense(64)(x)
        for layer in between:
            x = layer()(x)
    return x


# What is refused, by which export, why, and what is exported once it is mended.
BOTH = {
    "an open size": (
        lambda: of_size(None, None, 4),
        "keras.Input has every size",
        lambda: of_size(6, 6, 4),
    ),
    "noisy neurons": (
        lambda: network(neuron="noisy_lif"),
        r'NoisyLIFCell.*neuron="if"',
        lambda: network(neuron="if"),
    ),
    "softmax in between": (
        lambda: network(layers.Softmax()),
        r"end of a network.*snn_keras.layers.LSQReLU",
        lambda: network(act()),
    ),
    "a derived class": (
        lambda: in_front(Doubled(4, 3)),
        r"Doubled.*derived from Conv2D.*keras.layers.Conv2D",
        lambda: in_front(layers.Conv2D(4, 3)),
    ),
    "channels first": (
        lambda: in_front(layers.AveragePooling2D(1, data_format="channels_first")),
        'data_format="channels_last"',
        lambda: in_front(layers.AveragePooling2D(1, data_format="channels_last")),
    ),
}
INTEGERS = BOTH | {
    "bit-serial neurons, step by step": (
        lambda: network(neuron="bit_serial", fused=False),
        "fused=True",
        lambda: network(neuron="bit_serial", fused=True),
    ),
    "corrected neurons": (
        lambda: network(neuron="srp"),
        r'SRPCell.*neuron="if"',
        lambda: network(neuron="signed"),
    ),
    "a curve": (
        lambda: network(layers.Activation("tanh")),
        "snn_keras.layers.LSQReLU",
        lambda: network(act()),
    ),
    "another layer": (
        lambda: in_front(layers.LayerNormalization()),
        r"LayerNormalization.*in its place one of .*BatchNormalization",
        lambda: in_front(layers.BatchNormalization()),
    ),
    "a layer of three dimensions": (
        lambda: in_front(
            lambda x: layers.Reshape((6, 6, 4))(
                layers.Conv3D(1, 1)(layers.Reshape((6, 6, 4, 1))(x))
            )
        ),
        r"Conv3D.*images and sequences.*in its place one of .*Conv2D,",
        lambda: in_front(layers.Conv2D(4, 1)),
    ),
    "a product": (
        lambda: in_front(lambda x: x * layers.Conv2D(4, 1)(x)),
        "keras.layers.Add",
        lambda: in_front(lambda x: layers.Add()([x, layers.Conv2D(4, 1)(x)])),
    ),
    "a quotient": (
        lambda: in_front(lambda x: layers.Conv2D(4, 1)(x) / x),
        "keras.layers.Subtract",
        lambda: in_front(lambda x: layers.Subtract()([layers.Conv2D(4, 1)(x), x])),
    ),
    "the batch axis moved": (
        lambda: in_front(lambda x: turned(turned(x, 1, 0, 2, 3), 1, 0, 2, 3)),
        "keras.layers.Permute",
        lambda: in_front(layers.Permute((2, 1, 3))),
    ),
    "interpolation": (
        lambda: network(layers.UpSampling2D(interpolation="bilinear")),
        'interpolation="nearest"',
        lambda: network(layers.UpSampling2D(interpolation="nearest")),
    ),
    "an axis taken away": (
        lambda: network(lambda x: x[:, 0]),
        "keras.layers.Reshape",
        lambda: network(lambda x: layers.Reshape((6, 4))(x[:, 0:1])),
    ),
    "backwards": (
        lambda: network(lambda x: x[:, ::-1]),
        "a stride of 1 or more",
        lambda: network(lambda x: x[:, ::1]),
    ),
    "padding by ones": (
        lambda: in_front(
            lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=1)
        ),
        r"keras.ops.pad\(x, pad_width\)",
        lambda: in_front(lambda x: ops.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))),
    ),
    "linear layers without end": (
        lambda: network(deep),
        r"may reach.*a quantized activation behind 'dense",
        lambda: network(lambda x: deep(x, [act])),
    ),
}

NIR = BOTH | {
    "another axis normalized": (
        lambda: network(layers.BatchNormalization(axis=1)),
        "axis=-1",
        lambda: network(layers.BatchNormalization(axis=-1)),
    ),
    "switched input": (
        lambda: network(neuron="signed"),
        r'switched off.*neuron="if"',
        lambda: network(neuron="if"),
    ),
    "max pooling": (
        pooled,
        r"quantize_activations\(..., replace_max_pooling=True\)",
        lambda: pooled(replace_max_pooling=True),
    ),
    "another layer": (
        lambda: network(layers.Conv2DTranspose(4, 3, 2)),
        r"Conv2DTranspose.*in its place one of .* Conv2D,",
        lambda: network(layers.Conv2D(4, 3)),
    ),
    "dense layers of images": (
        lambda: network(layers.Dense(4)),
        r"keras.layers.Flatten .*keras.layers.Conv2D\(units, 1\)",
        lambda: network(layers.Conv2D(4, 1)),
    ),
    "dense layers of images, flattened": (
        lambda: network(layers.Dense(4)),
        "keras.layers.Flatten",
        lambda: network(layers.Flatten(), layers.Dense(4)),
    ),
    "a kernel that is not square": (
        lambda: network(layers.Conv2D(4, (2, 3))),
        r"not square.*padding=\"valid\".*ZeroPadding2D",
        lambda: network(layers.ZeroPadding2D(1), layers.Conv2D(4, 3)),
    ),
    "padding that dilation does not reach": (
        lambda: network(layers.Conv2D(4, 2, dilation_rate=3, padding="same")),
        r"dilated tap.*padding=\"valid\".*ZeroPadding2D",
        lambda: network(layers.ZeroPadding2D(2), layers.Conv2D(4, 2, dilation_rate=3)),
    ),
    "a sum of two shapes": (
        lambda: network(lambda x: x + layers.Conv2D(4, 6)(x)),
        r"in front of keras.layers.Flatten, of equal shapes",
        lambda: network(lambda x: x + layers.Conv2D(4, 1)(x)),
    ),
    "pooling that pads": (
        lambda: network(layers.AveragePooling2D(4, padding="same")),
        'padding="valid"',
        lambda: network(layers.AveragePooling2D(4, padding="valid")),
    ),
    "pooling that keeps its axes": (
        lambda: network(layers.GlobalAveragePooling2D(keepdims=True)),
        "keepdims=False",
        lambda: network(layers.GlobalAveragePooling2D(keepdims=False)),
    ),
    "a part of an image": (
        lambda: network(lambda x: x[:, :4, :4]),
        "every so many pixels from the first",
        lambda: network(lambda x: x[:, ::2, ::2]),
    ),
}


def assert_refused_and_mended(export, row, folder):
    refused, message, mended = row
    with pytest.raises(ConversionError, match=f"(?s){message}"):
        export(refused(), folder)
    assert not list(folder.iterdir())
    export(mended(), folder)


@pytest.mark.parametrize("name", INTEGERS)
def test_integers_are_refused_with_a_remedy(name, tmp_path):
    assert_refused_and_mended(as_integers, INTEGERS[name], tmp_path)


@pytest.mark.parametrize("name", NIR)
def test_nir_is_refused_with_a_remedy(name, tmp_path):
    assert_refused_and_mended(as_nir, NIR[name], tmp_path)


@pytest.mark.parametrize("export", [rounding, nir])
def test_layers_that_a_remedy_names_have_a_form(export):
    for name in export.writer.LAYERS:
        kind = getattr(layers, name)
        assert kind in export.writer.rule._rules or kind in registry._FORMS, name


@pytest.mark.parametrize(("neuron", "timesteps"), [("if", 2**28), ("bit_serial", 28)])
def test_the_number_of_steps_in_a_remedy_will_do(neuron, timesteps):
    with pytest.raises(ConversionError, match="32 bits hold") as refused:
        to_integers(network(neuron=neuron, timesteps=timesteps), IMAGES)
    fewer = int(re.search(r"timesteps=(\d+)", str(refused.value)).group(1))
    assert 1 < fewer < timesteps
    to_integers(network(neuron=neuron, timesteps=fewer), IMAGES)


def test_sums_of_inputs_of_16_bits_may_be_too_large():
    inputs = keras.Input((300, 300, 1))
    x = layers.Dense(2)(act()(layers.GlobalAveragePooling2D()(inputs)))
    snn = snn_keras.convert(keras.Model(inputs, x), 2)
    images = np.random.default_rng(0).random((1, 300, 300, 1), "float32")
    with pytest.raises(ConversionError, match=r'may reach .*input_dtype="int8"'):
        to_integers(snn, images, input_dtype="int16")
    to_integers(snn, images, input_dtype="int8")


@pytest.mark.parametrize("export", [as_integers, as_nir])
@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
def test_what_keras_quantized_is_refused(mode, export, tmp_path):
    snn = network()
    dense = next(x.operation for x in snn.layers if is_dense(x))
    dense.quantize(mode)
    with pytest.raises(ConversionError, match=rf"'dense.*{mode}.*Remedy.*quantize\(\)"):
        export(snn, tmp_path)
    export(network(), tmp_path)


def ends_of(*ends):
    """A network of dyadic weights, and its input, features or sums as outputs."""
    inputs = keras.Input((4,), name="x")
    hidden = layers.Dense(3, name="hidden")(act()(layers.Dense(2)(inputs)))
    known = {"x": inputs, "hidden": hidden, "last": layers.Dense(2)(hidden)}
    model = keras.Model(inputs, [known[name] for name in ends])
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.set_weights([rng.integers(-4, 5, w.shape) / 4 for w in layer.weights])
    return snn_keras.convert(model, 2, "bit_serial")


def test_an_output_may_be_read_by_a_layer_of_weights():
    snn = ends_of("hidden", "last")
    x = np.random.default_rng(0).integers(-4, 5, (9, 4)) / 4
    for ours, theirs in zip(
        to_integers(snn, x).predict(x), snn.predict(x, verbose=0), strict=True
    ):
        assert np.ptp(ours) > 0 and np.array_equal(ours, theirs)


def test_an_output_is_no_input():
    with pytest.raises(ConversionError, match=r"^input 'x' of .* is among its outputs"):
        to_integers(ends_of("x", "last"), np.ones((1, 4)))
