"""Makes ONNX files for tests, and compares what is read with ONNX Runtime."""

import functools

import numpy as np
import onnx
import onnxruntime
from onnx import defs, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from snn_keras.interop import from_onnx

OPSET = 23
# The largest difference, as a share of the largest output.
TOLERANCE = 1e-5


def values(*shape, seed=0, low=-2.0, high=2.0):
    """Random numbers."""
    return np.random.default_rng(seed).uniform(low, high, shape).astype("float32")


def node(op, inputs, outputs="y", **attributes):
    """A node; inputs and outputs by name, separated by blanks; `-` for one left out."""
    names = ["" if name == "-" else name for name in inputs.split()]
    return helper.make_node(op, names, outputs.split(), **attributes)


def model_proto(nodes, inputs, constants=None, outputs="y", opset=OPSET, batch="n"):
    """A model.

    Args:
        nodes: Its nodes.
        inputs: Arrays for its inputs by name.
        constants: Arrays by name.
        outputs: Names, separated by blanks.
        opset: The version of the operators.
        batch: The first length of all inputs; a name for an open one.
    """
    infos = [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(x.dtype), [batch, *x.shape[1:]]
        )
        for name, x in inputs.items()
    ]
    ends = [onnx.ValueInfoProto(name=name) for name in outputs.split()]
    graph = helper.make_graph(
        nodes,
        "graph",
        infos,
        ends,
        [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = helper.find_min_ir_version_for(model.opset_import)
    inferred = onnx.shape_inference.infer_shapes(model)
    types = {x.name: x for x in inferred.graph.output}
    for end in model.graph.output:
        end.CopyFrom(types[end.name])
        if not end.type.HasField("tensor_type"):  # nothing was inferred
            end.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        if not end.type.tensor_type.HasField("shape"):
            end.type.CopyFrom(model.graph.input[0].type)
    return model


def expected(model, inputs):
    """What ONNX Runtime computes, node by node.

    Its optimizations are off: one puts the zeros of a `Pad` into a `MaxPool` behind it,
    where they are no zeros any more. Operators that are newer than ONNX Runtime run in
    ONNX's own evaluator.
    """
    opset, newest = model.opset_import[0].version, newest_of_runtime()
    if opset > newest:
        since = [
            defs.get_schema(x.op_type, opset).since_version for x in model.graph.node
        ]
        if max(since) > newest:
            return ReferenceEvaluator(model).run(None, inputs)
        earlier = onnx.ModelProto()
        earlier.CopyFrom(model)
        earlier.opset_import[0].version = newest  # of the same operators
        earlier.ir_version = helper.find_min_ir_version_for(earlier.opset_import)
        model = earlier
    return session(model.SerializeToString()).run(None, inputs)


def session(content):
    """A session of ONNX Runtime, of what is in a file."""
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.graph_optimization_level = level
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(content, options)


@functools.cache
def newest_of_runtime():
    """The newest opset that ONNX Runtime knows."""
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n"])
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["n"])
    graph = helper.make_graph([node("Relu", "x")], "graph", [x], [y])
    for opset in range(onnx.defs.onnx_opset_version(), 0, -1):
        imports = [helper.make_opsetid("", opset)]
        model = helper.make_model(graph, opset_imports=imports, ir_version=10)
        try:
            session(model.SerializeToString())
        except Exception:  # its own errors have no common base
            continue
        return opset
    raise AssertionError("ONNX Runtime runs nothing")


def last(x):
    """An array with its second axis last."""
    return np.moveaxis(x, 1, -1) if x.ndim > 2 else x


def outputs_of(model, inputs):
    """The outputs of a Keras model for arrays in its order, as a list."""
    found = model([np.asarray(x) for x in inputs] if len(inputs) > 1 else inputs[0])
    return [np.asarray(y) for y in (found if isinstance(found, list) else [found])]


def differences(received, wanted):
    """The largest difference of each output, as a share of its largest entry."""
    found = []
    for y, z in zip(received, wanted, strict=True):
        assert y.shape == z.shape, (y.shape, z.shape)
        assert np.array_equal(np.isfinite(y), np.isfinite(z))
        y, z = (np.where(np.isfinite(z), x, 0).astype("float64") for x in (y, z))
        found.append(np.abs(y - z).max(initial=0) / max(np.abs(z).max(initial=0), 1e-3))
    return found


def check(model, inputs, images=(), image_outputs=(), **settings):
    """Reads a model, compares its outputs, and returns what was read.

    Args:
        model: A `ModelProto`.
        inputs: Arrays by name.
        images: Names of inputs that have their channels last in Keras.
        image_outputs: Names of outputs that do.
        settings: Arguments for `from_onnx`.
    """
    read = from_onnx(model.SerializeToString(), **settings)
    given = [last(x) if name in images else x for name, x in inputs.items()]
    wanted = [
        last(y) if end.name in image_outputs else y
        for end, y in zip(model.graph.output, expected(model, inputs), strict=True)
    ]
    found = differences(outputs_of(read, given), wanted)
    assert max(found) <= TOLERANCE, found
    return read
