"""Products of matrices."""

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import arranged
from snn_keras.interop.onnx.calls import Call, floating
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.sums import summed
from snn_keras.interop.onnx.plus import plus
from snn_keras.interop.onnx.values import SAMPLES, Known, View


@operator("Gemm")
def gemm(call: Call) -> View:
    """`Dense`; between two signals a product, see `matmul`."""
    a, b = (_operand(call, i) for i in (0, 1))
    a = _transposed(a) if call.attribute("transA", 0) else a
    b = _transposed(b) if call.attribute("transB", 0) else b
    alpha, beta = call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    bias = None if call.input(2) is None else _operand(call, 2)
    if isinstance(a, View) and isinstance(b, np.ndarray):
        if bias is None:
            return dense(call, a, alpha * b, None, a.rank - 1)
        if isinstance(bias, np.ndarray) and _is_of_columns(bias, b):
            row = np.broadcast_to(beta * bias.ravel(), b.shape[1])
            return dense(call, a, alpha * b, row, a.rank - 1)
    y = _times(call, product(call, a, b, "product"), alpha, "alpha")
    if bias is None:
        return y
    return call.elementwise(plus, y, _times(call, bias, beta, "beta"))


def _operand(call, index):
    """An input as a view, or as an array for any number of samples."""
    x = call.input(index)
    return floating(x.of_a_sample) if isinstance(x, Known) else x


def _is_of_columns(array, matrix):
    """Whether an array has one number for each column of a matrix, or one for all."""
    return array.size in (1, array.shape[-1]) and array.size in (1, matrix.shape[1])


def _times(call, x, factor, suffix):
    if factor == 1 or isinstance(x, np.ndarray):
        return x * factor if isinstance(x, np.ndarray) else x
    return call.elementwise(ops.multiply, x, np.float32(factor), suffix=suffix)


def _transposed(x):
    return x.permuted([1, 0]) if isinstance(x, View) else x.T


@operator("MatMul")
def matmul(call: Call) -> View:
    """`Dense` where one side is a matrix of constants; else `keras.ops.einsum`."""
    return product(call, _operand(call, 0), _operand(call, 1))


def product(
    call: Call, a: View | np.ndarray, b: View | np.ndarray, suffix: str = ""
) -> View:
    """The product of the last two axes, of which one side at least is a view."""
    if isinstance(a, View) and isinstance(b, np.ndarray) and _is_matrix(b, a.rank):
        return dense(call, a, b.reshape(b.shape[-2:]), None, a.rank - 1)
    if isinstance(b, View) and isinstance(a, np.ndarray) and _is_matrix(a, b.rank):
        return dense(call, b, a.reshape(a.shape[-2:]).T, None, b.rank - 2)
    drop = [i for i, x in ((-2, a), (-1, b)) if _rank(x) == 1]
    a = _with_axis(a, 0) if _rank(a) == 1 else a
    b = _with_axis(b, 1) if _rank(b) == 1 else b
    y = _contracted(call, a, b, suffix)
    places = list(y.places)
    for i in sorted(drop, reverse=True):
        del places[i]
    return View(y.tensor, tuple(places))


def _is_matrix(array, rank):
    """Whether an array is one matrix for all leading axes of the other side."""
    return 2 <= array.ndim <= rank and array.size == np.prod(array.shape[-2:])


def _rank(x):
    return x.rank if isinstance(x, View) else x.ndim


def _with_axis(x, axis):
    """A vector as a matrix."""
    if isinstance(x, np.ndarray):
        return np.expand_dims(x, axis)
    return View(x.tensor, ((), *x.places) if axis == 0 else (*x.places, ()))


def dense(
    call: Call, view: View, matrix: np.ndarray, bias: np.ndarray | None, axis: int
) -> View:
    """A `Dense` layer along one axis of a view.

    The rows of the matrix are put in the order in which the axis lies in the Keras
    tensor, so no transpose is needed before a `Flatten`.
    """
    if view.length(axis) != len(matrix):
        raise Untranslatable(
            f"its matrix {matrix.shape} does not take {view.length(axis)} entries"
        )
    group = view.places[axis]
    rows = matrix.reshape(*view.lengths(axis), -1)
    rows = rows.transpose(*np.argsort(group), len(group)).reshape(matrix.shape)
    others = sorted(p for g in view.places for p in g if p not in (SAMPLES, *group))
    x = arranged(call.make, view, [*((p,) for p in others), sorted(group)])
    weights = [rows] if bias is None else [rows, bias]
    y = call.make.layer(
        layers.Dense, x, matrix.shape[1], use_bias=bias is not None, weights=weights
    )
    now = {SAMPLES: SAMPLES} | {p: i for i, p in enumerate(others, 1)}
    places = [tuple(now.get(p, p) for p in found) for found in view.places]
    places[axis] = (len(others) + 1,)
    return View(y, tuple(places))


def _contracted(call, a, b, suffix):
    """The product of two sides of two axes or more."""
    # Axes by name: the leading ones by number from behind, and m, k, n.
    names_a = [*(-i for i in range(_rank(a), 2, -1)), "m", "k"]
    names_b = [*(-i for i in range(_rank(b), 2, -1)), "k", "n"]
    made = [*max(names_a[:-2], names_b[:-2], key=len), "m", "n"]
    return summed(call, [(a, names_a), (b, names_b)], made, suffix)
