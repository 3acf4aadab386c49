"""Tensors moved: to another shape, or into another unit."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.calls import NotExported, check_channels_last
from snn_keras.export.to_integers.constants import Constant
from snn_keras.export.to_integers.units import (
    ScaledTensor,
    common_bit,
    compact,
    fine_unit,
)
from snn_keras.export.to_integers.writer import IntegerWriter, rule
from snn_keras.typing import Array


def by_channel(x: ScaledTensor) -> bool:
    """Whether all that is known of `x` is the same along all axes but the last."""
    shapes = map(np.shape, (x.factor, x.offset, x.origin))
    return all(shape in ((), x.shape[-1:]) for shape in shapes)


def keeps_channels(form: Any, shape: tuple[int, ...]) -> bool:
    """Whether a form that moves elements of this shape leaves each in its channel."""
    numbers = np.arange(1, shape[-1] + 1)
    made = form.apply(np.broadcast_to(numbers, (1, *shape)))
    if made.shape[-1] != shape[-1]:
        return False
    return bool(np.all((made == numbers) | (made == 0)))  # 0: what it pads with


def rearranged(
    writer: IntegerWriter,
    x: ScaledTensor,
    kind: type,
    shape: Sequence[int],
    name: str,
    keeps_channels: bool = False,
    **arguments,
) -> ScaledTensor:
    """The same entries in another place, each in the unit that it has."""
    if kind is integer.Pad:
        x = writer.without_offset(x)  # what it pads with has no offset
    stays = keeps_channels and by_channel(x)
    if not stays:
        x = writer.fixed(x)
    name = writer.add(kind, x, shape, name, input_shape=x.shape, **arguments)
    moved = x.with_(name=name, shape=tuple(shape), weights=None)
    if stays:
        return moved
    factor, origin = (
        compact(writer.emitted(name).map_array(a)) if np.ndim(a) else a
        for a in (x.factor, x.origin)
    )
    return moved.with_(factor=np.where(factor == 0, 1.0, factor), origin=origin)


def reshaped(
    writer: IntegerWriter, x: ScaledTensor, shape: tuple[int, ...], name: str
) -> ScaledTensor:
    """Another shape for the same entries."""
    stays = shape[-1:] == x.shape[-1:]
    return rearranged(writer, x, integer.Reshape, shape, name, stays)


def of_images(form: Any, shape: tuple[int, ...]) -> Any:
    """A form with windows as one of images, for an input of this shape."""
    check_channels_last(form)
    if len(shape) not in (2, 3):
        raise NotExported(f"of images and sequences alone it has one. {rule.remedy}")
    return form if len(shape) == 3 else form.of_images()


def as_image(writer: IntegerWriter, x: ScaledTensor, name: str) -> ScaledTensor:
    """A sequence `(length, channels)` as an image of height 1."""
    if len(x.shape) == 3:
        return x
    return reshaped(writer, x, (1, *x.shape), f"{name}/image")


def like_input(
    writer: IntegerWriter, y: ScaledTensor, x: ScaledTensor, name: str
) -> ScaledTensor:
    """An image of height 1 as the sequence that `x` is."""
    if len(x.shape) == 3:
        return y
    return reshaped(writer, y, y.shape[1:], f"{name}/sequence")


def with_common_unit(
    writer: IntegerWriter, a: ScaledTensor, b: ScaledTensor, name: str
) -> tuple[ScaledTensor, ...]:
    """Two tensors whose integers may be added."""
    if a.timed != b.timed:  # their offsets are not on for the same steps
        a, b = writer.without_offset(a), writer.without_offset(b)
    if by_channel(a) and by_channel(b) and a.shape[-1] == b.shape[-1]:
        if a.is_open and b.is_open:
            ratio = a.factor / b.factor
            if a.unit.root()[0] is not b.unit.root()[0]:
                b.unit.join(a.unit, ratio)  # type: ignore[arg-type]  # it is open
                return a, b
            if np.array_equal(a.unit.root()[1], ratio * b.unit.root()[1]):
                return a, b
        elif a.is_open:
            return a, in_unit_of(writer, writer.without_offset(b), a, name)
        elif b.is_open:
            return in_unit_of(writer, writer.without_offset(a), b, name), b
    a, b = writer.fixed(a), writer.fixed(b)
    unit = fine_unit(a.factor, b.factor)
    choice = writer.chosen(unit, [a, b], f"{name}/gain")
    return tuple(writer.in_unit(x, choice, f"{name}/gain") for x in (a, b))


def in_unit_of(
    writer: IntegerWriter, x: ScaledTensor, other: ScaledTensor, name: str
) -> ScaledTensor:
    """`x`, whose unit is solved, in the unit of `other`, which is open."""
    other.unit.need(np.broadcast_to(x.scale / other.factor, other.shape[-1:]))
    gain = Constant(x.name, "gain", x.scale, other)
    scaled = writer.scaled(x.with_(origin=other.origin), gain, f"{name}/gain")
    return scaled.with_(factor=other.factor, unit=other.unit)


def fine_enough(
    writer: IntegerWriter, x: ScaledTensor, grain: Array, beside: Array, name: str
) -> ScaledTensor:
    """`x` with its offset, in a unit that is fine enough for comparisons.

    `grain` becomes a whole number of units, or so many that rounding it does no harm.

    Args:
        writer: The `IntegerWriter`.
        x: A tensor, of an open unit or a solved one.
        grain: A number, or one for each channel.
        beside: Larger numbers that are held in this unit, likewise.
        name: The layer that it is for.
    """
    x = writer.solved(x)
    bit = common_bit(grain, x.scale, x.offset)
    gain = x.scale / bit
    if np.max(gain) > 2**12:
        wanted = np.minimum(2**10 / grain, 2**28 / beside) * x.scale
        gain = 2.0 ** np.maximum(0, np.ceil(np.log2(wanted)))
    beside = functools.reduce(np.maximum, map(np.abs, (beside, x.offset)))
    return writer.shift(writer.refined(x, gain, beside, f"{name}/gain"))
