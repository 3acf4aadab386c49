"""The linear forms of Keras's layers and functions that move elements."""

import math

import numpy as np
from keras import layers

from snn_keras._keras import operation_types
from snn_keras.graph import Tensor
from snn_keras.linear.forms import Along, array
from snn_keras.linear.moves import Concatenate, Crop, Pad, Repeat, Reshape, Transpose
from snn_keras.linear.nodes import is_channels_first, operands_of, shape_of
from snn_keras.linear.registry import NoForm, form


@form(
    layers.Reshape,
    layers.Flatten,
    *operation_types("Reshape", "Squeeze", "ExpandDims"),
)
def _reshape(node):
    before, after = shape_of(node), tuple(node.output.shape[1:])
    if None in after or math.prod(before) != math.prod(after):
        raise NoForm("it moves the batch axis. Remedy: keras.layers.Reshape.")
    if is_channels_first(node.operation) and len(before) > 1:  # Flatten transposes
        raise NoForm('it is channels-first. Remedy: data_format="channels_last".')
    return Reshape(after)


@form(layers.Permute)
def _permute(node):
    return Transpose(tuple(d - 1 for d in node.operation.dims))


@form(*operation_types("Transpose"))
def _transpose(node):
    axes = node.operation.axes
    if axes is None or axes[0] != 0:
        raise NoForm("it moves the batch axis. Remedy: keras.layers.Permute.")
    return Transpose(tuple(a - 1 for a in axes[1:]))


@form(layers.Concatenate, *operation_types("Concatenate"))
def _concatenate(node):
    operands = operands_of(node)
    if not all(isinstance(x, Tensor) for x in operands):
        raise NoForm(
            "with a constant beside signals it has none. Remedy: keras.ops.pad for "
            "zeros, and keras.layers.Rescaling(1.0, offset=constant) behind it."
        )
    axis = node.operation.axis % len(operands[0].shape)
    if axis == 0:
        raise NoForm("it joins samples. Remedy: another axis than 0.")
    return Concatenate(axis - 1)


@form(*operation_types("GetItem"))
def _get_item(node):
    """The form of `x[:, a:b:c, ...]`."""
    x, key = (  # type: ignore[misc]  # the operation has two arguments
        *node.args,
        *node.kwargs.values(),
    )
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


def _with_channels(layer, sides, rest):
    """Settings for all axes: `sides` for the spatial ones, `rest` for the channels."""
    return (rest, *sides) if is_channels_first(layer) else (*sides, rest)


def _sides(layer, values):
    """`(before, after)` for each axis; layers of one spatial axis have one pair."""
    values = values if np.ndim(values) == 2 else (values,)
    return _with_channels(layer, tuple(map(tuple, values)), (0, 0))


@form(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
def _zero_padding(node):
    return Pad(_sides(node.operation, node.operation.padding))


@form(layers.Cropping1D, layers.Cropping2D, layers.Cropping3D)
def _cropping(node):
    begin = tuple(b for b, _ in _sides(node.operation, node.operation.cropping))
    return Crop(begin, (1,) * len(begin), tuple(node.output.shape[1:]))


@form(layers.UpSampling1D, layers.UpSampling2D, layers.UpSampling3D)
def _up_sampling(node):
    layer = node.operation
    if getattr(layer, "interpolation", "nearest") != "nearest":
        return _interpolation(layer, shape_of(node))
    times = np.atleast_1d(layer.size).tolist()
    return Repeat(_with_channels(layer, times, 1))


def _interpolation(layer, shape):
    """Interpolation along each of two axes; the layer itself gives the matrices."""
    first = int(is_channels_first(layer))
    changes = {"data_format": "channels_last", "dtype": "float32"}
    along = type(layer).from_config({**layer.get_config(), **changes})
    matrices = []
    for axis, size in enumerate(shape[first : first + 2]):
        line = np.expand_dims(np.eye(size, dtype="float32")[..., None], 2 - axis)
        matrices.append(array(along(line)).take(0, 2 - axis)[..., 0])
    return Along((first, first + 1), tuple(matrices))
