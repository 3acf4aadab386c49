"""Recognizes activation functions by their values, not by their names."""

import enum
import math
from collections.abc import Callable

import numpy as np
from keras import backend, ops

from snn_keras.graph import Tensor, comes_with_keras


class Kind(enum.Enum):
    """The kind of a function of one tensor.

    LINEAR: the identity.
    RELU: 0 below 0, slope 1 above, perhaps up to a ceiling.
    GATE: an elementwise function that rises from 0 to 1, such as a sigmoid.
    CURVE: any other elementwise function.
    OTHER: a function of several elements, such as softmax, or a random one.
    """

    LINEAR = "linear"
    RELU = "relu"
    CURVE = "curve"
    GATE = "gate"
    OTHER = "other"


# Magnitudes at which a function is evaluated, on both sides of 0.
_MAGNITUDES = np.concatenate([np.logspace(-6, 6, 97), np.arange(0.25, 12, 0.25)])
_FAR = 1e30

# Keras's own functions of known kind.
_RELUS = {"relu": None, "relu6": 6.0}
_CURVES = {
    *("celu", "elu", "gelu", "hard_silu", "hard_tanh", "leaky_relu", "mish", "selu"),
    *("silu", "softplus", "softsign", "tanh"),
}


_PLACES = np.concatenate([-_MAGNITUDES, [0.0], _MAGNITUDES]).astype("float32")
_SPECIAL = np.float32(
    [-1, 0, 1, -_FAR, _FAR, np.nan, np.inf, -np.inf]  # type: ignore[arg-type]  # a list
)
_SIZES = (3, 5, 4, 6, 2, 3)  # lengths of the axes whose length is unknown

# Tensors with more elements are tried with one sample only.
_MOST_ELEMENTS = 2**20


def kind_of(function: Callable, like: Tensor | None = None) -> Kind:
    """The kind of `function`, a function of one tensor.

    Args:
        function: Any callable.
        like: A `Tensor` with the shape and the dtype of its argument. A function may
            depend on them: without `like`, the result holds for small float32 arrays.
    """
    return described(function, like)[0]


def described(function: Callable, like: Tensor | None = None) -> tuple:
    """A function's kind, and the ceiling of a ReLU, or None."""
    if comes_with_keras(function):
        return _of_keras(function.__name__)
    try:
        kind, ceiling = _looked_at(function)
        if like is not None and kind is not Kind.OTHER:
            kind, ceiling = _in_place(function, like, kind, ceiling)
    except Exception:  # a function of the user's own may raise anything
        return Kind.OTHER, None
    return kind, ceiling


def _looked_at(function):
    """A function's kind and ceiling, judged by its values on small arrays."""
    x, y, top = _values(function)
    if y is None:
        return Kind.OTHER, None
    if np.array_equal(y, x):
        return Kind.LINEAR, None
    ceiling = math.inf if top >= _FAR / 2 else top
    if ceiling > 0 and np.array_equal(y, np.clip(x, 0, np.float32(ceiling))):
        return Kind.RELU, None if ceiling == math.inf else float(ceiling)
    rises = np.all(np.diff(y[np.argsort(x)]) >= -1e-6)
    is_gate = rises and abs(y[0]) < 1e-6 and abs(top - 1) < 1e-6
    return (Kind.GATE if is_gate else Kind.CURVE), None


def _in_place(function, like, kind, ceiling):
    """A function's kind and ceiling on tensors like `like`.

    A ReLU or an identity that replaces NaN or infinity is a CURVE.
    """
    if "float" not in like.dtype:
        return Kind.OTHER, None
    rng = np.random.default_rng(0)
    shape = [size or number for size, number in zip(like.shape, _SIZES, strict=False)]
    if math.prod(shape[1:]) > _MOST_ELEMENTS:
        shape[0] = 1
    x, y = _tried(function, rng.choice(_PLACES, shape), like.dtype)
    _, flat = _tried(function, x.reshape(-1, 1), like.dtype)
    if not np.allclose(y, flat.reshape(y.shape), rtol=1e-2, atol=1e-2, equal_nan=True):
        return Kind.OTHER, None
    if kind in (Kind.LINEAR, Kind.RELU):
        limits = (-np.inf, np.inf) if kind is Kind.LINEAR else (0, ceiling or np.inf)
        special = _tried(function, rng.choice(_SPECIAL, shape), like.dtype)
        for given, found in ((x, y), special):
            if not np.array_equal(found, np.clip(given, *limits), equal_nan=True):
                return Kind.CURVE, None
    return kind, ceiling


def _tried(function, x, dtype):
    """`x` in a dtype, and the function's values there.

    Raises:
        TypeError: if the function changes the dtype or the shape.
    """
    given = ops.convert_to_tensor(x, dtype)
    found = function(given)
    if backend.standardize_dtype(found.dtype) != dtype or found.shape != given.shape:
        raise TypeError("The function changes the type or the shape.")
    return tuple(ops.convert_to_numpy(ops.cast(v, "float32")) for v in (given, found))


def _of_keras(name):
    if name == "linear":
        return Kind.LINEAR, None
    if name in _RELUS:
        return Kind.RELU, _RELUS[name]
    return (Kind.CURVE if name in _CURVES else Kind.OTHER), None


def _values(function):
    """Points, a function's values there, and its value at `_FAR`.

    The values are None unless the function is elementwise: in arrays of other shapes
    and orders it must give each element the same value.
    """
    x = np.sort(np.concatenate([-_MAGNITUDES, [0.0], _MAGNITUDES])).astype("float32")
    first = _call(function, x.reshape(-1, 1))
    second = _call(function, x[::-1].reshape(1, -1))
    alone = _call(function, x[7:9].reshape(2, 1))
    if first.shape != (len(x), 1) or second.shape != (1, len(x)):
        return x, None, 0.0
    first, second = first.ravel(), second.ravel()[::-1]
    same = np.allclose(first, second, rtol=1e-5, atol=1e-6, equal_nan=True)
    if not (same and np.allclose(alone.ravel(), first[7:9], rtol=1e-5, atol=1e-6)):
        return x, None, 0.0
    top = _call(function, np.full((1, 1), _FAR, "float32")).item()
    near = np.float32(top) * np.array([0.999, 1.001], "float32")
    if 0 < top < _FAR / 2:  # add points where it seems to saturate
        x = np.concatenate([x, near, [_FAR]]).astype("float32")
        first = _call(function, x.reshape(-1, 1)).ravel()
    return x, first, top


def _call(function, x):
    return ops.convert_to_numpy(function(ops.convert_to_tensor(x)))
