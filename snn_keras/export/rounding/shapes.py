"""The integer rules of layers that move elements."""

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call, NotExported
from snn_keras.export.rounding.moves import keeps_channels, rearranged
from snn_keras.export.rounding.units import ScaledTensor, compact
from snn_keras.export.rounding.writer import IntegerWriter, rule

KINDS = {
    linear.Reshape: integer.Reshape,
    linear.Transpose: integer.Transpose,
    linear.Pad: integer.Pad,
    linear.Crop: integer.Crop,
    linear.Repeat: integer.Repeat,
}


@rule(*KINDS)
def moved(writer: IntegerWriter, call: Call) -> ScaledTensor:
    x, form = call.tensor, call.form
    stays, settings = keeps_channels(form, x.shape), {**vars(form), "shape": call.shape}
    kind = KINDS[type(form)]
    return rearranged(writer, x, kind, name=call.name, keeps_channels=stays, **settings)


@rule(linear.Along)
def interpolation(writer: IntegerWriter, call: Call) -> ScaledTensor:
    raise NotExported('it interpolates. Remedy: interpolation="nearest".')


@rule(linear.Concatenate)
def concatenation(writer: IntegerWriter, call: Call) -> ScaledTensor:
    axis = call.form.axis
    parts = [writer.fixed(x) for x in call.tensors]
    factor, origin = (
        compact(np.concatenate([np.broadcast_to(a, x.shape) for a, x in pairs], axis))
        for pairs in ([(x.factor, x) for x in parts], [(x.origin, x) for x in parts])
    )
    name = writer.add(
        integer.Concatenate,
        parts,
        call.shape,
        call.name,
        origin,
        axis=axis,
        input_shapes=tuple(x.shape for x in parts),
    )
    timed = any(x.timed for x in parts)
    return ScaledTensor(name, call.shape, factor, origin=origin, timed=timed)
