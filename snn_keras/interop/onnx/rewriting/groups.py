"""Group normalizations as PyTorch writes them for opsets before 21."""

import numpy as np

from snn_keras.interop.onnx.rewriting.graph import Graph, Layer


def with_groups(graph: Graph) -> Graph:
    """The graph with one node for each group normalization.

    PyTorch reshapes to groups, normalizes each as an instance, reshapes back, then
    scales and shifts the channels.
    """
    return graph.with_layers(_grouped)


def _grouped(graph, node):
    """The group normalization that an instance normalization is part of; or None."""
    if node.op != "InstanceNormalization" or not _is_plain(graph, node):
        return None
    split = graph.maker(node.inputs[0], "Reshape")
    back = graph.only_reader(node.outputs[0])
    if split is None or back is None or back.op != "Reshape":
        return None
    x, target = split.inputs
    shape = graph.maker(back.inputs[1], "Shape")
    sizes = graph.constants.get(target, np.zeros(0)).tolist()
    if shape is None or shape.inputs[0] != x or len(sizes) != 3:
        return None
    if sizes[0] != 0 or sizes[2] != -1:
        return None
    last, arrays = back, {}
    for op, part in (("Mul", "scale"), ("Add", "offset")):
        last = graph.only_reader(last.outputs[0])
        if last is None or last.op != op:
            return None
        _, array = graph.operands(last)
        if array is None or array.ndim < 2 or array.size != array.shape[0]:
            return None
        arrays[part] = array.ravel()
    settings = {"epsilon": node.attributes.get("epsilon", 1e-5)}
    settings["num_groups"] = int(sizes[1])
    return Layer("GroupNormalization", last, x, arrays, settings)


def _is_plain(graph, node):
    """Whether the scale of a normalization is 1, and its offset 0."""
    scale, offset = (graph.constants.get(name) for name in node.inputs[1:3])
    if scale is None or offset is None:
        return False
    return bool(np.all(scale == 1) and np.all(offset == 0))
