"""Rewrites nodes that together are one layer of Keras."""

from collections.abc import Mapping, Sequence

import numpy as np

from snn_keras.interop.onnx.folding import Folder
from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.rewriting.curves import with_curves
from snn_keras.interop.onnx.rewriting.folds import with_folds
from snn_keras.interop.onnx.rewriting.graph import Graph
from snn_keras.interop.onnx.rewriting.groups import with_groups
from snn_keras.interop.onnx.rewriting.keras_normalizations import (
    with_keras_normalizations,
)
from snn_keras.interop.onnx.rewriting.normalizations import with_normalizations


def rewritten(
    nodes: Sequence[Node],
    constants: Mapping[str, np.ndarray],
    outputs: Sequence[str],
    folder: Folder,
) -> tuple[list[Node], dict[str, np.ndarray]]:
    """The nodes, those that are one layer together as one node; and the constants.

    Args:
        nodes: The nodes of a file, in running order.
        constants: Its constants by name.
        outputs: The names of its outputs.
        folder: Computes nodes whose inputs are known.
    """
    graph = Graph(list(nodes), dict(constants), set(outputs), folder)
    for rewrite in (
        *(with_folds, with_groups, with_normalizations),
        *(with_keras_normalizations, with_curves),
    ):
        graph = rewrite(graph)
    return graph.nodes, graph.constants
