"""Translates models of tf_keras to Keras 3, call by call."""

import dataclasses
from typing import TYPE_CHECKING

import keras
from keras import tree

from snn_keras._keras import maker_of, tensors_behind
from snn_keras.errors import ConversionError
from snn_keras.graph import Names
from snn_keras.interop import source, tfmot
from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.functions import function_of
from snn_keras.interop.layers import Step, layer_of, legal

if TYPE_CHECKING:
    import tf_keras

REMEDY = (
    "Remedy: replace them in the tf_keras model by layers and functions of Keras that "
    "both versions have."
)


@dataclasses.dataclass
class Translation:
    """The translation of a model.

    Attributes:
        source: The model of tf_keras.
        model: The Keras 3 model.
        calls: For every call of a layer, in order, the pair of the call in tf_keras
            and the KerasTensors for its outputs.
    """

    source: object
    model: keras.Model
    calls: list


class Translator:
    """Translates each layer and each model once, however often it is used.

    Args:
        model: The whole model of tf_keras.
    """

    def __init__(self, model: "tf_keras.Model") -> None:
        self.translations = {}  # by the id of the model
        self._model = model
        self._steps = {}  # by the id of the layer
        self._named = set()  # ids of operations that have the name of a layer
        self._names = Names(layer.name for layer in source.layers_of(model))

    def translate(self, model: "tf_keras.Model") -> Translation:
        """Translates `model`.

        Raises:
            ConversionError: if layers have no counterpart; the message names all of
                them.
        """
        if id(model) not in self.translations:
            if offenders := dict.fromkeys(self._offenders(model)):
                raise ConversionError(
                    f"'{model.name}' has layers that Keras 3 cannot take over:\n"
                    + "\n".join(f"- {line}" for line in offenders)
                    + f"\n{REMEDY}"
                )
            self.translations[id(model)] = self._build(model)
        return self.translations[id(model)]

    def _offenders(self, model):
        """Translates every layer; yields a line for each that has no counterpart."""
        if reason := _why_not_its_graph(model):
            yield f"'{model.name}' ({type(model).__name__}): {reason}"
            return
        for call in source.calls_of(model):
            layer, reason = call.layer, ""
            if source.arguments_of(call)[1].get("training") is True:
                reason = "it is called with training=True, which Keras 3 does not keep"
            elif source.is_model(layer):
                yield from self._offenders(layer)
            elif id(layer) not in self._steps:
                try:
                    self._steps[id(layer)] = self._make(layer)
                except Untranslatable as error:
                    reason = str(error)
            if reason:
                place = "" if model is self._model else f" in '{model.name}'"
                yield f"'{layer.name}' ({type(layer).__name__}){place}: {reason}"

    def _make(self, layer):
        """Steps that together compute what `layer` does."""
        if source.is_function(layer):
            return [Step(function_of(layer))]
        if tfmot.is_quantizing(layer):
            steps = tfmot.operations_of(layer)
        else:
            steps = [layer_of(layer, self._inside)]
        self._named |= {id(step.operation) for step in steps}
        if "/" in layer.name:
            for step in steps:
                step.operation.name = self._names.unique(step.operation.name)
        return steps

    def _inside(self, layer):
        """The Keras 3 layer or model for one inside another layer."""
        if source.is_model(layer):
            if offenders := dict.fromkeys(self._offenders(layer)):
                raise Untranslatable("; ".join(offenders))
            return self.translate(layer).model
        if id(layer) not in self._steps:
            self._steps[id(layer)] = [layer_of(layer, self._inside)]
        return self._steps[id(layer)][0].operation

    def _name(self, name):
        """A name, changed if Keras 3 does not allow it."""
        return self._names.unique(legal(name)) if "/" in name else name

    def _build(self, model):
        """The functional model, with calls in the same order."""
        theirs = source.plain(model.input)
        inputs = tree.map_structure(self._input, theirs)
        tensors = _by_id(tree.flatten(theirs), tree.flatten(inputs))
        self._are_named(tree.flatten(inputs))

        def ours(x):
            return tensors[id(x)] if id(x) in tensors else _constant(x)

        calls = []
        for call in source.calls_of(model):
            args, kwargs = tree.map_structure(ours, source.arguments_of(call))
            outputs = tree.flatten(self._call(model, call.layer, args, kwargs))
            tensors |= _by_id(call.outputs, outputs)
            self._are_named(outputs)
            calls.append((call, outputs))
        outputs = tree.map_structure(ours, source.plain(model.output))
        self._name_hidden(outputs)
        made = keras.Model(inputs, outputs, name=self._name(model.name))
        if not model.trainable:
            made.trainable = False
        return Translation(model, made, calls)

    def _are_named(self, tensors):
        self._named |= {id(maker_of(x)) for x in tensors}

    def _name_hidden(self, outputs):
        """Renames operations that layers add to the graph, to keep layers' names free.

        Layers compute their masks by such operations, whose generated names may equal
        those of layers of tf_keras.
        """
        waiting, seen = tree.flatten(outputs), set()
        while waiting:
            tensor = waiting.pop()
            if id(tensor) not in seen:
                seen.add(id(tensor))
                waiting += tensors_behind(tensor)
                operation = maker_of(tensor)
                if id(operation) not in self._named:
                    operation.name = self._names.unique(operation.name)
                    self._named.add(id(operation))

    def _call(self, model, layer, args, kwargs):
        """Calls the translation of a layer."""
        if source.is_model(layer):
            return self.translate(layer).model(*args, **kwargs)
        first, *others = self._steps[id(layer)]
        try:
            x = first(*args, **kwargs)
            for step in others:
                x = step(x)
        except Exception as error:
            raise ConversionError(
                f"'{model.name}' has a layer that Keras 3 cannot call as it is called "
                f"there:\n- '{layer.name}' ({type(layer).__name__}): {error}\n{REMEDY}"
            ) from error
        return x

    def _input(self, tensor):
        """The Keras 3 input for an input of tf_keras."""
        name, kind = source.layer_behind(tensor).name, type(tensor).__name__
        if kind != "KerasTensor":
            raise ConversionError(
                f"Input '{name}' is a {kind}, and Keras 3 takes dense tensors only. "
                "Remedy: a tf_keras model with a dense input."
            )
        if tensor.dtype.name == "string" and keras.backend.backend() != "tensorflow":
            raise ConversionError(
                f"Input '{name}' takes texts, which Keras 3 takes on the TensorFlow "
                "backend only. Remedy: KERAS_BACKEND=tensorflow, or a tf_keras model "
                "that begins behind its lookup of texts."
            )
        batch, *shape = tensor.shape
        return keras.Input(shape, batch, tensor.dtype.name, name=self._name(name))


def _why_not_its_graph(model):
    if name := source.own_method(model):
        return f"its class has a {name} of its own, so its graph is not all it does"
    return "" if source.has_graph(model) else "it is not built, and has no graph"


def _by_id(keys, values):
    return dict(zip(map(id, keys), values, strict=True))


def _constant(x):
    """A constant, converted from a TensorFlow tensor."""
    return x.numpy() if hasattr(x, "numpy") else x
