"""What Keras does not export: the one place that reads its private names.

`a + b` on KerasTensors puts an instance of a private operation class into the graph,
the graph itself is recorded in private attributes, and `keras.applications` and the
preprocessing hold layers of their own.
"""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
from keras.src.activations import activations
from keras.src.applications.convnext import LayerScale as LayerScale
from keras.src.backend.common import global_state
from keras.src.layers.preprocessing.image_preprocessing import (
    base_image_preprocessing_layer as _preprocessing,
)
from keras.src.ops import core, einops, image, linalg, math, nn, numpy

# Layers that take three axes for those of one image.
TAKES_SINGLE_IMAGES = _preprocessing.BaseImagePreprocessingLayer

# The name of the weights in a .keras file.
WEIGHTS_IN_ZIP = "model.weights.h5"
_WAITING = "uninitialized_variables"


@contextlib.contextmanager
def variables_without_values() -> Iterator[list]:
    """Context manager: variables get a shape and no value; yields the list of them."""
    before = global_state.get_global_attribute(_WAITING)
    made = []
    global_state.set_global_attribute(_WAITING, made)
    try:
        with keras.StatelessScope(initialize_variables=False):
            yield made
    finally:
        global_state.set_global_attribute(_WAITING, before)


def operation_types(*names: str) -> tuple[type, ...]:
    """The classes of these `keras.ops`, by their names in camel case."""
    modules = (numpy, nn, core, activations, math, image, linalg, einops)
    found = []
    for name in names:
        module = next(m for m in modules if hasattr(m, name))
        found.append(getattr(module, name))
    return tuple(found)


def copy_of(operation: keras.Operation) -> keras.Operation:
    """A copy of an operation, apart from the graphs that it stands in.

    That of a layer shares its weights and the layers inside.
    """
    found = object.__new__(type(operation))
    vars(found).update(vars(operation), _inbound_nodes=[], _outbound_nodes=[])
    return found


def maker_of(tensor: keras.KerasTensor) -> keras.Operation:
    """The operation that gives a tensor of a graph."""
    return tensor._keras_history.operation


def tensors_behind(tensor: keras.KerasTensor) -> list:
    """The tensors that the operation is called on which gives a tensor of a graph."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index].input_tensors


def has_mask(tensor: keras.KerasTensor) -> bool:
    """Whether Keras hands a mask on with a tensor of a graph."""
    return getattr(tensor, "_keras_mask", None) is not None


def functional_of(model: keras.Model) -> keras.Model:
    """The functional model that a Sequential model is inside; others as they are."""
    return model._functional if isinstance(model, keras.Sequential) else model


def calls_of(model: keras.Model) -> Iterator[tuple]:
    """Yields `(operation, args, kwargs, outputs)` of a model, in running order."""
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if not node.is_input:
                args, kwargs = node.arguments.args, node.arguments.kwargs
                yield node.operation, args, kwargs, node.outputs


def layers_inside(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers that a layer consists of, and those inside these."""
    return list(layer._flatten_layers(include_self=False))


@contextlib.contextmanager
def unrecorded(operations: Sequence[keras.Operation]) -> Iterator[None]:
    """Within this context, graphs are made with operations, and they do not know."""
    kept = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in operations]
    try:
        yield
    finally:
        for operation, (before, behind) in zip(operations, kept, strict=True):
            del operation._inbound_nodes[before:], operation._outbound_nodes[behind:]


def output_shape_of(layer: keras.layers.Lambda) -> Any:
    """The `output_shape` that a Lambda layer was made with."""
    return layer._output_shape


def lookup_of(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer with the vocabulary: inside a TextVectorization; others themselves."""
    return getattr(layer, "_lookup_layer", layer)
