"""Which nodes of a spiking network XLA can compile."""

import keras
from keras import tree

from snn_keras.backend import backend
from snn_keras.graph import Node
from snn_keras.time import PerStep

# Classes of operations that XLA is known to compile.
_COMPILED = {
    *("Add", "AveragePooling1D", "AveragePooling2D", "AveragePooling3D"),
    *("BatchNormalization", "BiasCorrection", "Concatenate", "Conv1D", "Conv2D"),
    *("Conv2DTranspose", "Conv3D", "Cropping2D", "Dense", "DepthwiseConv2D", "Dropout"),
    *("Flatten", "OnePassSpiking", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
    *("GlobalMaxPooling2D", "Identity", "InputLayer", "MaxPooling1D", "MaxPooling2D"),
    *(
        "Multiply",
        "Normalization",
        "Permute",
        "Present",
        "ReLU",
        "Readout",
        "Rescaling",
    ),
    *("Reshape", "SeparableConv2D", "Softmax", "Spiking", "Subtract", "ZeroPadding2D"),
}


def has_xla_form(node: Node) -> bool:
    """Whether XLA can compile a node; unknown classes are compiled as a trial."""
    layer = node.operation
    operation = layer.operation if isinstance(layer, PerStep) else layer
    if any(x.dtype == "string" for x in node.inputs):
        return False  # XLA has no strings
    if type(operation).__name__ in _COMPILED:
        return True
    sizes = [tuple(n or 2 for n in x.shape) for x in node.inputs]
    inputs = [
        keras.KerasTensor(shape, x.dtype)
        for shape, x in zip(sizes, node.inputs, strict=True)
    ]

    def call(*values):
        pairs = dict(zip(node.inputs, values, strict=True))
        return tree.flatten(node.call(layer, pairs, training=False))

    return backend.has_xla_form(call, inputs)
