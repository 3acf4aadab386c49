"""Linear forms: each is its layer, and a layer of one's own needs nothing else."""

import dataclasses
import itertools
import math

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import analysis, linear
from snn_keras._keras import LayerScale
from snn_keras.export import from_nir, to_integers, to_nir
from snn_keras.graph import trace
from snn_keras.layers import LSQReLU
from snn_keras.time import Spiking
from tests.graphs import dyadic

LINE, IMAGE, VOLUME = (7, 4), (6, 5, 4), (4, 5, 3, 2)
SHAPES = {1: LINE, 2: IMAGE, 3: VOLUME}
FIRST, LAST = "channels_first", "channels_last"


def convolutions():
    """Every convolution of Keras, over all of its settings that go together."""
    for rank, (stride, dilation), padding, groups, data_format in itertools.product(
        SHAPES,
        [(1, 1), (2, 1), (1, 2), (3, 1)],
        ["valid", "same", "causal"],
        [1, 2],
        [LAST, FIRST],
    ):
        settings = {
            "strides": stride,
            "dilation_rate": dilation,
            "padding": padding,
            "data_format": data_format,
        }
        window = (2, 3, 1)[-rank:]
        name = f"{rank}D {stride} {dilation} {padding} {data_format}"
        if padding != "causal" or rank == 1:
            kind, given = getattr(layers, f"Conv{rank}D"), settings | {"groups": groups}
            yield f"Conv {name} {groups}", kind, (4, window), given, SHAPES[rank]
        if padding == "causal" or groups > 1:
            continue
        kind = getattr(layers, f"Conv{rank}DTranspose")
        yield f"transposed {name}", kind, (3, window), settings, SHAPES[rank]
        if rank < 3:
            given = settings | {"depth_multiplier": 2}
            square = window if stride == 1 else 3
            kind = getattr(layers, f"DepthwiseConv{rank}D")
            yield f"depthwise {name}", kind, (square,), given, SHAPES[rank]
            kind = getattr(layers, f"SeparableConv{rank}D")
            yield f"separable {name}", kind, (3, square), given, SHAPES[rank]


def pools():
    """Average pooling of Keras, likewise; windows whose means are dyadic."""
    for rank, stride, padding, data_format in itertools.product(
        SHAPES, [None, 1, 3], ["valid", "same"], [LAST, FIRST]
    ):
        kind, window = getattr(layers, f"AveragePooling{rank}D"), (2, 1, 2)[-rank:]
        settings = {"padding": padding, "data_format": data_format}
        name = f"{rank}D {stride} {padding} {data_format}"
        yield f"pool {name}", kind, (window, stride), settings, SHAPES[rank]


def others():
    """Layers of other forms, whose data format matters."""
    for data_format in (LAST, FIRST):
        given = {"data_format": data_format}
        for rank, shape in SHAPES.items():
            sides = ((1, 2), (0, 1), (2, 0))[:rank] if rank > 1 else ((1, 2),)
            pads = sides if rank > 1 else sides[0]
            crops = ((1, 1), (0, 1), (1, 0))[:rank] if rank > 1 else (1, 2)
            for name, arguments in (
                ("ZeroPadding", (pads,)),
                ("Cropping", (crops,)),
                ("UpSampling", ((2, 1, 3)[:rank] if rank > 1 else 2,)),
            ):
                kind = getattr(layers, f"{name}{rank}D")
                if rank > 1 or (data_format, name) == (LAST, "ZeroPadding"):
                    yield f"{name}{rank}D {data_format}", kind, arguments, given, shape
        bilinear = given | {"interpolation": "bilinear"}
        yield f"bilinear {data_format}", layers.UpSampling2D, (2,), bilinear, IMAGE
        for keepdims in (False, True):
            kind = layers.GlobalAveragePooling2D
            name, settings = f"means {data_format} {keepdims}", {"keepdims": keepdims}
            yield name, kind, (), given | settings, (2, 4, 3)


GRID = {name: case for name, *case in (*convolutions(), *pools(), *others())}
TRANSPOSED = {
    f"{kernel} {stride} {padding} {more}": (kernel, stride, padding, more)
    for kernel, stride, padding, more in itertools.product(
        [1, 2, 3, 4], [2, 3], ["valid", "same"], [0, 1]
    )
    if kernel % 2 or more  # what TensorFlow computes
}

CONSTANT = np.array([[1.0, -0.5, 0.25, 2.0]], "float32")
PLAIN = {
    "dense": (layers.Dense(3), IMAGE),
    "einsum": (layers.EinsumDense("abc,cd->abd", (7, 3), bias_axes="d"), LINE),
    "einsum all": (layers.EinsumDense("abc,bcd->ad", 3, bias_axes="d"), LINE),
    "einsum along": (layers.EinsumDense("abc,bd->adc", (2, 4), bias_axes="d"), LINE),
    "einsum rest": (layers.EinsumDense("...c,cd->...d", 3, bias_axes="d"), LINE),
    "norm": (layers.BatchNormalization(epsilon=0.25), IMAGE),
    "norm axis": (layers.BatchNormalization(1, epsilon=0.25), IMAGE),
    "norm plain": (layers.BatchNormalization(epsilon=0.25, scale=False), LINE),
    "normalization": (
        layers.Normalization(mean=[1.0, 2, 0, 1], variance=[4.0, 1, 16, 4]),
        LINE,
    ),
    "normalization back": (layers.Normalization(mean=1, variance=4, invert=True), LINE),
    "rescaling": (layers.Rescaling([1.0, -2.0, 0.0, 4.0], 0.5), LINE),
    "layer scale": (LayerScale(0.5, 4), LINE),
    "dropout": (layers.Dropout(0.5), LINE),
    "add": (layers.Add(), LINE, LINE, (7, 1)),
    "subtract": (layers.Subtract(), LINE, LINE),
    "average": (layers.Average(), LINE, LINE),
    "crop": (layers.Cropping1D((1, 2)), LINE),
    "up": (layers.UpSampling1D(2), LINE),
    "concatenate": (layers.Concatenate(1), LINE, (2, 4)),
    "reshape": (layers.Reshape((10, -1)), IMAGE),
    "flatten": (layers.Flatten(), IMAGE),
    "permute": (layers.Permute((3, 1, 2)), IMAGE),
    "ops add": (ops.add, LINE, LINE),
    "ops add constant": (lambda x: x + CONSTANT, LINE),
    "ops add wider": (lambda x: x + np.tile(CONSTANT.T, (1, 1, 4)), (1, 4)),
    "ops subtract": (lambda x: ops.subtract(CONSTANT, x), LINE),
    "ops multiply": (lambda x: x * CONSTANT, LINE),
    "ops divide": (lambda x: x / CONSTANT, LINE),
    "ops negative": (lambda x: -x, LINE),
    "ops mean": (lambda x: ops.mean(x, axis=(-1, 2)), (3, 2, 4)),
    "ops sum": (lambda x: ops.sum(x, axis=2, keepdims=True), IMAGE),
    "ops concatenate": (lambda x, y: ops.concatenate([x, y], -1), LINE, (7, 2)),
    "ops reshape": (lambda x: ops.reshape(x, (-1, 4, 7)), LINE),
    "ops expand": (lambda x: ops.expand_dims(x, -2), LINE),
    "ops transpose": (lambda x: ops.transpose(x, (0, 2, 1)), LINE),
    "ops item": (lambda x: x[:, 1::2, :-1], LINE),
    "ops pad": (lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 1))), LINE),
}


def called(operation, xs):
    many = isinstance(operation, layers.Layer) and len(xs) > 1
    return operation(xs) if many else operation(*xs)


def form_of(operation, *shapes):
    """The form of the last of what is called, and inputs for it."""
    inputs = [keras.Input(shape) for shape in shapes]
    node = trace(keras.Model(inputs, called(operation, inputs))).nodes[-1]
    rng = np.random.default_rng(0)
    if isinstance(operation, layers.BatchNormalization):
        weights = [dyadic(rng, w.shape) for w in operation.get_weights()]
        weights[-1] = np.full(weights[-1].shape, 1 - operation.epsilon)
        operation.set_weights(weights)
    elif isinstance(operation, layers.Layer):
        operation.set_weights([dyadic(rng, w.shape) for w in operation.get_weights()])
    return linear.form_of(node), [dyadic(rng, (3, *shape), 8, 8) for shape in shapes]


def matrix_of(form, *shapes):
    """Arrays `(inputs, outputs)` and `(outputs,)`: flat, y = x @ matrix + constant."""
    sizes = [math.prod(shape) for shape in shapes]
    rows = np.pad(np.eye(sum(sizes)), ((0, 1), (0, 0)))
    parts = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    pairs = zip(parts, shapes, strict=True)
    y = form.apply(*(x.reshape(len(x), *shape) for x, shape in pairs))
    y = y.reshape(len(rows), -1)
    return y[:-1] - y[-1], y[-1]


def assert_is(form, xs, expected):
    """The form makes what the layer makes, by its equation and as a matrix."""
    expected = ops.convert_to_numpy(expected)
    assert np.array_equal(form.apply(*xs), expected)
    weights, constant = matrix_of(form, *(x.shape[1:] for x in xs))
    flat = np.concatenate([x.reshape(len(x), -1) for x in xs], axis=1)
    assert np.array_equal(flat @ weights + constant, expected.reshape(len(flat), -1))
    assert_counts(form, xs, weights)


def assert_counts(form, xs, weights):
    """What energy counts are the matrix's entries that are not 0."""
    ones = [np.ones_like(x[:1]) for x in xs]
    if not form.weighs:
        weights = (abs(weights) > 0).sum(0)
        assert np.array_equal(form.hand_on(*ones).ravel(), weights)
        return
    (shape,) = (x.shape[1:] for x in xs)
    first = getattr(form, "depthwise", form)
    full = dataclasses.replace(first, kernel=np.ones_like(first.kernel))
    reached = matrix_of(full, shape)[0] != 0
    assert np.array_equal(form.fan_out(shape).ravel(), reached.sum(1))
    behind = form.pointwise.kernel.shape[-1] if first is not form else 0
    assert form.inside(shape) == reached.shape[1] * behind


@pytest.mark.parametrize("name", GRID)
def test_forms_are_their_layers_over_all_settings(name):
    kind, arguments, settings, shape = GRID[name]
    layer = kind(*arguments, **settings)
    if settings["data_format"] == LAST:
        form, (x,) = form_of(layer, shape)
        return assert_is(form, [x], layer(x))
    # Not every backend computes channels first: those of the last, turned.
    form, (x,) = form_of(layer, (shape[-1], *shape[:-1]))
    last = kind(*arguments, **settings | {"data_format": LAST})
    turned = np.moveaxis(x, 1, -1)
    y = last(turned)
    last.set_weights(layer.get_weights())
    y = ops.convert_to_numpy(last(turned))
    assert_is(form, [x], np.moveaxis(y, -1, 1) if y.ndim > 2 else y)


@pytest.mark.parametrize("name", TRANSPOSED)
def test_forms_of_padded_transposed_convolutions(name):
    kernel, stride, padding, more = TRANSPOSED[name]
    settings = {"padding": padding, "output_padding": more}
    layer = layers.Conv2DTranspose(3, (kernel, 1), (stride, 2), **settings)
    form, (x,) = form_of(layer, IMAGE)
    assert_is(form, [x], layer(x))


@pytest.mark.parametrize("name", PLAIN)
def test_forms_are_their_layers(name):
    operation, *shapes = PLAIN[name]
    if isinstance(operation, layers.Layer):
        operation = operation.from_config(operation.get_config())
    form, xs = form_of(operation, *shapes)
    assert_is(form, xs, called(operation, xs))


def test_what_computes_something_else_inherits_no_form():
    class Doubled(layers.Dense):
        def call(self, x):
            return 2 * super().call(x)

    assert form_of(Doubled(3), LINE)[0] is None
    with pytest.raises(linear.NoForm, match=r"activation.*Remedy"):
        form_of(layers.Dense(3, activation="tanh"), LINE)


# --- Layers of somebody's own, of which nothing is said but their form ---------------


@keras.saving.register_keras_serializable("linear_form")
class Mix(layers.Layer):
    """A dense map along the last axis."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), name="kernel")

    def call(self, x):
        return ops.einsum("...i,io->...o", x, self.kernel)


@keras.saving.register_keras_serializable("linear_form")
class Blur(layers.Layer):
    """A convolution of each channel with a kernel that is fixed."""

    def call(self, x):
        window = ops.reshape(ops.convert_to_tensor(KERNEL, x.dtype), (2, 2, 1, 1))
        kernel = ops.tile(window, (1, 1, x.shape[-1], 1))
        return ops.depthwise_conv(x, kernel, 1, "valid")


KERNEL = np.array([[0.5, 0.25], [1.0, -0.5]], "float32")


@linear.form(Mix)
def mix(node):
    return linear.Dense(node.operation.kernel)


@linear.form(Blur)
def blur(node):
    channels = node.inputs[0].shape[-1]
    kernel = np.tile(KERNEL[:, :, None, None], (1, 1, 1, channels))
    return linear.Convolution(kernel, groups=channels)


@keras.saving.register_keras_serializable("linear_form")
class Twice(Mix):
    """Its form is wrong."""

    def call(self, x):
        return 2 * super().call(x)


linear.form(Twice)(mix)


def test_what_is_no_pointwise_convolution_is_told():
    depthwise, wide = (linear.Convolution(np.ones((k, 1, 2))) for k in (1, 3))
    with pytest.raises(ValueError, match=r"pointwise must be.*\(3,\)"):
        linear.Separable(depthwise, wide)


def test_forms_that_are_not_what_the_layer_computes_are_refused():
    snn, x = between_neurons(Twice(name="wrong"))
    for use in (to_integers, analysis.energy):
        with pytest.raises(ValueError, match=r"'wrong' \(Twice\).*form, Dense.*Remedy"):
            use(snn, x)


@pytest.fixture(scope="module")
def own():
    """A spiking network with both, and inputs."""
    x = inputs = keras.Input((5, 4, 2))
    x = LSQReLU(2, initial_step=0.5, name="first")(layers.Conv2D(3, 1, name="in")(x))
    x = LSQReLU(4, initial_step=0.25, name="second")(Blur(name="blur")(x))
    x = Mix(name="mix")(layers.Flatten()(x))
    x = LSQReLU(2, initial_step=0.5, name="third")(x)
    model = keras.Model(inputs, layers.Dense(2, name="out")(x))
    x = dyadic(np.random.default_rng(1), (6, 5, 4, 2), 16, 16)
    return snn_keras.convert(dyadic_weights(model), 4), x


def dyadic_weights(model):
    """Gives a model dyadic weights; steps stay, and variances are what sums to 1."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        weights = [dyadic(rng, w.shape) for w in layer.get_weights()]
        if isinstance(layer, layers.BatchNormalization):
            weights[0] = np.full(weights[0].shape, 2.0)
            weights[-1] = np.full(weights[-1].shape, 1 - layer.epsilon)
        if not isinstance(layer, LSQReLU):
            layer.set_weights(weights)
    return model


def sent(snn, images):
    """Whether each neuron fires, `{name: (batch, time, ...)}`."""
    found = {x.name: x.output for x in snn.layers if isinstance(x, Spiking)}
    spikes = keras.Model(snn.input, found).predict(images, verbose=0)
    assert all((z != 0).any() for z in spikes.values())
    return {name: z != 0 for name, z in spikes.items()}


def test_own_layers_are_counted(own):
    snn, x = own
    found, spikes = analysis.energy(snn, x).layers, sent(snn, x)
    count = spikes["first"].sum(1).astype(float)  # [B, 5, 4, 3]
    met = np.zeros((5, 4))  # of four windows, those that an entry is in
    for row, column in np.ndindex(4, 3):
        met[row : row + 2, column : column + 2] += 1
    added = np.einsum("bhwc,hw->b", count, met).mean()
    assert found["blur"].spiking.add == added
    assert found["blur"].opponents["float"].cost.multiply == 4 * 3 * 4 * 3
    assert found["blur"].spiking.multiply == 0
    assert found["mix"].spiking.add == 3 * spikes["second"].sum() / len(x)
    assert found["mix"].opponents["float"].cost.multiply == 4 * 3 * 3 * 3


def assert_integers(snn, x):
    """The integer network's spikes and outputs are the spiking network's."""
    net, spikes = to_integers(snn, x), sent(snn, x)
    assert net.is_exact
    for step, (values, _) in enumerate(net.run(net.quantize(x))):
        for name, z in spikes.items():
            assert np.array_equal(values[name], z[:, step]), (name, step)
    assert np.array_equal(net.predict(x), snn.predict(x, verbose=0))


def assert_nir(snn, x, path):
    """So are those of a NIR file that is read."""
    pytest.importorskip("nir", reason="pip install .[nir]")
    to_nir(snn, path)
    read = from_nir(path)
    expected, received = sent(snn, x), sent(read, x)
    for name, z in expected.items():
        assert np.array_equal(received[name], z), name
    assert np.array_equal(read.predict(x, verbose=0), snn.predict(x, verbose=0))


def test_own_layers_are_integers(own):
    assert_integers(*own)


def test_own_layers_are_written_and_read(own, tmp_path):
    assert_nir(*own, tmp_path / "net.nir")


class Wider(layers.Conv2D):
    """Derived, and computes the same."""

    def __init__(self, filters, **kwargs):
        super().__init__(2 * filters, 2, **kwargs)


# Layers whose form another one's rule exports.
INTEGERS = {
    "einsum": lambda: layers.EinsumDense("abcd,de->abce", (4, 4, 3)),
    "another axis normalized": lambda: layers.BatchNormalization(1, epsilon=0.25),
    "transposed": lambda: layers.Conv2DTranspose(2, 3, 2),
    "transposed, dilated": lambda: layers.Conv2DTranspose(2, 2, dilation_rate=2),
    "transposed, padded": lambda: layers.Conv2DTranspose(
        2, 3, 3, "same", output_padding=0
    ),
    "scaled": lambda: LayerScale(0.5, 4),
}
BOTH = {
    "derived": lambda: Wider(2),
    "depthwise by groups": lambda: layers.Conv2D(8, 2, groups=4),
    "separable": lambda: layers.SeparableConv2D(3, 3, padding="same"),
    "transposed, of stride 1": lambda: layers.Conv2DTranspose(2, 3),
    "normalized": lambda: layers.Normalization(mean=0.5, variance=4.0),
    "difference": lambda: lambda x: layers.Subtract()([x, layers.Conv2D(4, 1)(x)]),
    "mean of two": lambda: lambda x: layers.Average()([x, layers.Conv2D(4, 1)(x)]),
    "constant": lambda: lambda x: layers.Conv2D(4, 1)(x) + CONSTANT,
    "from a constant": lambda: lambda x: ops.subtract(CONSTANT, x),
    "multiples": lambda: lambda x: x * CONSTANT,
}


def between_neurons(operation):
    x = inputs = keras.Input((4, 4, 2))
    x = LSQReLU(2, initial_step=0.5, name="first")(layers.Conv2D(4, 1)(x))
    x = LSQReLU(4, initial_step=0.25, name="second")(operation(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    snn = snn_keras.convert(dyadic_weights(model), 4)
    return snn, dyadic(np.random.default_rng(1), (4, 4, 4, 2), 16, 16)


@pytest.mark.parametrize("name", INTEGERS | BOTH)
def test_forms_are_exported_as_integers(name):
    assert_integers(*between_neurons((INTEGERS | BOTH)[name]()))


@pytest.mark.parametrize("name", BOTH)
def test_forms_are_written_and_read(name, tmp_path):
    assert_nir(*between_neurons(BOTH[name]()), tmp_path / "net.nir")
