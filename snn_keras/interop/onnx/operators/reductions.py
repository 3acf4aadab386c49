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
}
MEANS = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)


@operator(*REDUCTIONS)
def reduced(call: Call) -> View:
    """`GlobalAveragePooling2D` and the like for means of space, else a function."""
    view = call.view()
    axes = call.numbers(1, "axes")
    if not axes:
        if call.attribute("noop_with_empty_axes", 0):
            return view
        axes = range(view.rank)
    if not all(-view.rank <= axis < view.rank for axis in axes):
        raise Untranslatable(f"axes {list(axes)} are none of its {view.rank}")
    axes = {axis % view.rank for axis in axes}
    gone = sorted(p for axis in axes for p in view.places[axis])
    if SAMPLES in gone:
        raise Untranslatable(MIXES)
    y = _without(call, view.tensor, gone)
    kept = [p for p in range(len(view.tensor.shape)) if p not in gone]
    keeps = call.attribute("keepdims", 1)
    places = [
        () if axis in axes else tuple(kept.index(p) for p in view.places[axis])
        for axis in range(view.rank)
        if keeps or axis not in axes
    ]
    return View(y, tuple(places))


def _without(call, x, gone):
    if not gone:
        return x
    space = list(range(1, len(x.shape) - 1))
    if call.node.op == "ReduceMean" and gone == space and len(space) <= len(MEANS):
        return call.make.layer(MEANS[len(space) - 1], x)
    return call.make.function(REDUCTIONS[call.node.op], x, axis=tuple(gone))


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
