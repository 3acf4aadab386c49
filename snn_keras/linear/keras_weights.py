"""The linear forms of Keras's layers with weights."""

import re

import keras
import numpy as np
from keras import layers

from snn_keras.linear.forms import Dense, Einsum, array, without_leading_ones
from snn_keras.linear.nodes import shape_of, spatial
from snn_keras.linear.registry import NoForm, form
from snn_keras.linear.windows import Convolution, Separable, padding_of


def _weights(node):
    """The node's layer; raises `NoForm` if it applies an activation."""
    layer = node.operation
    if layer.activation is not keras.activations.linear:
        raise NoForm(
            "it applies an activation. Remedy: the activation as a layer behind it."
        )
    return layer


@form(layers.Dense)
def _dense(node):
    layer = _weights(node)
    return Dense(layer.kernel, layer.bias)


@form(layers.EinsumDense)
def _einsum(node):
    """A product along the last axis is `Dense`, any other is `Einsum`."""
    layer = _weights(node)
    along_last = re.fullmatch(r"(\w+|\.\.\.)(\w),\2(\w)->\1\3", layer.equation)
    bias = None if layer.bias is None else without_leading_ones(layer.bias)
    if along_last and along_last[3] not in along_last[1] and np.ndim(bias) <= 1:
        return Dense(layer.kernel, bias)
    return Einsum(layer.equation, layer.kernel, bias)


def _convolution(node, kernel, bias, groups):
    """The form of a layer with windows; the kernel has the layout of `Convolution`."""
    layer, sizes = node.operation, spatial(node.operation, shape_of(node))
    strides, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
    window, place = kernel.shape[:-2], layer.data_format
    padding = padding_of(layer.padding, sizes, window, strides, dilation)
    return Convolution(
        kernel, bias, strides, padding, dilation, groups, data_format=place
    )


@form(layers.Conv1D, layers.Conv2D, layers.Conv3D)
def _grouped(node):
    layer = _weights(node)
    return _convolution(node, layer.kernel, layer.bias, layer.groups)


def _as_groups(kernel):
    """A depthwise kernel `(*window, channels, multiplier)` as one with groups."""
    *window, channels, multiplier = kernel.shape
    return array(kernel).reshape(*window, 1, channels * multiplier), channels


@form(layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def _depthwise(node):
    layer = _weights(node)
    kernel, channels = _as_groups(layer.kernel)
    return _convolution(node, kernel, layer.bias, channels)


@form(layers.SeparableConv1D, layers.SeparableConv2D)
def _separable(node):
    layer = _weights(node)
    kernel, channels = _as_groups(layer.depthwise_kernel)
    depthwise = _convolution(node, kernel, None, channels)
    kernel, place = layer.pointwise_kernel, layer.data_format
    return Separable(depthwise, Convolution(kernel, layer.bias, data_format=place))


@form(layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
def _transposed(node):
    """A convolution of the input with zeros between its entries.

    It is the gradient of a convolution from the output's size to the input's size,
    whose padding follows from both sizes.
    """
    layer = _weights(node)
    window, strides = layer.kernel.shape[:-2], tuple(layer.strides)
    dilation, padding = tuple(layer.dilation_rate), []
    sizes, made = (spatial(layer, x.shape[1:]) for x in (*node.inputs, node.output))
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
