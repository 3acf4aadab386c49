"""Brings a source graph into the form that the rules know."""

import dataclasses

import keras

from snn_keras.convert.layer_rules import FUSING
from snn_keras.graph import Graph, Node, Tensor, trace


def read(model) -> Graph:
    """The graph of `model`, every activation a node of its own."""
    return split_activations(trace(model))


def split_activations(graph: Graph) -> Graph:
    """Splits `Conv2D(..., activation=f)` and the like into the layer and `f`.

    The layer's node then stands for the layer without its activation
    (`linear_config`); the new one is called after both.
    """
    nodes = []
    for node in graph.nodes:
        function = fused_activation(node.operation)
        if function is None:
            nodes.append(node)
            continue
        between = Tensor(node.output.shape, node.output.dtype)
        nodes.append(dataclasses.replace(node, outputs=(between,)))
        activation = _as_layer(function, node.name)
        nodes.append(Node(activation.name, activation, (between,), {}, node.outputs))
    return dataclasses.replace(graph, nodes=tuple(nodes))


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


def _as_layer(function, name):
    if isinstance(function, keras.layers.Layer):
        return function
    suffix = getattr(function, "__name__", type(function).__name__).lower()
    return keras.layers.Activation(function, name=f"{name}_{suffix}")
