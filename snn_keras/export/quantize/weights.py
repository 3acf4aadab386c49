"""Layers of weights as integers."""

import math

import numpy as np
from keras import layers

from snn_keras.export import integer
from snn_keras.export.calls import Refusal
from snn_keras.export.keras_layers import (
    array,
    bias_of,
    check_channels_last,
    two_dimensional,
    ungrouped,
    windows,
)
from snn_keras.export.quantize.moves import (
    as_image,
    like_input,
    rearranged,
    reshaped,
)
from snn_keras.export.quantize.quantizer import rule
from snn_keras.export.quantize.units import plain


@rule(layers.Dense)
def dense(quantizer, call):
    x, layer = call.signal, call.operation
    kernel, offset = array(layer.kernel), bias_of(layer)
    if np.ndim(x.offset) < 2:
        offset = offset + np.broadcast_to(x.offset, len(kernel)) @ kernel
        x = x.with_(offset=0.0)
    x = quantizer.of_channels(x)
    shape = (*x.shape[:-1], layer.units)
    return quantizer.weighted(integer.Dense, x, kernel, shape, call, offset)


def convolved(quantizer, call, kind, kernel, offset):
    """A convolution of any kind, of images and of sequences."""
    layer, x = call.operation, call.signal
    check_channels_last(layer)
    kernel = kernel if kernel.ndim == 4 else kernel[None]
    strides, dilation = map(two_dimensional, (layer.strides, layer.dilation_rate))
    sizes, window = two_dimensional(x.shape[:-1]), kernel.shape[:2]
    padding, places = windows(sizes, window, strides, layer.padding, dilation)
    settings = {"strides": strides, "padding": padding, "dilation": dilation}
    if np.any(x.offset):
        image = np.broadcast_to(x.offset, x.shape).reshape(*sizes, x.shape[-1])
        offset = offset + constant_part(kind, image, kernel, **settings)
        x = x.with_(offset=0.0)
    x = quantizer.of_channels(x)
    image = as_image(quantizer, x, call.name)
    channels = kernel.shape[-1]
    if kind is integer.DepthwiseConvolve:
        channels *= kernel.shape[-2]
    shape = (*places, channels)
    y = quantizer.weighted(kind, image, kernel, shape, call, offset, **settings)
    if np.ndim(offset) > 1:  # another one where it meets padding
        y = quantizer.settled(y)
    return like_input(quantizer, y, x, call.name)


def constant_part(kind, image, kernel, strides, padding, dilation):
    """What a convolution makes of a constant image: nothing of it is rounded."""
    window = kernel.shape[:2]
    views = integer.patches(image[None], window, strides, padding, dilation)
    each = kind is integer.DepthwiseConvolve
    sums = "bhwcij,ijco->bhwco" if each else "bhwcij,ijco->bhwo"
    made = np.einsum(sums, views, kernel, optimize=True)[0]
    return plain(made.reshape(*made.shape[:2], -1))


@rule(layers.Conv1D, layers.Conv2D)
def convolution(quantizer, call):
    layer = call.operation
    kernel = array(layer.kernel)
    if layer.groups > 1:
        kernel = ungrouped(kernel, layer.groups)
    return convolved(quantizer, call, integer.Convolve, kernel, bias_of(layer))


@rule(layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def depthwise_convolution(quantizer, call):
    layer = call.operation
    kernel = array(layer.kernel)
    kind = integer.DepthwiseConvolve
    return convolved(quantizer, call, kind, kernel, bias_of(layer))


@rule(layers.SeparableConv1D, layers.SeparableConv2D)
def separable_convolution(quantizer, call):
    """As the one convolution that it is: nothing is rounded in between."""
    layer = call.operation
    depthwise, pointwise = array(layer.depthwise_kernel), array(layer.pointwise_kernel)
    *_, channels, multiplier = depthwise.shape
    pointwise = pointwise.reshape(channels, multiplier, -1)
    kernel = np.einsum("...cm,cmo->...co", depthwise, pointwise)
    return convolved(quantizer, call, integer.Convolve, kernel, bias_of(layer))


@rule(layers.Conv1DTranspose, layers.Conv2DTranspose)
def transposed_convolution(quantizer, call):
    """As a convolution of the input with zeros between its entries."""
    layer = call.operation
    check_channels_last(layer)
    if np.any(np.asarray(layer.dilation_rate) != 1) or layer.output_padding:
        raise Refusal(
            "it is dilated, or has output_padding. Remedy: dilation_rate=1, "
            "output_padding=None."
        )
    x = quantizer.of_channels(call.signal)
    image = as_image(quantizer, x, call.name)
    kernel = array(layer.kernel)
    kernel = kernel if kernel.ndim == 4 else kernel[None]
    kernel = kernel.transpose(0, 1, 3, 2)[::-1, ::-1]
    strides = two_dimensional(layer.strides)
    padding, places = [], []
    for n, k, s in zip(image.shape, kernel.shape[:2], strides, strict=False):
        cut = max(k - s, 0) if layer.padding == "same" else 0
        places.append(n * s + max(k - s, 0) - cut)
        before = k - 1 - cut // 2
        padding.append((before, places[-1] + k - 1 - before - n * s))
    spread = with_zeros_between(quantizer, image, strides, call.name)
    shape = (*places, kernel.shape[-1])
    y = quantizer.weighted(
        integer.Convolve,
        spread,
        kernel,
        shape,
        call,
        bias_of(layer),
        padding=tuple(padding),
    )
    return like_input(quantizer, y, x, call.name)


def with_zeros_between(quantizer, x, strides, name):
    """An image with `stride - 1` zeros behind each entry, along each axis."""
    for axis, stride in enumerate(strides):
        if stride == 1:
            continue
        before, after = math.prod(x.shape[: axis + 1]), x.shape[axis + 1 :]
        image = (*x.shape[:axis], x.shape[axis] * stride, *after)
        x = reshaped(quantizer, x, (before, 1, math.prod(after)), f"{name}/spread")
        sides = ((0, 0), (0, stride - 1), (0, 0))
        shape, kind = (before, stride, x.shape[-1]), integer.Pad
        x = rearranged(quantizer, x, kind, shape, f"{name}/spread", True, padding=sides)
        x = reshaped(quantizer, x, image, f"{name}/spread")
    return x
