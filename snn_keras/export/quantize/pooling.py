"""Pooling as integers."""

import math

import numpy as np
from keras import layers

from snn_keras import time
from snn_keras.conversion._keras import operation_types
from snn_keras.export import integer
from snn_keras.export.keras_layers import (
    check_channels_last,
    two_dimensional,
    windows,
)
from snn_keras.export.quantize.moves import (
    as_image,
    by_channel,
    like_input,
    rearranged,
)
from snn_keras.export.quantize.quantizer import rule


def pooling_windows(layer, sizes):
    """Window, strides, padding and places of a pooling layer along two axes."""
    check_channels_last(layer)
    window, strides = two_dimensional(layer.pool_size), two_dimensional(layer.strides)
    padding, places = windows(sizes, window, strides, layer.padding)
    return window, strides, padding, places


@rule(layers.AveragePooling1D, layers.AveragePooling2D)
def average_pooling(quantizer, call):
    """The sum of the window; its size goes into the unit."""
    x = call.signal if by_channel(call.signal) else quantizer.fixed(call.signal)
    image = as_image(quantizer, quantizer.settled(x), call.name)
    if not by_channel(image):
        image = quantizer.of_channels(image)
    shape, channels = image.shape[:2], image.shape[-1]
    window, strides, padding, places = pooling_windows(call.operation, shape)
    name = quantizer.add(
        integer.DepthwiseConvolve,
        image,
        (*places, channels),
        call.name,
        kernel=np.ones((*window, channels, 1), np.int8),
        strides=strides,
        padding=padding,
    )
    y = image.with_(name=name, shape=(*places, channels), weights=None)
    # At the rim, "same" takes the mean of what is there.
    views = integer.patches(
        np.ones((1, *shape, 1), np.int64), window, strides, padding, (1, 1)
    )
    counts = views.sum((-2, -1))[0]
    least = math.lcm(*(int(c) for c in np.unique(counts)))
    if (counts != least).any():
        y = quantizer.scaled(y, least // counts, f"{call.name}/rim")
    y = y.with_(factor=y.factor / least)
    return like_input(quantizer, y, x, call.name)


def reduced(quantizer, x, axes, keepdims, name, mean=True):
    """The mean, or the sum, over `axes`, counted without the batch."""
    axes = tuple(sorted(a % len(x.shape) for a in axes))
    last = len(x.shape) - 1
    if last in axes:
        x = quantizer.even(quantizer.fixed(x))
    elif not by_channel(x):
        x = quantizer.of_channels(x)
    if np.ndim(x.offset) and last in axes:
        x = quantizer.settled(x)
    count = math.prod(x.shape[a] for a in axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    total = quantizer.add(integer.Sum, x, kept, name, axes=axes, input_shape=x.shape)
    share = count if mean else 1
    y = x.with_(
        name=total,
        shape=kept,
        factor=x.factor / share,
        offset=np.asarray(x.offset) * (count / share),
        weights=None,
    )
    if keepdims:
        return y
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return rearranged(
        quantizer, y, integer.Reshape, shape, f"{name}/squeezed", last not in axes
    )


@rule(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)
def global_average_pooling(quantizer, call):
    check_channels_last(call.operation)
    x, keepdims = call.signal, call.operation.keepdims
    return reduced(quantizer, x, range(len(x.shape) - 1), keepdims, call.name)


@rule(*operation_types("Mean", "Sum"))
def reduction(quantizer, call):
    operation, x = call.operation, call.signal
    mean = type(operation).__name__ == "Mean"
    axes = np.atleast_1d(operation.axis)
    axes = [a - 1 if a > 0 else a for a in axes]
    return reduced(quantizer, x, axes, operation.keepdims, call.name, mean)


@rule(layers.MaxPooling1D, layers.MaxPooling2D)
def max_pooling(quantizer, call):
    return pooled(quantizer, call, lambda sizes: pooling_windows(call.operation, sizes))


@rule(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D)
def global_max_pooling(quantizer, call):
    check_channels_last(call.operation)
    y = pooled(quantizer, call, lambda sizes: (sizes, (1, 1), ((0, 0), (0, 0)), (1, 1)))
    if call.operation.keepdims:
        return y
    shape = y.shape[-1:]
    return rearranged(
        quantizer, y, integer.Reshape, shape, f"{call.name}/squeezed", True
    )


def pooled(quantizer, call, settings):
    """A max pool: of the counts so far, where there is time."""
    x = quantizer.settled(call.signal)
    if not by_channel(x):
        x = quantizer.of_channels(x)
    image = as_image(quantizer, x, call.name)
    window, strides, padding, places = settings(image.shape[:2])
    shape = (*places, image.shape[-1])
    name = quantizer.add(
        integer.MaxPool,
        image,
        shape,
        call.name,
        window=window,
        strides=strides,
        padding=padding,
        input_shape=image.shape,
        over_time=isinstance(call.layer, time.TemporalDifference),
    )
    y = image.with_(name=name, shape=shape, weights=None)
    return like_input(quantizer, y, x, call.name)
