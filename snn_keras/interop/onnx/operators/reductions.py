"""Reductions along axes."""

from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import joined
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.values import MIXES, SAMPLES, View

REDUCTIONS = {
    "ReduceMean": ops.mean,
    "ReduceSum": ops.sum,
    "ReduceMax": ops.max,
    "ReduceMin": ops.min,
    "ReduceProd": ops.prod,
    "ReduceL1": ops.sum,
    "ReduceL2": ops.sum,
    "ReduceLogSumExp": ops.logsumexp,
    "ReduceSumSquare": ops.sum,
    "GlobalAveragePool": ops.mean,
    "GlobalMaxPool": ops.max,
}
# What is computed of each entry before, and of the result.
BEFORE = {"ReduceL1": ops.abs, "ReduceL2": ops.square, "ReduceSumSquare": ops.square}
BEHIND = {"ReduceL2": ops.sqrt}
# Layers that reduce all of space, for 1 to 3 axes of it.
LAYERS = {
    ops.mean: (
        layers.GlobalAveragePooling1D,
        layers.GlobalAveragePooling2D,
        layers.GlobalAveragePooling3D,
    ),
    ops.max: (
        layers.GlobalMaxPooling1D,
        layers.GlobalMaxPooling2D,
        layers.GlobalMaxPooling3D,
    ),
}


@operator("GlobalAveragePool", "GlobalMaxPool")
def global_pool(call: Call) -> View:
    """`GlobalAveragePooling2D` and the like, or a function."""
    view = call.view()
    return _without(call, view, set(range(2, view.rank)), keeps=True)


@operator(*(name for name in REDUCTIONS if name.startswith("Reduce")))
def reduced(call: Call) -> View:
    """`GlobalAveragePooling2D` and the like for all of space, else a function."""
    view = call.view()
    axes = call.numbers(1, "axes")
    if not axes:
        if call.attribute("noop_with_empty_axes", 0):
            return view
        axes = range(view.rank)
    if not all(-view.rank <= axis < view.rank for axis in axes):
        raise Untranslatable(f"axes {list(axes)} are none of its {view.rank}")
    axes = {axis % view.rank for axis in axes}
    op = call.node.op
    if op in BEFORE:
        view = call.applied(BEFORE[op], view, suffix="before")
    found = _without(call, view, axes, keeps=call.attribute("keepdims", 1))
    return call.applied(BEHIND[op], found, suffix="root") if op in BEHIND else found


def _without(call, view, axes, keeps):
    """The view with axes reduced to length 1, or to nothing."""
    gone = sorted(p for axis in axes for p in view.places[axis])
    if SAMPLES in gone:
        raise Untranslatable(MIXES)
    tensor = _over_places(call, view.tensor, gone)
    kept = [p for p in range(len(view.tensor.shape)) if p not in gone]
    places = [
        () if axis in axes else tuple(map(kept.index, view.places[axis]))
        for axis in range(view.rank)
        if keeps or axis not in axes
    ]
    return View(tensor, tuple(places))


def _over_places(call, x, gone):
    if not gone:
        return x
    function = REDUCTIONS[call.node.op]
    space = list(range(1, len(x.shape) - 1))
    if gone == space and len(space) <= 3 and function in LAYERS:
        return call.make.layer(LAYERS[function][len(space) - 1], x)
    return call.make.function(function, x, axis=tuple(gone))


@operator("ArgMax")
def argmax(call: Call) -> View:
    """`keras.ops.argmax`."""
    if call.attribute("select_last_index", 0):
        raise Untranslatable("it selects the last index of several")
    view = call.view()
    axis = call.axis(view, 0)
    view.length(axis)
    view = joined(call.make, view, axis)
    (place,) = view.places[axis]
    y = call.make.function(ops.argmax, view.tensor, axis=place)
    places = [tuple(p - (p > place) for p in group) for group in view.places]
    places[axis] = ()
    if not call.attribute("keepdims", 1):
        del places[axis]
    return View(y, tuple(places))
