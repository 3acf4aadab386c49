"""Lays composite layers open: layers that call other layers and `keras.ops`.

The layer's `call` is traced with KerasTensors, in inference and in training. What
cannot be traced, differs between the two, keeps a state or draws random numbers stays
one opaque operation, and so does whatever the trace computes otherwise than the layer.
"""

import dataclasses
from collections.abc import Hashable
from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from snn_keras import graph as graph_lib
from snn_keras._keras import operation_types
from snn_keras.conversion import tracing
from snn_keras.conversion.registry import is_ruled
from snn_keras.graph import Names, Node, Tensor, comes_with_keras, is_graph
from snn_keras.layers.weighted import Weighted, holds_batch, with_batch

(_BROADCAST,) = operation_types("BroadcastTo")


class StaysOpaque(Exception):
    """The reason why a layer is not laid open."""


class Composite:
    """Lays layers open. All uses of a layer share its weights.

    Args:
        names: Names that are in use.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        self._traced = {}
        self._made = {}

    def opened(self, node: Node) -> list[Node]:
        """The nodes of the layer inside, and of the layers inside those; else itself.

        Args:
            node: Any node.
        """
        if not _may_open(node):
            return [node]
        taken = set(self._names.taken)
        try:
            found = self._inside(node)
            check_same(node, found)
        except Exception:  # a layer of the user's own may raise anything
            self._names.taken = taken
            return [node]
        return [part for inner in found for part in self.opened(inner)]

    def _inside(self, node):
        """The nodes that compute what the node does."""
        key = _key(node)
        if key not in self._traced:
            if any(known[0] == key[0] for known in self._traced):
                traced = tracing.traced(node)
                if traced.variables:
                    raise StaysOpaque("its weights would stand in two operations")
            self._traced[key] = node, tracing.traced(node)
        traced = self._traced[key][1]
        weights = [Tensor(tuple(w.shape), w.dtype) for w in traced.symbols]
        makers = dict(zip(weights, traced.variables, strict=True))
        nodes: list[Node] = []
        names = _Inside(node.name, self._names)
        outputs = graph_lib._inline(
            traced.model, [*node.inputs, *weights], nodes, names
        )
        outputs = tree.flatten(outputs)
        nodes, outputs = self._without_weights(nodes, makers, node, outputs)
        nodes = [self._of_any_batch(inner) for inner in nodes]
        return _renamed(nodes, outputs, node)

    def _without_weights(self, nodes, weights, whole, outputs):
        """The nodes, those that read weights replaced by `Weighted` layers."""
        makers: dict[Tensor, Node | None] = dict.fromkeys(weights)
        kept, used = [], []

        def add(node):
            steps, read = _steps(node, makers)
            used.extend(read)
            kept.append(self._weighted(node, steps, read, weights, makers))

        def given(x, site):
            """A signal with the value of `x`, which is computed from weights alone."""
            if x not in makers:
                return x
            node = _spread(x, makers[x], whole, site)
            node = dataclasses.replace(node, name=self._names.unique(node.name))
            add(node)
            return node.output

        for node in nodes:
            own = [x for x in node.inputs if x in makers]
            if own and isinstance(node.operation, layers.Layer):
                values = {
                    x: given(x, ("given", node.site, i))
                    for i, x in enumerate(node.inputs)
                }
                args, kwargs = graph_lib.fill((node.args, node.kwargs), values)
                kept.append(dataclasses.replace(node, args=args, kwargs=kwargs))
            elif own and len(own) == len(node.inputs):
                makers.update(dict.fromkeys(node.outputs, node))
            elif own:
                add(node)
            else:
                kept.append(node)
        place = self._traced[_key(whole)][1].model
        outputs = [
            given(x, ("output", id(place), i)) if x in makers else x
            for i, x in enumerate(outputs)
        ]
        if len(set(used)) < len(used):
            raise StaysOpaque("one weight is read in several places")
        return kept, outputs

    def _weighted(self, node, steps, read, weights, makers):
        signals = [x for x in node.inputs if x not in makers]
        key = ("weighted", node.site)
        if key not in self._made:
            variables = [weights[x] for x in read]
            specs = [
                {
                    "shape": list(v.shape),
                    "dtype": keras.backend.standardize_dtype(v.dtype),
                    "trainable": getattr(v, "trainable", False),
                    "initializer": "zeros",
                    "name": f"weight_{i}",
                }
                for i, v in enumerate(variables)
            ]
            made = Weighted(
                steps, specs, tracing.BATCH, name=node.name, dtype=node.output.dtype
            )
            for own, variable in zip(made.weights, variables, strict=True):
                own.assign(ops.copy(variable))
            self._made[key] = made
        given = signals[0] if len(signals) == 1 else signals
        return dataclasses.replace(
            node, operation=self._made[key], args=(given,), kwargs={}
        )

    def _of_any_batch(self, node):
        """The node, for batches of any size."""
        outputs = tuple(_open_batch(y) for y in node.outputs)
        args, kwargs = tree.map_structure(_without_rows, (node.args, node.kwargs))
        operation = node.operation
        if not isinstance(operation, layers.Layer):
            key = ("any batch", id(operation))
            if key not in self._made:
                self._made[key] = operation, _any_batch(operation, outputs)
            operation = self._made[key][1]
        return dataclasses.replace(
            node, operation=operation, args=args, kwargs=kwargs, outputs=node.outputs
        )


class _Inside(Names):
    """Names of what is inside a layer: its name stands before them."""

    def __init__(self, prefix: str, names: Names) -> None:
        self._prefix, self._names = prefix, names

    def unique(self, name: str) -> str:
        return self._names.unique(f"{self._prefix}_{name}")


def _may_open(node):
    """Whether the node is a call of a layer that may be laid open."""
    layer = node.operation
    if not isinstance(layer, layers.Layer) or is_ruled(layer) or is_graph(layer):
        return False
    kind = type(layer)
    is_ours = kind.__module__.split(".")[0] == "snn_keras"
    is_own = not comes_with_keras(kind) and not is_ours
    is_called_plainly = (
        kind.__call__ is layers.Layer.__call__ or isinstance(layer, keras.Model)
    ) and not {"call", "__call__"} & set(vars(layer))
    has_more = (
        layer.activity_regularizer is not None
        or getattr(layer, "stateful", False)
        or getattr(layer, "quantization_mode", None) is not None
        or node.kwargs.get("training")
    )
    ends = (*node.inputs, *node.outputs)
    is_plain = node.inputs and not any(x.masked for x in ends)
    open_batch = all(x.shape and x.shape[0] is None for x in ends)
    return bool(
        is_own and is_called_plainly and not has_more and is_plain and open_batch
    )


def _key(node) -> Hashable:
    """Identifies a layer and what it is called on."""

    def described(x):
        if isinstance(x, Tensor):
            return x.shape, x.dtype
        return ("constant", id(x)) if hasattr(x, "shape") else repr(x)

    given = tree.map_structure(described, (node.args, node.kwargs))
    return id(node.operation), repr(given)


def _steps(node, makers):
    """The steps of a `Weighted` layer that does what a node does.

    Args:
        node: A node that reads signals and weights.
        makers: The nodes that compute tensors from weights alone; None for weights.

    Returns:
        The steps, and the weights that they read.
    """
    steps, read, known = [], [], {}

    def reference(x):
        if not isinstance(x, Tensor):
            if not (x is None or isinstance(x, (bool, int, float, str))):
                raise StaysOpaque("weights are combined with constants")
            return x
        if x in known:
            return known[x]
        maker = makers[x]
        if maker is None:
            known[x] = f"weight:{len(read)}"
            read.append(x)
        else:
            if len(maker.outputs) != 1:
                raise StaysOpaque("weights are split")
            known[x] = add(maker)
        return known[x]

    def add(maker):
        args, kwargs = tree.map_structure(reference, (list(maker.args), maker.kwargs))
        steps.append({"operation": maker.operation, "args": args, "kwargs": kwargs})
        return f"step:{len(steps) - 1}"

    signals = [x for x in node.inputs if x not in makers]
    known.update({x: f"tensor:{i}" for i, x in enumerate(signals)})
    if len(node.outputs) != 1:
        raise StaysOpaque("weights are split")
    if isinstance(node.operation, _BROADCAST) and signals:
        node = dataclasses.replace(node, args=node.args[:1])  # of any batch size
    add(node)
    return steps, read


def _spread(x, maker, whole, site):
    """A node that gives each sample the tensor `x`, which weights alone determine."""
    signal = whole.inputs[0]
    y = Tensor((tracing.BATCH, *x.shape[1:]), x.dtype)
    if not x.shape or x.shape[0] not in (1, tracing.BATCH):
        raise StaysOpaque("a weight is no signal")
    operation = _BROADCAST(y.shape, name="broadcast_to")
    return Node(f"{whole.name}_weight", operation, (x, signal), {}, (y,), site)


def _open_batch(x):
    shape = tuple(None if n == tracing.BATCH else n for n in x.shape)
    return dataclasses.replace(x, shape=shape)


def _without_rows(x):
    """A constant, one row of it if it has one for each sample of the trace."""
    if isinstance(x, Tensor) or not hasattr(x, "shape"):
        return x
    if tracing.BATCH not in x.shape:
        return x
    rows = ops.convert_to_numpy(x)
    if x.shape[0] != tracing.BATCH or np.any(rows != rows[:1]):
        raise StaysOpaque("a constant depends on the batch size")
    return ops.convert_to_tensor(rows[:1], x.dtype)


def _any_batch(operation, outputs):
    """The operation without the batch size of the trace among its settings."""
    held = [
        name
        for name, value in vars(operation).items()
        if holds_batch(value, tracing.BATCH)
    ]
    if not held:
        return operation
    if held != ["newshape"] or len(outputs) != 1:
        raise StaysOpaque("an operation depends on the batch size")
    made = with_batch(operation, tracing.BATCH, -1)
    made.newshape = tuple(-1 if n is None else n for n in outputs[0].shape)
    if made.newshape.count(-1) > 1:
        raise StaysOpaque("an operation depends on the batch size")
    return made


def _renamed(nodes, outputs, whole):
    """The nodes, which now give the outputs of the node that they replace."""
    made = {y for node in nodes for y in node.outputs}
    if len(set(outputs)) < len(outputs) or not made.issuperset(outputs):
        raise StaysOpaque("an output is an input, or is given twice")
    ends = dict(zip(outputs, whole.outputs, strict=True))
    if any(_open_batch(x).dtype != y.dtype or x.masked for x, y in ends.items()):
        raise StaysOpaque("an output has another dtype, or a mask")
    new = dict(ends)
    for node in nodes:
        for y in node.outputs:
            new.setdefault(y, _open_batch(y))

    def placed(structure):
        return tree.map_structure(
            lambda x: new.get(x, x) if isinstance(x, Tensor) else x, structure
        )

    return [
        dataclasses.replace(
            node,
            args=placed(node.args),
            kwargs=placed(node.kwargs),
            outputs=tuple(new[y] for y in node.outputs),
        )
        for node in nodes
    ]


def check_same(node: Node, nodes: list[Node]) -> None:
    """Raises `StaysOpaque` unless the nodes compute what `node` does.

    They are tried on random inputs, for two batch sizes.
    """
    rng = np.random.default_rng(0)
    for batch in (2, 3):
        values = {x: _drawn(x, batch, rng) for x in node.inputs}
        expected = _kept(node, values)
        found = dict(values)
        graph_lib.run_nodes(nodes, found)
        for y, right in zip(node.outputs, tree.flatten(expected), strict=True):
            pair = [np.asarray(ops.convert_to_numpy(z)) for z in (found[y], right)]
            wide = [z.astype("float64") for z in pair]
            near = 1e-4 if right.dtype in ("float32", "float64") else 2e-2
            if pair[0].shape != pair[1].shape or not np.allclose(
                *wide, rtol=near, atol=near, equal_nan=True
            ):
                raise StaysOpaque("its trace computes something else")


def _kept(node, values):
    """The node's results; its variables are as before afterwards."""
    variables = node.operation.variables
    before = [ops.copy(v) for v in variables]
    try:
        return node.call(node.operation, values, training=False)
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)


def _drawn(x: Tensor, batch: int, rng: np.random.Generator) -> Any:
    """Random values for a tensor; axes of unknown length get 5 entries."""
    shape = [batch, *(n or 5 for n in x.shape[1:])]
    drawn = rng.normal(0, 1, shape) if "float" in x.dtype else rng.integers(0, 2, shape)
    return ops.cast(ops.convert_to_tensor(drawn), x.dtype)
