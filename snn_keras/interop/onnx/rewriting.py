"""Rewrites nodes that together are one layer of Keras."""

from collections.abc import Mapping, Sequence

import numpy as np

from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.source import Source


def rewritten(
    nodes: Sequence[Node], constants: Mapping[str, np.ndarray], source: Source
) -> list[Node]:
    """The nodes, those that are one layer together as one node."""
    return list(nodes)
