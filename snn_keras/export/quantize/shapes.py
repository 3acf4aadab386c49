"""Layers that move things, as integers."""

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call, Refusal
from snn_keras.export.quantize.moves import keeps_channels, rearranged
from snn_keras.export.quantize.quantizer import Quantizer, rule
from snn_keras.export.quantize.units import Signal, plain

KINDS = {
    linear.Reshape: integer.Reshape,
    linear.Transpose: integer.Transpose,
    linear.Pad: integer.Pad,
    linear.Crop: integer.Crop,
    linear.Repeat: integer.Repeat,
}


@rule(*KINDS)
def moved(quantizer: Quantizer, call: Call) -> Signal:
    x, form = call.signal, call.form
    stays, settings = keeps_channels(form, x.shape), {**vars(form), "shape": call.shape}
    kind = KINDS[type(form)]
    return rearranged(
        quantizer, x, kind, name=call.name, keeps_channels=stays, **settings
    )


@rule(linear.Along)
def interpolation(quantizer: Quantizer, call: Call) -> Signal:
    raise Refusal('it interpolates. Remedy: interpolation="nearest".')


@rule(linear.Concatenate)
def concatenation(quantizer: Quantizer, call: Call) -> Signal:
    axis = call.form.axis
    parts = [quantizer.fixed(x) for x in call.signals]
    factor, origin = (
        plain(np.concatenate([np.broadcast_to(a, x.shape) for a, x in pairs], axis))
        for pairs in ([(x.factor, x) for x in parts], [(x.origin, x) for x in parts])
    )
    name = quantizer.add(
        integer.Concatenate,
        parts,
        call.shape,
        call.name,
        origin,
        axis=axis,
        input_shapes=tuple(x.shape for x in parts),
    )
    timed = any(x.timed for x in parts)
    return Signal(name, call.shape, factor, origin=origin, timed=timed)
