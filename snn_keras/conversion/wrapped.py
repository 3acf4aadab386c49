"""Unpacks models inside `TimeDistributed`; replaces the penalties of layers."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import dtype_policies, layers, ops, tree

from snn_keras._keras import operation_types
from snn_keras.graph import (
    Names,
    Node,
    Tensor,
    as_input,
    computes_as,
    fill,
    is_graph,
    takes_masks,
    trace,
)

# Elementwise layers of several tensors, which also work with one more axis.
_MERGES = (
    layers.Add,
    layers.Average,
    layers.Concatenate,
    layers.Maximum,
    layers.Minimum,
    layers.Multiply,
    layers.Subtract,
)
_ELEMENTWISE = operation_types(
    *("Absolute", "Add", "Clip", "Divide", "Elu", "Exp", "Fmax", "Fmin", "Gelu"),
    *("HardSilu", "HardTanh", "LeakyRelu", "Maximum", "Minimum", "Multiply"),
    *("Negative", "ReLU", "Relu", "Relu6", "Selu", "Sigmoid", "Silu", "Softplus"),
    *("Softsign", "Sqrt", "Square", "Subtract", "Tanh", "TrueDivide"),
)


class CannotUnpack(Exception):
    """The reason why a model inside a wrapper cannot be unpacked."""


class Wrapped:
    """Unpacks models inside `TimeDistributed`, with one new layer per layer inside.

    Args:
        names: Names that are in use.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._made = {}

    def opened(self, node: Node, is_called: bool = True) -> list[Node]:
        """The nodes of the model inside, each for all entries of the axis.

        Args:
            node: A node whose operation is a wrapper around a model.
            is_called: Whether Keras calls the wrapper itself. If it calls only its
                `call`, nothing is cast, and there is no penalty.

        Raises:
            CannotUnpack: if the model cannot be unpacked.
        """
        wrapper, x = node.operation, signal_of(node)
        if any("mask" in name for name in node.kwargs) and _reads_mask(wrapper):
            raise CannotUnpack("it reads a mask")
        found = self._cast(node, x) if is_called else []
        x = found[-1].output if found else x
        casts, begin, inside, end = self._inside(node, x)
        found.extend(casts)
        values = {begin: casts[-1].output if casts else x}
        penalty = wrapper.activity_regularizer if is_called else None
        for inner in inside:
            (y,) = inner.outputs if len(inner.outputs) == 1 else (None,)
            if y is None:
                raise CannotUnpack(
                    f"its layer {inner.describe()} gives several tensors"
                )
            is_end = y is end and penalty is None
            values[y] = node.output if is_end else _with_axis(y, x)
            found.append(self._around(node, inner, values))
        if end is begin:
            raise CannotUnpack("its output is its input")
        if penalty is not None:
            name = self._names.unique(f"{node.name}_penalty")
            last = layers.Identity(
                name=name, dtype=end.dtype, activity_regularizer=penalty
            )
            found.append(Node(name, last, (values[end],), {}, node.outputs))
        return found

    def _cast(self, node, x):
        """The node that casts `x` as the wrapper does, if it does; a list."""
        dtype = node.operation.compute_dtype
        if x.dtype == dtype or "float" not in x.dtype:
            return []
        name = self._names.unique(f"{node.name}_cast")
        cast = layers.Identity(name=name, dtype=dtype)
        return [Node(name, cast, (x,), {}, (dataclasses.replace(x, dtype=dtype),))]

    def _inside(self, node, x):
        """The model for one entry of the axis.

        Returns:
            The nodes that turn `x` into its input, the input, its nodes, and its
            output.
        """
        layer = node.operation.layer
        if not is_graph(layer):  # another TimeDistributed
            begin, end = (
                Tensor((t.shape[0], *t.shape[2:]), t.dtype) for t in (x, node.output)
            )
            inner = Node(layer.name, layer, (begin,), {}, (end,), node.site)
            return [], begin, self.opened(inner, is_called=False), end
        graph = trace(layer)
        begins, ends = tree.flatten(graph.inputs), tree.flatten(graph.outputs)
        if len(begins) != 1 or len(ends) != 1:
            raise CannotUnpack("it has several inputs or outputs")
        (begin,), (end,) = begins, ends
        wanted = Tensor((*x.shape[:2], *begin.shape[1:]), begin.dtype)
        casts = as_input(x, wanted, node.name, self._names)
        if casts and x.masked:
            raise CannotUnpack("it casts an input that has a mask")
        inside = []
        for inner in graph.nodes:
            is_model = holds_model(inner.operation)
            inside.extend(self.opened(inner) if is_model else [inner])
        return casts, begin, inside, end

    def _around(self, node, inner, values):
        """The node that does for all entries of the axis what `inner` does for one."""
        operation, xs = inner.operation, inner.inputs
        name = self._names.unique(f"{node.name}_{inner.name}")
        args, kwargs = fill((inner.args, inner.kwargs), values)
        is_layer = isinstance(operation, layers.Layer)
        if is_layer and not inner.kwargs and inner.args == tuple(xs[:1]):
            operation = self._distributed(operation, name, inner, args[0].shape)
        elif _is_merge(inner) or _is_elementwise(inner):
            operation = self._merge(operation, len(xs[0].shape))
        else:
            raise CannotUnpack(
                f"it applies {inner.describe()}, which takes a whole batch"
            )
        return Node(name, operation, args, kwargs, (values[inner.output],), inner.site)

    def _distributed(self, layer, name, inner, shape):
        """`TimeDistributed` around a layer, with its precision and its penalty."""
        key = ("distributed", id(layer))
        if key not in self._made:
            penalty = layer.activity_regularizer
            if penalty is not None and not is_sum(penalty):
                raise CannotUnpack(
                    f"its layer {inner.describe()} has an activity_regularizer that "
                    "depends on how many time steps it sees"
                )
            made = layers.TimeDistributed(
                layer, name=name, dtype=policy_of(layer), activity_regularizer=penalty
            )
            made.build(shape)
            self._made[key] = layer, made
        return self._made[key][1]

    def _merge(self, operation, rank):
        """A merging operation for tensors with one more axis."""
        axis = getattr(operation, "axis", -1)
        if not isinstance(operation, layers.Concatenate) or axis < 0:
            return operation
        key = ("merge", id(operation))
        if key not in self._made:
            config = {**operation.get_config(), "axis": axis - rank}
            self._made[key] = operation, layers.Concatenate.from_config(config)
        return self._made[key][1]

    def plain(self, wrapper: Any) -> keras.layers.Layer:
        """The plain layer for a `QuantizedWeights`, one for all of its calls."""
        key = ("plain", id(wrapper))
        if key not in self._made:
            self._made[key] = wrapper, wrapper.plain()
        return self._made[key][1]

    def with_penalty(
        self, layer: keras.layers.Layer, penalty: Callable | None
    ) -> keras.layers.Layer:
        """The layer, or a stand-in for it, with this activity regularizer.

        A stand-in shares everything else with the layer.
        """
        if layer.activity_regularizer is penalty:
            return layer
        key = ("penalty", id(layer), id(penalty))
        if key not in self._made:
            made = object.__new__(type(layer))
            vars(made).update(vars(layer))
            vars(made)["activity_regularizer"] = penalty
            self._made[key] = (layer, penalty), made
        return self._made[key][1]


def signal_of(node: Node) -> Tensor:
    """The tensor to which a wrapper's layer is applied."""
    return node.args[0] if node.args else node.kwargs["inputs"]


def holds_model(operation: keras.Operation) -> bool:
    """Whether it is one or more `TimeDistributed` around a model."""
    if not computes_as(operation, layers.TimeDistributed):
        return False
    return is_graph(operation.layer) or holds_model(operation.layer)


def policy_of(layer: keras.layers.Layer) -> Any:
    """The dtype policy for a layer that computes in the same precision as this one."""
    found = layer.dtype_policy
    # How Keras quantized a layer does not concern other layers.
    is_quantized = isinstance(found, dtype_policies.QuantizedDTypePolicy)
    return found.compute_dtype if is_quantized else found


def is_sum(penalty: Callable) -> bool:
    """Whether the penalty of a tensor is the sum of the penalties of its parts."""
    if hasattr(penalty, "bound_to"):
        return True
    drawn = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    whole, first, second = (
        float(ops.convert_to_numpy(penalty(ops.convert_to_tensor(x))))
        for x in (drawn, drawn[:, :1], drawn[:, 1:])
    )
    return bool(np.isclose(whole, first + second, rtol=1e-4))


def penalties_of(operation: keras.Operation) -> list:
    """The activity regularizers that apply when an operation is called.

    `TimeDistributed` ignores the regularizer of the layer inside.
    """
    if not isinstance(operation, layers.Layer):
        return []
    found = [operation.activity_regularizer]
    if computes_as(operation, layers.SpectralNormalization):
        found = [*penalties_of(operation.layer), *found]
    return [penalty for penalty in found if penalty is not None]


def _is_merge(node):
    """Whether it is a merging layer of tensors of equal rank."""
    if not any(computes_as(node.operation, kind) for kind in _MERGES):
        return False
    ranks = {len(x.shape) for x in node.inputs}
    joins = computes_as(node.operation, layers.Concatenate)
    return len(ranks) == 1 and not (joins and node.operation.axis in (0, -min(ranks)))


def _is_elementwise(node):
    """Whether it is an elementwise function of tensors of equal rank."""
    if type(node.operation) not in _ELEMENTWISE or not node.inputs:
        return False
    rank = len(node.inputs[0].shape)
    given = [x for x in tree.flatten((node.args, node.kwargs)) if x is not None]
    shapes = [tuple(x.shape) for x in given if not isinstance(x, Tensor | float | int)]
    same = all(len(x.shape) == rank for x in node.inputs)
    return same and all(len(shape) < rank for shape in shapes)


def _with_axis(y, x):
    """A tensor of the model inside, with the additional axis of `x`."""
    return Tensor((*x.shape[:2], *y.shape[1:]), y.dtype)


def _reads_mask(wrapper):
    inside = wrapper.layer
    while not is_graph(inside):
        inside = inside.layer
    return takes_masks(inside)
