"""Changes the shape or the unit of integer tensors."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.calls import NotExported, check_channels_last
from snn_keras.export.rounding.constants import Constant
from snn_keras.export.rounding.units import (
    ScaledTensor,
    common_bit,
    compact,
    fine_unit,
)
from snn_keras.export.rounding.writer import IntegerWriter, rule
from snn_keras.typing import Array


def by_channel(x: ScaledTensor) -> bool:
    """Whether scale, offset and origin of `x` vary only along the last axis."""
    shapes = map(np.shape, (x.factor, x.offset, x.origin))
    return all(shape in ((), x.shape[-1:]) for shape in shapes)


def keeps_channels(form: Any, shape: tuple[int, ...]) -> bool:
    """Whether a form that moves elements keeps each in its channel."""
    numbers = np.arange(1, shape[-1] + 1)
    made = form.apply(np.broadcast_to(numbers, (1, *shape)))
    if made.shape[-1] != shape[-1]:
        return False
    return bool(np.all((made == numbers) | (made == 0)))  # 0 is padding


def rearranged(
    writer: IntegerWriter,
    x: ScaledTensor,
    kind: type,
    shape: Sequence[int],
    name: str,
    keeps_channels: bool = False,
    **arguments,
) -> ScaledTensor:
    """Moves the entries, and their units with them."""
    if kind is integer.Pad:
        x = writer.without_offset(x)  # because padding has no offset
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
    """Changes the shape of a tensor."""
    stays = shape[-1:] == x.shape[-1:]
    return rearranged(writer, x, integer.Reshape, shape, name, stays)


def of_images(form: Any, shape: tuple[int, ...]) -> Any:
    """A form with windows as a form of images, for an input of this shape."""
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
    """Reshapes an image of height 1 to a sequence, if `x` is a sequence."""
    if len(x.shape) == 3:
        return y
    return reshaped(writer, y, y.shape[1:], f"{name}/sequence")


def with_common_unit(
    writer: IntegerWriter, a: ScaledTensor, b: ScaledTensor, name: str
) -> tuple[ScaledTensor, ...]:
    """Converts two tensors to a common unit, so that their integers may be added."""
    if a.timed != b.timed:  # their offsets are on in different steps
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
    """Converts `x`, whose unit is solved, to the open unit of `other`."""
    other.unit.need(np.broadcast_to(x.scale / other.factor, other.shape[-1:]))
    gain = Constant(x.name, "gain", x.scale, other)
    scaled = writer.scaled(x.with_(origin=other.origin), gain, f"{name}/gain")
    return scaled.with_(factor=other.factor, unit=other.unit)


def fine_enough(
    writer: IntegerWriter, x: ScaledTensor, target: Array, others: Array, name: str
) -> ScaledTensor:
    """`x` with its offset added, in a unit that is fine enough for comparisons.

    `target` becomes a whole number of units, or so many units that the error of
    rounding it is small.

    Args:
        writer: The `IntegerWriter`.
        x: A tensor, whose unit may be open or solved.
        target: A number, or one for each channel.
        others: Larger numbers, or one for each channel, that must fit in 32 bits.
        name: The layer for which the unit is chosen.
    """
    x = writer.solved(x)
    bit = common_bit(target, x.scale, x.offset)
    gain = x.scale / bit
    if np.max(gain) > 2**12:
        wanted = np.minimum(2**10 / target, 2**28 / others) * x.scale
        gain = 2.0 ** np.maximum(0, np.ceil(np.log2(wanted)))
    others = functools.reduce(np.maximum, map(np.abs, (others, x.offset)))
    return writer.shift(writer.refined(x, gain, others, f"{name}/gain"))
