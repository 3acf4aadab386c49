"""Brings a source graph into the normal form that the rules expect.

Keras can express the same network in many ways: an activation may be a layer, an
argument of the layer before, an `Activation` by name or a plain operation. In normal
form each activation is a node of its own, and each function has one class.
"""

import dataclasses
import inspect
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
from keras import layers, ops

from snn_keras._keras import maker_of, operation_types
from snn_keras.conversion.composite import Composite
from snn_keras.conversion.composite.scores import with_scores
from snn_keras.conversion.functions import Kind, described, kind_of
from snn_keras.conversion.wrapped import (
    CannotUnpack,
    Wrapped,
    holds_model,
    penalties_of,
    policy_of,
)
from snn_keras.errors import ConversionError
from snn_keras.graph import (
    Graph,
    Names,
    Node,
    Tensor,
    comes_with_keras,
    computes_as,
    trace,
)
from snn_keras.layers import FunctionLayer, QuantizedWeights, SourceActivation

# Layers that apply an activation of their own to a linear map.
HAVE_ACTIVATION = (
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

# Layers that apply another layer, to each entry of an axis or as it is in inference.
WRAPPERS = (layers.TimeDistributed, layers.SpectralNormalization, QuantizedWeights)

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


def normal_form(
    model: keras.Model | Graph,
    keep_quantizers: bool = False,
    opens: Sequence[type] = (),
) -> Graph:
    """The graph of `model` in normal form; a graph is returned as it is.

    Args:
        model: The model.
        keep_quantizers: Whether layers in `QuantizedWeights` stay so, to be trained;
            else they become the plain layers with rounded weights.
        opens: Classes of Keras's layers that are laid open, in a graph as well.

    Raises:
        ConversionError: if the graph does not show all that the model computes, or
            nested models cannot be unpacked.
    """
    if isinstance(model, Graph) and not opens:
        return model
    try:
        graph = model if isinstance(model, Graph) else trace(model)
        return _normal_form(graph, keep_quantizers, opens)
    except ValueError as error:
        raise ConversionError(str(error)) from error


def _normal_form(graph, keep_quantizers, opens):
    names = Names([*graph.input_names, *(node.name for node in graph.nodes)])
    wrapped = Wrapped(names)
    graph = Composite(names, opens).opened(with_scores(graph, opens))
    nodes = []
    for whole in graph.nodes:
        for node in unwrapped(whole, wrapped):
            node = node if keep_quantizers else with_plain_weights(node, wrapped)
            for part in split_activation(node, names, wrapped):
                nodes.append(in_normal_form(part, wrapped))
    nodes = without_masks(with_relus(nodes, graph), graph, names)
    nodes = named(nodes, graph, names)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def named(nodes: Sequence[Node], graph: Graph, names: Names) -> list[Node]:
    """Names the nodes that make outputs like these; losses and metrics use the name."""
    maker = {y: node for node in nodes for y in node.outputs}
    ends = zip(keras.tree.flatten(graph.outputs), graph.output_names, strict=True)
    wanted = {}
    for output, name in ends:
        if output in maker and name not in {*graph.input_names, *wanted.values()}:
            wanted.setdefault(maker[output], name)
    inner = {node: node.name for node in nodes if node not in wanted}
    for node, name in inner.items():
        if name in wanted.values():
            inner[node] = names.unique(f"{name}_inner")
    return [dataclasses.replace(n, name={**inner, **wanted}[n]) for n in nodes]


def unwrapped(node: Node, wrapped: Wrapped) -> list[Node]:
    """Replaces a model inside `TimeDistributed` by its nodes.

    Raises:
        ValueError: if that cannot be done although the model holds activations that
            become neurons.
    """
    if not holds_model(node.operation):
        return [node]
    try:
        return wrapped.opened(node)
    except CannotUnpack as reason:
        inside = [
            inner.name
            for inner in normal_form(innermost(node.operation)).nodes
            if is_relu(inner.operation) or isinstance(inner.operation, SourceActivation)
        ]
        if not inside:
            return [node]
        raise ValueError(
            f"{node.describe()} holds a model with the activations {inside}, and it "
            f"cannot be unpacked: {reason}. Remedy: call the model's layers one by "
            "one, in TimeDistributed each; what takes several tensors, or a function, "
            "on the tensors with the time axis."
        ) from None


def with_plain_weights(node: Node, wrapped: Wrapped) -> Node:
    """The node, a `QuantizedWeights` replaced by the layer that it computes as."""
    if not isinstance(node.operation, QuantizedWeights):
        return node
    return dataclasses.replace(node, operation=wrapped.plain(node.operation))


def split_activation(node: Node, names: Names, wrapped: Wrapped) -> list[Node]:
    """Splits `Conv2D(..., activation=f)` and the like into the layer and `f`.

    The layer's node then stands for the layer without its activation (see
    `without_activation`); the new node is named after both. The layer's activity
    regularizer goes to the new node, since it applies to the output of `f`.
    """
    function = own_activation(node.operation)
    if function is None:
        return [node]
    between = dataclasses.replace(node.output)
    suffix = getattr(function, "__name__", type(function).__name__).lower()
    name = names.unique(f"{node.name}_{suffix.strip('<>')}")
    layer = innermost(node.operation)
    penalties = penalties_of(node.operation)
    if not isinstance(function, layers.Layer):
        function = layers.Activation(function, name=name, dtype=policy_of(layer))
    function = _distributed(function, node.operation, between.shape)
    if function.activity_regularizer is None and penalties:
        function = wrapped.with_penalty(function, penalties.pop(0))
    # All calls of the layer share this site, and so its one activation.
    site = ("activation", id(layer))
    parts = [dataclasses.replace(node, outputs=(between,))]
    parts.append(Node(name, function, (between,), {}, node.outputs, site))
    for penalty in penalties:  # a wrapper and its layer may each have one
        x = dataclasses.replace(node.output)
        parts[-1] = dataclasses.replace(parts[-1], outputs=(x,))
        name = names.unique(f"{node.name}_penalty")
        end = layers.Identity(name=name, dtype=x.dtype, activity_regularizer=penalty)
        parts.append(Node(name, end, (x,), {}, node.outputs))
    return parts


def _distributed(function, wrapper, shape):
    """A built activation, in as many `TimeDistributed` as its layer was.

    So its axes still count within one entry.
    """
    wrappers = 0
    while any(computes_as(wrapper, kind) for kind in WRAPPERS):
        wrappers += computes_as(wrapper, layers.TimeDistributed)
        wrapper = wrapper.layer
    for _ in range(wrappers):
        function = layers.TimeDistributed(
            function, name=function.name, dtype=policy_of(function)
        )
    return _built(function, shape)


def in_normal_form(node: Node, wrapped: Wrapped) -> Node:
    """The node, its operation replaced by a ReLU or Identity layer if equivalent."""
    node = without_unread_mask(node)
    operation = canonical(node.operation, node)
    if operation is not node.operation and isinstance(node.operation, layers.Layer):
        penalties = penalties_of(node.operation)
        if len(penalties) < 2:  # the wrapper's, not that of the layer inside
            penalty = penalties[0] if penalties else None
            operation = wrapped.with_penalty(operation, penalty)
    if is_relu(operation) and not all("float" in x.dtype for x in node.inputs):
        operation = _of_integers(operation)
    return dataclasses.replace(node, operation=operation)


def without_unread_mask(node: Node) -> Node:
    """The node without the mask that Keras passes to a `Lambda` that ignores it."""
    is_function = computes_as(node.operation, layers.Lambda)
    if not is_function or "mask" in _parameters(node.operation.function):
        return node
    kwargs = {name: x for name, x in node.kwargs.items() if name != "mask"}
    return dataclasses.replace(node, kwargs=kwargs)


def _parameters(function):
    """Names of a function's parameters, as `Lambda` looks for them."""
    return inspect.getfullargspec(function).args


def without_masks(nodes: list[Node], graph: Graph, names: Names) -> list[Node]:
    """Drops the mask before ReLU layers that replace functions.

    Layers pass masks on, functions do not. A copy of a tensor has no mask, so the copy
    becomes the input of the ReLU layer.
    """
    if not any(y.masked for node in graph.nodes for y in node.outputs):
        return nodes
    of_functions = {
        y
        for node in graph.nodes
        if not isinstance(node.operation, layers.Layer)
        or computes_as(node.operation, layers.Lambda)
        for y in node.outputs
    }
    kept = []
    for node in nodes:
        if is_relu(node.operation) and of_functions.issuperset(node.outputs):
            (x,) = node.inputs
            copy = ops.copy(keras.KerasTensor(x.shape, x.dtype))
            y = dataclasses.replace(x, masked=False)
            name = names.unique(f"{node.name}_input")
            kept.append(Node(name, maker_of(copy), (x,), {}, (y,)))
            node = dataclasses.replace(node, args=(y,), kwargs={})
        kept.append(node)
    return kept


def canonical(operation: keras.Operation, node: Node) -> keras.Operation:
    """An equivalent ReLU or Identity layer, else the operation itself.

    An identity function of the user's own stays, because it may have a gradient of
    its own.

    Args:
        operation: The node's operation, or the layer inside it.
        node: The node that calls it.
    """
    dtype, like = node.outputs[0].dtype, _computed(operation, node)
    inner = innermost(operation)
    if inner is not operation and is_elementwise(inner, like):
        return canonical(inner, node)
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
    if isinstance(function, layers.Layer) and not operation.activity_regularizer:
        return canonical(_built(function, node.inputs[0].shape), node)
    settings = {"name": operation.name, "dtype": operation.dtype_policy}
    settings["activity_regularizer"] = operation.activity_regularizer
    found, ceiling = described(function, like)
    if found is Kind.RELU:
        return layers.ReLU(ceiling, **settings)
    if found is Kind.LINEAR and comes_with_keras(function):
        return layers.Identity(**settings)
    if isinstance(operation, layers.Lambda) or comes_with_keras(function):
        return operation
    return FunctionLayer(function, **settings)


def _built(layer, shape):
    """The layer, built for inputs of this shape unless it is built already."""
    if not layer.built:
        layer.build(shape)
    return layer


def _computed(operation, node):
    """A node's first input, in the dtype to which the operation casts it; or None."""
    if not node.inputs:
        return None
    x = node.inputs[0]
    if isinstance(operation, layers.Layer) and "float" in x.dtype:
        return dataclasses.replace(x, dtype=operation.compute_dtype)
    return x


def applied(operation: keras.Operation) -> Callable | None:
    """The function of one tensor that is all a layer applies; or None."""
    if computes_as(operation, layers.Activation):
        return operation.activation
    if computes_as(operation, layers.Lambda) and not operation.arguments:
        reads_more = {"mask", "training"}.intersection(_parameters(operation.function))
        return None if reads_more else operation.function
    if computes_as(operation, FunctionLayer):
        return operation.function
    return None


def with_relus(nodes: Sequence[Node], graph: Graph) -> list[Node]:
    """Replaces `maximum(x, 0)`, `clip(x, 0, c)` and the like by ReLUs.

    Several in a row, such as `minimum(relu(x), c)`, become one ReLU that saturates.
    """
    made = {}  # (low, high, first input) by output
    reads = [x for node in nodes for x in node.inputs]
    ends = set(keras.tree.flatten(graph.outputs))
    weighed = {y for n in nodes if penalties_of(n.operation) for y in n.outputs}
    kept = []
    for node in nodes:
        limits = _limits(node)
        if limits is None:
            kept.append(node)
            continue
        low, high = limits
        (x,) = node.inputs
        before, source = made.get(x), x
        if is_relu(node.operation) or reads.count(x) > 1 or x in ends or x in weighed:
            before = None  # a ReLU layer stays, and so does x if anything else needs it
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


def _of_integers(relu):
    """An operation that computes a ReLU of integers and does not become neurons."""
    if relu.max_value is None:
        return _RELU(name=relu.name)
    return _CLIP(0, int(relu.max_value), name=relu.name)


def _relu_like(node, high):
    """A ReLU layer up to `high`, with the dtype and the penalty of the node's layer."""
    settings = {"name": node.operation.name, "dtype": node.outputs[0].dtype}
    if isinstance(node.operation, layers.Layer):
        settings["dtype"] = node.operation.dtype_policy
        settings["activity_regularizer"] = node.operation.activity_regularizer
    return layers.ReLU(None if math.isinf(high) else high, **settings)


def _limits(node):
    """The limits to which a node clips its only input, or None."""
    operation = node.operation
    if not all("float" in x.dtype for x in (*node.inputs, *node.outputs)):
        return None
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


def is_relu(operation: keras.Operation) -> bool:
    """Whether it is a ReLU layer of slope 1, perhaps with a ceiling above 0."""
    return computes_as(operation, layers.ReLU) and not (
        operation.negative_slope or operation.threshold or operation.max_value == 0
    )


def is_curved_activation(operation: keras.Operation) -> bool:
    """Whether it is an elementwise activation function other than ReLU.

    Sigmoids do not count: most networks use them as gates, for which a few levels are
    too coarse.
    """
    if computes_as(operation, layers.ReLU):
        return not is_relu(operation) and operation.max_value != 0
    function = applied(operation)
    if function is not None and not isinstance(operation, layers.Lambda):
        return kind_of(function) is Kind.CURVE
    return any(computes_as(operation, kind) for kind in _CURVE_TYPES)


def is_elementwise(operation: keras.Operation, like: Tensor | None = None) -> bool:
    """Whether it acts on each element of a tensor by itself, whatever the rank.

    Args:
        operation: A layer or another operation.
        like: The `Tensor` that it acts on.
    """
    if computes_as(operation, layers.ReLU):
        return True
    if isinstance(operation, SourceActivation):
        return operation.axis in (None, -1)
    function = applied(operation)
    return function is not None and kind_of(function, like) is not Kind.OTHER


def innermost(operation: keras.Operation) -> keras.Operation:
    """The layer inside all wrappers; the operation itself if it is no wrapper."""
    while any(computes_as(operation, wrapper) for wrapper in WRAPPERS):
        operation = operation.layer
    return operation


def own_activation(operation: keras.Operation) -> Callable | None:
    """The activation that a layer applies to its own linear map, or None."""
    layer = innermost(operation)
    if not any(computes_as(layer, kind) for kind in HAVE_ACTIVATION):
        return None
    function = layer.activation
    return None if function is keras.activations.linear else function


def without_activation(operation: keras.Operation) -> keras.Operation:
    """A stand-in for a layer, without its activation and the activation's penalty.

    Only its class and its configuration are read. If the layer's class is derived from
    a class of Keras and computes the same, the stand-in is of Keras's class, because
    the constructor of a derived class may take other arguments.
    """
    inner = innermost(operation)
    kind = next((kind for kind in HAVE_ACTIVATION if computes_as(inner, kind)), None)
    if kind is None and operation is inner:
        return operation
    changes = {}
    if own_activation(inner) is not None:
        changes = {"activation": keras.activations.linear, "activity_regularizer": None}
    return _stand_in(operation, inner, kind, changes)


def _stand_in(layer, inner, kind, changes):
    found = object.__new__(kind if kind and layer is inner else type(layer))
    vars(found).update(vars(layer))
    if layer is inner:
        vars(found).update(changes)
        return found
    vars(found)["layer"] = _stand_in(layer.layer, inner, kind, changes)
    if changes:
        vars(found)["activity_regularizer"] = None
    return found
