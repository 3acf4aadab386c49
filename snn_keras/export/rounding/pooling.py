"""The integer rules of pooling layers and reductions."""

import math

import numpy as np
from keras import layers

from snn_keras import linear, time
from snn_keras.export import integer
from snn_keras.export.calls import Call
from snn_keras.export.rounding.moves import (
    as_image,
    by_channel,
    like_input,
    of_images,
    rearranged,
)
from snn_keras.export.rounding.units import ScaledTensor
from snn_keras.export.rounding.writer import IntegerWriter, rule
from snn_keras.linear.keras_sums import pooling
from snn_keras.linear.windows import Pool


@rule(linear.Pool)
def average_pooling(writer: IntegerWriter, call: Call) -> ScaledTensor:
    """The sum of each window; its size becomes part of the unit."""
    form = of_images(call.form, call.tensor.shape)
    x = call.tensor if by_channel(call.tensor) else writer.fixed(call.tensor)
    image = as_image(writer, writer.without_offset(x), call.name)
    if not by_channel(image):
        image = writer.of_channels(image)
    channels = image.shape[-1]
    shape = (*form.places(image.shape), channels)
    name = writer.add(
        integer.DepthwiseConvolve,
        image,
        shape,
        call.name,
        kernel=np.ones((*form.window, channels, 1), np.int8),
        strides=form.strides,
        padding=form.padding,
    )
    y = image.with_(name=name, shape=shape, weights=None)
    counts = form.counts((*image.shape[:2], 1))  # smaller at the edges
    least = math.lcm(*(int(c) for c in np.unique(counts)))
    if (counts != least).any():
        y = writer.scaled(y, least // counts, f"{call.name}/rim")
    y = y.with_(factor=y.factor / least)
    return like_input(writer, y, x, call.name)


@rule(linear.Total)
def reduction(writer: IntegerWriter, call: Call) -> ScaledTensor:
    """The sum or the mean over axes; the count becomes part of the unit."""
    x, axes, name = call.tensor, call.form.axes, call.name
    last = len(x.shape) - 1
    if last in axes:
        x = writer.uniform(writer.fixed(x))
    elif not by_channel(x):
        x = writer.of_channels(x)
    if np.ndim(x.offset) and last in axes:
        x = writer.without_offset(x)
    count = math.prod(x.shape[a] for a in axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    total = writer.add(integer.Sum, x, kept, name, axes=axes, input_shape=x.shape)
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
    return rearranged(writer, y, kind, call.shape, f"{name}/squeezed", stays)


@rule(layers.MaxPooling1D, layers.MaxPooling2D)
def max_pooling(writer: IntegerWriter, call: Call) -> ScaledTensor:
    return pooled(writer, call, pooling(call.operation, call.tensor.shape))


@rule(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D)
def global_max_pooling(writer: IntegerWriter, call: Call) -> ScaledTensor:
    layer, (*window, channels) = call.operation, call.tensor.shape
    form = linear.Pool(tuple(window), data_format=layer.data_format)
    y = pooled(writer, call, form)
    if layer.keepdims:
        return y
    return rearranged(
        writer, y, integer.Reshape, (channels,), f"{call.name}/squeezed", True
    )


def pooled(writer: IntegerWriter, call: Call, form: Pool) -> ScaledTensor:
    """Max pooling; in time, of the sum of all inputs so far."""
    form = of_images(form, call.tensor.shape)
    x = writer.without_offset(call.tensor)
    if not by_channel(x):
        x = writer.of_channels(x)
    image = as_image(writer, x, call.name)
    shape = (*form.places(image.shape), image.shape[-1])
    name = writer.add(
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
    return like_input(writer, y, x, call.name)
