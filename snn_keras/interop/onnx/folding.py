"""Computes what does not depend on the inputs when the file is read."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.nodes import Node
from snn_keras.interop.onnx.package import package
from snn_keras.interop.onnx.values import Known

RANDOM = {
    *("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike"),
    *("RandomUniform", "RandomUniformLike"),
}
# Operators whose outputs have no more entries than their inputs, however many that are.
SHRINKING = {"Compress", "NonMaxSuppression", "NonZero", "TfIdfVectorizer", "Unique"}
# The most entries that a file's computed constants have, or so many times those that it
# has itself.
LEAST_ENTRIES = 2**26
EXPANSION = 8
SMALL = 1024  # entries of a constant that may say what shape an output has


class Folder:
    """Computes the nodes of one file whose inputs are known.

    Args:
        opset: The version of the operators.
        entries: The number of entries of the constants that the file has itself.
    """

    def __init__(self, opset: int, entries: int) -> None:
        self._opset = opset
        self._left = max(LEAST_ENTRIES, EXPANSION * entries)

    def folded(self, node: Node, inputs: Sequence[Known | None]) -> list[Known]:
        """The outputs of a node whose inputs are known.

        Raises:
            Untranslatable: if they cannot be computed, or are too large.
        """
        counts = max((len(x.arrays) for x in inputs if x is not None), default=1)
        runs = [
            self._run(node, [None if x is None else x.at(i) for x in inputs])
            for i in range(counts)
        ]
        return [Known(tuple(arrays)) for arrays in zip(*runs, strict=True)]

    def _run(self, node, arrays):
        onnx = package()
        given = {f"x{i}": x for i, x in enumerate(arrays) if x is not None}
        names = [f"x{i}" if x is not None else "" for i, x in enumerate(arrays)]
        try:
            made = onnx.helper.make_node(node.op, names, list(node.outputs), node.name)
            made.attribute.extend(node.proto.attribute if node.proto else ())
            self._check_size(made, given)
            evaluator = onnx.reference.ReferenceEvaluator(
                made, opsets={"": self._opset}
            )
            with np.errstate(all="ignore"):
                return [np.asarray(y) for y in evaluator.run(None, given)]
        except Exception as error:  # the evaluator raises anything
            raise Untranslatable(
                f"its constants cannot be computed: {error}"
            ) from error

    def _check_size(self, node, given):
        """Refuses nodes whose outputs are too large, before they are computed."""
        if node.op_type in SHRINKING:
            return
        needed = sum(_entries_of_outputs(node, given, self._opset))
        if needed > self._left:
            raise ValueError(f"they have {needed:,.0f} entries, which is too many")
        self._left -= needed


def _entries_of_outputs(node: Any, given: dict, opset: int) -> list[float]:
    """The number of entries of each output, as ONNX infers it."""
    onnx = package()
    small = {name: x for name, x in given.items() if x.size <= SMALL}
    graph = onnx.helper.make_graph(
        [node],
        "node",
        [_described(name, x) for name, x in given.items()],
        [onnx.ValueInfoProto(name=name) for name in node.output if name],
        [onnx.numpy_helper.from_array(x, name) for name, x in small.items()],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)]
    )
    inferred = onnx.shape_inference.infer_shapes(model)
    return [_entries(x) for x in inferred.graph.output]


def _described(name, array):
    onnx = package()
    kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
    return onnx.helper.make_tensor_value_info(name, kind, array.shape)


def _entries(info):
    kind = info.type.tensor_type
    lengths = [d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim]
    if not kind.HasField("shape") or None in lengths:
        raise ValueError(f"nothing says how large '{info.name}' is")
    return math.prod(map(float, lengths))
