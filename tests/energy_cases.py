"""The layers and functions whose operations `analysis.energy` counts.

Each case is what makes the layer, or a function of tensors, and the shapes of its
inputs.
"""

import functools

import keras
import numpy as np
from keras import layers, ops

import snn_keras
from snn_keras._keras import LayerScale
from snn_keras.conversion import rules


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


def _reverse(embedding):
    return lambda x: embedding(x, reverse=True)


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
    "reversed": (lambda: _reverse(layers.ReversibleEmbedding(5, 2)), LINE),
    "spectrogram": (
        lambda: layers.STFTSpectrogram("real", 4, 2, 4, expand_dims=True),
        (8, 1),
    ),
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
    "adaptive1d": (lambda: layers.AdaptiveAveragePooling1D(4), LINE),
    "adaptive2d": (lambda: layers.AdaptiveAveragePooling2D((2, 3)), IMAGE),
    "adaptive3d": (lambda: layers.AdaptiveAveragePooling3D(2, dtype="float32"), VOLUME),
    "center crop": (lambda: layers.CenterCrop(3, 2), IMAGE),
    "random crop": (lambda: layers.RandomCrop(5, 4), IMAGE),
    "resizing": (lambda: layers.Resizing(3, 6), IMAGE),
}


PASSING["up2d first"] = (
    lambda: layers.UpSampling2D(2, "channels_first", interpolation="bilinear"),
    IMAGE,
)
PASSING["zeros2d first"] = (lambda: layers.ZeroPadding2D(1, "channels_first"), IMAGE)
if keras.backend.backend() != "tensorflow":  # which has these on GPUs alone
    first = {"data_format": "channels_first", "padding": "same"}
    WEIGHTS["conv2d first"] = (lambda: layers.Conv2D(3, (3, 2), **first), IMAGE)
    PASSING["average2d first"] = (lambda: layers.AveragePooling2D(2, **first), IMAGE)


def in_time(cases, *names):
    """Some of the layers, at each of two places of another axis."""

    def wrapped(make):
        layer = make()
        return layers.TimeDistributed(layer, dtype=layer.dtype_policy)

    found = {}
    for name in names:
        make, shape = cases[name]
        found[f"{name} in time"] = functools.partial(wrapped, make), (2, *shape)
    return found


WEIGHTS |= in_time(
    WEIGHTS,
    *("dense", "einsum along", "conv1d", "conv2d", "conv2dt padded", "depthwise2d"),
    *("own of an image", "own with a mask", "own, derived", "spectral"),
)
WEIGHTS |= in_time(WEIGHTS, "dense in time")
PASSING |= in_time(
    PASSING,
    *("batchnorm", "rescaling to 0", "average2d", "mean1d", "zeros2d", "crop1d"),
    *("up1d", "up2d bilinear", "flatten", "permute", "repeat", "own without weights"),
)
