"""Brings a source graph into the form that the rules know.

Keras has many ways to say the same: an activation may be a layer, an argument of
the layer before, an `Activation` by name or a plain operation. Here each becomes
a node of its own, with one class for one function.
"""

import dataclasses

import keras
from keras import layers

from snn_keras.convert._keras import operation_types
from snn_keras.graph import Graph, Names, Node, Tensor, trace

# Layers that apply an activation of their own to a linear map.
FUSING = (
    layers.Conv1D,
    layers.Conv2D,
    layers.Conv3D,
    layers.Conv1DTranspose,
    layers.Conv2DTranspose,
    layers.Conv3DTranspose,
    layers.DepthwiseConv1D,
    layers.DepthwiseConv2D,
    layers.SeparableConv1D,
    layers.SeparableConv2D,
    layers.Dense,
    layers.EinsumDense,
)

_RELU, _RELU6, _ACTIVATION_RELU = operation_types("Relu", "Relu6", "ReLU")

# Activation functions other than ReLU, elementwise.
_CURVES = {
    keras.activations.celu,
    keras.activations.elu,
    keras.activations.gelu,
    keras.activations.hard_silu,
    keras.activations.hard_tanh,
    keras.activations.leaky_relu,
    keras.activations.mish,
    keras.activations.selu,
    keras.activations.silu,
    keras.activations.softplus,
    keras.activations.softsign,
    keras.activations.tanh,
}
_CURVE_TYPES = (
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    *operation_types(
        "Celu",
        "Elu",
        "Gelu",
        "HardSilu",
        "HardTanh",
        "LeakyRelu",
        "Selu",
        "Silu",
        "Softplus",
        "Softsign",
        "Tanh",
    ),
)


def read(model) -> Graph:
    """The graph of `model` in normal form."""
    graph = trace(model)
    nodes = []
    names = Names(node.name for node in graph.nodes)
    for node in graph.nodes:
        for part in split_activation(node, names):
            nodes.append(dataclasses.replace(part, operation=canonical(part.operation)))
    return dataclasses.replace(graph, nodes=tuple(nodes))


def split_activation(node: Node, names: Names) -> list[Node]:
    """Splits `Conv2D(..., activation=f)` and the like into the layer and `f`.

    The layer's node then stands for the layer without its activation (see
    `linear_config`); the new one is called after both.
    """
    function = fused_activation(node.operation)
    if function is None:
        return [node]
    between = Tensor(node.output.shape, node.output.dtype)
    suffix = getattr(function, "__name__", type(function).__name__).lower()
    name = names.unique(f"{node.name}_{suffix}")
    if not isinstance(function, layers.Layer):
        function = layers.Activation(function, name=name)
    return [
        dataclasses.replace(node, outputs=(between,)),
        Node(name, function, (between,), {}, node.outputs),
    ]


def canonical(operation):
    """The same function as a ReLU or Identity layer, where it is one."""
    function = type(operation)
    if isinstance(operation, layers.Activation):
        function = operation.activation
    if function is _ACTIVATION_RELU:
        return layers.ReLU(
            operation.max_value,
            operation.negative_slope,
            operation.threshold,
            name=operation.name,
        )
    if function in (keras.activations.relu, keras.ops.relu, _RELU):
        return layers.ReLU(name=operation.name)
    if function in (keras.activations.relu6, keras.ops.relu6, _RELU6):
        return layers.ReLU(max_value=6.0, name=operation.name)
    if function is keras.activations.linear:
        return layers.Identity(name=operation.name)
    return operation


def is_relu(operation) -> bool:
    """Whether it is 0 below 0 and rises with slope 1 above, up to a ceiling."""
    return isinstance(operation, layers.ReLU) and not (
        operation.negative_slope or operation.threshold
    )


def is_curve(operation) -> bool:
    """Whether it is another elementwise activation function.

    Sigmoids are not counted among them: in the networks of the field they are
    gates, and a few levels are too coarse for these.
    """
    if isinstance(operation, layers.ReLU):
        return not is_relu(operation)
    if isinstance(operation, layers.Activation):
        return operation.activation in _CURVES
    return isinstance(operation, _CURVE_TYPES)


def fused_activation(operation):
    """The activation that a layer applies to its own linear map, or None."""
    if not isinstance(operation, FUSING):
        return None
    function = operation.activation
    return None if function is keras.activations.linear else function


def linear_config(operation) -> dict:
    """The layer's configuration, without a fused activation."""
    config = operation.get_config()
    if fused_activation(operation) is not None:
        config["activation"] = "linear"
    return config
