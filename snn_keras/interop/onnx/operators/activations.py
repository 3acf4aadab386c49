"""Activations."""

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


@operator(*ACTIVATIONS)
def activation(call: Call) -> View:
    """An `Activation` by name."""
    if call.node.op == "Swish" and call.attribute("alpha", 1.0) != 1:
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
        None if x is None else x.item() for x in (call.optional(1), call.optional(2))
    )
    if low == 0 and (high is None or high > 0):
        return call.same_places(layers.ReLU, view, max_value=high)
    if low is None and high is None:
        return view
    if high is None:
        return call.applied(ops.maximum, view, low)
    if low is None:
        return call.applied(ops.minimum, view, high)
    return call.applied(ops.clip, view, min(low, high), high)


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
