"""Convolutions."""

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import channels_last, of_channels_last
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.windows import (
    cropped,
    windows_of,
    zero_padded,
)
from snn_keras.interop.onnx.values import View

CONV = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
DEPTHWISE = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}
TRANSPOSE = {
    1: layers.Conv1DTranspose,
    2: layers.Conv2DTranspose,
    3: layers.Conv3DTranspose,
}


@operator("Conv")
def conv(call: Call) -> View:
    """`Conv1D` to `Conv3D`, `DepthwiseConv1D` and `DepthwiseConv2D`."""
    view, kernel, bias = call.view(), call.constant(1), call.constant(2)
    _check_kernel(call, view, kernel)
    windows = windows_of(call, view, kernel.shape[2:])
    groups, channels = call.attribute("group", 1), view.length(1)
    if channels != kernel.shape[1] * groups or len(kernel) % groups:
        raise Untranslatable(
            f"its kernel of shape {kernel.shape} in {groups} groups does not take "
            f"{channels} channels"
        )
    kernel, dilations = _dilated(kernel, windows.dilations, windows.strides)
    padding = "same" if windows.is_same and not windows.is_valid else "valid"
    x = channels_last(call.make, view)
    if padding == "valid":
        x = zero_padded(call, x, windows.padding)
    settings = {
        "strides": windows.strides,
        "dilation_rate": dilations,
        "padding": padding,
        "use_bias": bias is not None,
    }
    space = tuple(range(2, kernel.ndim))
    if 1 < groups == channels and _is_depthwise(windows, dilations):
        kernel = kernel.reshape(groups, -1, *kernel.shape[2:]).transpose(*space, 0, 1)
        layer, first = DEPTHWISE[len(space)], kernel.shape[: len(space)]
        settings["depth_multiplier"] = kernel.shape[-1]
        y = _weighted(call, layer, x, kernel, bias, first, settings)
    else:
        kernel = kernel.transpose(*space, 1, 0)
        settings |= {"groups": groups, "kernel_size": kernel.shape[: len(space)]}
        y = _weighted(
            call, CONV[len(space)], x, kernel, bias, kernel.shape[-1], settings
        )
    return of_channels_last(view, y)


def _check_kernel(call, view, kernel):
    if kernel is None or kernel.ndim < 3:
        raise Untranslatable("it has no kernel of 3 axes or more")
    shape = call.attribute("kernel_shape")
    if shape is not None and tuple(shape) != kernel.shape[2:]:
        raise Untranslatable(
            f"kernel_shape {tuple(shape)} is not that of its kernel {kernel.shape[2:]}"
        )


def _is_depthwise(windows, dilations):
    """Whether Keras's depthwise layers have these windows on every backend."""
    count = len(windows.strides)
    return count in DEPTHWISE and len(set(windows.strides)) == len(set(dilations)) == 1


def _dilated(kernel, dilations, strides):
    """A kernel and its dilations; Keras has no dilations beside strides: 0s instead."""
    if max(dilations) == 1 or max(strides) == 1:
        return kernel, dilations
    return with_gaps(kernel, dilations), (1,) * len(dilations)


def with_gaps(kernel: np.ndarray, dilations: tuple) -> np.ndarray:
    """A kernel with zeros between its entries."""
    pairs = zip(kernel.shape[2:], dilations, strict=True)
    shape = (*kernel.shape[:2], *((k - 1) * d + 1 for k, d in pairs))
    found = np.zeros(shape, kernel.dtype)
    found[(..., *(slice(None, None, d) for d in dilations))] = kernel
    return found


def _weighted(call, layer, x, kernel, bias, first, settings):
    weights = [kernel] if bias is None else [kernel, bias]
    return call.make.layer(layer, x, first, weights=weights, **settings)


@operator("ConvTranspose")
def conv_transpose(call: Call) -> View:
    """`Conv1DTranspose` to `Conv3DTranspose`, without padding, and a crop behind."""
    view, kernel, bias = call.view(), call.constant(1), call.constant(2)
    _check_kernel(call, view, kernel)
    windows = windows_of(call, view, kernel.shape[2:])
    groups = call.attribute("group", 1)
    if view.length(1) != len(kernel) or len(kernel) % groups:
        raise Untranslatable(
            f"its kernel of shape {kernel.shape} in {groups} groups does not take "
            f"{view.length(1)} channels"
        )
    kernel = with_gaps(kernel, windows.dilations)
    sides = _sides(call, windows, kernel.shape[2:])
    after = any(behind < 0 for _, behind in sides)  # zeros follow: the bias after them
    x = channels_last(call.make, view)
    parts = ops_split(call, x, groups)
    kernels = np.split(kernel, groups)
    biases = [None] * groups if bias is None or after else np.split(bias, groups)
    made = []
    for part, weights, own in zip(parts, kernels, biases, strict=True):
        space = tuple(range(2, kernel.ndim))
        weights = weights.transpose(*space, 1, 0)
        settings = {
            "strides": windows.strides,
            "kernel_size": weights.shape[: len(space)],
            "use_bias": own is not None,
        }
        layer = TRANSPOSE[len(space)]
        made.append(
            _weighted(call, layer, part, weights, own, weights.shape[-2], settings)
        )
    y = (
        made[0]
        if groups == 1
        else call.make.layer(layers.Concatenate, made, suffix="all")
    )
    y = cropped(call, y, tuple((max(b, 0), max(e, 0)) for b, e in sides))
    y = zero_padded(call, y, tuple((max(-b, 0), max(-e, 0)) for b, e in sides))
    if after and bias is not None:
        y = call.make.function(ops.add, y, bias.astype("float32"), suffix="bias")
    return of_channels_last(view, y)


def ops_split(call: Call, x: object, groups: int) -> list:
    """The channels of a tensor in groups."""
    if groups == 1:
        return [x]
    return call.make.function(ops.split, x, groups, axis=-1, suffix="groups")


def _sides(call, windows, extents):
    """What to crop from Keras's output, before and behind; below 0 is to be added."""
    count = len(extents)
    added = tuple(call.attribute("output_padding") or (0,) * count)
    shape = call.attribute("output_shape")
    auto = call.attribute("auto_pad", "NOTSET")
    sides = []
    for i, (n, stride, extent) in enumerate(
        zip(windows.sizes, windows.strides, extents, strict=True)
    ):
        full = (n - 1) * stride + extent
        before, behind = windows.pads[i]
        wanted = None
        if shape:
            wanted = shape[-count:][i]
        elif auto in ("SAME_UPPER", "SAME_LOWER"):
            wanted = n * stride
        if wanted is not None:
            total = max(full + added[i] - wanted, 0)
            small, large = total // 2, total - total // 2
            before, behind = (small, large) if auto == "SAME_UPPER" else (large, small)
        length = full + added[i] - before - behind if wanted is None else wanted
        made = n * stride + max(extent - stride, 0)  # what Keras gives
        sides.append((before, made - before - length))
    return sides
