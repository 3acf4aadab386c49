"""Resizing."""

import math

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import joined
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.interpolation import Sampling, matrix_of
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.slicing import sliced
from snn_keras.interop.onnx.values import Known, View

UP = {1: layers.UpSampling1D, 2: layers.UpSampling2D, 3: layers.UpSampling3D}


@operator("Resize")
def resize(call: Call) -> View:
    """`UpSampling2D` and the like where they fit, else a matrix for each axis."""
    view = call.view()
    axes = call.attribute("axes") or list(range(view.rank))
    axes = [axis % view.rank for axis in axes]
    matrices = {}
    for axis, scale, size in zip(axes, *_scales(call, view, axes), strict=True):
        if None in view.lengths(axis):
            if scale != 1:
                raise Untranslatable("it resizes the batch")
            continue
        sampling = _sampling(call, axes, axis, view.length(axis), scale, size)
        matrix = matrix_of(sampling)
        if not np.array_equal(matrix, np.eye(*matrix.shape)):
            matrices[axis] = matrix
    return _by_layer(call, view, matrices) or _by_matrices(call, view, matrices)


def _scales(call, view, axes):
    """A scale and a new length for each axis."""
    scales, sizes = call.optional(2), _sizes(call, view, axes)
    lengths = view.shape(call.samples[0])
    lengths = [lengths[axis] for axis in axes]
    if scales is not None and scales.size:
        scales = [float(s) for s in scales]
        sizes = [math.floor(n * s) for n, s in zip(lengths, scales, strict=True)]
        return scales, sizes
    if sizes is None:
        raise Untranslatable("it has neither scales nor sizes")
    ratios = [s / n for s, n in zip(sizes, lengths, strict=True)]
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        ratio = (min if policy == "not_larger" else max)(ratios)
        ratios = [ratio] * len(axes)
        sizes = [math.floor(ratio * n + 0.5) for n in lengths]
    return ratios, sizes


def _sizes(call, view, axes):
    """The new lengths, that of the samples as for `call.samples[0]`; or None."""
    found = call.input(3)
    if not isinstance(found, Known):
        return None
    sizes = [[int(n) for n in array] for array in found.arrays]
    for i, axis in enumerate(axes):
        if None not in view.lengths(axis) and len({x[i] for x in sizes}) > 1:
            raise Untranslatable("its sizes depend on the number of samples")
    return sizes[0]


def _sampling(call, axes, axis, length, scale, size):
    kind = call.attribute("coordinate_transformation_mode", "half_pixel")
    crop = (0.0, 1.0)
    if kind == "tf_crop_and_resize":
        i = axes.index(axis)
        roi = call.constant(1)
        crop = (float(roi[i]), float(roi[len(axes) + i]))
    return Sampling(
        length,
        size,
        scale,
        call.attribute("mode", "nearest"),
        kind,
        call.attribute("nearest_mode", "round_prefer_floor"),
        call.attribute("cubic_coeff_a", -0.75),
        bool(call.attribute("exclude_outside", 0)),
        bool(call.attribute("antialias", 0)),
        crop,
        call.attribute("extrapolation_value", 0.0),
    )


def _by_layer(call, view, matrices):
    """The view behind an `UpSampling` layer, if that computes these matrices."""
    rank = len(view.tensor.shape)
    space = [
        axis
        for axis in range(view.rank)
        if view.places[axis] and (view.places[axis][0] not in (0, rank - 1))
    ]
    places = [p for axis in space for p in view.places[axis]]
    if sorted(places) != list(range(1, rank - 1)) or rank - 2 not in UP:
        return None
    if not set(matrices) <= set(space) or not matrices:
        return None
    by_place = {view.places[axis][0]: matrices.get(axis) for axis in space}
    found = [by_place[place] for place in range(1, rank - 1)]
    factors = [1 if m is None else m.shape[0] // m.shape[1] for m in found]
    settings = {"nearest": _repeated}
    if rank == 4 and all(m is not None for m in found):
        settings["bilinear"] = _bilinear
    for name, expected in settings.items():
        if all(
            m is None or np.allclose(m, expected(m.shape[1], f), atol=1e-6, rtol=0)
            if m is None or m.shape[0] == m.shape[1] * f
            else False
            for m, f in zip(found, factors, strict=True)
        ):
            size = factors[0] if rank == 3 else tuple(factors)
            more = {"interpolation": name} if rank == 4 else {}
            return call.same_places(UP[rank - 2], view, size, **more)
    return None


def _repeated(length, factor):
    """What nearest upsampling computes along an axis."""
    return np.repeat(np.eye(length), factor, 0)


def _bilinear(length, factor):
    """What bilinear upsampling computes along an axis."""
    return matrix_of(Sampling(length, length * factor, factor, "linear", "half_pixel"))


def _by_matrices(call, view, matrices):
    """The view behind a slice or a product with a matrix for each axis."""
    for axis, matrix in matrices.items():
        view = joined(call.make, view, axis)
        picked = matrix.argmax(1)
        steps = np.unique(np.diff(picked))
        if np.array_equal(matrix, np.eye(matrix.shape[1])[picked]) and (
            len(steps) < 2 and (not len(steps) or steps[0] > 0)
        ):
            step = int(steps[0]) if len(steps) else 1
            key = slice(int(picked[0]), int(picked[-1]) + 1, step)
            view = sliced(call, view, {axis: key}, suffix=f"axis{axis}")
            continue
        (place,) = view.places[axis]
        letters = "abcdefghij"[: len(view.tensor.shape)]
        made = letters.replace(letters[place], "z")
        subscripts = f"{letters},z{letters[place]}->{made}"
        y = call.make.function(
            ops.einsum,
            subscripts,
            view.tensor,
            matrix.astype("float32"),
            suffix=f"axis{axis}",
        )
        view = View(y, view.places)
    return view
