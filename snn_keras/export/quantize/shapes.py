"""Layers that move things, as integers."""

import numpy as np
from keras import layers

from snn_keras.conversion._keras import operation_types
from snn_keras.export import integer
from snn_keras.export.calls import Refusal, check_no_constants
from snn_keras.export.keras_layers import check_channels_last, pad_sides, slices
from snn_keras.export.quantize.moves import rearranged, reshaped
from snn_keras.export.quantize.quantizer import rule
from snn_keras.export.quantize.units import Signal, plain


@rule(layers.Reshape, layers.Flatten, *operation_types("Reshape", "Squeeze"))
def reshaping(quantizer, call):
    return reshaped(quantizer, call.signal, call.shape, call.name)


@rule(*operation_types("ExpandDims"))
def expansion(quantizer, call):
    return reshaped(quantizer, call.signal, call.shape, call.name)


@rule(layers.Permute)
def permutation(quantizer, call):
    axes = tuple(d - 1 for d in call.operation.dims)
    return permuted(quantizer, call, axes)


@rule(*operation_types("Transpose"))
def transposition(quantizer, call):
    axes = call.operation.axes
    if axes is None or axes[0] != 0:
        raise Refusal("it moves the batch axis. Remedy: keras.layers.Permute.")
    return permuted(quantizer, call, tuple(a - 1 for a in axes[1:]))


def permuted(quantizer, call, axes):
    stays = axes[-1] == len(axes) - 1
    kind = integer.Transpose
    return rearranged(
        quantizer, call.signal, kind, call.shape, call.name, stays, axes=axes
    )


@rule(layers.ZeroPadding1D, layers.ZeroPadding2D)
def zero_padding(quantizer, call):
    check_channels_last(call.operation)
    padding = (*_sides(call.operation.padding), (0, 0))
    kind = integer.Pad
    return rearranged(
        quantizer, call.signal, kind, call.shape, call.name, True, padding=padding
    )


@rule(layers.Cropping1D, layers.Cropping2D)
def cropping(quantizer, call):
    check_channels_last(call.operation)
    begin = (*(before for before, _ in _sides(call.operation.cropping)), 0)
    return cropped(quantizer, call, begin, (1,) * len(begin))


@rule(*operation_types("GetItem"))
def item(quantizer, call):
    begin, strides = slices(call)
    return cropped(quantizer, call, begin, strides)


def cropped(quantizer, call, begin, strides):
    """A part of a signal."""
    x, kind = call.signal, integer.Crop
    stays = begin[-1] == 0 and call.shape[-1] == x.shape[-1]
    settings = {"begin": begin, "strides": strides}
    return rearranged(quantizer, x, kind, call.shape, call.name, stays, **settings)


@rule(*operation_types("Pad"))
def padding_by_zeros(quantizer, call):
    sides = pad_sides(call)
    x, kind, stays = call.signal, integer.Pad, sides[-1] == (0, 0)
    return rearranged(quantizer, x, kind, call.shape, call.name, stays, padding=sides)


def _sides(values):
    """`(before, after)` for each axis, of which layers of one axis give one pair."""
    return tuple(values) if np.ndim(values) == 2 else (tuple(values),)


@rule(layers.UpSampling1D, layers.UpSampling2D)
def up_sampling(quantizer, call):
    check_channels_last(call.operation)
    if getattr(call.operation, "interpolation", "nearest") != "nearest":
        raise Refusal('it interpolates. Remedy: interpolation="nearest".')
    times = (*np.atleast_1d(call.operation.size).tolist(), 1)
    kind = integer.Repeat
    return rearranged(
        quantizer, call.signal, kind, call.shape, call.name, True, times=times
    )


@rule(layers.Concatenate, *operation_types("Concatenate"))
def concatenation(quantizer, call):
    check_no_constants(call)
    axis = call.operation.axis
    rank = len(call.shape)
    axis = axis - 1 if axis > 0 else axis + rank
    parts = [quantizer.fixed(x) for x in call.signals]
    factor, origin = (
        plain(np.concatenate([np.broadcast_to(a, x.shape) for a, x in pairs], axis))
        for pairs in ([(x.factor, x) for x in parts], [(x.origin, x) for x in parts])
    )
    name = quantizer.add(
        integer.Concatenate,
        parts,
        call.shape,
        call.name,
        origin,
        axis=axis,
        input_shapes=tuple(x.shape for x in parts),
    )
    timed = any(x.timed for x in parts)
    return Signal(name, call.shape, factor, origin=origin, timed=timed)
