"""Operators that make tensors longer: joined, and padded."""

import math

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.aligning import factors, with_equal_factors
from snn_keras.interop.onnx.arranging import arranged, joined
from snn_keras.interop.onnx.calls import Call, floating
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.slicing import sliced, taken
from snn_keras.interop.onnx.operators.windows import ZERO_PADDING
from snn_keras.interop.onnx.values import MIXES, SAMPLES, View, only_slice


@operator("Concat")
def concat(call: Call) -> View:
    """`Concatenate`; constants are zeros there, and are added behind it."""
    rank = next(x.rank for x in call.inputs if isinstance(x, View))
    axis = call.attribute("axis") % rank
    parts = [
        joined(call.make, x, axis) if isinstance(x, View) else floating(x.of_a_sample)
        for x in call.inputs
    ]
    if any(isinstance(x, View) and SAMPLES in x.places[axis] for x in parts):
        raise Untranslatable(MIXES)
    for other in set(range(rank)) - {axis}:
        parts = with_equal_factors(call.make, parts, [other] * len(parts))
    return _concatenated(call, parts, axis)


def _concatenated(call, parts, axis):
    leader = next(x for x in parts if isinstance(x, View))
    (place,) = leader.places[axis]
    tensors, pads = [], []
    before = 0
    for part in parts:
        if isinstance(part, View):
            tensors.append(_placed_like(call.make, part, leader, axis))
            pads.append([before, 0])
            before = 0
        elif pads:
            pads[-1][1] += part.shape[axis]
        else:
            before += part.shape[axis]
    tensors = [
        padded(call, x, {place: tuple(sides)}, suffix="room")
        for x, sides in zip(tensors, pads, strict=True)
    ]
    y = tensors[0]
    if len(tensors) > 1:
        y = call.make.layer(layers.Concatenate, tensors, axis=_from_behind(y, place))
    if not all(isinstance(part, View) for part in parts):
        constant = _constants(parts, leader, axis, y)
        y = call.make.function(ops.add, y, constant, suffix="constant")
    return View(y, leader.places)


def _from_behind(tensor, place):
    return -1 if place == len(tensor.shape) - 1 else place


def _placed_like(make, view, leader, axis):
    """The tensor of a view with its places where those of another view are."""
    slots = {leader.places[axis][0]: view.places[axis][0]}
    for other in set(range(view.rank)) - {axis}:
        mine, theirs = factors(view, other), factors(leader, other)
        if mine != theirs:
            raise Untranslatable(
                f"its parts have {mine} and {theirs} along axis {other}"
            )
        pairs = (
            [p for p in x.places[other] if x.tensor.shape[p] != 1]
            for x in (leader, view)
        )
        slots |= dict(zip(*pairs, strict=True))
    if slots.pop(SAMPLES, SAMPLES) != SAMPLES:
        raise Untranslatable(MIXES)
    places = range(1, len(leader.tensor.shape))
    return arranged(make, view, [(slots[p],) if p in slots else () for p in places])


def _constants(parts, leader, axis, whole):
    """The constants among the parts, and zeros elsewhere, in the leader's places."""
    (place,) = leader.places[axis]
    found, start = np.zeros([1, *whole.shape[1:]], "float32"), 0
    for part in parts:
        size = part.length(axis) if isinstance(part, View) else part.shape[axis]
        if not isinstance(part, View):
            key = [slice(None)] * found.ndim
            key[place] = slice(start, start + size)
            found[tuple(key)] = _in_places(part, leader, axis)
        start += size
    return found


def _in_places(array, leader, axis):
    """An array like a view but for one axis, with the axes of its Keras tensor."""
    lengths = []
    for i, size in enumerate(array.shape):
        found = [size] if i == axis else leader.lengths(i)
        samples, rest = divmod(size, math.prod(n for n in found if n))
        if rest or (samples != 1 and None not in found):
            raise Untranslatable(f"its constant of shape {array.shape} does not fit")
        lengths += [samples if n is None else n for n in found]
    order = [p for group in leader.places for p in group]
    missing = [p for p in range(len(leader.tensor.shape)) if p not in order]
    array = array.reshape(lengths + [1] * len(missing))
    return only_slice(array.transpose(np.argsort([*order, *missing])), SAMPLES)


def padded(call: Call, x: object, sides: dict, suffix: str = "") -> object:
    """A tensor with zeros before and behind the entries of some places."""
    sides = {place: pair for place, pair in sides.items() if any(pair)}
    if not sides:
        return x
    space = range(1, len(x.shape) - 1)
    if set(sides) <= set(space) and len(space) in ZERO_PADDING:
        pairs = tuple(sides.get(place, (0, 0)) for place in space)
        pairs = pairs[0] if len(pairs) == 1 else pairs
        return call.make.layer(ZERO_PADDING[len(space)], x, pairs, suffix=suffix)
    width = [sides.get(place, (0, 0)) for place in range(len(x.shape))]
    return call.make.function(ops.pad, x, width, suffix=suffix)


@operator("Pad")
def pad(call: Call) -> View:
    """`ZeroPadding2D` and the like, a crop below 0, or entries taken again."""
    view, numbers = call.view(), call.numbers(1, "pads")
    axes = call.numbers(3) or list(range(view.rank))
    count, mode = len(axes), call.attribute("mode", "constant")
    sides = {
        axis % view.rank: pair
        for axis, *pair in zip(axes, numbers[:count], numbers[count:], strict=True)
        if any(pair)
    }
    if any(SAMPLES in view.places[axis] for axis in sides):
        raise Untranslatable(MIXES)
    if mode != "constant":
        return _mirrored(call, view, sides, mode)
    cut = {
        axis: slice(max(-before, 0), view.length(axis) - max(-behind, 0))
        for axis, (before, behind) in sides.items()
    }
    view = sliced(call, view, cut, suffix="crop")
    for axis in sides:
        view = joined(call.make, view, axis)
    added = {
        view.places[axis][0]: (max(before, 0), max(behind, 0))
        for axis, (before, behind) in sides.items()
    }
    value = call.optional(2)
    value = 0.0 if value is None or not value.size else value.item()
    if value == 0:
        return View(padded(call, view.tensor, added), view.places)
    width = [added.get(place, (0, 0)) for place in range(len(view.tensor.shape))]
    y = call.make.function(ops.pad, view.tensor, width, constant_values=value)
    return View(y, view.places)


def _mirrored(call, view, sides, mode):
    if mode not in ("reflect", "edge", "wrap"):
        raise Untranslatable(f'its mode "{mode}" is unknown')
    for axis, (before, behind) in sides.items():
        if min(before, behind) < 0:
            raise Untranslatable(f'it crops in mode "{mode}"')
        indices = np.pad(np.arange(view.length(axis)), (before, behind), mode=mode)
        view = taken(call, view, axis, indices, suffix=f"axis{axis}")
    return view
