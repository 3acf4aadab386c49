"""The integer rules of layers with weights."""

import math

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call
from snn_keras.export.rounding.moves import (
    as_image,
    like_input,
    of_images,
    rearranged,
    reshaped,
)
from snn_keras.export.rounding.units import ScaledTensor, compact
from snn_keras.export.rounding.writer import IntegerWriter, rule
from snn_keras.linear.windows import Convolution


@rule(linear.Dense)
def dense(writer: IntegerWriter, call: Call) -> ScaledTensor:
    x, kernel, offset = call.tensor, call.form.kernel, call.form.bias
    if np.ndim(x.offset) < 2:
        offset = offset + np.broadcast_to(x.offset, len(kernel)) @ kernel
        x = x.with_(offset=0.0)
    x = writer.of_channels(x)
    return writer.weighted(integer.Dense, x, kernel, call.shape, call, offset)


@rule(linear.Separable)
def separable_convolution(writer: IntegerWriter, call: Call) -> ScaledTensor:
    """Exported as one equivalent convolution, so that nothing is rounded in between."""
    return convolved(writer, call, call.form.merged)


@rule(linear.Convolution)
def convolution(writer: IntegerWriter, call: Call) -> ScaledTensor:
    return convolved(writer, call, call.form)


def convolved(writer: IntegerWriter, call: Call, form: Convolution) -> ScaledTensor:
    """A convolution of any kind, of images or of sequences."""
    x, offset = call.tensor, form.bias
    form = of_images(form, x.shape)
    if np.any(x.offset):
        shape = (1, *(1,) * (3 - len(x.shape)), *x.shape)
        offset = compact(
            form.apply(np.broadcast_to(x.offset, x.shape).reshape(shape))[0]
        )
        x = x.with_(offset=0.0)
    x = writer.of_channels(x)
    image = as_image(writer, x, call.name)
    places = form.places(image.shape)
    image, padding = spread(writer, image, form, call.name)
    kind, kernel = integer.Convolve, form.ungrouped
    if form.is_depthwise:
        *window, _, channels = form.kernel.shape
        kind = integer.DepthwiseConvolve
        kernel = form.kernel.reshape(*window, form.groups, channels // form.groups)
    y = writer.weighted(
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
    if np.ndim(offset) > 1:  # it is different where windows meet padding
        y = writer.without_offset(y)
    return like_input(writer, y, x, call.name)


def spread(
    writer: IntegerWriter, x: ScaledTensor, form: Convolution, name: str
) -> tuple[ScaledTensor, tuple]:
    """An image with zeros between its entries, and the padding that remains to be done.

    Along each axis, `spread - 1` zeros follow each entry. Those after the last entry
    count as padding, or are removed if there is too little padding.
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
        x = reshaped(writer, x, (rows, 1, math.prod(rest)), f"{name}/spread")
        sides = ((0, 0), (0, behind), (0, 0))
        shape, kind = (rows, stride, x.shape[-1]), integer.Pad
        x = rearranged(writer, x, kind, shape, f"{name}/spread", True, padding=sides)
        x = reshaped(writer, x, image, f"{name}/spread")
    if any(excess):
        sizes = [n - e for n, e in zip(x.shape, (*excess, 0), strict=True)]
        whole = {"begin": (0, 0, 0), "strides": (1, 1, 1)}
        x = rearranged(writer, x, integer.Crop, sizes, f"{name}/spread", True, **whole)
    return x, tuple(padding)
