"""Lays composite layers open: layers that call other layers and `keras.ops`.

The layer's `call` is traced with KerasTensors, in inference and in training. What
cannot be traced, differs between the two, keeps a state or draws random numbers stays
one closed operation, and so does whatever the trace computes otherwise than the layer.
"""

import dataclasses
from collections.abc import Hashable, Sequence

from keras import layers, tree

from snn_keras.conversion.composite.batches import AnyBatch
from snn_keras.conversion.composite.closed import StaysClosed, reason
from snn_keras.conversion.composite.own_weights import OwnWeights
from snn_keras.conversion.composite.tracing import traced
from snn_keras.conversion.composite.trial import check_same, known_shapes
from snn_keras.conversion.registry import is_ruled
from snn_keras.graph import (
    Graph,
    Names,
    Node,
    Tensor,
    comes_with_keras,
    computes_as,
    fill,
    inline,
    is_graph,
    run_nodes,
    with_unread,
)


class Composite:
    """Lays layers open. All uses of a layer share its weights.

    Args:
        names: Names that are in use.
        also: Classes of Keras's layers that are laid open, too.
    """

    def __init__(self, names: Names, also: Sequence[type] = ()) -> None:
        self._names = names
        self._also = tuple(also)
        self._known: dict[Hashable, _Inside] = {}
        self._shapes: dict[Tensor, tuple] = {}
        self._opened: set[int] = set()
        self._closed: dict[int, Exception] = {}

    def opened(self, graph: Graph) -> Graph:
        """The graph, with what is inside of layers in their place.

        A layer that stays closed has its reason in `Node.closed`.

        Args:
            graph: The graph of a model.
        """
        if any(None in y.shape[1:] for node in graph.nodes for y in node.outputs):
            self._shapes |= known_shapes(graph.nodes, tree.flatten(graph.inputs))
        taken = set(self._names.taken)
        while True:
            self._names.taken = set(taken)
            found = self._once_opened(graph)
            # If one call of a layer stays closed, all do: or weights would be two.
            if self._opened.isdisjoint(self._closed):
                return found
            self._opened.clear()

    def _once_opened(self, graph):
        nodes: list[Node] = []

        def add(node, values):
            """Adds a node, or what is inside it; returns its outputs."""
            args, kwargs = fill((node.args, node.kwargs), values)
            node = dataclasses.replace(node, args=args, kwargs=kwargs)
            found = self._inside(node) if self._may_open(node) else node
            if isinstance(found, Node):
                nodes.append(self._of_known_shape(found))
                return nodes[-1].outputs
            inner, outputs = found
            values = {x: x for x in node.inputs}
            run_nodes(inner, values, add)
            return [values.get(y, y) for y in outputs]

        outputs = graph.run(graph.inputs, add)
        return dataclasses.replace(
            graph, nodes=with_unread(nodes, outputs), outputs=outputs
        )

    def _may_open(self, node):
        """Whether a node calls a layer that is to be laid open.

        These are layers and models of the user's own that have no rule.
        """
        layer = node.operation
        if not isinstance(layer, layers.Layer) or is_graph(layer):
            return False
        if any(computes_as(layer, kind) for kind in self._also):
            return True
        is_ours = type(layer).__module__.split(".")[0] == "snn_keras"
        return not (is_ruled(layer) or is_ours or comes_with_keras(type(layer)))

    def _inside(self, node):
        """The nodes and the outputs inside a node; the node where it stays closed."""
        taken, layer = set(self._names.taken), node.operation
        try:
            if id(layer) in self._closed:
                raise self._closed[id(layer)]
            key = _key(node)
            if key not in self._known:
                self._known[key] = self._traced(node, key)
            found = self._known[key].nodes(node, self._names)
            check_same(node, *found)
            self._shapes |= known_shapes(found[0], node.inputs)
            self._opened.add(id(layer))
            return found
        except Exception as error:  # a layer of the user's own may raise anything
            self._names.taken = taken
            self._closed.setdefault(id(layer), error)
            return dataclasses.replace(node, closed=reason(error, layer))

    def _of_known_shape(self, node):
        """The node; layers do not always tell their outputs' shapes."""
        outputs = (
            dataclasses.replace(y, shape=self._shapes.get(y, y.shape))
            for y in node.outputs
        )
        return dataclasses.replace(node, outputs=tuple(outputs))

    def _traced(self, node, key):
        _check_may_open(node)
        found = _Inside(node)
        if found.traced.weights and any(known[0] == key[0] for known in self._known):
            raise StaysClosed("it is called in several ways, and reads weights.")
        return found


class _Inside:
    """What is inside a layer that is called in one way.

    Args:
        node: A call of the layer.
    """

    def __init__(self, node: Node) -> None:
        self.traced = traced(node)
        self._layer = node.operation  # so that its id stays its own
        self._own_weights = OwnWeights(self.traced.batch)
        self._any_batch = AnyBatch(self.traced.batch)

    def nodes(self, node: Node, names: Names) -> tuple[list[Node], list[Tensor]]:
        """The nodes inside one call of the layer, and its outputs."""
        model, given = self.traced.model, list(dict.fromkeys(node.inputs))
        symbols = model.inputs[len(given) :]
        stand_ins = [Tensor(tuple(x.shape), x.dtype) for x in symbols]
        weights = dict(zip(stand_ins, self.traced.weights, strict=True))
        nodes: list[Node] = []
        inside = _InsideNames(node.name, names)
        outputs = inline(model, [*given, *weights], nodes, inside)
        nodes, outputs = self._own_weights.replaced(
            nodes, outputs, weights, given[0], inside
        )
        values = {x: x for x in given}
        made = []

        def of_any_batch(inner, values):
            args, kwargs = fill((inner.args, inner.kwargs), values)
            inner = dataclasses.replace(inner, args=args, kwargs=kwargs)
            made.append(self._any_batch.node(inner))
            return made[-1].outputs

        run_nodes(nodes, values, of_any_batch)
        found = list(node.outputs)
        for place, y in zip(self.traced.places, tree.flatten(outputs), strict=True):
            found[place] = values[y]
        constants = set(node.outputs).intersection(found)
        if not constants <= set(node.unread):
            raise StaysClosed("one of its outputs is no tensor.")
        return list(with_unread(made, found)), found


class _InsideNames(Names):
    """Names of what is inside a layer: its name stands before them."""

    def __init__(self, prefix: str, names: Names) -> None:
        self._prefix, self._names = prefix, names

    def unique(self, name: str) -> str:
        return self._names.unique(f"{self._prefix}_{name}")


def _check_may_open(node):
    """Raises `StaysClosed` if a call does more than its layer's `call` tells."""
    layer, ends = node.operation, (*node.inputs, *node.outputs)
    if {"call", "__call__"} & set(vars(layer)) or not _is_called_plainly(layer):
        raise StaysClosed(
            "its `__call__` is its own, or it has a `call` of one object."
        )
    if layer.activity_regularizer is not None:
        raise StaysClosed("it has an activity_regularizer.")
    if getattr(layer, "stateful", False):
        raise StaysClosed("it is stateful.")
    if getattr(layer, "quantization_mode", None) is not None:
        raise StaysClosed("Keras has quantized its weights.")
    if node.kwargs.get("training"):
        raise StaysClosed("it is called with training=True.")
    if any(x.masked for x in ends):
        raise StaysClosed("it takes a mask, or hands one on.")
    ends = [x for x in ends if x not in node.unread]
    if not node.inputs or not all(x.shape and x.shape[0] is None for x in ends):
        raise StaysClosed("not all that it takes and gives has an open batch size.")


def _is_called_plainly(layer):
    return type(layer).__call__ is layers.Layer.__call__


def _key(node) -> tuple:
    """Identifies a layer and what it is called on."""

    def described(x):
        if isinstance(x, Tensor):
            return x.shape, x.dtype
        return ("constant", id(x)) if hasattr(x, "shape") else repr(x)

    given = tree.map_structure(described, (node.args, node.kwargs))
    return id(node.operation), repr(given)
