"""The layers and functions whose operations `analysis.energy` counts.

Each case is what makes the layer, or a function of tensors, and the shapes of its
inputs.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

import snn_keras
from snn_keras.convert import rules
from snn_keras.convert._keras import LayerScale


@keras.saving.register_keras_serializable("sweep")
class Mix(layers.Layer):
    """A layer of somebody's own, with a weight for every pair of channels."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 3), initializer="ones")

    def call(self, x):
        return ops.matmul(x, self.kernel)

    def compute_output_shape(self, shape):
        return (*shape[:-1], 3)


@keras.saving.register_keras_serializable("sweep")
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


@keras.saving.register_keras_serializable("sweep")
class Blend(layers.Layer):
    """Two signals, each with weights; two outputs, one of them without."""

    def build(self, shapes):
        self.kernel = self.add_weight(shape=(shapes[0][-1], 2), initializer="ones")

    def call(self, xs):
        return ops.matmul(xs[0] - 2 * xs[1], self.kernel)

    def compute_output_shape(self, shapes):
        return (*shapes[0][:-1], 2)


@keras.saving.register_keras_serializable("sweep")
class Differences(layers.Layer):
    """Without weights, and nothing of Keras's."""

    def call(self, x):
        return x[:, 1:] - x[:, :-1]

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] - 1, *shape[2:])


@keras.saving.register_keras_serializable("sweep")
class EveryOther(layers.Dense):
    """Derived from Keras's, and computes something else."""

    def call(self, x):
        return super().call(x)[:, ::2]

    def compute_output_shape(self, shape):
        return (shape[0], -(-self.units // 2))


@keras.saving.register_keras_serializable("sweep")
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

# With weights.
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

# Without weights, or with such as scale channels: they hand spikes on.
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


def in_time(cases):
    """The layers of one input among the cases, at each of two places of another axis.

    Keras does not know the shape of what a LayerScale gives there.
    """

    def wrapped(make):
        layer = make()
        return layers.TimeDistributed(layer, dtype=layer.dtype_policy)

    found = {}
    for case, (make, *shapes) in cases.items():
        operation = make()
        is_layer = isinstance(operation, layers.Layer) and len(shapes) == 1
        if is_layer and not isinstance(operation, LayerScale):
            inside = functools.partial(wrapped, make)
            found[f"{case} in time"] = (inside, (2, *shapes[0]))
    return found


PASSING["up2d first"] = (
    lambda: layers.UpSampling2D(2, "channels_first", interpolation="bilinear"),
    IMAGE,
)
PASSING["zeros2d first"] = (lambda: layers.ZeroPadding2D(1, "channels_first"), IMAGE)
if keras.backend.backend() != "tensorflow":  # which has these on GPUs alone
    first = {"data_format": "channels_first", "padding": "same"}
    WEIGHTS["conv2d first"] = (lambda: layers.Conv2D(3, (3, 2), **first), IMAGE)
    PASSING["average2d first"] = (lambda: layers.AveragePooling2D(2, **first), IMAGE)

WEIGHTS |= in_time(WEIGHTS) | in_time(in_time({"dense": WEIGHTS["dense"]}))
PASSING |= in_time(PASSING)
