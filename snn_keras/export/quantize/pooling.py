"""Pooling as integers."""

import math

import numpy as np
from keras import layers

from snn_keras import linear, time
from snn_keras.export import integer
from snn_keras.export.quantize.moves import (
    as_image,
    by_channel,
    like_input,
    of_images,
    rearranged,
)
from snn_keras.export.quantize.quantizer import rule
from snn_keras.linear.keras_sums import pooling


@rule(linear.Pool)
def average_pooling(quantizer, call):
    """The sum of the window; its size goes into the unit."""
    form = of_images(call.form, call.signal.shape)
    x = call.signal if by_channel(call.signal) else quantizer.fixed(call.signal)
    image = as_image(quantizer, quantizer.settled(x), call.name)
    if not by_channel(image):
        image = quantizer.of_channels(image)
    channels = image.shape[-1]
    shape = (*form.places(image.shape), channels)
    name = quantizer.add(
        integer.DepthwiseConvolve,
        image,
        shape,
        call.name,
        kernel=np.ones((*form.window, channels, 1), np.int8),
        strides=form.strides,
        padding=form.padding,
    )
    y = image.with_(name=name, shape=shape, weights=None)
    counts = form.counts((*image.shape[:2], 1))  # at the rim there is less
    least = math.lcm(*(int(c) for c in np.unique(counts)))
    if (counts != least).any():
        y = quantizer.scaled(y, least // counts, f"{call.name}/rim")
    y = y.with_(factor=y.factor / least)
    return like_input(quantizer, y, x, call.name)


@rule(linear.Total)
def reduction(quantizer, call):
    """The sum over axes, or the mean: the count goes into the unit."""
    x, axes, name = call.signal, call.form.axes, call.name
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
    share = count if call.form.mean else 1
    y = x.with_(
        name=total,
        shape=kept,
        factor=x.factor / share,
        offset=np.asarray(x.offset) * (count / share),
        weights=None,
    )
    if call.form.keepdims:
        return y
    kind, stays = integer.Reshape, last not in axes
    return rearranged(quantizer, y, kind, call.shape, f"{name}/squeezed", stays)


@rule(layers.MaxPooling1D, layers.MaxPooling2D)
def max_pooling(quantizer, call):
    return pooled(quantizer, call, pooling(call.operation, call.signal.shape))


@rule(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D)
def global_max_pooling(quantizer, call):
    layer, (*window, channels) = call.operation, call.signal.shape
    form = linear.Pool(tuple(window), data_format=layer.data_format)
    y = pooled(quantizer, call, form)
    if layer.keepdims:
        return y
    return rearranged(
        quantizer, y, integer.Reshape, (channels,), f"{call.name}/squeezed", True
    )


def pooled(quantizer, call, form):
    """A max pool: of the counts so far, where there is time."""
    form = of_images(form, call.signal.shape)
    x = quantizer.settled(call.signal)
    if not by_channel(x):
        x = quantizer.of_channels(x)
    image = as_image(quantizer, x, call.name)
    shape = (*form.places(image.shape), image.shape[-1])
    name = quantizer.add(
        integer.MaxPool,
        image,
        shape,
        call.name,
        window=form.window,
        strides=form.strides,
        padding=form.padding,
        input_shape=image.shape,
        over_time=isinstance(call.layer, time.TemporalDifference),
    )
    y = image.with_(name=name, shape=shape, weights=None)
    return like_input(quantizer, y, x, call.name)
