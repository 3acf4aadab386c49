"""Computes what does not depend on the inputs when the file is read."""

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
# What a constant may grow to.
MOST_BYTES = 2**30


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


def _run(node, arrays, opset):
    onnx = package()
    given = {f"x{i}": x for i, x in enumerate(arrays) if x is not None}
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(arrays)]
    made = onnx.helper.make_node(node.op, names, list(node.outputs), node.name)
    made.attribute.extend(node.proto.attribute)
    try:
        evaluator = onnx.reference.ReferenceEvaluator(made, opsets={"": opset})
        with np.errstate(all="ignore"):
            return [np.asarray(y) for y in evaluator.run(None, given)]
    except Exception as error:  # the evaluator raises anything
        raise Untranslatable(f"its constants cannot be computed: {error}") from error
