"""Normalizations."""

import numpy as np
from keras import layers

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import channels_last, joined, of_channels_last
from snn_keras.interop.onnx.calls import Call
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.values import View


def _no_more_outputs(call):
    if any(call.node.outputs[1:]):
        raise Untranslatable("its further outputs, which are for training, are read")


@operator("BatchNormalization")
def batch_normalization(call: Call) -> View:
    """`BatchNormalization` along the place of the channels."""
    _no_more_outputs(call)
    if call.attribute("training_mode", 0):
        raise Untranslatable(
            "it is in training mode: export the network in inference mode"
        )
    view = joined(call.make, call.view(), 1)
    weights = [call.constant(i) for i in range(1, 5)]
    return call.same_places(
        layers.BatchNormalization,
        view,
        axis=view.places[1][0],
        epsilon=call.attribute("epsilon", 1e-5),
        weights=weights,
    )


@operator("LayerNormalization")
def layer_normalization(call: Call) -> View:
    """`LayerNormalization` along the places of the last axes."""
    _no_more_outputs(call)
    view = call.view()
    first = call.axis(view, -1)
    lengths = [view.length(axis) for axis in range(first, view.rank)]
    places = [p for axis in range(first, view.rank) for p in view.places[axis]]
    order = np.argsort(places)
    shape = [view.tensor.shape[p] for p in places]

    def arranged(array):
        full = np.broadcast_to(array, lengths)
        return full.reshape(shape).transpose(order)

    scale, bias = call.optional(1), call.optional(2)
    weights = [arranged(x) for x in (scale, bias) if x is not None]
    return call.same_places(
        layers.LayerNormalization,
        view,
        axis=sorted(places),
        epsilon=call.attribute("epsilon", 1e-5),
        scale=scale is not None,
        center=bias is not None,
        weights=weights,
    )


@operator("RMSNormalization")
def rms_normalization(call: Call) -> View:
    """`RMSNormalization` along the last axis."""
    view, scale = call.view(), call.constant(1)
    if call.axis(view, -1) != view.rank - 1:
        raise Untranslatable("it is along more than the last axis")
    length = view.length(view.rank - 1)
    view = joined(call.make, view, view.rank - 1)
    return call.same_places(
        layers.RMSNormalization,
        view,
        axis=view.places[-1][0],
        epsilon=call.attribute("epsilon", 1e-5),
        weights=[np.broadcast_to(scale, length)],
    )


@operator("InstanceNormalization", "GroupNormalization")
def group_normalization(call: Call) -> View:
    """`GroupNormalization`."""
    view, scale, bias = call.view(), call.constant(1), call.constant(2)
    channels = view.length(1)
    groups = call.attribute("num_groups", channels)
    weights = [np.repeat(x, channels // len(x)) for x in (scale, bias)]
    y = call.make.layer(
        layers.GroupNormalization,
        channels_last(call.make, view),
        groups,
        epsilon=call.attribute("epsilon", 1e-5),
        weights=weights,
    )
    return of_channels_last(view, y)
