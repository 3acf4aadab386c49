"""Replaces operations that read weights of the layer around them by layers."""

import dataclasses
from collections.abc import Hashable, Sequence
from typing import Any

import keras
from keras import layers, ops, tree

from snn_keras._keras import operation_types
from snn_keras.conversion.composite.closed import StaysClosed
from snn_keras.graph import Names, Node, Tensor, fill
from snn_keras.layers.weighted import Weighted

(_BROADCAST,) = operation_types("BroadcastTo")


class OwnWeights:
    """Replaces nodes that read weights, which all uses of their layer share.

    Args:
        batch: The batch size of the trace.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._made: dict[Hashable, Weighted] = {}

    def replaced(
        self,
        nodes: Sequence[Node],
        outputs: Any,
        weights: dict,
        signal: Tensor,
        names: Names,
    ) -> tuple[list[Node], Any]:
        """The nodes, those that read weights replaced by `Weighted` layers.

        Args:
            nodes, outputs: The nodes of one use of the layer, and its outputs.
            weights: The variable or the constant of each tensor that stands for one.
            signal: A tensor with as many samples as the outputs.
            names: Names that are in use.

        Returns:
            The new nodes, and the outputs.

        Raises:
            StaysClosed: if a weight would stand in several layers.
        """
        makers: dict[Tensor, Node | None] = dict.fromkeys(weights)
        kept: list[Node] = []
        read: list[Tensor] = []

        def add(node, inputs):
            steps = _Steps(node, inputs, makers)
            read.extend(x for x in steps.read if isinstance(x, Tensor))
            layer = self._layer(node, steps, weights)
            args = (inputs[0] if len(inputs) == 1 else inputs,)
            kept.append(
                dataclasses.replace(node, operation=layer, args=args, kwargs={})
            )

        def as_signal(x, site):
            """A signal which has, for each sample, the tensor that weights make."""
            if x not in makers:
                return x
            node = _spread(x, self._batch, names.unique("weight"), site)
            add(node, [signal])
            return node.output

        for node in nodes:
            signals = [x for x in node.inputs if x not in makers]
            if len(signals) == len(node.inputs):
                kept.append(node)
            elif isinstance(node.operation, layers.Layer):
                given = enumerate(node.inputs)
                values = {x: as_signal(x, (node.site, i)) for i, x in given}
                args, kwargs = fill((node.args, node.kwargs), values)
                kept.append(dataclasses.replace(node, args=args, kwargs=kwargs))
            elif signals:
                add(node, signals)
            else:
                makers.update(dict.fromkeys(node.outputs, node))
        numbers = iter(range(len(tree.flatten(outputs))))
        outputs = tree.map_structure(lambda x: as_signal(x, next(numbers)), outputs)
        if len(set(read)) < len(read):
            raise StaysClosed("it reads one of its weights in several places.")
        return kept, outputs

    def _layer(self, node, steps, weights):
        """The layer that takes the steps, with copies of what these read."""
        if node.site not in self._made:
            specs = [_spec(x, weights) for x in steps.read]
            made = Weighted(
                steps.steps, specs, self._batch, name=node.name, dtype=_policy(node)
            )
            for own, x in zip(made.kept, steps.read, strict=True):
                own.assign(ops.copy(_value(x, weights)))
            self._made[node.site] = made
        return self._made[node.site]


def _value(x, weights):
    return weights[x] if isinstance(x, Tensor) else x


def _spec(x, weights):
    """How a `Weighted` layer keeps a weight, or a constant."""
    value = _value(x, weights)
    return {
        "shape": list(value.shape),
        "dtype": keras.backend.standardize_dtype(value.dtype),
        "read_as": keras.backend.standardize_dtype(x.dtype),
        "trainable": getattr(value, "trainable", False),
    }


def _policy(node):
    """The dtype in which the node computes, as far as it computes with floats."""
    dtype = node.output.dtype
    return dtype if "float" in dtype else keras.config.floatx()


def _spread(x, batch, name, site):
    """A node that gives each sample the tensor `x`, which weights make."""
    if not x.shape or x.shape[0] not in (1, batch):
        raise StaysClosed("a weight takes the place of a batch of samples.")
    y = Tensor((batch, *x.shape[1:]), x.dtype)
    return Node(name, _BROADCAST(y.shape, name=name), (x,), {}, (y,), site)


class _Steps:
    """The steps of a `Weighted` layer that does what a node does.

    Args:
        node: A node that reads weights.
        signals: The layer's inputs.
        makers: The nodes that compute tensors from weights alone; None for weights.

    Attributes:
        steps: As for `Weighted`.
        read: The weights and the constants that these read.
    """

    def __init__(self, node: Node, signals: list, makers: dict) -> None:
        self.steps: list[dict] = []
        self.read: list = []
        self._makers = makers
        self._slots = {x: f"tensor:{i}" for i, x in enumerate(signals)}
        self._add(node)

    def _add(self, node):
        if len(node.outputs) != 1:
            raise StaysClosed("an operation makes several tensors of its weights.")
        args, kwargs = tree.map_structure(self._slot, (list(node.args), node.kwargs))
        step = {"operation": node.operation, "args": args, "kwargs": kwargs}
        self.steps.append(step)
        return f"step:{len(self.steps) - 1}"

    def _slot(self, x):
        """What stands for an argument in the steps."""
        if not isinstance(x, Tensor):
            return self._weight(x) if hasattr(x, "shape") else x
        if x not in self._slots:
            maker = self._makers[x]
            self._slots[x] = self._weight(x) if maker is None else self._add(maker)
        return self._slots[x]

    def _weight(self, x):
        self.read.append(x)
        return f"weight:{len(self.read) - 1}"
