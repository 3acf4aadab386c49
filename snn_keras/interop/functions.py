"""Translates functions of TensorFlow in a model's graph to `keras.ops`."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import keras
from keras import ops, tree

from snn_keras._keras import maker_of
from snn_keras.interop.errors import Untranslatable

if TYPE_CHECKING:
    import tf_keras

_REDUCED = "input_tensor axis keepdims"

# {TensorFlow's name: (operation, TensorFlow's names of its arguments in the operation's
# order)}. Arguments that are not listed must have their defaults.
_FUNCTIONS = {
    "__operators__.add": (ops.add, "x y"),
    "__operators__.getitem": (lambda x, key: x[key], "tensor slice_spec"),
    "math.add": (ops.add, "x y"),
    "math.subtract": (ops.subtract, "x y"),
    "math.multiply": (ops.multiply, "x y"),
    "math.truediv": (ops.true_divide, "x y"),
    "math.divide": (ops.true_divide, "x y"),
    "math.floordiv": (ops.floor_divide, "x y"),
    "compat.v1.floor_div": (ops.floor_divide, "x y"),
    "math.floormod": (ops.mod, "x y"),
    "math.pow": (ops.power, "x y"),
    "math.maximum": (ops.maximum, "x y"),
    "math.minimum": (ops.minimum, "x y"),
    "math.negative": (ops.negative, "x"),
    "math.abs": (ops.abs, "x"),
    "math.square": (ops.square, "x"),
    "math.sqrt": (ops.sqrt, "x"),
    "math.rsqrt": (ops.rsqrt, "x"),
    "math.sigmoid": (ops.sigmoid, "x"),
    "math.tanh": (ops.tanh, "x"),
    "math.exp": (ops.exp, "x"),
    "math.log": (ops.log, "x"),
    "math.softplus": (ops.softplus, "features"),
    "nn.relu": (ops.relu, "features"),
    "nn.relu6": (ops.relu6, "features"),
    "nn.leaky_relu": (ops.leaky_relu, "features alpha"),
    "nn.elu": (ops.elu, "features"),
    "nn.selu": (ops.selu, "features"),
    "nn.silu": (ops.silu, "features"),
    "nn.softsign": (ops.softsign, "features"),
    "nn.gelu": (ops.gelu, "features approximate"),
    "nn.softmax": (lambda x, axis: ops.softmax(x, _last(axis)), "logits axis"),
    "nn.log_softmax": (lambda x, axis: ops.log_softmax(x, _last(axis)), "logits axis"),
    "math.reduce_mean": (ops.mean, _REDUCED),
    "math.reduce_sum": (ops.sum, _REDUCED),
    "math.reduce_max": (ops.max, _REDUCED),
    "math.reduce_min": (ops.min, _REDUCED),
    "clip_by_value": (ops.clip, "t clip_value_min clip_value_max"),
    "linalg.matmul": (ops.matmul, "a b"),
    "cast": (lambda x, dtype: ops.cast(x, _dtype(dtype)), "x dtype"),
    "reshape": (ops.reshape, "tensor shape"),
    "transpose": (ops.transpose, "a perm"),
    "compat.v1.transpose": (ops.transpose, "a perm"),
    "concat": (ops.concatenate, "values axis"),
    "stack": (ops.stack, "values axis"),
    "split": (
        lambda x, parts, axis: _split(x, parts, axis),
        "value num_or_size_splits axis",
    ),
    "unstack": (lambda x, axis: ops.unstack(x, axis=axis), "value axis"),
    "tile": (ops.tile, "input multiples"),
    "expand_dims": (ops.expand_dims, "input axis"),
    "compat.v1.squeeze": (ops.squeeze, "input axis"),
}


def function_of(layer: "tf_keras.layers.Layer") -> Callable:
    """The function that a `TFOpLambda` applies, by operations of Keras.

    Raises:
        Untranslatable: if Keras has no such operation.
    """
    known = _FUNCTIONS.get(layer.symbol)
    if known is None:
        name = layer.symbol or getattr(layer.function, "__name__", "")
        raise Untranslatable(f"Keras 3 operations have no {name}")
    operation, names = known[0], known[1].split()

    def apply(*args, **kwargs):
        given = _bound(layer, args, kwargs)
        for name, (value, default) in given.items():
            if name not in (*names, "name") and value is not default:
                raise Untranslatable(f"Keras 3 operations have no {name} for it")
        made = operation(*(_slices(given[name][0]) for name in names))
        # A name that Keras generates might be the name of a layer.
        maker_of(tree.flatten(made)[0]).name = layer.name
        return made

    return apply


def _bound(layer, args, kwargs):
    """All arguments by their names, including defaults."""
    signature = inspect.signature(layer.function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    defaults = {name: p.default for name, p in signature.parameters.items()}
    return {name: (x, defaults[name]) for name, x in bound.arguments.items()}


def _slices(x):
    """An index, whose slices tf_keras stores as dicts."""
    if isinstance(x, dict) and set(x) == {"start", "stop", "step"}:
        return slice(x["start"], x["stop"], x["step"])
    return tuple(map(_slices, x)) if isinstance(x, (list, tuple)) else x


def _last(axis):
    return -1 if axis is None else axis


def _dtype(dtype):
    return keras.backend.standardize_dtype(getattr(dtype, "name", dtype))


def _split(x, parts, axis):
    """Splits `x` into a number of parts, or into parts of given sizes."""
    if isinstance(parts, int):
        return ops.split(x, parts, axis)
    ends = [sum(parts[: i + 1]) for i in range(len(parts) - 1)]
    return ops.split(x, ends, axis)
