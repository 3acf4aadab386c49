"""Takes the batch size of a trace out of what was traced."""

import dataclasses
from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from snn_keras.conversion.composite.closed import StaysClosed
from snn_keras.graph import Node, Tensor
from snn_keras.layers.weighted import holds_batch, with_batch


class AnyBatch:
    """Makes nodes of one batch size nodes of any; an operation becomes one other.

    Args:
        batch: The batch size of the trace.
    """

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._made: dict[int, tuple] = {}

    def node(self, node: Node) -> Node:
        """The node, for batches of any size.

        Raises:
            StaysClosed: if it depends on the size.
        """
        outputs = tuple(self._opened(y) for y in node.outputs)
        args, kwargs = tree.map_structure(self._constant, (node.args, node.kwargs))
        operation = node.operation
        if not isinstance(operation, layers.Layer):
            if id(operation) not in self._made:
                made = self._operation(operation, outputs)
                self._made[id(operation)] = operation, made
            operation = self._made[id(operation)][1]
        return dataclasses.replace(
            node, operation=operation, args=args, kwargs=kwargs, outputs=outputs
        )

    def _opened(self, x):
        shape = tuple(None if size == self._batch else size for size in x.shape)
        return dataclasses.replace(x, shape=shape)

    def _constant(self, x: Any) -> Any:
        """A constant; if it has a row for each sample, one row of it."""
        constant = hasattr(x, "shape") and not isinstance(x, Tensor)
        if not constant or self._batch not in x.shape:
            return x
        rows = ops.convert_to_numpy(x)
        if x.shape[0] != self._batch or np.any(rows != rows[:1]):
            raise StaysClosed("a constant depends on the size of the batch.")
        return ops.convert_to_tensor(rows[:1], x.dtype)

    def _operation(self, operation: keras.Operation, outputs: tuple) -> Any:
        """The operation, without the batch size among its settings."""
        own = vars(operation).items()
        held = [name for name, value in own if holds_batch(value, self._batch)]
        if not held:
            return operation
        sizes = [None] if len(outputs) != 1 else list(outputs[0].shape)
        if held != ["newshape"] or sizes.count(None) > 1:
            raise StaysClosed(
                f"{type(operation).__name__} depends on the size of the batch."
            )
        made = with_batch(operation, self._batch, -1)
        made.newshape = tuple(-1 if size is None else size for size in sizes)
        return made
