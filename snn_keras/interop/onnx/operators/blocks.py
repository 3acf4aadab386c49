"""Blocks of space that become channels, and back: by splitting places."""

from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.shapes import to_shapes
from snn_keras.interop.onnx.values import View


@operator("DepthToSpace")
def depth_to_space(call: Call) -> View:
    """Channels become space."""
    view, size = call.view(), call.attribute("blocksize")
    shapes = [view.shape(samples) for samples in call.samples]
    if call.attribute("mode", "DCR") == "DCR":
        order = [0, 3, 4, 1, 5, 2]
        parts = [(n, size, size, c // size**2, h, w) for n, c, h, w in shapes]
    else:
        order = [0, 1, 4, 2, 5, 3]
        parts = [(n, c // size**2, size, size, h, w) for n, c, h, w in shapes]
    made = [(n, c // size**2, h * size, w * size) for n, c, h, w in shapes]
    return to_shapes(call, to_shapes(call, view, parts).permuted(order), made)


@operator("SpaceToDepth")
def space_to_depth(call: Call) -> View:
    """Space becomes channels."""
    view, size = call.view(), call.attribute("blocksize")
    shapes = [view.shape(samples) for samples in call.samples]
    parts = [(n, c, h // size, size, w // size, size) for n, c, h, w in shapes]
    made = [(n, c * size**2, h // size, w // size) for n, c, h, w in shapes]
    found = to_shapes(call, view, parts).permuted([0, 3, 5, 1, 2, 4])
    return to_shapes(call, found, made)
