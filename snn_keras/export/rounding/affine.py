"""The integer rules of scales, sums and constants."""

import functools

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call, NotExported
from snn_keras.export.rounding.moves import with_common_unit
from snn_keras.export.rounding.units import ScaledTensor
from snn_keras.export.rounding.writer import IntegerWriter, rule
from snn_keras.typing import Array


@rule(linear.Scale)
def scaling(writer: IntegerWriter, call: Call) -> ScaledTensor:
    return affine(writer, call, call.tensor, call.form.gain, call.form.offset)


@rule(linear.Sum)
def addition(writer: IntegerWriter, call: Call) -> ScaledTensor:
    form = call.form
    parts = [
        x if sign > 0 else writer.affine(x, -1.0)
        for x, sign in zip(call.tensors, form.signs, strict=True)
    ]
    total = functools.reduce(lambda a, b: plus(writer, a, b, call.name), parts)
    offset = form.constant / form.divisor
    return affine(writer, call, total, 1 / form.divisor, offset)


def affine(
    writer: IntegerWriter, call: Call, x: ScaledTensor, gain: Array, offset: Array
) -> ScaledTensor:
    """`gain * x + offset`, in the shape of the call's output."""
    if tuple(x.shape) != call.shape:
        raise NotExported(
            f"of the shape {tuple(x.shape)}, with a constant that makes it "
            f"{call.shape}, it has none. Remedy: a constant that fits the shape."
        )
    return writer.affine(x, gain, offset)


def plus(
    writer: IntegerWriter, a: ScaledTensor, b: ScaledTensor, name: str
) -> ScaledTensor:
    """The sum of two tensors."""
    shape = np.broadcast_shapes(a.shape, b.shape)
    if a.name == b.name:
        return writer.affine(a, 2.0)
    a, b = with_common_unit(writer, a, b, name)
    total = writer.add(integer.Add, [a, b], shape, name)
    return ScaledTensor(
        total,
        shape,
        a.factor,
        a.unit,
        a.origin,
        a.timed or b.timed,
        np.asarray(a.offset) + b.offset,
    )
