"""The count of operations, against Jacobians: every layer and function that has one.

The spikes of the first neurons are simulated here, and a layer's synapses are the
entries of its Jacobian that are not 0, by differences in float64. Nothing here uses
what `analysis.energy` uses.
"""

import functools
import math

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import analysis
from snn_keras.convert import rules
from snn_keras.convert._keras import LayerScale
from snn_keras.graph import trace
from snn_keras.layers import LSQReLU

STEPS = 4
LEVELS, STEP = 4, 0.25  # a threshold of 1


class Mix(layers.Layer):
    """A layer of somebody's own, with a weight for every pair of channels."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), initializer="ones")

    def call(self, x):
        return ops.matmul(x, self.kernel)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 3)


class Masked(Mix):
    """Some of its weights are cut off, by numbers that are not trained."""

    def build(self, shape):
        super().build(shape)
        mask = np.arange(shape[-1] * 3).reshape(-1, 3) % 2
        self.mask = self.add_weight(
            shape=mask.shape, initializer=lambda *_, **__: mask, trainable=False
        )

    def call(self, x):
        return ops.matmul(x, self.kernel * self.mask) + 1.0


class Blend(layers.Layer):
    """Two signals, each with weights; two outputs, one of them without."""

    def build(self, shapes):
        self.kernel = self.add_weight(shape=(shapes[0][-1], 2), initializer="ones")

    def call(self, xs):
        return ops.matmul(xs[0] - 2 * xs[1], self.kernel)

    def compute_output_shape(self, shapes):
        return (*shapes[0][:-1], 2)


class Differences(layers.Layer):
    """Without weights, and nothing of Keras's."""

    def call(self, x):
        return x[:, 1:] - x[:, :-1]


class EveryOther(layers.Dense):
    """Derived from Keras's, and computes something else."""

    def call(self, x):
        return super().call(x)[:, ::2]

    def compute_output_shape(self, shape):
        return (shape[0], -(-self.units // 2))


class Wider(layers.Dense):
    """Derived from Keras's, and computes the same."""

    def __init__(self, units, **kwargs):
        super().__init__(2 * units, **kwargs)

    def get_config(self):
        return {**super().get_config(), "units": self.units // 2}


for own in (Mix, Masked, Blend, Differences, EveryOther):
    snn_keras.rule(own)(type(f"{own.__name__}Rule", (rules.Affine,), {}))

LINE, IMAGE, VOLUME, FLAT = (6, 2), (5, 4, 2), (3, 4, 3, 2), (6,)
NUMBERS = np.arange(8.0).reshape(4, 2) % 3  # some of them are 0

# Layers and functions with weights, and the shape of what they are tried with.
WEIGHTS = {
    "dense": (lambda: layers.Dense(3), FLAT),
    "dense of an image": (lambda: layers.Dense(3, use_bias=False), IMAGE),
    "dense derived": (lambda: Wider(2), FLAT),
    "einsum": (lambda: layers.EinsumDense("abc,cd->abd", (6, 3)), LINE),
    "einsum all": (
        lambda: layers.EinsumDense("abc,bcd->ad", (3,), bias_axes="d"),
        LINE,
    ),
    "einsum along": (lambda: layers.EinsumDense("abc,bd->adc", (4, 2)), LINE),
    "einsum each": (lambda: layers.EinsumDense("abc,bc->abc", (6, 2)), LINE),
    "einsum rest": (lambda: layers.EinsumDense("...c,cd->...d", 3), LINE),
    "einsum first": (lambda: layers.EinsumDense("ab...,bc->ac...", 4), LINE),
    "einsum sums": (lambda: layers.EinsumDense("abc,cd->ad", (3,)), LINE),
    "conv1d": (lambda: layers.Conv1D(3, 3, 2, "same"), LINE),
    "conv1d causal": (lambda: layers.Conv1D(3, 2, 1, "causal", dilation_rate=2), LINE),
    "conv1d groups": (lambda: layers.Conv1D(4, 2, groups=2), LINE),
    "conv2d": (lambda: layers.Conv2D(3, (3, 2), (2, 1), "same"), IMAGE),
    "conv2d valid": (lambda: layers.Conv2D(2, (2, 3), dilation_rate=(2, 1)), IMAGE),
    "conv2d skips": (lambda: layers.Conv2D(4, 1, 3, groups=2), IMAGE),
    "conv3d": (lambda: layers.Conv3D(2, (1, 2, 2), (1, 2, 1), "same"), VOLUME),
    "conv1dt": (lambda: layers.Conv1DTranspose(3, 3, 2, "same"), LINE),
    "conv1dt valid": (lambda: layers.Conv1DTranspose(2, 2, 3), LINE),
    "conv2dt": (lambda: layers.Conv2DTranspose(3, (3, 2), (2, 1), "same"), IMAGE),
    "conv2dt valid": (lambda: layers.Conv2DTranspose(2, 2, 3), IMAGE),
    "conv2dt padded": (
        lambda: layers.Conv2DTranspose(2, 3, 2, "same", output_padding=1),
        IMAGE,
    ),
    "conv3dt": (lambda: layers.Conv3DTranspose(2, (1, 2, 2), 1, "same"), VOLUME),
    "depthwise1d": (lambda: layers.DepthwiseConv1D(3, 2, "same"), LINE),
    "depthwise2d": (
        lambda: layers.DepthwiseConv2D((3, 2), 1, "same", depth_multiplier=2),
        IMAGE,
    ),
    "depthwise2d valid": (lambda: layers.DepthwiseConv2D(2, 2), IMAGE),
    "own": (Mix, FLAT),
    "own of an image": (Mix, IMAGE),
    "own with a mask": (Masked, LINE),
    "own of two": (Blend, FLAT, FLAT),
    "own, derived": (lambda: EveryOther(5), FLAT),
    "spectral": (lambda: layers.SpectralNormalization(layers.Conv2D(2, 3)), IMAGE),
}

# Layers and functions that hand spikes on.
PASSING = {
    "batchnorm": (layers.BatchNormalization, LINE),
    "batchnorm axis": (lambda: layers.BatchNormalization(axis=1), LINE),
    "normalization": (lambda: layers.Normalization(mean=0.5, variance=2.0), LINE),
    "rescaling": (lambda: layers.Rescaling(-0.5, 1.0), LINE),
    "rescaling to 0": (lambda: layers.Rescaling([0.0, 2.0], 1.0), LINE),
    "layerscale": (lambda: LayerScale(0.5, 2), LINE),
    "average1d": (lambda: layers.AveragePooling1D(3, 2, "same"), LINE),
    "average2d": (lambda: layers.AveragePooling2D(2, padding="same"), IMAGE),
    "average2d over": (lambda: layers.AveragePooling2D((3, 2), (1, 2)), IMAGE),
    "average3d": (
        lambda: layers.AveragePooling3D((1, 2, 2), 1, dtype="float32"),
        VOLUME,
    ),
    "mean1d": (layers.GlobalAveragePooling1D, LINE),
    "mean2d": (lambda: layers.GlobalAveragePooling2D(keepdims=True), IMAGE),
    "mean3d": (layers.GlobalAveragePooling3D, VOLUME),
    "zeros1d": (lambda: layers.ZeroPadding1D((1, 2)), LINE),
    "zeros2d": (lambda: layers.ZeroPadding2D(((1, 0), (0, 2))), IMAGE),
    "zeros3d": (lambda: layers.ZeroPadding3D((0, 1, 0)), VOLUME),
    "crop1d": (lambda: layers.Cropping1D((1, 2)), LINE),
    "crop2d": (lambda: layers.Cropping2D(((1, 0), (0, 2))), IMAGE),
    "crop3d": (lambda: layers.Cropping3D((0, 1, 1)), VOLUME),
    "up1d": (lambda: layers.UpSampling1D(2), LINE),
    "up2d": (lambda: layers.UpSampling2D((2, 3)), IMAGE),
    "up2d bilinear": (lambda: layers.UpSampling2D(2, interpolation="bilinear"), IMAGE),
    "up2d bicubic": (
        lambda: layers.UpSampling2D((3, 1), interpolation="bicubic"),
        IMAGE,
    ),
    "up3d": (lambda: layers.UpSampling3D((1, 2, 1)), VOLUME),
    "reshape": (lambda: layers.Reshape((4, -1)), IMAGE),
    "flatten": (layers.Flatten, IMAGE),
    "permute": (lambda: layers.Permute((3, 1, 2)), IMAGE),
    "repeat": (lambda: layers.RepeatVector(3), FLAT),
    "add": (layers.Add, LINE, LINE, LINE),
    "add broadcast": (layers.Add, LINE, (6, 1)),
    "subtract": (layers.Subtract, LINE, LINE),
    "average": (layers.Average, LINE, LINE, LINE),
    "concatenate": (lambda: layers.Concatenate(1), LINE, (3, 2)),
    "own without weights": (Differences, LINE),
    "ops.add": (lambda: ops.add, LINE, LINE),
    "ops.add number": (lambda: lambda x: x + 0.1, LINE),
    "ops.add array": (lambda: lambda x: ops.add(NUMBERS, ops.expand_dims(x, 1)), (2,)),
    "ops.subtract": (lambda: ops.subtract, LINE, LINE),
    "ops.subtract from": (lambda: lambda x: 1.0 - x, LINE),
    "ops.multiply": (lambda: lambda x: x * -3.0, LINE),
    "ops.multiply array": (lambda: lambda x: x[:, :4] * NUMBERS, LINE),
    "ops.multiply wider": (lambda: lambda x: x[:, 1:2] * NUMBERS, LINE),
    "ops.divide": (lambda: lambda x: ops.divide(x, 3.0), LINE),
    "ops.true_divide": (
        lambda: lambda x: ops.true_divide(x, NUMBERS[:2, :] + 1),
        (2, 2),
    ),
    "ops.negative": (lambda: lambda x: -x, LINE),
    "ops.concatenate": (lambda: lambda x, y: ops.concatenate([x, y], 1), LINE, (3, 2)),
    "ops.stack": (lambda: lambda x, y: ops.stack([x, y], axis=2), LINE, LINE),
    "ops.reshape": (lambda: lambda x: ops.reshape(x, (-1, 3, 4)), LINE),
    "ops.transpose": (lambda: lambda x: ops.transpose(x, (0, 3, 1, 2)), IMAGE),
    "ops.squeeze": (lambda: lambda x: ops.squeeze(x, 1), (1, 5)),
    "ops.expand_dims": (lambda: lambda x: ops.expand_dims(x, 1), LINE),
    "ops.getitem": (lambda: lambda x: x[:, 1::2, ..., 0], IMAGE),
    "ops.mean": (lambda: lambda x: ops.mean(x, axis=(1, 3)), IMAGE),
    "ops.mean keepdims": (lambda: lambda x: ops.mean(x, 2, keepdims=True), IMAGE),
    "ops.sum": (lambda: lambda x: ops.sum(x, axis=-1), IMAGE),
    "ops.flip": (lambda: lambda x: ops.flip(x, axis=1), LINE),
    "ops.repeat": (lambda: lambda x: ops.repeat(x, 2, axis=1), LINE),
    "ops.moveaxis": (lambda: lambda x: ops.moveaxis(x, 1, 2), IMAGE),
    "ops.swapaxes": (lambda: lambda x: ops.swapaxes(x, 1, 3), IMAGE),
    "ops.pad": (lambda: lambda x: ops.pad(x, ((0, 0), (1, 2), (0, 0))), LINE),
    "ops.pad number": (
        lambda: lambda x: ops.pad(x, ((0, 0), (0, 1), (2, 0)), constant_values=0.1),
        LINE,
    ),
    "ops.pad reflect": (
        lambda: lambda x: ops.pad(x, ((0, 0), (2, 1), (0, 0)), "reflect"),
        LINE,
    ),
}


def called(operation, xs):
    """A layer on its one input or its list, or a function of tensors."""
    if isinstance(operation, layers.Layer):
        return operation(xs if len(xs) > 1 else xs[0])
    return operation(*xs)


def tried(make, *shapes):
    """A layer or function with random weights, and the Jacobian for each input.

    The Jacobians, `(inputs, outputs)`, say which entries are not 0.
    """
    operation = make()
    inputs = [keras.Input(shape) for shape in shapes]
    body = keras.Model(inputs, called(operation, inputs))
    random = np.random.default_rng(0)
    for weight in body.weights:
        if weight.name not in ("mask", "vector_u"):
            sign = random.choice([-1, 1], weight.shape) if weight.trainable else 1
            weight.assign(sign * random.uniform(0.5, 2.0, weight.shape))
    points = [random.normal(size=shape) for shape in shapes]
    found = []
    for number, shape in enumerate(shapes):
        size = math.prod(shape)
        xs = [np.repeat(x[None], size + 1, axis=0) for x in points]
        xs[number].reshape(size + 1, size)[1:] += np.eye(size)
        y = ops.convert_to_numpy(body(xs)).reshape(size + 1, -1)
        found.append(abs(y[1:] - y[0]) > 1e-9)
    return operation, found


def simulated(x):
    """Spikes of integrate-and-fire neurons of threshold 1, of a constant current."""
    potential, count = np.full(x.shape, 0.5), np.zeros(x.shape)
    for _ in range(STEPS):
        potential += x
        count += potential >= 1
        potential -= potential >= 1
    return count.reshape(len(x), -1)


def neurons(name):
    return LSQReLU(LEVELS, initial_step=STEP, name=name)


def name_of(y):
    return y._keras_history.operation.name


def conv_behind(y, name):
    """A layer with weights that some elements of a signal meet, and others do not."""
    return layers.Conv1D(2, 2, strides=3, name=name)(layers.Reshape((-1, 1))(y))


def fan_of_conv_behind(size):
    """Its weights at each of so many elements: the third of three meets none."""
    places = np.arange(size)
    return 2.0 * ((places % 3 < 2) & (places // 3 <= (size - 2) // 3))


class Sweep:
    """One network of all the cases side by side, and what `energy` finds in it.

    Attributes:
        jacobians: For each case, as `tried` gives them.
        spikes: For each case, the spikes of each input, `(batch, inputs)`.
        layers: The figures of each layer.
        names: For each case, the name of what is called first.
    """

    def __init__(self, cases, is_static, end):
        self.jacobians, self.spikes, self.names = {}, {}, {}
        inputs, sent, xs, ends = {}, {}, {}, []
        random = np.random.default_rng(1)
        for case, (make, *shapes) in cases.items():
            keys = [(shape, i) for i, shape in enumerate(shapes)]
            for key in keys:
                if key not in inputs:
                    x = random.integers(-4, 9, (2, *key[0])) / 8
                    inputs[key], xs[key] = keras.Input(key[0]), x
                    sent[key] = neurons(f"sent{len(sent)}")(inputs[key])
            operation, self.jacobians[case] = tried(make, *shapes)
            self.spikes[case] = [simulated(xs[key]) for key in keys]
            taken = [(inputs if is_static else sent)[key] for key in keys]
            y = called(operation, taken)
            self.names[case] = name_of(y)
            ends.append(end(case, y, taken))
        model = keras.Model(list(inputs.values()), ends)
        snn = snn_keras.convert(model, STEPS)
        snn.run_eagerly = keras.backend.backend() == "tensorflow"
        self.layers = analysis.energy(snn, list(xs.values()))["layers"]


@functools.cache
def weighing(is_static):
    return Sweep(WEIGHTS, is_static, lambda case, y, _: neurons(f"last {case}")(y))


@functools.cache
def passing(is_static):
    def end(case, y, taken):
        behind = conv_behind(y, f"behind {case}")
        if is_static:
            return neurons(f"last {case}")(behind)
        met = [layers.Flatten()(y), layers.Flatten()(taken[0])]
        return behind, neurons(f"meets {case}")(layers.Concatenate()(met))

    return Sweep(PASSING, is_static, end)


@pytest.mark.parametrize("case", WEIGHTS)
def test_spikes_are_additions_at_every_synapse(case, float64):
    sweep = weighing(is_static=False)
    spikes, jacobians = sweep.spikes[case], sweep.jacobians[case]
    counted = sweep.layers[sweep.names[case]]
    additions = sum((s @ j).sum() for s, j in zip(spikes, jacobians, strict=True))
    assert additions > 0
    assert counted["spiking"]["add"] == additions / 2  # samples
    assert counted["spiking"]["multiply"] == 0
    synapses = sum(j.sum() for j in jacobians)
    assert counted["source"]["multiply"] == counted["source"]["add"] == synapses


@pytest.mark.parametrize("case", WEIGHTS)
def test_numbers_are_multiplied_at_every_synapse(case, float64):
    sweep = weighing(is_static=True)
    counted = sweep.layers[sweep.names[case]]
    synapses = sum(j.sum() for j in sweep.jacobians[case])
    for side in ("spiking", "source"):
        assert counted[side]["multiply"] == counted[side]["add"] == synapses


@pytest.mark.parametrize("case", PASSING)
def test_spikes_are_handed_on_to_the_weights_behind(case, float64):
    sweep = passing(is_static=False)
    spikes, jacobians = sweep.spikes[case], sweep.jacobians[case]
    arriving = sum(s @ j for s, j in zip(spikes, jacobians, strict=True))
    fan_out = fan_of_conv_behind(arriving.shape[1])
    counted = sweep.layers[f"behind {case}"]
    assert arriving.sum() > 0
    assert counted["spiking"]["add"] == (arriving @ fan_out).sum() / 2
    assert counted["spiking"]["multiply"] == 0
    depends = np.any([j.any(axis=0) for j in jacobians], axis=0)
    assert counted["source"]["multiply"] == depends @ fan_out


@pytest.mark.parametrize("case", PASSING)
def test_spikes_that_meet_no_weights_are_additions_at_the_neuron(case, float64):
    sweep = passing(is_static=False)
    spikes, jacobians = sweep.spikes[case], sweep.jacobians[case]
    arriving = sum(s @ j for s, j in zip(spikes, jacobians, strict=True))
    counted = sweep.layers[f"meets {case}"]
    # The neuron adds at every step, and at every spike of its own.
    size = arriving.shape[1] + spikes[0].shape[1]
    own = counted["spikes"] + STEPS * size
    added = (arriving.sum() + spikes[0].sum()) / 2  # by the case, and past it
    assert counted["spiking"]["add"] == added + own


@pytest.mark.parametrize("case", PASSING)
def test_numbers_are_handed_on_to_the_weights_behind(case, float64):
    sweep = passing(is_static=True)
    counted = sweep.layers[f"behind {case}"]
    depends = np.any([j.any(axis=0) for j in sweep.jacobians[case]], axis=0)
    expected = depends @ fan_of_conv_behind(len(depends))
    assert counted["spiking"]["multiply"] == expected
    assert counted["source"]["multiply"] == expected


def test_separable_convolutions_cost_two_layers(float64):
    kinds = {
        (layers.SeparableConv1D, layers.DepthwiseConv1D): LINE,
        (layers.SeparableConv2D, layers.DepthwiseConv2D): IMAGE,
    }
    for (kind, depthwise), shape in kinds.items():
        for strides, padding in ((1, "valid"), (2, "same")):
            settings = {"padding": padding, "depth_multiplier": 2}
            make = functools.partial(depthwise, 3, strides, **settings)
            _, (first,) = tried(make, shape)
            second = first.shape[1] * 3  # one weight of each of three filters
            both = functools.partial(kind, 3, 3, strides, **settings)
            sweep = Sweep({"separable": (both, shape)}, False, lambda _, y, __: y)
            (spikes,) = sweep.spikes["separable"]
            counted = sweep.layers[sweep.names["separable"]]
            additions = (spikes @ first).sum() / 2
            assert counted["spiking"]["multiply"] == STEPS * second
            assert counted["spiking"]["add"] == additions + STEPS * second
            assert counted["source"]["multiply"] == first.sum() + second


def test_every_linear_rule_is_tried():
    types = {layers.SeparableConv1D, layers.SeparableConv2D}  # just above
    for make, *shapes in (WEIGHTS | PASSING).values():
        inputs = [keras.Input(shape) for shape in shapes]
        model = keras.Model(inputs, called(make(), inputs))
        types |= {type(node.operation) for node in trace(model).nodes}
    linear = {
        kind
        for kind, rule in rules._RULES.items()
        if isinstance(rule, rules.Linear)
        and kind.__module__.split(".")[0] in ("keras", "snn_keras")
    }
    assert not {kind.__name__ for kind in linear - types}
