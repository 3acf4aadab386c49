"""Operators that take parts of tensors."""

import operator as python_operator

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import joined
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.shapes import to_shapes
from snn_keras.interop.onnx.values import MIXES, SAMPLES, View


def sliced(call: Call, view: View, keys: dict, suffix: str = "") -> View:
    """Slices of axes of a view; whole axes stay as they are.

    Args:
        call: The node.
        view: A view.
        keys: A slice for each axis that is cut.
        suffix: For the name of the operation.
    """
    places = {}
    for axis, key in keys.items():
        whole = range(view.length(axis))
        if list(whole[key]) == list(whole):
            continue
        if not whole[key]:
            raise Untranslatable(f"nothing of axis {axis} is left")
        view = joined(call.make, view, axis)
        places[axis] = key
    if not places:
        return view
    key = [slice(None)] * len(view.tensor.shape)
    for axis, found in places.items():
        key[view.places[axis][0]] = found
    return call.applied(python_operator.getitem, view, tuple(key), suffix=suffix)


@operator("Slice")
def slice_(call: Call) -> View:
    """`x[:, a:b]`."""
    view = call.view()
    starts, ends = call.numbers(1), call.numbers(2)
    axes = call.numbers(3) or list(range(len(starts)))
    steps = call.numbers(4) or [1] * len(axes)
    keys = {}
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        axis %= view.rank
        if SAMPLES in view.places[axis]:
            most = view.shape(max(call.samples))[axis]
            if (start, step) != (0, 1) or end < most:
                raise Untranslatable(MIXES)
            continue
        keys[axis] = _key(start, end, step, view.length(axis))
    return sliced(call, view, keys)


def _key(start, end, step, length):
    """A slice as Python counts, of ONNX's numbers, which may be far outside."""
    start += length if start < 0 else 0
    end += length if end < 0 else 0
    if step > 0:
        return slice(min(max(start, 0), length), min(max(end, 0), length), step)
    start, end = min(max(start, 0), length - 1), min(max(end, -1), length - 1)
    return slice(start, None if end < 0 else end, step)


@operator("Split")
def split(call: Call) -> list[View]:
    """A slice for each part."""
    view = call.view()
    axis = call.axis(view, 0)
    length, count = view.length(axis), len(call.node.outputs)
    sizes = call.numbers(1, "split")
    if not sizes:
        size = -(-length // count)
        sizes = [max(min(size, length - i * size), 0) for i in range(count)]
    if sum(sizes) != length or len(sizes) != count:
        raise Untranslatable(f"it splits {length} entries into {sizes}")
    view = joined(call.make, view, axis)
    ends = np.cumsum(sizes).tolist()
    return [
        sliced(call, view, {axis: slice(end - size, end)}, suffix=f"part{i}")
        for i, (size, end) in enumerate(zip(sizes, ends, strict=True))
    ]


def taken(
    call: Call, view: View, axis: int, indices: np.ndarray, suffix: str = ""
) -> View:
    """The entries of an axis that have these indices."""
    view.length(axis)
    view = joined(call.make, view, axis)
    (place,) = view.places[axis]
    return call.applied(ops.take, view, indices, axis=place, suffix=suffix)


@operator("Gather")
def gather(call: Call) -> View:
    """Slices or `keras.ops.take`; `Embedding` of rows of a constant."""
    if isinstance(call.input(1), View):
        return _embedding(call)
    view, indices = call.view(), call.constant(1)
    axis = call.axis(view, 0)
    length = view.length(axis)
    flat = np.where(indices < 0, indices + length, indices).ravel()
    if flat.min() < 0 or flat.max() >= length:
        raise Untranslatable(f"it takes {indices.tolist()} of {length} entries")
    if np.array_equal(flat, np.arange(flat[0], flat[0] + len(flat))):
        found = sliced(call, view, {axis: slice(int(flat[0]), int(flat[-1]) + 1)})
    else:
        found = taken(call, view, axis, flat)
    if indices.ndim == 1:
        return found
    if indices.ndim == 0:
        places = [g for i, g in enumerate(found.places) if i != axis]
        return View(found.tensor, tuple(places))
    shapes = [found.shape(samples) for samples in call.samples]
    return to_shapes(
        call, found, [(*s[:axis], *indices.shape, *s[axis + 1 :]) for s in shapes]
    )


def _embedding(call):
    table, indices = call.input(0), call.view(1)
    if isinstance(table, View):
        raise Untranslatable("its indices and its data are computed")
    table = table.fixed
    axis = call.attribute("axis", 0)
    if table.ndim != 2 or axis != 0:
        raise Untranslatable(
            f"its data of shape {table.shape} along axis {axis} are no rows"
        )
    y = call.make.layer(layers.Embedding, indices.tensor, *table.shape, weights=[table])
    return View(y, (*indices.places, (len(indices.tensor.shape),)))


@operator("Tile")
def tile(call: Call) -> View:
    """`keras.ops.tile`."""
    view, times = call.view(), call.numbers(1)
    if len(times) != view.rank:
        raise Untranslatable(f"it repeats {view.rank} axes {times} times")
    for axis, count in enumerate(times):
        if count == 1:
            continue
        view.length(axis)
        view = joined(call.make, view, axis)
        repeats = [1] * len(view.tensor.shape)
        repeats[view.places[axis][0]] = count
        view = call.applied(ops.tile, view, repeats, suffix=f"axis{axis}")
    return view
