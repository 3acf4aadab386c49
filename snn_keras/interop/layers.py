"""Layers of tf_keras and the operations of tf.math, as Keras 3 has them."""

import dataclasses
import inspect

import keras
from keras import ops


class Untranslatable(Exception):
    """A layer has no counterpart: why."""


@dataclasses.dataclass
class Step:
    """An operation of Keras 3, and the weights that it takes at its first call."""

    operation: object
    weights: list | None = None

    def __call__(self, *args, **kwargs):
        x = self.operation(*args, **kwargs)
        if self.weights is not None:
            self.operation.set_weights(self.weights)
            self.weights = None
        return x


# Settings of tf_keras that Keras 3 does not have: the values that mean nothing.
_WITHOUT_MEANING = {
    "batch_input_shape": ...,
    "implementation": ...,
    "time_major": (False,),
    "groups": (1,),
    "ragged": (False,),
    "sparse": (False,),
    "synchronized": (False,),
    "fused": ...,
    "renorm": (False,),
    "virtual_batch_size": (None,),
    "adjustment": (None,),
    "input_dim": ...,
    "input_length": ...,
    "jit_compile": ...,
    "is_legacy_layer": ...,
    "experimental_autocast": ...,
}
_FUNCTIONS = {
    "__operators__.add": ops.add,
    "math.add": ops.add,
    "math.subtract": ops.subtract,
    "math.multiply": ops.multiply,
    "math.truediv": ops.true_divide,
    "math.divide": ops.true_divide,
    "math.negative": ops.negative,
    "math.abs": ops.abs,
    "math.square": ops.square,
    "math.maximum": ops.maximum,
    "math.minimum": ops.minimum,
    "math.sigmoid": ops.sigmoid,
    "math.tanh": ops.tanh,
    "math.exp": ops.exp,
    "nn.relu": ops.relu,
    "nn.relu6": ops.relu6,
    "nn.softmax": ops.softmax,
    "nn.sigmoid": ops.sigmoid,
    "nn.gelu": ops.gelu,
    "math.reduce_mean": ops.mean,
    "math.reduce_sum": ops.sum,
    "math.reduce_max": ops.max,
    "reshape": ops.reshape,
    "transpose": ops.transpose,
    "concat": ops.concatenate,
    "expand_dims": ops.expand_dims,
    "squeeze": ops.squeeze,
}
_RENAMED = {"perm": "axes", "y": "x2", "shape": "newshape"}


def layer_of(layer, weights=None, **settings) -> Step:
    """The Keras 3 layer of a tf_keras layer.

    Args:
        layer: A tf_keras layer of one of Keras's own classes.
        weights: Weights to take in place of the layer's own.
        **settings: Settings in place of the layer's own, where it has such.

    Raises:
        Untranslatable: if Keras 3 has no such layer, or not with its settings.
    """
    name = type(layer).__name__
    if not type(layer).__module__.startswith(("tf_keras.", "keras.")):
        raise Untranslatable(f"a class of your own, {type(layer).__module__}.{name}")
    kind = getattr(keras.layers, name, None)
    if kind is None:
        raise Untranslatable("Keras 3 has no layer of that name")
    config = layer.get_config()
    config |= {key: value for key, value in settings.items() if key in config}
    config = _settings(kind, config)
    try:
        made = kind.from_config(config)
    except Exception as error:
        raise Untranslatable(f"its settings: {error}") from error
    return Step(made, layer.get_weights() if weights is None else weights)


def _settings(kind, config):
    """A layer's settings without those that Keras 3 does not have."""
    known = set()
    for cls in kind.mro():
        known |= set(inspect.signature(cls.__init__).parameters)
    kept = {}
    for key, value in config.items():
        if key.endswith(("_initializer", "_constraint")):
            continue  # there are weights already
        if key == "dtype":
            kept[key] = value if isinstance(value, str) else value["config"]["name"]
        elif key in known:
            kept[key] = _plain(key, value)
        else:
            harmless = _WITHOUT_MEANING.get(key, ())
            if harmless is not ... and value not in harmless and value is not None:
                raise Untranslatable(f"Keras 3 does not have {key}={value!r}")
    return kept


def _plain(key, value):
    """A setting, with nested layers translated."""
    if key == "layer" and isinstance(value, dict):
        kind = getattr(keras.layers, value["class_name"], None)
        if kind is None:
            raise Untranslatable(f"it wraps {value['class_name']}")
        return kind.from_config(_settings(kind, value["config"]))
    if key == "activation" and isinstance(value, dict):
        raise Untranslatable("its activation is a function of your own")
    if key.endswith("_regularizer") and isinstance(value, dict):
        return keras.regularizers.get(
            {"class_name": value["class_name"], "config": value["config"]}
        )
    if key == "axis" and isinstance(value, (list, tuple)) and len(value) == 1:
        return value[0]
    return value


def function_of(layer) -> Step:
    """The function that a `TFOpLambda` applies."""
    name = layer.get_config()["function"]
    function = _FUNCTIONS.get(name)
    if function is None:
        raise Untranslatable(f"Keras 3 operations have no {name}")

    def apply(*args, **kwargs):
        x = function(*args, **{_RENAMED.get(k, k): v for k, v in kwargs.items()})
        # Else it has a name of its own, which a layer may have, too.
        x._keras_history.operation.name = layer.name
        return x

    return Step(apply)
