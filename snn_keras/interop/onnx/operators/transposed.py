"""Transposed convolutions."""

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import channels_last, of_channels_last
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.convolution import check_kernel, with_gaps
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.windows import (
    Windows,
    cropped,
    windows_of,
    zero_padded,
)
from snn_keras.interop.onnx.values import View

KINDS = {
    1: layers.Conv1DTranspose,
    2: layers.Conv2DTranspose,
    3: layers.Conv3DTranspose,
}


@operator("ConvTranspose")
def conv_transpose(call: Call) -> View:
    """`Conv1DTranspose` to `Conv3DTranspose`, without padding, and a crop behind."""
    view, kernel, bias = call.view(), call.constant(1), call.optional(2)
    check_kernel(call, kernel)
    windows = windows_of(call, view, kernel.shape[2:])
    groups = call.attribute("group", 1)
    if view.length(1) != len(kernel) or len(kernel) % groups:
        raise Untranslatable(
            f"its kernel of shape {kernel.shape} in {groups} groups does not take "
            f"{view.length(1)} channels"
        )
    kernel = with_gaps(kernel, windows.dilations)
    sides = _sides(call, windows, kernel.shape[2:])
    follows = any(behind < 0 for _, behind in sides)  # zeros, and the bias after them
    x = channels_last(call.make, view)
    y = _in_groups(call, x, kernel, None if follows else bias, windows.strides, groups)
    y = cropped(call, y, tuple((before, max(behind, 0)) for before, behind in sides))
    y = zero_padded(call, y, tuple((0, max(-behind, 0)) for _, behind in sides))
    if follows and bias is not None:
        y = call.make.function(ops.add, y, bias.astype("float32"), suffix="bias")
    return of_channels_last(view, y)


def _in_groups(call, x, kernel, bias, strides, groups):
    """A layer for each group of channels, side by side."""
    if groups == 1:
        return _layer(call, x, kernel, bias, strides)
    parts = call.make.function(ops.split, x, groups, axis=-1, suffix="groups")
    biases = [None] * groups if bias is None else np.split(bias, groups)
    pieces = zip(parts, np.split(kernel, groups), biases, strict=True)
    made = [_layer(call, *piece, strides) for piece in pieces]
    return call.make.layer(layers.Concatenate, made, suffix="all")


def _layer(call, x, kernel, bias, strides):
    rank = kernel.ndim - 2
    kernel = kernel.transpose(*range(2, kernel.ndim), 1, 0)
    return call.make.layer(
        KINDS[rank],
        x,
        kernel.shape[-2],
        kernel.shape[:rank],
        strides=strides,
        use_bias=bias is not None,
        weights=[kernel] if bias is None else [kernel, bias],
    )


def _sides(call: Call, windows: Windows, extents: tuple) -> list:
    """What to crop of Keras's output before and behind; below 0 is to be added."""
    count = len(extents)
    added = call.attribute("output_padding") or (0,) * count
    kind = call.attribute("auto_pad", "NOTSET")
    wanted = (call.attribute("output_shape") or [])[-count:]
    if kind in ("SAME_UPPER", "SAME_LOWER") and not wanted:
        wanted = [n * s for n, s in zip(windows.sizes, windows.strides, strict=True)]
    sides = []
    for i, extent in enumerate(extents):
        stride = windows.strides[i]
        full = (windows.sizes[i] - 1) * stride + extent + added[i]
        before, behind = windows.pads[i]
        if wanted:
            total = max(full - wanted[i], 0)
            before = total // 2 if kind == "SAME_UPPER" else total - total // 2
            behind = full - wanted[i] - before
        made = windows.sizes[i] * stride + max(extent - stride, 0)  # what Keras gives
        sides.append((before, made - full + behind))
    return sides
