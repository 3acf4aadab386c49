"""The linear forms of Keras's layers and functions that scale, add up and average."""

import keras
import numpy as np
from keras import layers

from snn_keras._keras import LayerScale, operation_types
from snn_keras.conversion.rules import Identity, kinds_with
from snn_keras.graph import Tensor
from snn_keras.linear.forms import Scale, Sum, Total, array
from snn_keras.linear.nodes import (
    constant_of,
    is_channels_first,
    operands_of,
    shape_of,
    spatial,
)
from snn_keras.linear.registry import NoForm, form
from snn_keras.linear.windows import Pool, padding_of

_MEAN, _SUM = operation_types("Mean", "Sum")

# --- Scales --------------------------------------------------------------------------


@form(*kinds_with(Identity))
def _unchanged(node):
    return Scale(1.0)


@form(layers.BatchNormalization)
def _batch_normalization(node):
    layer, rank = node.operation, len(shape_of(node))
    gamma = array(layer.gamma) if layer.scale else 1.0
    beta = array(layer.beta) if layer.center else 0.0
    gain = gamma / np.sqrt(array(layer.moving_variance) + layer.epsilon)
    offset = beta - gain * array(layer.moving_mean)
    behind = rank - layer.axis % (rank + 1)
    shape = (-1, *(1,) * behind)
    return Scale(gain.reshape(shape), offset.reshape(shape))


@form(layers.Rescaling)
def _rescaling(node):
    return Scale(node.operation.scale, node.operation.offset)


@form(layers.Normalization)
def _normalization(node):
    layer = node.operation
    mean, variance = array(layer.mean), array(layer.variance)
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    if layer.invert:
        return Scale(deviation, mean)
    return Scale(1 / deviation, -mean / deviation)


@form(LayerScale)
def _layer_scale(node):
    return Scale(node.operation.gamma)


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
    x, divisor = (  # type: ignore[misc]  # the operation has two arguments
        *node.args,
        *node.kwargs.values(),
    )
    if isinstance(divisor, Tensor):
        raise NoForm(
            "quotients of signals have none. Remedy: differences, "
            "keras.layers.Subtract, or a constant divisor."
        )
    with np.errstate(divide="ignore"):
        return Scale(1 / constant_of(divisor, len(x.shape)))


# --- Sums and means ------------------------------------------------------------------


def _sum_of(operands, signs, divisor=1.0):
    """The form of a sum of signals and constants with signs."""
    pairs = list(zip(operands, signs, strict=True))
    constants = [x * sign for x, sign in pairs if not isinstance(x, Tensor)]
    taken = tuple(sign for x, sign in pairs if isinstance(x, Tensor))
    return Sum(taken, sum(constants), divisor)


@form(layers.Add, layers.Average, *operation_types("Add"))
def _add(node):
    operands = operands_of(node)
    count = len(operands)
    is_mean = isinstance(node.operation, layers.Average)
    return _sum_of(operands, (1,) * count, count if is_mean else 1)


@form(layers.Subtract, *operation_types("Subtract"))
def _subtract(node):
    return _sum_of(operands_of(node), (1, -1))


def pooling(layer: keras.layers.Layer, shape: tuple[int, ...]) -> Pool:
    """The windows of a pooling layer, also of one that does not compute means."""
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    none = (1,) * len(window)
    padding = padding_of(layer.padding, spatial(layer, shape), window, strides, none)
    return Pool(window, strides, padding, layer.data_format)


@form(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
def _average_pooling(node):
    return pooling(node.operation, shape_of(node))


@form(
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
def _global_average_pooling(node):
    layer, first = node.operation, int(is_channels_first(node.operation))
    axes = range(first, first + len(shape_of(node)) - 1)
    return Total(tuple(axes), layer.keepdims, mean=True)


@form(_MEAN, _SUM)
def _reduction(node):
    operation, rank = node.operation, len(node.inputs[0].shape)
    axes = range(rank) if operation.axis is None else np.atleast_1d(operation.axis)
    axes = tuple(sorted(int(a) % rank - 1 for a in axes))
    if -1 in axes:
        raise NoForm("it adds up samples. Remedy: axes without 0.")
    return Total(axes, operation.keepdims, mean=isinstance(operation, _MEAN))
