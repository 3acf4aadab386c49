"""Names of Keras operations and layers that Keras does not export.

`a + b` on KerasTensors puts an instance of a private operation class into the
graph, and `keras.applications` hold layers of their own; this module is the one
place that names those classes.
"""

from keras.src.activations import activations
from keras.src.applications.convnext import LayerScale as LayerScale
from keras.src.ops import core, nn, numpy


def operation_types(*names):
    """The classes of these `keras.ops`, by their names in camel case."""
    found = []
    for name in names:
        module = next(m for m in (numpy, nn, core, activations) if hasattr(m, name))
        found.append(getattr(module, name))
    return tuple(found)
