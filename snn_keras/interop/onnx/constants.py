"""The constants of a file, and the nodes that compute constants."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.folding import Folder
from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.package import package
from snn_keras.interop.onnx.values import Known


def own_constants(proto: Any) -> dict[str, np.ndarray]:
    """The constants of a `ModelProto`, by name."""
    return {x.name: _array(x) for x in proto.graph.initializer}


def with_computed(
    constants: Mapping[str, np.ndarray], nodes: Sequence[Node], folder: Folder
) -> tuple[list[Node], dict[str, np.ndarray]]:
    """The nodes that depend on more than constants, and all constants by name.

    Args:
        constants: The file's own.
        nodes: Its nodes.
        folder: Computes the nodes that depend on constants alone.
    """
    found, kept = dict(constants), []
    for node in nodes:
        if not all(name in found for name in node.inputs if name):
            kept.append(node)
            continue
        inputs = [Known.constant(found[name]) if name else None for name in node.inputs]
        try:
            outputs = folder.folded(node, inputs)
        except Untranslatable:
            kept.append(node)  # which is refused when it is translated
            continue
        found |= {n: x.fixed for n, x in zip(node.outputs, outputs, strict=False)}
    return kept, found


def _array(tensor):
    try:
        return package().numpy_helper.to_array(tensor)
    except Exception as error:  # NumPy's errors, and those of the package
        raise ValueError(
            f"constant '{tensor.name}' of shape {tuple(tensor.dims)} is damaged: "
            f"{error}"
        ) from error
