"""Folds factors and offsets of channels into the weights before them."""

import dataclasses

import numpy as np

from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.rewriting.graph import Graph


def with_folds(graph: Graph) -> Graph:
    """The graph with `a * conv(x) + b` as one convolution, and the same for matrices.

    Files have them where a batch normalization or a bias was. `MatMul` becomes `Gemm`,
    which has a bias.
    """
    constants, new = dict(graph.constants), {}
    for node in graph.nodes:
        weights = _Weights.of(graph, node)
        if weights is None:
            continue
        last, following = node, graph.only_reader(node.outputs[0])
        while following is not None and weights.takes(
            graph, following, last.outputs[0]
        ):
            last, following = following, graph.only_reader(following.outputs[0])
        if last is not node:
            names = [f"{node.name}:{part}" for part in ("weights", "bias")]
            constants |= dict(zip(names, weights.arrays(), strict=True))
            new[last] = dataclasses.replace(
                node,
                op="Gemm" if node.op == "MatMul" else node.op,
                inputs=(node.inputs[0], *names),
                outputs=last.outputs,
            )
    return dataclasses.replace(graph, constants=constants).replaced(new)


class _Weights:
    """The weights of a convolution or of a product, and what is folded into them.

    Args:
        kernel: The kernel or the matrix.
        axis: Its axis of the output's channels.
        bias: The bias.
        behind: How many axes the output has behind its channels.
    """

    def __init__(
        self, kernel: np.ndarray, axis: int, bias: np.ndarray | float, behind: int
    ) -> None:
        self._kernel, self._axis, self._behind = kernel, axis, behind
        self._factor = np.ones(kernel.shape[axis], kernel.dtype)
        self._bias = bias

    @classmethod
    def of(cls, graph: Graph, node: Node) -> "_Weights | None":
        """The weights of a node; None if it has none that are constant."""
        kernel = graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else None
        if kernel is None or node.op not in ("Conv", "MatMul"):
            return None
        bias = 0.0
        if node.op == "Conv":
            axis, behind = 0, kernel.ndim - 2
            if len(node.inputs) > 2 and node.inputs[2]:
                bias = graph.constants.get(node.inputs[2])
        elif kernel.ndim == 2 and node.inputs[0] not in graph.constants:
            axis, behind = 1, 0
        else:
            return None
        return None if bias is None else cls(kernel, axis, bias, behind)

    def takes(self, graph: Graph, node: Node, read: str) -> bool:
        """Whether a node's constant is folded into the weights; if so, folds it."""
        _, array = graph.operands(node)
        if array is None or node.op not in ("Add", "Sub", "Mul", "Div"):
            return False
        if node.op in ("Sub", "Div") and node.inputs[0] != read:
            return False
        values = self._of_channels(array)
        if values is None:
            return False
        if node.op in ("Add", "Sub"):
            self._bias = self._bias + (values if node.op == "Add" else -values)
        else:
            values = values if node.op == "Mul" else 1 / values
            self._factor, self._bias = self._factor * values, self._bias * values
        return True

    def _of_channels(self, array):
        """An array as one number for each channel; None if it is something else."""
        if array.size == 1:
            return np.broadcast_to(array.ravel(), self._factor.shape)
        at = array.ndim - 1 - self._behind
        is_of_channels = at >= 0 and array.size == array.shape[at] == len(self._factor)
        return array.ravel() if is_of_channels else None

    def arrays(self) -> tuple:
        """The weights, and the bias."""
        shape = [1] * self._kernel.ndim
        shape[self._axis] = -1
        bias = np.broadcast_to(self._bias, self._factor.shape)
        return self._kernel * self._factor.reshape(shape), bias
