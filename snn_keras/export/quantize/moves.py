"""Signals moved: to another shape, or into another unit."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.calls import Refusal, check_channels_last
from snn_keras.export.quantize.quantizer import Quantizer, rule
from snn_keras.export.quantize.units import Signal, common_bit, fine_unit, plain
from snn_keras.typing import Array


def by_channel(x: Signal) -> bool:
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
    quantizer: Quantizer,
    x: Signal,
    kind: type,
    shape: Sequence[int],
    name: str,
    keeps_channels: bool = False,
    **arguments,
) -> Signal:
    """The same entries in another place, each in the unit that it has."""
    if kind is integer.Pad:
        x = quantizer.settled(x)  # what it pads with has no offset
    stays = keeps_channels and by_channel(x)
    if not stays:
        x = quantizer.fixed(x)
    name = quantizer.add(kind, x, shape, name, input_shape=x.shape, **arguments)
    moved = x.with_(name=name, shape=tuple(shape), weights=None)
    if stays:
        return moved
    factor, origin = (
        plain(quantizer.built(name).map_array(a)) if np.ndim(a) else a
        for a in (x.factor, x.origin)
    )
    return moved.with_(factor=np.where(factor == 0, 1.0, factor), origin=origin)


def reshaped(
    quantizer: Quantizer, x: Signal, shape: tuple[int, ...], name: str
) -> Signal:
    """Another shape for the same entries."""
    stays = shape[-1:] == x.shape[-1:]
    return rearranged(quantizer, x, integer.Reshape, shape, name, stays)


def of_images(form: Any, shape: tuple[int, ...]) -> Any:
    """A form with windows as one of images, for an input of this shape."""
    check_channels_last(form)
    if len(shape) not in (2, 3):
        raise Refusal(f"of images and sequences alone it has one. {rule.remedy}")
    return form if len(shape) == 3 else form.of_images()


def as_image(quantizer: Quantizer, x: Signal, name: str) -> Signal:
    """A sequence `(length, channels)` as an image of height 1."""
    if len(x.shape) == 3:
        return x
    return reshaped(quantizer, x, (1, *x.shape), f"{name}/image")


def like_input(quantizer: Quantizer, y: Signal, x: Signal, name: str) -> Signal:
    """An image of height 1 as the sequence that `x` is."""
    if len(x.shape) == 3:
        return y
    return reshaped(quantizer, y, y.shape[1:], f"{name}/sequence")


def in_one_unit(
    quantizer: Quantizer, a: Signal, b: Signal, name: str
) -> tuple[Signal, ...]:
    """Two signals whose integers may be added."""
    if a.timed != b.timed:  # their offsets are not on for the same steps
        a, b = quantizer.settled(a), quantizer.settled(b)
    if by_channel(a) and by_channel(b) and a.shape[-1] == b.shape[-1]:
        if a.is_open and b.is_open:
            ratio = a.factor / b.factor
            if a.unit.root()[0] is not b.unit.root()[0]:
                b.unit.join(a.unit, ratio)  # type: ignore[arg-type]  # it is open
                return a, b
            if np.array_equal(a.unit.root()[1], ratio * b.unit.root()[1]):
                return a, b
        elif a.is_open:
            return a, gained(quantizer, quantizer.settled(b), a, name)
        elif b.is_open:
            return gained(quantizer, quantizer.settled(a), b, name), b
    a, b = quantizer.fixed(a), quantizer.fixed(b)
    unit = fine_unit(a.factor, b.factor)
    choice = quantizer.chosen(unit, [a, b], f"{name}/gain")
    return tuple(quantizer.in_unit(x, choice, f"{name}/gain") for x in (a, b))


def gained(quantizer: Quantizer, x: Signal, other: Signal, name: str) -> Signal:
    """`x`, whose unit is closed, in the unit of `other`, which is open."""
    other.unit.need(np.broadcast_to(x.scale / other.factor, other.shape[-1:]))
    scaled = quantizer.scaled(
        x.with_(origin=other.origin),
        lambda: quantizer.whole(x.name, "gain", x.scale / other.scale),
        f"{name}/gain",
    )
    return scaled.with_(factor=other.factor, unit=other.unit)


def finer(
    quantizer: Quantizer, x: Signal, grain: Array, beside: Array, name: str
) -> Signal:
    """`x` with its offset, in a unit that is fine enough for comparisons.

    `grain` becomes a whole number of units, or so many that rounding it does no harm.

    Args:
        quantizer: The `Quantizer`.
        x: A signal, of an open unit or a closed one.
        grain: A number, or one for each channel.
        beside: Larger numbers that are held in this unit, likewise.
        name: The layer that it is for.
    """
    x = quantizer.closed(x)
    bit = common_bit(grain, x.scale, x.offset)
    gain = x.scale / bit
    if np.max(gain) > 2**12:
        wanted = np.minimum(2**10 / grain, 2**28 / beside) * x.scale
        gain = 2.0 ** np.maximum(0, np.ceil(np.log2(wanted)))
    beside = functools.reduce(np.maximum, map(np.abs, (beside, x.offset)))
    return quantizer.shifted(quantizer.refined(x, gain, beside, f"{name}/gain"))
