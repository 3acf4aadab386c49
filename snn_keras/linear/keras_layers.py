"""The linear forms of Keras's layers."""

import re

import keras
import numpy as np
from keras import layers

from snn_keras.convert._keras import LayerScale
from snn_keras.linear.forms import Along, Dense, Einsum, Scale, Total, array, core
from snn_keras.linear.moves import Crop, Pad, Repeat, Reshape, Transpose
from snn_keras.linear.operands import concatenated, operands_of, sum_of
from snn_keras.linear.registry import NoForm, form
from snn_keras.linear.windows import Convolution, Pool, Separable, padding_of


def _shape(node):
    """The shape of the node's one input, without the batch."""
    (x,) = node.inputs
    return tuple(x.shape[1:])


def _weights(node):
    """The node's layer, which must be linear in all that it does."""
    layer = node.operation
    if layer.activation is not keras.activations.linear:
        raise NoForm(
            "it applies an activation. Remedy: the activation as a layer behind it."
        )
    return layer


def _is_first(layer):
    return getattr(layer, "data_format", None) == "channels_first"


# --- Weights -------------------------------------------------------------------------


@form(layers.Dense)
def _dense(node):
    layer = _weights(node)
    return Dense(layer.kernel, layer.bias)


@form(layers.EinsumDense)
def _einsum(node):
    """Along the last axis, it is what `Dense` is."""
    layer = _weights(node)
    along_last = re.fullmatch(r"(\w+|\.\.\.)(\w),\2(\w)->\1\3", layer.equation)
    bias = None if layer.bias is None else core(layer.bias)
    if along_last and along_last[3] not in along_last[1] and np.ndim(bias) <= 1:
        return Dense(layer.kernel, bias)
    return Einsum(layer.equation, layer.kernel, bias)


def _convolution(node, kernel, bias, groups):
    """The form of a layer with windows, its kernel as `Convolution` has it."""
    layer, shape = node.operation, _shape(node)
    sizes = shape[1:] if _is_first(layer) else shape[:-1]
    strides, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
    window = kernel.shape[:-2]
    padding = padding_of(layer.padding, sizes, window, strides, dilation)
    settings = {"strides": strides, "padding": padding, "dilation": dilation}
    return Convolution(
        kernel, bias, groups=groups, data_format=layer.data_format, **settings
    )


@form(layers.Conv1D, layers.Conv2D, layers.Conv3D)
def _grouped(node):
    layer = _weights(node)
    return _convolution(node, layer.kernel, layer.bias, layer.groups)


def _each_channel(kernel):
    """A kernel `(*window, channels, multiplier)` as that of so many groups."""
    *window, channels, multiplier = kernel.shape
    return array(kernel).reshape(*window, 1, channels * multiplier), channels


@form(layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def _depthwise(node):
    layer = _weights(node)
    kernel, channels = _each_channel(layer.kernel)
    return _convolution(node, kernel, layer.bias, channels)


@form(layers.SeparableConv1D, layers.SeparableConv2D)
def _separable(node):
    layer = _weights(node)
    kernel, channels = _each_channel(layer.depthwise_kernel)
    depthwise = _convolution(node, kernel, None, channels)
    settings = {"data_format": layer.data_format}
    return Separable(
        depthwise, Convolution(layer.pointwise_kernel, layer.bias, **settings)
    )


@form(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
def _transposed(node):
    """A convolution of the input with zeros between its entries.

    It is the gradient of the convolution that makes the input's size of the output's,
    and pads as that one.
    """
    layer = _weights(node)
    between = slice(1, None) if _is_first(layer) else slice(0, -1)
    window, strides = layer.kernel.shape[:-2], tuple(layer.strides)
    dilation, padding = tuple(layer.dilation_rate), []
    sizes, made = _shape(node)[between], node.output.shape[1:][between]
    for n, m, k, s, d in zip(sizes, made, window, strides, dilation, strict=True):
        reach, last = d * (k - 1), (n - 1) * s
        cut = max(last + reach + 1 - m, 0) // 2
        padding.append((reach - cut, m + cut - last - 1))
    kernel = np.flip(array(layer.kernel), range(len(window))).swapaxes(-1, -2)
    return Convolution(
        kernel,
        layer.bias,
        padding=tuple(padding),
        dilation=dilation,
        spread=strides,
        data_format=layer.data_format,
    )


# --- Scales --------------------------------------------------------------------------


@form(
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
)
def _unchanged(node):
    return Scale(1.0)


@form(layers.BatchNormalization)
def _batch_normalization(node):
    layer, rank = node.operation, len(_shape(node))
    gamma = array(layer.gamma) if layer.scale else 1.0
    beta = array(layer.beta) if layer.center else 0.0
    gain = gamma / np.sqrt(array(layer.moving_variance) + layer.epsilon)
    offset = beta - gain * array(layer.moving_mean)
    behind = rank - layer.axis % (rank + 1)
    shape = (-1, *(1,) * behind)
    return Scale(gain.reshape(shape), offset.reshape(shape))


@form(layers.Rescaling)
def _rescaling(node):
    return Scale(node.operation.scale, node.operation.offset)


@form(layers.Normalization)
def _normalization(node):
    layer = node.operation
    mean, variance = array(layer.mean), array(layer.variance)
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        return Scale(deviation, mean)
    return Scale(1 / deviation, -mean / deviation)


@form(LayerScale)
def _layer_scale(node):
    return Scale(node.operation.gamma)


# --- Sums and means ------------------------------------------------------------------


@form(layers.Add)
def _add(node):
    return sum_of(operands_of(node))


@form(layers.Subtract)
def _subtract(node):
    return sum_of(operands_of(node), (1, -1))


@form(layers.Average)
def _average(node):
    operands = operands_of(node)
    return sum_of(operands, divisor=len(operands))


def pooling(layer, shape) -> Pool:
    """The windows of a pooling layer, be it of means or not."""
    sizes = shape[1:] if _is_first(layer) else shape[:-1]
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    none = (1,) * len(window)
    padding = padding_of(layer.padding, sizes, window, strides, none)
    return Pool(window, strides, padding, layer.data_format)


@form(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
def _average_pooling(node):
    return pooling(node.operation, _shape(node))


@form(
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
def _global_average_pooling(node):
    layer, first = node.operation, int(_is_first(node.operation))
    axes = range(first, first + len(_shape(node)) - 1)
    return Total(tuple(axes), layer.keepdims, mean=True)


# --- Moves ---------------------------------------------------------------------------


@form(layers.Reshape)
def _reshape(node):
    return Reshape(tuple(node.output.shape[1:]))


@form(layers.Flatten)
def _flatten(node):
    if _is_first(node.operation) and len(_shape(node)) > 1:
        raise NoForm('it is channels-first. Remedy: data_format="channels_last".')
    return _reshape(node)


@form(layers.Permute)
def _permute(node):
    return Transpose(tuple(d - 1 for d in node.operation.dims))


@form(layers.Concatenate)
def _concatenate(node):
    return concatenated(operands_of(node), node.operation.axis)


def _beside_channels(layer, sides, rest):
    """A setting for each spatial axis, and `rest` for the channels."""
    return (rest, *sides) if _is_first(layer) else (*sides, rest)


def _sides(layer, values):
    """`(before, after)` for each axis, of which layers of one axis give one pair."""
    values = values if np.ndim(values) == 2 else (values,)
    return _beside_channels(layer, tuple(map(tuple, values)), (0, 0))


@form(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
def _zero_padding(node):
    return Pad(_sides(node.operation, node.operation.padding))


@form(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
def _cropping(node):
    begin = tuple(b for b, _ in _sides(node.operation, node.operation.cropping))
    return Crop(begin, (1,) * len(begin), tuple(node.output.shape[1:]))


@form(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)
def _up_sampling(node):
    layer = node.operation
    if getattr(layer, "interpolation", "nearest") != "nearest":
        return _interpolation(layer, _shape(node))
    times = np.atleast_1d(layer.size).tolist()
    return Repeat(_beside_channels(layer, times, 1))


def _interpolation(layer, shape):
    """In two dimensions it is one along each axis, which is read off the layer."""
    first = int(_is_first(layer))
    changes = {"data_format": "channels_last", "dtype": "float32"}
    along = type(layer).from_config({**layer.get_config(), **changes})
    matrices = []
    for axis, size in enumerate(shape[first : first + 2]):
        line = np.expand_dims(np.eye(size, dtype="float32")[..., None], 2 - axis)
        matrices.append(array(along(line)).take(0, 2 - axis)[..., 0])
    return Along((first, first + 1), tuple(matrices))
