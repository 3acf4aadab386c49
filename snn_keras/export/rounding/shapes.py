"""The integer rules of layers that move elements."""

import numpy as np

from snn_keras import linear
from snn_keras.export import integer
from snn_keras.export.calls import Call, NotExported
from snn_keras.export.rounding.moves import keeps_channels, rearranged
from snn_keras.export.rounding.units import ScaledTensor, common_bit, compact
from snn_keras.export.rounding.writer import IntegerWriter, rule

FAR = 8  # how far apart units must be for integers to be multiplied up
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
    parts = alike(writer, [writer.fixed(x) for x in call.tensors], call.name)
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


def alike(
    writer: IntegerWriter, parts: list[ScaledTensor], name: str
) -> list[ScaledTensor]:
    """Tensors whose integers stand for numbers of like size.

    The weights that read them share a unit, in which those of far finer integers, such
    as sums beside spikes, would be rounded to nothing. So coarse ones are multiplied by
    a power of two. Units of few bits stay: nothing is rounded in them.
    """
    scales = [np.ravel(x.scale) for x in parts]
    bit = common_bit(*scales)
    least = min(np.max(scale) for scale in scales)
    if max(np.max(scale) for scale in scales) <= 2**12 * bit:
        return parts
    made = []
    for number, (x, scale) in enumerate(zip(parts, scales, strict=True)):
        room = 2**15 / max(writer.interval(x).largest, 1)
        gain = 2 ** int(np.log2(max(min(np.min(scale) / least, room), 1)))
        if gain >= FAR:
            x = writer.scaled(x, np.int64(gain), f"{name}/gain_{number}")
            x = x.with_(factor=x.factor / gain)
        made.append(x)
    return made
