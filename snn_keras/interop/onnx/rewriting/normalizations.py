"""Layer normalizations that a file writes as several nodes."""

import numpy as np

from snn_keras.interop.onnx.rewriting.graph import Graph, Layer


def with_normalizations(graph: Graph) -> Graph:
    """Layer normalizations that are written as their formula.

    `(x - mean(x)) / sqrt(mean((x - mean(x))^2) + epsilon)`, with or without a scale and
    an offset behind it, as PyTorch writes it for opsets before 17.
    """
    return graph.with_layers(_layer)


def _layer(graph, node):
    """The normalization that ends with a node, and what is behind it; or None."""
    found = _normalized(graph, node)
    if found is None:
        return None
    x, axes, epsilon = found
    last, arrays = _scaled(graph, node, len(axes))
    arrays = {"scale": np.ones((1,) * len(axes), "float32"), **arrays}
    settings = {"axis": axes[0], "epsilon": epsilon}
    return Layer("LayerNormalization", last, x, arrays, settings)


def _normalized(graph, node):
    """The input, the axes and the epsilon of a normalization ending here; or None."""
    if node.op != "Div":
        return None
    centered = graph.maker(node.inputs[0], "Sub")
    root = graph.maker(node.inputs[1], "Sqrt")
    if centered is None or root is None:
        return None
    x, mean = centered.inputs[0], graph.maker(centered.inputs[1], "ReduceMean")
    total = graph.maker(root.inputs[0], "Add")
    if mean is None or mean.inputs[0] != x or total is None:
        return None
    variance, epsilon = graph.operands(total)
    variance = graph.maker(variance, "ReduceMean")
    axes = _axes(graph, mean)
    if variance is None or axes is None or _axes(graph, variance) != axes:
        return None
    square = graph.maker(variance.inputs[0], "Pow", "Mul")
    if square is None or epsilon.size != 1 or not _is_square(graph, square, centered):
        return None
    return x, axes, float(epsilon.item())


def _axes(graph, mean):
    """The last axes, along which a node takes the mean; None for others."""
    axes = mean.attributes.get("axes")
    if len(mean.inputs) > 1 and mean.inputs[1] in graph.constants:
        axes = graph.constants[mean.inputs[1]].tolist()
    if not axes or not mean.attributes.get("keepdims", 1):
        return None
    axes = sorted(int(axis) for axis in axes)
    return axes if axes == list(range(-len(axes), 0)) else None


def _is_square(graph, node, centered):
    first, second = node.inputs
    if graph.maker(first, "Sub") is not centered:
        return False
    if node.op == "Pow":
        return graph.number(second) == 2
    return first == second


def _scaled(graph, node, count):
    """The last node of a normalization with a scale and an offset, and these."""
    arrays = {}
    for op, part in (("Mul", "scale"), ("Add", "offset")):
        following = graph.only_reader(node.outputs[0])
        if following is None or following.op != op:
            continue
        _, array = graph.operands(following)
        if array is not None and array.ndim == count:
            arrays[part] = array
            node = following
    return node, arrays
