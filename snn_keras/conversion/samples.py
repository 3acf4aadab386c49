"""Checks that an operation treats the samples of a batch independently.

It must, because signals with a time axis pass through it with time folded into the
batch.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers, tree

from snn_keras._keras import TAKES_SINGLE_IMAGES
from snn_keras.conversion.functions import Kind, kind_of
from snn_keras.graph import Node, Tensor, comes_with_keras, is_graph
from snn_keras.layers import FunctionLayer
from snn_keras.layers.weighted import Weighted
from snn_keras.simulate import apart
from snn_keras.text import telling_line


class Refusal(Exception):
    """A node cannot be converted; the message gives the reason and the remedy."""

    def __init__(self, reason: str, remedy: str | None = None) -> None:
        super().__init__(reason if remedy is None else f"{reason} Remedy: {remedy}")


_MIXES = Refusal(
    "it acts along the batch axis, and would mix samples with time steps.",
    "keep axis 0 as it is, and leave the batch size of keras.Input open.",
)
# These layers may report a wrong output shape, or compare samples of a batch.
_UNSURE = (TAKES_SINGLE_IMAGES, layers.EinsumDense, layers.MelSpectrogram, Weighted)
_UNUSUAL_SIZE = 97  # a batch size that is unlikely to be the length of another axis


def check_is_signal(node: Node) -> None:
    """Raises a `Refusal` unless the node maps each sample to floating-point numbers."""
    check_samples_apart(node)
    for tensor in node.outputs:
        if "float" not in tensor.dtype and tensor not in node.unread:
            raise Refusal(
                f"its output is of type {tensor.dtype}, and later neurons depend on "
                "it: what changes from step to step cannot be added up.",
                "keep decisions behind the last neuron.",
            )


def check_samples_apart(node: Node) -> None:
    """Raises a `Refusal` unless each sample's result depends on that sample only."""
    operation, rank = node.operation, len(node.inputs[0].shape)
    if isinstance(operation, layers.Layer):
        while hasattr(operation, "layer"):
            rank -= isinstance(operation, layers.TimeDistributed)
            operation = operation.layer
        axis = getattr(operation, "axis", None)
        if any(a in (0, -rank) for a in np.atleast_1d(1 if axis is None else axis)):
            raise _MIXES
        tried = isinstance(operation, _UNSURE) or is_graph(operation)
        if not (tried or node.constants):
            return
    together, alone = _tried(node)
    if not apart.agree(together, alone):
        raise _MIXES
    _check_shapes(node, together)


def check_reported_shape(node: Node) -> None:
    """Raises a `Refusal` if Keras reports a wrong output shape for the node.

    Neurons and operation counts rely on the reported shape.
    """
    operation = node.operation
    while isinstance(operation, layers.TimeDistributed):
        operation = operation.layer
    if isinstance(operation, layers.EinsumDense) and "..." in operation.equation:
        _check_shapes(node, _tried(node)[0])


def _tried(node):
    """A node's outputs for some samples together and one by one; or a `Refusal`."""
    try:
        return apart.tried(node)
    except Exception as error:  # a backend may raise anything
        raise Refusal(
            "it cannot be computed for a batch of any size, of signals that have not "
            f"arrived yet: {telling_line(error)}",
            "leave the batch size of keras.Input open, or keep it before the first "
            "neuron or behind the last.",
        ) from error


def _check_shapes(node, together):
    """Raises a `Refusal` unless outputs for some samples have the reported shapes."""
    for y, found in zip(node.outputs, together, strict=True):
        pairs = zip(y.shape[1:], found.shape[1:], strict=False)
        if len(y.shape) != found.ndim or any(a and a != b for a, b in pairs):
            raise Refusal(
                f"Keras says that its output has the shape {y.shape}, and for "
                f"{apart.SAMPLES} samples it has {found.shape}.",
                "a layer or an equation whose shape Keras knows, as EinsumDense's is "
                "without an ellipsis; or keep it behind the last neuron.",
            )


class BatchSizes:
    """Checks that tensors computed before time have as many samples as the inputs.

    Args:
        tensors: The inputs of the graph.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        self._size = next(iter(tensors)).shape[0] or _UNUSUAL_SIZE
        self._tried = {
            x: keras.KerasTensor((self._size, *x.shape[1:]), x.dtype) for x in tensors
        }
        self._strange = set()

    def follow(self, node: Node) -> None:
        """Computes the output shapes of a node that runs once."""
        try:
            found = node.call(node.operation.compute_output_spec, self._tried)
        except Exception:  # the node or its inputs do not allow a batch of this size
            found = node.outputs
        outputs = tree.flatten(found)
        self._tried.update(zip(node.outputs, outputs, strict=True))
        if any(y.shape[:1] != (self._size,) for y in outputs):
            self._strange.update(node.outputs)

    def check(self, node: Node) -> None:
        """Raises a `Refusal` if a node over time reads another number of samples."""
        for x in node.inputs:
            if x in self._strange:
                raise Refusal(
                    "what it reads has not as many samples as the model's inputs: "
                    f"shape {tuple(self._tried[x].shape)} for {self._size} samples.",
                    "keep axis 0 as it is before neurons; "
                    "keras.layers.TimeDistributed applies a layer along another axis.",
                )


def is_built_in(operation: Any, arguments: Sequence = ()) -> bool:
    """Whether an operation is stateless and consists of parts of Keras only.

    Elementwise functions of the user's own are allowed.

    Args:
        operation: A layer or another operation.
        arguments: A flat list of its arguments, which may contain functions.
    """
    if callable(operation) and not isinstance(operation, keras.Operation):
        return comes_with_keras(operation) or kind_of(operation) is not Kind.OTHER
    if is_graph(operation):
        return all(is_built_in(part) for part in operation.operations)
    if isinstance(operation, FunctionLayer):
        return kind_of(operation.function) is not Kind.OTHER
    return (
        comes_with_keras(type(operation))
        and not isinstance(operation, layers.Lambda)
        and not getattr(operation, "stateful", False)
        and all(map(is_built_in, [*_parts(operation), *filter(callable, arguments)]))
    )


def _parts(operation):
    """The layers and functions that an operation computes with."""
    kept = dict(vars(operation), layers=getattr(operation, "layers", ()))
    for name, value in kept.items():
        words = ("initializer", "regularizer", "constraint")
        if (
            name.startswith("_")
            or name.endswith(words)
            or name in ("build", "quantize")
        ):
            continue
        for part in (
            tree.flatten(value) if isinstance(value, (list, tuple)) else [value]
        ):
            is_function = callable(part) and hasattr(part, "__name__")
            if isinstance(part, keras.Operation) or is_function:
                yield part


def is_signal(x: Any) -> bool:
    """Whether an argument of a node is, or holds, a tensor."""
    return any(isinstance(leaf, Tensor) for leaf in tree.flatten(x))
