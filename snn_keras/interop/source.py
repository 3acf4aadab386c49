"""Reads models of tf_keras; only this module uses private names of tf_keras."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from keras import tree

from snn_keras.typing import Array

if TYPE_CHECKING:
    import tf_keras


@dataclasses.dataclass
class Call:
    """A call of a layer in a model's graph.

    Attributes:
        layer: The layer.
        args: Its positional arguments, tensors of the graph and constants.
        kwargs: Its keyword arguments.
        inputs: The tensors among these.
        outputs: A flat list of the tensors that it returns.
    """

    layer: object
    args: tuple
    kwargs: dict
    inputs: list
    outputs: list


def is_of_tf_keras(kind: Any) -> bool:
    """Whether a class is one of tf_keras's own."""
    return kind.__module__.split(".")[0] == "tf_keras"


def is_model(layer: "tf_keras.layers.Layer") -> bool:
    """Whether `layer` is a Functional or Sequential model, or of a derived class."""
    return any(
        cls.__name__ in ("Functional", "Sequential") and is_of_tf_keras(cls)
        for cls in type(layer).mro()
    )


def is_function(layer: "tf_keras.layers.Layer") -> bool:
    """Whether `layer` stands for a function of TensorFlow in the graph."""
    is_one = type(layer).__name__ in ("TFOpLambda", "SlicingOpLambda")
    return is_one and is_of_tf_keras(type(layer))


def layers_of(model: "tf_keras.Model") -> list:
    """A model and all layers in it, at any depth."""
    return list(model._flatten_layers())


def own_method(model: "tf_keras.Model") -> str:
    """The overridden method that may compute something else than the graph, or ""."""
    for name in ("call", "__call__", "predict_step"):
        owner = next((c for c in type(model).mro() if name in vars(c)), None)
        if name in vars(model) or not is_of_tf_keras(owner):
            return name
    return ""


def has_graph(model: "tf_keras.Model") -> bool:
    """Whether a Functional or Sequential model is built, and its calls are known."""
    return hasattr(model, "_nodes_by_depth") and bool(model.inputs)


def calls_of(model: "tf_keras.Model") -> Iterator[Call]:
    """Yields the calls of layers in `model`, in running order."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                args, kwargs = plain(node.call_args), plain(node.call_kwargs)
                outputs = tree.flatten(plain(node.outputs))
                yield Call(node.layer, args, kwargs, node.keras_inputs, outputs)


def arguments_of(call: Call) -> tuple[tuple, dict]:
    """The arguments of a call, all but the first by name, since order may differ."""
    if is_function(call.layer):
        return call.args, call.kwargs
    names, kwargs = call.layer._call_spec.arg_names, dict(call.kwargs)
    first = call.args[0] if call.args else kwargs.pop(names[0])
    kwargs |= zip(names[1:], call.args[1:], strict=False)
    if hasattr(call.layer, "return_sequences") and isinstance(first, (list, tuple)):
        first, *kwargs["initial_state"] = first
    return (first,), {key: x for key, x in kwargs.items() if x is not None}


def plain(structure: Any) -> Any:
    """A structure without the wrappers that tf_keras puts around lists and dicts."""
    if isinstance(structure, dict):
        return {key: plain(x) for key, x in structure.items()}
    if isinstance(structure, (list, tuple)):
        kind = tuple if isinstance(structure, tuple) else list
        return kind(map(plain, structure))
    return structure


def layer_behind(tensor: Array) -> "tf_keras.layers.Layer":
    """The layer that computes a tensor."""
    return tensor._keras_history.layer


def lookup_of(layer: "tf_keras.layers.Layer") -> "tf_keras.layers.Layer":
    """The layer with the vocabulary: inside a TextVectorization; others themselves."""
    return getattr(layer, "_lookup_layer", layer)


def is_large_enough(probe: "tf_keras.Model", batch: list[np.ndarray]) -> bool:
    """Whether no layer of a model has an empty output for such a batch.

    Only shapes are computed: on images that are smaller than its window, a kernel of
    TensorFlow may read outside of them.
    """
    import tensorflow as tf

    function = tf.function(lambda *x: probe(list(x), training=False))
    specs = [
        tf.TensorSpec(x.shape, t.dtype)
        for x, t in zip(batch, probe.inputs, strict=True)
    ]
    try:
        outputs = function.get_concrete_function(*specs).structured_outputs
    except ValueError:
        return False
    return not any(0 in tuple(x.shape) for x in tree.flatten(outputs))


def inputs_behind(tensor: Array) -> list:
    """The input tensors on which a tensor depends."""
    found, seen, waiting = [], set(), [tensor]
    while waiting:
        tensor = waiting.pop()
        if id(tensor) in seen:
            continue
        seen.add(id(tensor))
        history = tensor._keras_history
        node = history.layer._inbound_nodes[history.node_index]
        waiting += node.keras_inputs
        found += [tensor] if node.is_input else []
    return found


@contextlib.contextmanager
def at_rest(model: "tf_keras.Model") -> Iterator[None]:
    """Context manager: stateful layers start at 0; their states are restored after."""
    states = [plain(getattr(layer, "states", None)) for layer in layers_of(model)]
    variables = [x for x in tree.flatten(states) if hasattr(x, "assign")]
    before = [variable.numpy() for variable in variables]
    for variable in variables:
        variable.assign(np.zeros_like(variable))
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
