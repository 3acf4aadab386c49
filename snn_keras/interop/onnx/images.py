"""Which tensors are images or sequences with channels first, which Keras has last."""

from collections.abc import Mapping, Sequence

from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.values import View

# Operators that take the second axis for channels, of inputs with three axes or more.
OF_IMAGES = {
    *("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "DepthToSpace"),
    *("GroupNormalization", "InstanceNormalization", "MaxPool", "SpaceToDepth"),
}
# Operators whose output has other axes than their inputs, or the same in another order.
NEW_AXES = {
    "Expand",
    "Flatten",
    "Gather",
    "Reshape",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}
NEW_AXES |= {"Attention", "Einsum", "Gemm", "MatMul"}


def read_as_image(name: str, readers: Mapping[str, Sequence[Node]]) -> bool:
    """Whether what reads a tensor takes its second axis for channels."""
    waiting, seen = [name], set()
    while waiting:
        tensor = waiting.pop()
        for node in readers.get(tensor, ()):
            if node.op in OF_IMAGES and node.inputs[0] == tensor:
                return True
            if node.op not in NEW_AXES:
                fresh = set(node.outputs) - seen
                seen |= fresh
                waiting += fresh
    return False


def gives_image(node: Node, inputs: Sequence, output: View) -> bool:
    """Whether the second axis of a node's output has channels."""
    if output.rank < 3:
        return False
    if node.op in OF_IMAGES:
        return True
    images = [x for x in inputs if isinstance(x, View) and x.is_image]
    return node.op not in NEW_AXES and any(x.rank == output.rank for x in images)
