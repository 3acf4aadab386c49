"""Describes the calls of a traced model, so that two traces can be compared."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from snn_keras._keras import calls_of
from snn_keras.conversion.composite.closed import StaysClosed


def described(model: keras.Model, training: bool) -> tuple:
    """The calls and the outputs of a model that was traced.

    Args:
        model: The model.
        training: Whether it was traced in training.

    Raises:
        StaysClosed: if a constant is computed from weights, or a layer inside is not
            called in the mode of the whole.
    """
    numbers = {id(x): i for i, x in enumerate(model.inputs)}
    found = []
    for operation, args, kwargs, outputs in calls_of(model):
        kwargs = dict(kwargs)
        mode = kwargs.pop("training", training)
        if mode not in (training, None):
            raise StaysClosed(
                f"its layer '{operation.name}' is called with training={mode} always."
            )
        is_layer = isinstance(operation, layers.Layer)
        what = id(operation) if is_layer else (type(operation), _settings(operation))
        given = [_argument(x, numbers) for x in tree.flatten((args, kwargs))]
        structure = repr(tree.map_structure(lambda x: 0, (args, kwargs)))
        found.append((what, given, structure))
        for y in tree.flatten(outputs):
            numbers[id(y)] = len(numbers)
    return found, [_argument(y, numbers) for y in tree.flatten(model.outputs)]


def _argument(x: Any, numbers: dict) -> Any:
    """An argument of a call; `numbers` are those of the tensors."""
    if id(x) in numbers:
        return f"tensor {numbers[id(x)]}"
    if isinstance(x, keras.Variable):
        raise StaysClosed(f"it reads the weight '{x.path}' of a layer inside.")
    if not hasattr(x, "shape"):
        plain = isinstance(x, (int, float, str, bool, type(None)))
        return x if plain else repr(x)
    array = np.asarray(ops.convert_to_numpy(x))
    if array.dtype.kind not in "biuSU" and np.isnan(array.astype("complex")).any():
        raise StaysClosed("it computes a constant from weights of layers inside.")
    return str(array.dtype), array.shape, array.tobytes()


def _settings(operation):
    """The settings of an operation that is no layer."""
    own = vars(operation).items()
    return repr({k: v for k, v in own if k != "name" and not k.startswith("_")})
