"""Computes what does not depend on the inputs when the file is read."""

import math
from collections.abc import Sequence

import numpy as np

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.package import package
from snn_keras.interop.onnx.values import Known

RANDOM = {
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"),
    *("RandomUniform", "RandomUniformLike"),
}
# The most entries of a constant that is computed.
MOST = 2**28


def folded(node: Node, inputs: Sequence[Known | None], opset: int) -> list[Known]:
    """The outputs of a node whose inputs are known.

    Raises:
        Untranslatable: if they cannot be computed.
    """
    counts = max((len(x.arrays) for x in inputs if x is not None), default=1)
    runs = [
        _run(node, [None if x is None else x.at(i) for x in inputs], opset)
        for i in range(counts)
    ]
    return [Known(tuple(arrays)) for arrays in zip(*runs, strict=True)]


def _check_size(node, arrays):
    """Refuses nodes that make far more of a few numbers."""
    size = {
        "ConstantOfShape": _product,
        "Expand": lambda x, shape: _product(shape),
        "Range": lambda start, end, step: abs(float(end) - float(start)) / abs(step),
        "Tile": lambda x, times: x.size * _product(times),
    }.get(node.op)
    if size is not None and size(*arrays) > MOST:
        raise ValueError(f"they have more than {MOST} entries")


def _product(numbers):
    return math.prod(float(n) for n in numbers)


def _run(node, arrays, opset):
    onnx = package()
    given = {f"x{i}": x for i, x in enumerate(arrays) if x is not None}
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(arrays)]
    try:
        _check_size(node, arrays)
        made = onnx.helper.make_node(node.op, names, list(node.outputs), node.name)
        made.attribute.extend(node.proto.attribute if node.proto else ())
        evaluator = onnx.reference.ReferenceEvaluator(made, opsets={"": opset})
        with np.errstate(all="ignore"):
            return [np.asarray(y) for y in evaluator.run(None, given)]
    except Exception as error:  # the evaluator raises anything
        raise Untranslatable(f"its constants cannot be computed: {error}") from error
