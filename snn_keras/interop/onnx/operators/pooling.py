"""Pools."""

import functools
import itertools
import operator as python_operator

import keras
import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import channels_last, of_channels_last
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.signs import is_nonnegative
from snn_keras.interop.onnx.operators.windows import Windows, windows_of, zero_padded
from snn_keras.interop.onnx.values import View

MAX = {1: layers.MaxPooling1D, 2: layers.MaxPooling2D, 3: layers.MaxPooling3D}
AVERAGE = {
    1: layers.AveragePooling1D,
    2: layers.AveragePooling2D,
    3: layers.AveragePooling3D,
}


@operator("MaxPool")
def max_pool(call: Call) -> View:
    """`MaxPooling1D` and the like, on an input whose padding changes no maximum."""
    if len(call.node.outputs) > 1 and call.node.outputs[1]:
        raise Untranslatable("its indices are read, which no layer of Keras gives")
    view = call.view()
    windows = windows_of(call, view, _kernel(call))
    x = channels_last(call.make, view)
    if max(windows.dilations) > 1:
        parts = _parts(call, _padded_for_max(call, x, windows), windows)
        y = call.make.layer(layers.Maximum, parts) if len(parts) > 1 else parts[0]
        return of_channels_last(view, y)
    padding = "same" if windows.is_same and not windows.is_valid else "valid"
    if padding == "valid":
        x = _padded_for_max(call, x, windows)
    return of_channels_last(view, _pooled(call, MAX, x, windows, padding))


def _kernel(call):
    kernel = call.attribute("kernel_shape")
    if not kernel:
        raise Untranslatable("it has no kernel_shape")
    return tuple(kernel)


def _pooled(call, kinds, x, windows, padding):
    kind = kinds[len(windows.kernel)]
    return call.make.layer(
        kind, x, windows.kernel, strides=windows.strides, padding=padding
    )


def _padded_for_max(call, x, windows):
    """The input with a padding that is nowhere above the maximum of a window.

    These are zeros around numbers of 0 or more, else mirrored entries, which are in the
    same window if that is as long as twice the padding.
    """
    if is_nonnegative(x):
        return zero_padded(call, x, windows.padding)
    if windows.is_valid:
        return x
    width = [(0, 0), *windows.padding, (0, 0)]
    sides = zip(windows.padding, windows.kernel, windows.sizes, strict=True)
    if max(windows.dilations) == 1 and all(
        2 * max(pads) <= kernel and max(pads) <= size for pads, kernel, size in sides
    ):
        return call.make.function(ops.pad, x, width, mode="symmetric", suffix="pad")
    lowest = float(np.finfo(keras.config.floatx()).min)
    return call.make.function(ops.pad, x, width, constant_values=lowest, suffix="pad")


def _parts(call, x, windows):
    """The entries of all windows at each place of the kernel, from a padded input."""
    starts = itertools.product(*map(range, windows.kernel))
    padded = [n + sum(p) for n, p in zip(windows.sizes, windows.padding, strict=True)]
    axes = list(zip(padded, windows.extents, windows.strides, strict=True))
    parts = []
    for start in starts:
        key = [slice(None)]
        for k, d, (n, extent, stride) in zip(
            start, windows.dilations, axes, strict=True
        ):
            count = (n - extent) // stride + 1
            key.append(slice(k * d, k * d + (count - 1) * stride + 1, stride))
        part = call.make.function(
            python_operator.getitem, x, tuple(key), suffix="window"
        )
        parts.append(part)
    return parts


@operator("AveragePool")
def average_pool(call: Call) -> View:
    """`AveragePooling1D` and the like; where padding does not count, a factor more."""
    view = call.view()
    windows = windows_of(call, view, _kernel(call))
    counts_padding = bool(call.attribute("count_include_pad", 0))
    x = channels_last(call.make, view)
    if windows.is_same and not counts_padding and max(windows.dilations) == 1:
        padding = "valid" if windows.is_valid else "same"
        return of_channels_last(view, _pooled(call, AVERAGE, x, windows, padding))
    x = zero_padded(call, x, windows.padding)
    if max(windows.dilations) > 1:
        parts = _parts(call, x, windows)
        y = call.make.layer(layers.Average, parts) if len(parts) > 1 else parts[0]
    else:
        y = _pooled(call, AVERAGE, x, windows, "valid")
    factor = _share_counted(windows, counts_padding)
    if not np.all(factor == 1):
        y = call.make.function(ops.multiply, y, factor, suffix="count")
    return of_channels_last(view, y)


def _share_counted(windows: Windows, counts_padding: bool) -> np.ndarray:
    """Entries of each window, divided by those that count; `(1, *space, 1)`."""
    shares = []
    for i, size in enumerate(windows.sizes):
        before, behind = windows.pads[i]
        first, last = (-before, size + behind) if counts_padding else (0, size)
        kernel = np.arange(windows.kernel[i]) * windows.dilations[i]
        end = size + windows.padding[i][1] - windows.extents[i]
        places = np.arange(-before, end + 1, windows.strides[i])[:, None] + kernel
        counted = ((places >= first) & (places < last)).sum(1)
        shares.append(len(kernel) / counted)
    return functools.reduce(np.multiply.outer, shares)[None, ..., None].astype(
        "float32"
    )
