"""Functions of each entry."""

import math

import keras
import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.aligning import aligned
from snn_keras.interop.onnx.arranging import joined
from snn_keras.interop.onnx.calls import Call, floating
from snn_keras.interop.onnx.operators.registry import operator
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
    "Sign": ops.sign,
    "Sin": ops.sin,
    "Sqrt": ops.sqrt,
}
ACTIVATIONS = {
    "HardSwish": "hard_silu",
    "Mish": "mish",
    "Selu": "selu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Swish": "silu",
    "Tanh": "tanh",
}
# Functions of two tensors: a layer for signals of one shape, else the operation.
PAIRS = {
    "Add": (layers.Add, ops.add),
    "Sub": (layers.Subtract, ops.subtract),
    "Mul": (layers.Multiply, ops.multiply),
    "Div": (None, ops.divide),
    "Max": (layers.Maximum, ops.maximum),
    "Min": (layers.Minimum, ops.minimum),
    "Sum": (layers.Add, ops.add),
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


@operator(*ACTIVATIONS)
def activation(call: Call) -> View:
    """An `Activation` by name."""
    if call.attribute("alpha", 1.0) != 1.0 and call.node.op == "Swish":
        raise Untranslatable("its alpha is not 1")
    return call.same_places(layers.Activation, call.view(), ACTIVATIONS[call.node.op])


@operator("Relu")
def relu(call: Call) -> View:
    """`ReLU`."""
    return call.same_places(layers.ReLU, call.view())


@operator("LeakyRelu")
def leaky_relu(call: Call) -> View:
    """`LeakyReLU`."""
    slope = call.attribute("alpha", 0.01)
    return call.same_places(layers.LeakyReLU, call.view(), negative_slope=slope)


@operator("Elu")
def elu(call: Call) -> View:
    """`ELU`."""
    return call.same_places(layers.ELU, call.view(), alpha=call.attribute("alpha", 1.0))


@operator("Celu")
def celu(call: Call) -> View:
    """`keras.ops.celu`."""
    alpha = call.attribute("alpha", 1.0)
    return call.applied(ops.celu, call.view(), alpha=alpha)


@operator("Gelu")
def gelu(call: Call) -> View:
    """`Activation("gelu")`, or the approximation by tanh."""
    if call.attribute("approximate", "none") == "tanh":
        return call.applied(ops.gelu, call.view(), approximate=True)
    return call.same_places(layers.Activation, call.view(), keras.activations.gelu)


@operator("HardSigmoid")
def hard_sigmoid(call: Call) -> View:
    """`Activation("hard_sigmoid")` with Keras's slope, else a clipped line."""
    slope, offset = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    view = call.view()
    if math.isclose(slope, 1 / 6, rel_tol=1e-6) and offset == 0.5:
        return call.same_places(layers.Activation, view, "hard_sigmoid")
    y = call.applied(ops.multiply, view, slope, suffix="slope")
    y = call.applied(ops.add, y, offset, suffix="offset")
    return call.applied(ops.clip, y, 0.0, 1.0)


@operator("PRelu")
def prelu(call: Call) -> View:
    """`PReLU`."""
    view, slope = call.view(), call.constant(1)
    found = aligned(call.make, [view, floating(slope)], call.samples[0])
    x, alpha = found.operands
    alpha = np.reshape(alpha, np.shape(alpha) or (1,) * len(x.shape))[0]
    shared = [i for i, n in enumerate(alpha.shape, 1) if n == 1]
    y = call.make.layer(layers.PReLU, x, shared_axes=shared, weights=[alpha])
    return View(y, found.places)


@operator("Clip")
def clip(call: Call) -> View:
    """`ReLU` from 0 on, with or without a ceiling; else `keras.ops.clip`."""
    view = call.view()
    low, high = (
        None if x is None else x.item() for x in (call.constant(1), call.constant(2))
    )
    if low == 0 and (high is None or high > 0):
        return call.same_places(layers.ReLU, view, max_value=high)
    if low is None and high is None:
        return view
    if high is None:
        return call.applied(ops.maximum, view, low)
    if low is None:
        return call.applied(ops.minimum, view, high)
    return (
        call.applied(
            ops.minimum, call.applied(ops.maximum, view, low, suffix="low"), high
        )
        if low > high
        else call.applied(ops.clip, view, low, high)
    )


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
        first = call.make.function(operation or ops.add, first, x, suffix=suffix)
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


@operator("Softmax")
def softmax(call: Call) -> View:
    """`Softmax`."""
    view, axis = _along(call)
    if view.tensor.shape[axis] == 1:  # of which Keras warns
        return call.applied(ops.ones_like, view)
    return call.same_places(layers.Softmax, view, axis=axis)


@operator("LogSoftmax")
def log_softmax(call: Call) -> View:
    """`keras.ops.log_softmax`."""
    view, axis = _along(call)
    return call.applied(ops.log_softmax, view, axis=axis)


def _along(call):
    """A view, and the only place of the axis that the node names."""
    view = call.view()
    axis = call.axis(view, -1)
    view.length(axis)
    view = joined(call.make, view, axis)
    (place,) = view.places[axis]
    return view, -1 if place == len(view.tensor.shape) - 1 else place
