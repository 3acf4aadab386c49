"""Functions of each entry, and of several tensors."""

import keras
import numpy as np
from keras import layers, ops

from snn_keras.interop.onnx.aligning import aligned
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.plus import plus
from snn_keras.interop.onnx.values import View

# Functions of one tensor without settings.
FUNCTIONS = {
    "Abs": ops.abs,
    "Ceil": ops.ceil,
    "Cos": ops.cos,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "Log": ops.log,
    "Neg": ops.negative,
    "Not": ops.logical_not,
    "Reciprocal": ops.reciprocal,
    "Round": ops.round,
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sqrt": ops.sqrt,
    "Tan": ops.tan,
}
# Functions of two tensors: a layer for signals of one shape, else the operation.
PAIRS = {
    "Add": (layers.Add, plus),
    "Sub": (layers.Subtract, ops.subtract),
    "Mul": (layers.Multiply, ops.multiply),
    "Div": (None, ops.divide),
    "Max": (layers.Maximum, ops.maximum),
    "Min": (layers.Minimum, ops.minimum),
    "Sum": (layers.Add, plus),
    "Mean": (layers.Average, None),
    "And": (None, ops.logical_and),
    "Or": (None, ops.logical_or),
    "Equal": (None, ops.equal),
    "Greater": (None, ops.greater),
    "GreaterOrEqual": (None, ops.greater_equal),
    "Less": (None, ops.less),
    "LessOrEqual": (None, ops.less_equal),
}


@operator(*FUNCTIONS)
def function(call: Call) -> View:
    """A function of `keras.ops`."""
    return call.applied(FUNCTIONS[call.node.op], call.view())


@operator(*PAIRS)
def combined(call: Call) -> View:
    """A layer such as `Add` of signals of one shape, else the operation."""
    layer, operation = PAIRS[call.node.op]
    found = aligned(call.make, call.operands(), call.samples[0])
    first, *others = found.operands
    if not others:
        return View(first, found.places)
    shapes = {getattr(x, "shape", None) for x in found.operands}
    is_of_signals = all(isinstance(x, keras.KerasTensor) for x in found.operands)
    if layer is not None and is_of_signals and len(shapes) == 1:
        return View(call.make.layer(layer, found.operands), found.places)
    count = len(found.operands)
    for i, x in enumerate(others, 2):
        suffix = "" if i == count and operation else f"part{i}"
        first = call.make.function(operation or plus, first, x, suffix=suffix)
    if operation is None:
        first = call.make.function(ops.divide, first, float(count))
    return View(first, found.places)


@operator("Pow")
def power(call: Call) -> View:
    """`keras.ops.square` and `sqrt` where they fit, else `power`."""
    a, b = call.operands()
    if isinstance(b, np.ndarray) and b.size == 1 and b.item() in (1, 2, 0.5):
        kept = {2: ops.square, 0.5: ops.sqrt}.get(b.item())
        return call.applied(kept, a) if kept else a
    return call.elementwise(ops.power, a, b)


@operator("Where")
def where(call: Call) -> View:
    """`keras.ops.where`."""
    return call.elementwise(ops.where, *call.operands())
