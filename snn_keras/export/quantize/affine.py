"""Scales, sums and constants as integers."""

import keras
import numpy as np
from keras import layers, tree

from snn_keras.conversion._keras import operation_types
from snn_keras.export import integer
from snn_keras.export.calls import Refusal
from snn_keras.export.keras_layers import array, batch_norm_gain, constant_of
from snn_keras.export.quantize.moves import in_one_unit
from snn_keras.export.quantize.quantizer import rule
from snn_keras.export.quantize.units import Signal


@rule(layers.BatchNormalization)
def batch_normalization(quantizer, call):
    x = call.signal
    return quantizer.affine(x, *batch_norm_gain(call.operation, x.shape))


@rule(layers.Rescaling)
def rescaling(quantizer, call):
    layer = call.operation
    return quantizer.affine(call.signal, np.float64(layer.scale), layer.offset)


@rule(layers.Normalization)
def normalization(quantizer, call):
    layer, x = call.operation, call.signal
    mean, variance = (
        np.broadcast_to(array(v), (1, *x.shape))[0] if np.ndim(v) else np.float64(v)
        for v in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    gain = deviation if layer.invert else 1 / deviation
    offset = mean if layer.invert else -mean / deviation
    return quantizer.affine(x, gain, offset)


@rule(*operation_types("Add"))
def addition(quantizer, call):
    return plus(quantizer, *call.args, call.name)


@rule(*operation_types("Subtract"))
def subtraction(quantizer, call):
    a, b = call.args
    return plus(quantizer, a, negative(quantizer, b), call.name)


@rule(layers.Add)
def add(quantizer, call):
    total, *others = sorted(_parts(call), key=lambda x: not isinstance(x, Signal))
    for other in others:
        total = plus(quantizer, total, other, call.name)
    return total


def _parts(call):
    """What a merging layer is called on: signals and constants."""
    return tree.flatten((call.args, call.kwargs))


@rule(layers.Average)
def average(quantizer, call):
    return quantizer.affine(add(quantizer, call), 1 / len(_parts(call)))


@rule(layers.Subtract)
def subtract(quantizer, call):
    a, b = _parts(call)
    return plus(quantizer, a, negative(quantizer, b), call.name)


@rule(*operation_types("Negative"))
def negation(quantizer, call):
    return negative(quantizer, call.signal)


@rule(*operation_types("Multiply"))
def multiplication(quantizer, call):
    if len(call.signals) > 1:
        raise Refusal(
            "products of two signals have none. Remedy: sums, keras.layers.Add."
        )
    (constant,) = (a for a in call.args if not isinstance(a, Signal))
    return quantizer.affine(call.signal, constant_of(constant))


@rule(*operation_types("Divide", "TrueDivide"))
def division(quantizer, call):
    a, b = call.args
    if isinstance(b, Signal):
        raise Refusal(
            "quotients of signals have none. Remedy: differences, "
            "keras.layers.Subtract, or a constant divisor."
        )
    return quantizer.affine(a, 1 / constant_of(b))


def negative(quantizer, x):
    """`-x`, of a signal or a constant."""
    if isinstance(x, Signal):
        return quantizer.affine(x, -1.0)
    return -constant_of(x)


def plus(quantizer, a, b, name):
    """The sum of two signals, or of a signal and a constant."""
    if not isinstance(a, Signal):
        a, b = b, a
    if not isinstance(b, Signal):
        return quantizer.affine(a, 1.0, constant_of(b))
    shape = np.broadcast_shapes(a.shape, b.shape)
    if a.name == b.name:
        return quantizer.affine(a, 2.0)
    a, b = in_one_unit(quantizer, a, b, name)
    total = quantizer.add(integer.Add, [a, b], shape, name)
    return Signal(
        total,
        shape,
        a.factor,
        a.unit,
        a.origin,
        a.timed or b.timed,
        np.asarray(a.offset) + b.offset,
    )
