"""Layer normalizations as Keras exports them from TensorFlow."""

import numpy as np

from snn_keras.interop.onnx.rewriting.graph import Graph, Layer

_MEANS = ("ReduceMean", "GlobalAveragePool")


def with_keras_normalizations(graph: Graph) -> Graph:
    """The graph with one node for `x * s + (offset - mean(x) * s)`.

    Here `s = scale / sqrt(mean((x - mean(x))^2) + epsilon)`, and the means are along
    the last axes.
    """
    return graph.with_layers(_normalized)


def _normalized(graph, node):
    """The layer normalization that ends with a node; or None."""
    if node.op != "Add":
        return None
    product, shift = (graph.maker(name, "Mul", "Add") for name in node.inputs)
    if product is None or shift is None or (product.op, shift.op) != ("Mul", "Add"):
        return None
    mean_part, offset = graph.operands(shift)
    x, factor = product.inputs
    scaled = graph.maker(mean_part, "Mul")
    if scaled is None or scaled.inputs[1] != factor:
        return None
    negated = graph.maker(scaled.inputs[0], "Neg")
    mean = graph.maker(negated.inputs[0], *_MEANS) if negated else None
    found = _factor(graph, factor)
    if mean is None or mean.inputs[0] != x or found is None:
        return None
    variance, epsilon, scale = found
    axis = _axis(graph, mean)
    if axis is None or _axis(graph, variance) != axis:
        return None
    if not _is_of_squares(graph, variance, x, mean) or scale.size != offset.size:
        return None
    arrays = {"scale": scale.ravel(), "offset": offset.ravel()}
    settings = {"axis": axis, "epsilon": epsilon}
    return Layer("LayerNormalization", node, x, arrays, settings)


def _factor(graph, name):
    """The node of the variance, epsilon and the scale that give `s`; or None."""
    made = graph.maker(name, "Mul")
    inverse, scale = graph.operands(made) if made else (None, None)
    reciprocal = graph.maker(inverse, "Reciprocal") if inverse else None
    root = graph.maker(reciprocal.inputs[0], "Sqrt") if reciprocal else None
    total = graph.maker(root.inputs[0], "Add") if root else None
    if total is None or scale.size != scale.shape[-1]:
        return None
    variance, epsilon = graph.operands(total)
    variance = graph.maker(variance, *_MEANS) if variance else None
    if variance is None or np.size(epsilon) != 1:
        return None
    return variance, float(epsilon.item()), scale


def _axis(graph, mean):
    """The axis from which on a node takes the mean; None for others.

    A global pool takes it from the third axis on, which of sequences is the last.
    """
    if mean.op == "GlobalAveragePool":
        return 2
    axes = mean.attributes.get("axes")
    if len(mean.inputs) > 1 and mean.inputs[1] in graph.constants:
        axes = graph.constants[mean.inputs[1]].tolist()
    return -1 if axes == [-1] and mean.attributes.get("keepdims", 1) else None


def _is_of_squares(graph, variance, x, mean):
    """Whether a node takes the mean of `(x - mean)^2`."""
    square = graph.maker(variance.inputs[0], "Mul")
    if square is None or square.inputs[0] != square.inputs[1]:
        return False
    centered = graph.maker(square.inputs[0], "Sub")
    return centered is not None and centered.inputs == (x, mean.outputs[0])
