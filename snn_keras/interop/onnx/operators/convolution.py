"""Convolutions."""

import numpy as np
from keras import layers

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import channels_last, of_channels_last
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.windows import windows_of, zero_padded
from snn_keras.interop.onnx.values import View

CONV = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
DEPTHWISE = {1: layers.DepthwiseConv1D, 2: layers.DepthwiseConv2D}


@operator("Conv")
def conv(call: Call) -> View:
    """`Conv1D` to `Conv3D`, `DepthwiseConv1D` and `DepthwiseConv2D`."""
    view, kernel, bias = call.view(), call.constant(1), call.optional(2)
    check_kernel(call, kernel)
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
    rank = kernel.ndim - 2
    space = range(2, kernel.ndim)
    if 1 < groups == channels and _is_depthwise(windows, dilations):
        kernel = kernel.reshape(groups, -1, *kernel.shape[2:]).transpose(*space, 0, 1)
        kind, first = DEPTHWISE[rank], kernel.shape[:rank]
        settings["depth_multiplier"] = kernel.shape[-1]
    else:
        kernel = kernel.transpose(*space, 1, 0)
        kind, first = CONV[rank], kernel.shape[-1]
        settings |= {"groups": groups, "kernel_size": kernel.shape[:rank]}
    weights = [kernel] if bias is None else [kernel, bias]
    return of_channels_last(
        view, call.make.layer(kind, x, first, weights=weights, **settings)
    )


def check_kernel(call: Call, kernel: np.ndarray) -> None:
    """Refuses a kernel that is none, or not the one that the node names."""
    if kernel.ndim < 3:
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
    key: tuple = (slice(None), slice(None))
    key += tuple(slice(None, None, d) for d in dilations)
    found[key] = kernel
    return found
