"""Scales, sums and constants as integers."""

import functools

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call, Refusal
from snn_keras.export.quantize.moves import in_one_unit
from snn_keras.export.quantize.quantizer import Quantizer, rule
from snn_keras.export.quantize.units import Signal
from snn_keras.typing import Array


@rule(linear.Scale)
def scaling(quantizer: Quantizer, call: Call) -> Signal:
    return affine(quantizer, call, call.signal, call.form.gain, call.form.offset)


@rule(linear.Sum)
def addition(quantizer: Quantizer, call: Call) -> Signal:
    form = call.form
    parts = [
        x if sign > 0 else quantizer.affine(x, -1.0)
        for x, sign in zip(call.signals, form.signs, strict=True)
    ]
    total = functools.reduce(lambda a, b: plus(quantizer, a, b, call.name), parts)
    offset = form.constant / form.divisor
    return affine(quantizer, call, total, 1 / form.divisor, offset)


def affine(
    quantizer: Quantizer, call: Call, x: Signal, gain: Array, offset: Array
) -> Signal:
    """`gain * x + offset`, of the shape that the call makes."""
    if tuple(x.shape) != call.shape:
        raise Refusal(
            f"of the shape {tuple(x.shape)}, with a constant that makes it "
            f"{call.shape}, it has none. Remedy: a constant that fits the shape."
        )
    return quantizer.affine(x, gain, offset)


def plus(quantizer: Quantizer, a: Signal, b: Signal, name: str) -> Signal:
    """The sum of two signals."""
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
