"""The linear forms of functions of `keras.ops`."""

import math

import numpy as np

from snn_keras.convert._keras import operation_types
from snn_keras.graph import Tensor
from snn_keras.linear.forms import Scale, Total
from snn_keras.linear.moves import Crop, Pad, Reshape, Transpose
from snn_keras.linear.operands import (
    concatenated,
    constant_of,
    operands_of,
    sum_of,
)
from snn_keras.linear.registry import NoForm, form

_MEAN, _SUM = operation_types("Mean", "Sum")


@form(*operation_types("Add"))
def _add(node):
    return sum_of(operands_of(node))


@form(*operation_types("Subtract"))
def _subtract(node):
    return sum_of(operands_of(node), (1, -1))


@form(*operation_types("Negative"))
def _negative(node):
    return Scale(-1.0)


@form(*operation_types("Multiply"))
def _multiply(node):
    constants = [x for x in operands_of(node) if not isinstance(x, Tensor)]
    if len(constants) != 1:
        raise NoForm(
            "products of two signals have none. Remedy: sums, keras.layers.Add."
        )
    return Scale(*constants)


@form(*operation_types("Divide", "TrueDivide"))
def _divide(node):
    x, divisor = (*node.args, *node.kwargs.values())
    if isinstance(divisor, Tensor):
        raise NoForm(
            "quotients of signals have none. Remedy: differences, "
            "keras.layers.Subtract, or a constant divisor."
        )
    with np.errstate(divide="ignore"):
        return Scale(1 / constant_of(divisor, len(x.shape)))


@form(_MEAN, _SUM)
def _reduction(node):
    operation, rank = node.operation, len(node.inputs[0].shape)
    axes = range(rank) if operation.axis is None else np.atleast_1d(operation.axis)
    axes = tuple(sorted(int(a) % rank - 1 for a in axes))
    if -1 in axes:
        raise NoForm("it adds up samples. Remedy: axes without 0.")
    return Total(axes, operation.keepdims, mean=isinstance(operation, _MEAN))


@form(*operation_types("Concatenate"))
def _concatenate(node):
    return concatenated(operands_of(node), node.operation.axis)


@form(*operation_types("Reshape", "Squeeze", "ExpandDims"))
def _reshape(node):
    before, after = (tuple(x.shape[1:]) for x in (node.inputs[0], node.output))
    if None in after or math.prod(before) != math.prod(after):
        raise NoForm("it moves the batch axis. Remedy: keras.layers.Reshape.")
    return Reshape(after)


@form(*operation_types("Transpose"))
def _transpose(node):
    axes = node.operation.axes
    if axes is None or axes[0] != 0:
        raise NoForm("it moves the batch axis. Remedy: keras.layers.Permute.")
    return Transpose(tuple(a - 1 for a in axes[1:]))


@form(*operation_types("GetItem"))
def _item(node):
    """The slices of `x[:, a:b:c, ...]`."""
    x, key = (*node.args, *node.kwargs.values())
    key = key if isinstance(key, (tuple, list)) else (key,)
    key = [*key, *[slice(None)] * (len(x.shape) - len(key))]
    if not all(isinstance(k, slice) for k in key) or key[0] != slice(None):
        raise NoForm(
            "only slices have one, that leave the batch as it is. Remedy: "
            "x[:, i:i+1] and keras.layers.Reshape for x[:, i]."
        )
    sides = [k.indices(n) for k, n in zip(key[1:], x.shape[1:], strict=True)]
    if any(stride < 1 for _, _, stride in sides):
        raise NoForm("it goes backwards. Remedy: a stride of 1 or more.")
    begin, _, strides = zip(*sides, strict=True)
    return Crop(begin, strides, tuple(node.output.shape[1:]))


@form(*operation_types("Pad"))
def _pad(node):
    operation = node.operation
    filled = [x for x in (*node.args[1:], *node.kwargs.values()) if x is not None]
    if operation.mode != "constant" or any(np.any(v) for v in filled):
        raise NoForm(
            "it pads with something else than 0. Remedy: keras.ops.pad(x, pad_width)."
        )
    batch, *sides = (tuple(int(n) for n in side) for side in operation.pad_width)
    if batch != (0, 0):
        raise NoForm("it pads the batch. Remedy: (0, 0) first in pad_width.")
    return Pad(tuple(sides))
