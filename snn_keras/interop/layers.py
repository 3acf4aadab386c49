"""Translates layers of tf_keras to Keras 3."""

import dataclasses
import inspect
import typing
import warnings
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import keras

from snn_keras._keras import LayerScale
from snn_keras.interop.activations import activation_of
from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.source import is_of_tf_keras, lookup_of
from snn_keras.interop.weights import INNER, is_layer, take_weights

if TYPE_CHECKING:
    import tf_keras


@dataclasses.dataclass
class Step:
    """An operation of Keras 3, and the weights that it receives at its first call.

    Attributes:
        operation: A layer of Keras 3, or a function.
        source: The layer of tf_keras that has its weights, or None.
        weights: Weights in place of those of `source`, or None.
    """

    operation: Any
    source: object = None
    weights: list | None = None

    def __call__(self, *args, **kwargs) -> Any:
        x = self.operation(*args, **kwargs)
        if self.source is not None:
            take_weights(self.source, self.operation, self.weights)
            self.source = self.weights = None
        return x


# Settings of tf_keras that Keras 3 does not have, and the values (... for all) with
# which they have no effect in inference.
_WITHOUT_EFFECT = {
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
    "trainable": ...,  # for layers without weights
    "noise_shape": ...,  # for spatial dropout, whose class implies it
    "query_shape": ...,
    "key_shape": ...,
    "value_shape": ...,
    "softmax_robust_masking": (False,),
    "has_input_vocabulary": ...,
    "rng_type": ...,
    "vocabulary_size": ...,
}


class Counterpart(typing.NamedTuple):
    """The Keras 3 counterpart of a layer, if it differs.

    Attributes:
        kind: The class in Keras 3.
        renamed: `{name in tf_keras: name in Keras 3}` of settings.
        added: Additional settings in Keras 3.
        dropped: Settings that matter only in training.
    """

    kind: type
    renamed: Mapping = MappingProxyType({})
    added: Mapping = MappingProxyType({})
    dropped: tuple = ()


_NOTHING = Counterpart(
    keras.layers.Identity,
    dropped=(
        *("factor", "interpolation", "seed"),
        *("unconditional", "aggregation", "metric_name"),
    ),
)
# Augmentation layers that Keras 3 lacks, or that differ there, become what they do in
# inference.
_COUNTERPARTS = {
    "AddLoss": _NOTHING,
    "AddMetric": _NOTHING,
    "Layer": _NOTHING,
    "LayerScale": Counterpart(LayerScale),
    "LeakyReLU": Counterpart(keras.layers.LeakyReLU, {"alpha": "negative_slope"}),
    "RandomCrop": Counterpart(
        keras.layers.Resizing, {}, {"crop_to_aspect_ratio": True}, ("seed",)
    ),
    "RandomHeight": _NOTHING,
    "RandomWidth": _NOTHING,
    "SyncBatchNormalization": Counterpart(keras.layers.BatchNormalization),
    "ThresholdedReLU": Counterpart(keras.layers.ReLU, {"theta": "threshold"}),
}


def legal(name: str) -> str:
    """A name that Keras 3 allows: `/` becomes `_`."""
    return name.replace("/", "_")


def layer_of(
    layer: "tf_keras.layers.Layer",
    inside: Callable | None = None,
    weights: list | None = None,
    **settings,
) -> Step:
    """The Keras 3 layer of a tf_keras layer.

    Args:
        layer: A tf_keras layer of one of Keras's own classes.
        inside: A function that translates layers and models inside `layer`; None does
            not allow any.
        weights: Weights to use in place of the layer's own.
        **settings: Settings that replace the layer's own, if it has them.

    Raises:
        Untranslatable: if Keras 3 has no such layer, or does not support its settings.
    """
    counterpart = _counterpart(layer)
    config = _config(layer)
    config |= {key: value for key, value in settings.items() if key in config}
    kept = _settings(layer, counterpart, config, settings)
    kept |= {key: _inner(x, inside) for key, x in _inner_layers(layer, kept)}
    try:
        made = counterpart.kind(**kept)
    except Exception as error:
        raise Untranslatable(f"its settings: {error}") from error
    return Step(made, layer, weights)


def _config(layer):
    """A layer's settings, including the results of `adapt`."""
    try:
        with warnings.catch_warnings():  # warnings about saving do not matter
            warnings.simplefilter("ignore")
            config = layer.get_config()
    except Exception as error:
        raise Untranslatable(f"its settings cannot be read: {error}") from error
    if "vocabulary" in config and hasattr(layer, "get_vocabulary"):
        words = layer.get_vocabulary(include_special_tokens=False)
        config["vocabulary"] = words or None
        if config["output_mode"] == "tf_idf":
            lookup = lookup_of(layer)
            config["idf_weights"] = lookup.idf_weights.numpy()[-len(words) :]
    if "bin_boundaries" in config:
        edges = [float(edge) for edge in layer.bin_boundaries]
        config |= {"bin_boundaries": edges, "num_bins": None}
    return config


def _counterpart(layer):
    """The `Counterpart` of a layer of tf_keras."""
    name = type(layer).__name__
    if not is_of_tf_keras(type(layer)):
        raise Untranslatable(
            f"its class {type(layer).__module__}.{name} is not Keras's own"
        )
    if name == "Lambda":
        raise Untranslatable("its function is your own")
    kind = getattr(keras.layers, name, None)
    if kind is None and name not in _COUNTERPARTS:
        raise Untranslatable("Keras 3 has no layer of that name")
    return _COUNTERPARTS.get(name, Counterpart(kind))


def _parameters(kind):
    """The names of the arguments of a layer's constructor."""
    known = set()
    for cls in kind.mro():
        if "__init__" in vars(cls):
            parameters = inspect.signature(cls.__init__).parameters
            known |= set(parameters)
            if not any(p.kind == p.VAR_KEYWORD for p in parameters.values()):
                break
    return known


def _settings(layer, counterpart, config, changed):
    """A layer's settings in Keras 3."""
    known = _parameters(counterpart.kind)
    kept = dict(counterpart.added)
    for key, value in config.items():
        name = counterpart.renamed.get(key, key)
        if key.endswith(("_initializer", "_constraint")) or key in counterpart.dropped:
            continue  # the weights replace it
        if name in known:
            kept[name] = _setting(layer, key, value, key in changed)
        elif not _has_no_effect(key, value):
            raise Untranslatable(f"Keras 3 does not have {key}={value!r}")
    if "data_format" in known and "data_format" not in kept:
        kept["data_format"] = getattr(layer, "data_format", "channels_last")
    return kept


def _has_no_effect(key, value):
    harmless = _WITHOUT_EFFECT.get(key, ())
    return harmless is ... or value in harmless or value is None


def _setting(layer, key, value, is_changed):
    """The value of one setting in Keras 3."""
    if key == "name":
        return legal(value)
    if key == "dtype" and isinstance(value, dict):
        return value["config"]["name"]
    if key.endswith("activation") and not is_changed:
        return _activation(getattr(layer, key))
    if key.endswith("_regularizer") and isinstance(value, dict):
        return _regularizer(value)
    if key == "axis" and isinstance(value, (list, tuple)) and len(value) == 1:
        return value[0]
    return value


def _activation(function):
    """Keras 3's function; a layer is returned as it is, and translated later."""
    if not is_layer(function):
        return activation_of(function)
    if function.weights:
        name = type(function).__name__
        raise Untranslatable(f"its activation {name} has weights of its own")
    return function


def _regularizer(config):
    """Keras 3's regularizer; None if it is one of the user's own."""
    if config.get("module") != "keras.regularizers":
        return None
    return getattr(keras.regularizers, config["class_name"])(**config["config"])


def _inner_layers(layer, settings):
    """Yields the settings that are layers: their names in Keras 3, and the layers."""
    if hasattr(layer, "forward_layer"):  # its `layer` is only a template
        yield "layer", layer.forward_layer
        yield "backward_layer", layer.backward_layer
        return
    for key in settings:
        value = getattr(layer, key, None) if key in INNER else None
        if is_layer(value) or isinstance(value, (list, tuple)):
            yield key, value


def _inner(value, inside):
    if isinstance(value, (list, tuple)):
        return [_inner(x, inside) for x in value]
    kind = type(value).__name__
    if inside is None:
        raise Untranslatable(f"it has '{value.name}' ({kind}) in it")
    try:
        return inside(value)
    except Untranslatable as reason:
        raise Untranslatable(f"'{value.name}' ({kind}) in it: {reason}") from reason
