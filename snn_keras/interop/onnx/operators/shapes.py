"""Operators that name axes anew; most need no layer."""

import math

import keras
import numpy as np
from keras import ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.package import package
from snn_keras.interop.onnx.reshaping import reshaped
from snn_keras.interop.onnx.values import Known, View


@operator("Identity", "Dropout")
def identity(call: Call) -> View:
    """Nothing."""
    if any(call.node.outputs[1:]):
        raise Untranslatable("its mask is read")
    return call.view()


@operator("Transpose")
def transpose(call: Call) -> View:
    """The axes in another order; the places stay."""
    view = call.view()
    return view.permuted(list(call.attribute("perm") or range(view.rank)[::-1]))


@operator("Reshape")
def reshape(call: Call) -> View:
    """The places under other axes, split or joined where needed."""
    view, target = call.view(), call.known(1)
    keeps_zeros = call.attribute("allowzero", 0)
    shapes = [
        _resolved(target.at(i), view.shape(samples), keeps_zeros)
        for i, samples in enumerate(call.samples)
    ]
    return to_shapes(call, view, shapes)


def to_shapes(call: Call, view: View, shapes: list) -> View:
    """The view with a shape that is given for each number of samples."""
    found = reshaped(call.make, view, shapes[0], call.samples[0])
    for samples, shape in zip(call.samples, shapes, strict=True):
        if found.shape(samples) != tuple(shape):
            raise Untranslatable(
                f"it reshapes {view.shape(samples)} to {tuple(shape)} for a batch of "
                f"{samples}: its batch is not open"
            )
    return found


def _resolved(target, shape, keeps_zeros):
    """A target whose 0s and -1 are replaced by lengths."""
    target = [int(n) for n in target]
    if not keeps_zeros:
        target = [shape[i] if n == 0 else n for i, n in enumerate(target)]
    if -1 in target:
        known = math.prod(n for n in target if n != -1)
        target[target.index(-1)] = math.prod(shape) // max(known, 1)
    return target


@operator("Flatten")
def flatten(call: Call) -> View:
    """All axes before `axis` as one, and all from there on."""
    view = call.view()
    axis = call.attribute("axis", 1)
    places = view.places
    axis = axis + view.rank if axis < 0 else axis
    return View(view.tensor, (sum(places[:axis], ()), sum(places[axis:], ())))


@operator("Squeeze")
def squeeze(call: Call) -> View:
    """Drops axes of length 1."""
    view = call.view()
    shape = view.shape(call.samples[0])
    axes = call.numbers(1, "axes") or [i for i, n in enumerate(shape) if n == 1]
    axes = {axis % view.rank for axis in axes}
    if any(shape[axis] != 1 for axis in axes):
        raise Untranslatable(f"it squeezes {shape} along axes {sorted(axes)}")
    kept = (group for i, group in enumerate(view.places) if i not in axes)
    return View(view.tensor, tuple(kept))


@operator("Unsqueeze")
def unsqueeze(call: Call) -> View:
    """Adds axes of length 1."""
    view, axes = call.view(), call.numbers(1, "axes")
    rank = view.rank + len(axes)
    new = {axis % rank for axis in axes}
    old = iter(view.places)
    return View(view.tensor, tuple(() if i in new else next(old) for i in range(rank)))


@operator("Expand")
def expand(call: Call) -> View:
    """A product with ones, if it gets larger."""
    view, target = call.view(), call.known(1)
    ones = Known(
        tuple(np.ones(shape.astype(int), "float32") for shape in target.arrays)
    )
    rank = max(view.rank, ones.arrays[0].ndim)
    padded = View(view.tensor, ((),) * (rank - view.rank) + view.places)
    shape = padded.shape(call.samples[0])
    if np.broadcast_shapes(shape, ones.arrays[0].shape) == shape:
        return padded
    return call.elementwise(ops.multiply, padded, ones.of_a_sample)


@operator("Cast", "CastLike")
def cast(call: Call) -> View:
    """`keras.ops.cast`, and nothing from float to float."""
    view, like = call.view(), call.input(1)
    if isinstance(like, View):
        dtype = like.tensor.dtype
    elif like is not None:
        dtype = keras_dtype(like.arrays[0].dtype)
    else:
        kind = package().helper.tensor_dtype_to_np_dtype(call.attribute("to"))
        dtype = keras_dtype(kind)
    if dtype == view.tensor.dtype:
        return view
    return call.applied(ops.cast, view, dtype)


def keras_dtype(kind: np.dtype) -> str:
    """The type by which Keras computes: all floats alike, and short integers.

    >>> keras_dtype(np.dtype("float64")), keras_dtype(np.dtype("int64"))
    ('float32', 'int32')
    """
    if kind.kind == "b":
        return "bool"
    if kind.kind in "iu":
        return "int32"
    if kind.kind == "f" or "float" in kind.name:
        return keras.config.floatx()
    raise Untranslatable(f"Keras computes with no {kind.name}")
