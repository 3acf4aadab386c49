"""Brings a source graph into the form that the rules know.

Keras has many ways to say the same: an activation may be a layer, an argument of
the layer before, an `Activation` by name or a plain operation. Here each becomes
a node of its own, with one class for one function.
"""

import dataclasses
import math

import keras
import numpy as np
from keras import layers

from snn_keras.convert._keras import operation_types
from snn_keras.convert.functions import Kind, ceiling_of, kind_of
from snn_keras.graph import (
    Graph,
    Names,
    Node,
    Tensor,
    comes_with_keras,
    computes_as,
    is_graph,
    trace,
)
from snn_keras.layers import FunctionLayer, NoisySpike, QuantizedActivation

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

# Layers that apply another to each part of a signal, or as it is in inference.
WRAPPERS = (layers.TimeDistributed, layers.SpectralNormalization)

_RELU, _RELU6, _ACTIVATION_RELU = operation_types("Relu", "Relu6", "ReLU")
_MAXIMUM, _MINIMUM, _CLIP = operation_types("Maximum", "Minimum", "Clip")

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
    names = Names([*graph.input_names, *(node.name for node in graph.nodes)])
    nodes = []
    for whole in graph.nodes:
        for node in unwrapped(whole, names):
            for part in split_activation(node, names):
                operation = canonical(part.operation, part.outputs[0].dtype)
                nodes.append(dataclasses.replace(part, operation=operation))
    return dataclasses.replace(graph, nodes=tuple(with_relus(nodes, graph)))


def unwrapped(node: Node, names: Names) -> list[Node]:
    """Lays a model inside `TimeDistributed` open, where it is a chain of layers."""
    wrapper = node.operation
    if not (computes_as(wrapper, layers.TimeDistributed) and is_graph(wrapper.layer)):
        return [node]
    graph = trace(wrapper.layer)
    chain = all(
        isinstance(inner.operation, layers.Layer)
        and not inner.kwargs
        and len(inner.args) == 1
        and isinstance(inner.args[0], Tensor)
        and len(inner.outputs) == 1
        for inner in graph.nodes
    )
    if not chain or not graph.nodes or graph.outputs is not graph.nodes[-1].output:
        return [node]
    found, x = [], node.args[0]
    steps = x.shape[1]
    for inner in graph.nodes:
        name = names.unique(f"{node.name}_{inner.name}")
        layer = layers.TimeDistributed(inner.operation, name=name)
        layer.build(x.shape)
        y = Tensor((x.shape[0], steps, *inner.output.shape[1:]), inner.output.dtype)
        if inner is graph.nodes[-1]:
            (y,) = node.outputs
        part = Node(name, layer, (x,), {}, (y,), (node.site, inner.site))
        found.extend(unwrapped(part, names))
        x = y
    return found


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
    name = names.unique(f"{node.name}_{suffix.strip('<>')}")
    layer = innermost(node.operation)
    if not isinstance(function, layers.Layer):
        regularizer = node.operation.activity_regularizer or layer.activity_regularizer
        function = layers.Activation(
            function, name=name, activity_regularizer=regularizer
        )
    # The layer's own: its calls share what comes of its activation.
    site = ("activation", id(layer))
    return [
        dataclasses.replace(node, outputs=(between,)),
        Node(name, function, (between,), {}, node.outputs, site),
    ]


def canonical(operation, dtype):
    """The same function as a ReLU or Identity layer, where it is one.

    Args:
        operation: A layer or another operation.
        dtype: What it computes in, where it is no layer.
    """
    inner = innermost(operation)
    if inner is not operation and is_elementwise(inner):
        return canonical(inner, dtype)
    kind = type(operation)
    if kind is _ACTIVATION_RELU:
        return layers.ReLU(
            operation.max_value,
            operation.negative_slope,
            operation.threshold,
            name=operation.name,
            dtype=dtype,
        )
    if kind is _RELU:
        return layers.ReLU(name=operation.name, dtype=dtype)
    if kind is _RELU6:
        return layers.ReLU(max_value=6.0, name=operation.name, dtype=dtype)
    function = applied(operation)
    if function is None:
        return operation
    settings = {"name": operation.name, "dtype": operation.dtype_policy}
    settings["activity_regularizer"] = operation.activity_regularizer
    found = kind_of(function)
    if found is Kind.RELU:
        return layers.ReLU(ceiling_of(function), **settings)
    if found is Kind.LINEAR:
        return layers.Identity(**settings)
    if isinstance(operation, layers.Lambda) or comes_with_keras(function):
        return operation
    return FunctionLayer(function, **settings)


def applied(operation):
    """The function of one tensor that a layer applies, and nothing else; or None."""
    if computes_as(operation, layers.Activation):
        return operation.activation
    if computes_as(operation, layers.Lambda) and not operation.arguments:
        return operation.function
    if computes_as(operation, FunctionLayer):
        return operation.function
    return None


def with_relus(nodes, graph):
    """Puts a ReLU in place of `maximum(x, 0)`, `clip(x, 0, c)` and what is around them.

    `minimum(relu(x), c)` is one ReLU that saturates.
    """
    made = {}  # (low, high, first input) by output
    reads = [x for node in nodes for x in node.inputs]
    ends = set(keras.tree.flatten(graph.outputs))
    kept = []
    for node in nodes:
        limits = _limits(node)
        if limits is None:
            kept.append(node)
            continue
        low, high = limits
        (x,) = node.inputs
        before, source = made.get(x), x
        if is_relu(node.operation) or reads.count(x) > 1 or x in ends:
            before = None  # a ReLU of its own, or somebody else needs x as it is
        if before is not None:
            low, high = (min(max(v, low), high) for v in before[:2])
            source = before[2]
        made[node.output] = low, high, source
        if low == 0 and high > 0:
            if before is not None:
                kept = [n for n in kept if n.outputs != (x,)]
            kept.append(
                dataclasses.replace(
                    node,
                    operation=_relu_like(node, high),
                    args=(source,),
                    kwargs={},
                )
            )
        else:
            kept.append(node)
    return kept


def _relu_like(node, high):
    """A ReLU layer up to `high`, with what the node's own layer adds to it."""
    settings = {"name": node.operation.name, "dtype": node.outputs[0].dtype}
    if isinstance(node.operation, layers.Layer):
        settings["dtype"] = node.operation.dtype_policy
        settings["activity_regularizer"] = node.operation.activity_regularizer
    return layers.ReLU(None if math.isinf(high) else high, **settings)


def _limits(node):
    """The two numbers between which a node's one input is clipped, or None."""
    operation = node.operation
    if is_relu(operation):
        top = math.inf if operation.max_value is None else operation.max_value
        return 0.0, float(top)
    if type(operation) not in (_MAXIMUM, _MINIMUM, _CLIP) or len(node.inputs) != 1:
        return None
    if type(operation) is _CLIP:
        numbers = [operation.x_min, operation.x_max]
    else:
        numbers = [
            x for x in (*node.args, *node.kwargs.values()) if x is not node.inputs[0]
        ]
    try:
        numbers = [float(np.asarray(x).item()) for x in numbers]
    except (TypeError, ValueError):
        return None
    if type(operation) is _CLIP:
        low, high = numbers
        return low, high
    (number,) = numbers
    return (number, math.inf) if type(operation) is _MAXIMUM else (-math.inf, number)


def is_relu(operation) -> bool:
    """Whether it is 0 below 0 and rises with slope 1 above, up to a ceiling."""
    return computes_as(operation, layers.ReLU) and not (
        operation.negative_slope or operation.threshold
    )


def is_curve(operation) -> bool:
    """Whether it is another elementwise activation function.

    Sigmoids are not counted among them: in the networks of the field they are
    gates, and a few levels are too coarse for these.
    """
    if computes_as(operation, layers.ReLU):
        return not is_relu(operation)
    function = applied(operation)
    if function is not None and not isinstance(operation, layers.Lambda):
        return kind_of(function) is Kind.CURVE
    return any(computes_as(operation, kind) for kind in _CURVE_TYPES)


def is_elementwise(operation) -> bool:
    """Whether it acts on each element of a signal alone, in every rank the same way."""
    if computes_as(operation, layers.ReLU) or isinstance(operation, NoisySpike):
        return True
    if isinstance(operation, QuantizedActivation):
        return operation.axis in (None, -1)
    function = applied(operation)
    return function is not None and kind_of(function) is not Kind.OTHER


def innermost(operation):
    """The layer inside wrappers; the operation itself where there are none."""
    while any(computes_as(operation, wrapper) for wrapper in WRAPPERS):
        operation = operation.layer
    return operation


def depth_of(operation) -> int:
    """The number of wrappers around the innermost layer."""
    depth = 0
    while any(computes_as(operation, wrapper) for wrapper in WRAPPERS):
        operation, depth = operation.layer, depth + 1
    return depth


def fused_activation(operation):
    """The activation that a layer applies to its own linear map, or None."""
    layer = innermost(operation)
    if not any(computes_as(layer, kind) for kind in FUSING):
        return None
    function = layer.activation
    return None if function is keras.activations.linear else function


def linear_config(operation) -> dict:
    """The layer's configuration, without a fused activation and its penalty."""
    if fused_activation(operation) is None:
        return operation.get_config()
    return _without_activation(operation).get_config()


def _without_activation(layer):
    """A stand-in of which the configuration may be read: the function may have none."""
    inner = innermost(layer)
    changes = {"activity_regularizer": None}
    if layer is inner:
        changes["activation"] = keras.activations.linear
    else:
        changes["layer"] = _without_activation(layer.layer)
    stand_in = object.__new__(type(layer))
    vars(stand_in).update({**vars(layer), **changes})
    return stand_in
