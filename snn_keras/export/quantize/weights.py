"""Layers of weights as integers."""

import math

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call
from snn_keras.export.quantize.moves import (
    as_image,
    like_input,
    of_images,
    rearranged,
    reshaped,
)
from snn_keras.export.quantize.quantizer import Quantizer, rule
from snn_keras.export.quantize.units import Signal, plain
from snn_keras.linear.windows import Convolution


@rule(linear.Dense)
def dense(quantizer: Quantizer, call: Call) -> Signal:
    x, kernel, offset = call.signal, call.form.kernel, call.form.bias
    if np.ndim(x.offset) < 2:
        offset = offset + np.broadcast_to(x.offset, len(kernel)) @ kernel
        x = x.with_(offset=0.0)
    x = quantizer.of_channels(x)
    return quantizer.weighted(integer.Dense, x, kernel, call.shape, call, offset)


@rule(linear.Separable)
def separable_convolution(quantizer: Quantizer, call: Call) -> Signal:
    """As the one convolution that it is: nothing is rounded in between."""
    return convolved(quantizer, call, call.form.merged)


@rule(linear.Convolution)
def convolution(quantizer: Quantizer, call: Call) -> Signal:
    return convolved(quantizer, call, call.form)


def convolved(quantizer: Quantizer, call: Call, form: Convolution) -> Signal:
    """A convolution of any kind, of images and of sequences."""
    x, offset = call.signal, form.bias
    form = of_images(form, x.shape)
    if np.any(x.offset):
        shape = (1, *(1,) * (3 - len(x.shape)), *x.shape)
        offset = plain(form.apply(np.broadcast_to(x.offset, x.shape).reshape(shape))[0])
        x = x.with_(offset=0.0)
    x = quantizer.of_channels(x)
    image = as_image(quantizer, x, call.name)
    places = form.places(image.shape)
    image, padding = spread(quantizer, image, form, call.name)
    kind, kernel = integer.Convolve, form.ungrouped
    if form.is_depthwise:
        *window, _, channels = form.kernel.shape
        kind = integer.DepthwiseConvolve
        kernel = form.kernel.reshape(*window, form.groups, channels // form.groups)
    y = quantizer.weighted(
        kind,
        image,
        kernel,
        (*places, form.kernel.shape[-1]),
        call,
        offset,
        strides=form.strides,
        padding=padding,
        dilation=form.dilation,
    )
    if np.ndim(offset) > 1:  # another one where it meets padding
        y = quantizer.settled(y)
    return like_input(quantizer, y, x, call.name)


def spread(
    quantizer: Quantizer, x: Signal, form: Convolution, name: str
) -> tuple[Signal, tuple]:
    """An image with zeros between its entries, and the padding that it still takes.

    Along each axis `spread - 1` zeros go behind each entry. Those behind the last one
    are padding, or are cut off where it has none.
    """
    padding, excess = [], []
    for axis, (stride, (before, after)) in enumerate(
        zip(form.spread, form.padding, strict=True)
    ):
        behind = stride - 1
        padding.append((before, max(after - behind, 0)))
        excess.append(max(behind - after, 0))
        if stride == 1:
            continue
        rows, rest = math.prod(x.shape[: axis + 1]), x.shape[axis + 1 :]
        image = (*x.shape[:axis], x.shape[axis] * stride, *rest)
        x = reshaped(quantizer, x, (rows, 1, math.prod(rest)), f"{name}/spread")
        sides = ((0, 0), (0, behind), (0, 0))
        shape, kind = (rows, stride, x.shape[-1]), integer.Pad
        x = rearranged(quantizer, x, kind, shape, f"{name}/spread", True, padding=sides)
        x = reshaped(quantizer, x, image, f"{name}/spread")
    if any(excess):
        sizes = [n - e for n, e in zip(x.shape, (*excess, 0), strict=True)]
        whole = {"begin": (0, 0, 0), "strides": (1, 1, 1)}
        x = rearranged(
            quantizer, x, integer.Crop, sizes, f"{name}/spread", True, **whole
        )
    return x, tuple(padding)
