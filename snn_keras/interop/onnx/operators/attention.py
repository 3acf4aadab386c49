"""Attention."""

import math

import numpy as np
from keras import layers, ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.calls import Call, floating
from snn_keras.interop.onnx.operators.matrices import product
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.operators.shapes import to_shapes
from snn_keras.interop.onnx.plus import plus
from snn_keras.interop.onnx.values import Known, View


@operator("Attention")
def attention(call: Call) -> View:
    """Two products with a `Softmax` between them."""
    _check(call)
    q, k, v = (call.view(i) for i in range(3))
    is_flat = q.rank == 3
    if is_flat:
        names = ("q_num_heads", "kv_num_heads", "kv_num_heads")
        counts = [call.attribute(name) for name in names]
        q, k, v = (_heads(call, x, n) for x, n in zip((q, k, v), counts, strict=True))
    if q.length(1) != k.length(1):
        raise Untranslatable("its queries have more heads than its keys")
    scale = call.attribute("scale") or 1 / math.sqrt(q.length(3))
    scores = product(call, q, k.permuted([0, 1, 3, 2]), suffix="scores")
    scores = call.elementwise(ops.multiply, scores, np.float32(scale), suffix="scale")
    scores = _masked(call, scores)
    shares = call.make.layer(
        layers.Softmax, scores.tensor, axis=scores.places[3][0], suffix="softmax"
    )
    y = product(call, View(shares, scores.places), v)
    if not is_flat:
        return y
    shapes = [y.shape(samples) for samples in call.samples]
    return to_shapes(
        call, y.permuted([0, 2, 1, 3]), [(n, q, h * d) for n, h, q, d in shapes]
    )


def _check(call):
    if any(call.inputs[4:]) or any(call.node.outputs[1:]):
        raise Untranslatable("it keeps keys and values from call to call")
    if call.attribute("softcap", 0.0):
        raise Untranslatable("it has a softcap")


def _heads(call, view, count):
    """A view with its last axis split into heads, which come second."""
    shapes = [view.shape(samples) for samples in call.samples]
    found = to_shapes(
        call, view, [(n, length, count, d // count) for n, length, d in shapes]
    )
    return found.permuted([0, 2, 1, 3])


def _masked(call, scores):
    """The scores, those that are hidden at minus infinity."""
    lengths = [scores.length(axis) for axis in (2, 3)]
    if call.attribute("is_causal", 0):
        visible = np.tri(*lengths, dtype=bool)
        scores = _where(call, visible, scores, "causal")
    mask = call.input(3)
    if mask is None:
        return scores
    mask = mask.of_a_sample if isinstance(mask, Known) else mask
    kind = mask.tensor.dtype if isinstance(mask, View) else mask.dtype.name
    if kind == "bool":
        return _where(call, mask, scores, "mask")
    mask = mask if isinstance(mask, View) else floating(mask)
    return call.elementwise(plus, scores, mask, suffix="mask")


def _where(call, visible, scores, suffix):
    hidden = np.float32(-np.inf)
    return call.elementwise(ops.where, visible, scores, hidden, suffix=suffix)
