"""The operators of TFLite for layers with weights and for windows."""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.tflite.lowering import Lowering
from snn_keras.linear.windows import padding_of


@dataclasses.dataclass(frozen=True)
class Product:
    """The operator of a layer with weights.

    Attributes:
        kind: Its name in the schema.
        table: The values of its options.
        kernel: The kernel in the layout that it takes.
        axis: The axis of the kernel along which channels of the output lie.
    """

    kind: str
    table: Mapping[str, Any]
    kernel: np.ndarray
    axis: int

    def add(self, to: Lowering, inputs: list[int], y: int, version: int, **more) -> int:
        """Adds the operator, which reads `inputs` and writes `y`; returns `y`."""
        words = {"FULLY_CONNECTED": "FullyConnected", "CONV_2D": "Conv2D"}
        options = f"{words.get(self.kind, 'DepthwiseConv2D')}Options"
        table = {**self.table, **more}
        to.file.operator(self.kind, inputs, [y], options, version, **table)
        return y


@functools.singledispatch
def product_of(operation: Any, to: Lowering, x: int) -> tuple[Product, int]:
    """The `Product` of an operation, and its input, padded if need be."""
    raise NotImplementedError(type(operation).__name__)


@product_of.register
def _(operation: integer.Dense, to, x):
    table = {"keepNumDims": len(operation.shape) > 1}
    return Product("FULLY_CONNECTED", table, operation.kernel.T, 0), x


@product_of.register
def _(operation: integer.Convolve, to, x):
    table = {
        "strideH": operation.strides[0],
        "strideW": operation.strides[1],
        "dilationHFactor": operation.dilation[0],
        "dilationWFactor": operation.dilation[1],
    }
    is_same, x = padded(operation, to, x)
    table["padding"] = 0 if is_same else 1
    weights = operation.kernel
    if isinstance(operation, integer.DepthwiseConvolve):
        table["depthMultiplier"] = weights.shape[-1]
        kernel = weights.reshape(1, *weights.shape[:2], -1)
        return Product("DEPTHWISE_CONV_2D", table, kernel, 3), x
    return Product("CONV_2D", table, weights.transpose(3, 0, 1, 2), 0), x


def padded(operation: Any, to: Lowering, x: int, value: int = 0) -> tuple[bool, int]:
    """`x`, padded unless TFLite's "SAME" or "VALID" has the same effect.

    Returns:
        Whether the padding is "SAME", and `x`.
    """
    window = getattr(operation, "window", None) or operation.kernel.shape[:2]
    dilation = getattr(operation, "dilation", (1, 1))
    settings = window, operation.strides, dilation
    shape = to.shape(x)
    if operation.padding == padding_of("same", shape[:2], *settings):
        return True, x
    if np.any(operation.padding):
        x = to.pad(x, (*operation.padding, (0, 0)), value)
    return False, x


def views(operation: Any, to: Lowering, x: int) -> list[int]:
    """What is at each place of a window, for all windows; `x` is padded."""
    window = getattr(operation, "window", None) or operation.kernel.shape[:2]
    dilation = getattr(operation, "dilation", (1, 1))
    shape, strides = (*operation.shape[:2], to.shape(x)[-1]), (*operation.strides, 1)
    found = []
    for place in itertools.product(*map(range, window)):
        begin = (*(i * d for i, d in zip(place, dilation, strict=True)), 0)
        each = zip(begin[:2], strides[:2], shape[:2], strict=True)
        ends = [first + k * (n - 1) + 1 for first, k, n in each] + [shape[-1]]
        found.append(to.slice(x, begin, ends, strides, shape))
    return found


def pooled(operation: integer.MaxPool, to: Lowering, x: int, least: int) -> int:
    """Max pooling by the operator, whose padding is `least`."""
    is_same, x = padded(operation, to, x, least)
    y = to.like(x, operation.shape)
    to.file.operator(
        "MAX_POOL_2D",
        [x],
        [y],
        "Pool2DOptions",
        version=1 if to.file.kind(x)[0] == "float32" else 3,
        padding=0 if is_same else 1,
        strideH=operation.strides[0],
        strideW=operation.strides[1],
        filterHeight=operation.window[0],
        filterWidth=operation.window[1],
    )
    return y
