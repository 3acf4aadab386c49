"""Names of Keras operations and layers that Keras does not export.

`a + b` on KerasTensors puts an instance of a private operation class into the
graph, and `keras.applications` defines layers of its own. Only this module names
those classes.
"""

import keras
from keras.src.activations import activations
from keras.src.applications.convnext import LayerScale as LayerScale
from keras.src.layers.preprocessing.image_preprocessing import (
    base_image_preprocessing_layer as _preprocessing,
)
from keras.src.ops import core, einops, image, linalg, math, nn, numpy

# Layers that take an input with three axes for a single image.
TAKES_SINGLE_IMAGES = _preprocessing.BaseImagePreprocessingLayer


def operation_types(*names) -> tuple[type, ...]:
    """The classes of these `keras.ops`, by their names in camel case."""
    modules = (numpy, nn, core, activations, math, image, linalg, einops)
    found = []
    for name in names:
        module = next(m for m in modules if hasattr(m, name))
        found.append(getattr(module, name))
    return tuple(found)


def copy_of(operation: keras.Operation) -> keras.Operation:
    """A copy of an operation that is no layer; it belongs to no graph yet."""
    found = object.__new__(type(operation))
    vars(found).update(vars(operation), _inbound_nodes=[], _outbound_nodes=[])
    return found
