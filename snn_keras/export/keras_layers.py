"""What the exports read off Keras's layers."""

import numpy as np
from keras import ops

from snn_keras.export.calls import Refusal


def array(tensor):
    """A weight's value in float64."""
    return ops.convert_to_numpy(tensor).astype("float64")


def bias_of(layer):
    """A layer's bias, or 0."""
    return array(layer.bias) if layer.use_bias else 0.0


def check_channels_last(layer):
    """Raises a `Refusal` for layers that have their channels elsewhere."""
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise Refusal('it is channels-first. Remedy: data_format="channels_last".')


def ungrouped(kernel, groups):
    """The kernel over all input channels: zeros for those of other groups."""
    *window, inside, outside = kernel.shape
    full = np.zeros((*window, groups * inside, outside))
    for i, part in enumerate(np.split(kernel, groups, axis=-1)):
        ins = slice(i * inside, (i + 1) * inside)
        outs = slice(i * outside // groups, (i + 1) * outside // groups)
        full[..., ins, outs] = part
    return full


def two_dimensional(values):
    """The settings of a layer along two axes, of which it may have one."""
    values = tuple(values)
    return values if len(values) == 2 else (1, *values)


def windows(sizes, window, strides, padding, dilation=(1, 1)):
    """How a window moves: padding `(before, after)` and places along each axis."""
    paddings, places = [], []
    for size, k, s, d in zip(sizes, window, strides, dilation, strict=True):
        reach = d * (k - 1) + 1
        if padding == "same":
            count = -(-size // s)
            total = max((count - 1) * s + reach - size, 0)
        else:
            total = reach - 1 if padding == "causal" else 0
            count = (size + total - reach) // s + 1
        before = total if padding == "causal" else total // 2
        paddings.append((before, total - before))
        places.append(count)
    return tuple(paddings), tuple(places)


def batch_norm_gain(layer, shape):
    """What batch normalization multiplies by, and adds, one a channel."""
    if layer.axis not in (-1, len(shape)):
        raise Refusal("it normalizes another axis than the last. Remedy: axis=-1.")
    gamma = array(layer.gamma) if layer.scale else np.ones(shape[-1])
    beta = array(layer.beta) if layer.center else np.zeros(shape[-1])
    gain = gamma / np.sqrt(array(layer.moving_variance) + layer.epsilon)
    return gain, beta - gain * array(layer.moving_mean)


def constant_of(x):
    """A constant argument, without the batch axis."""
    value = np.asarray(ops.convert_to_numpy(x), "float64")
    return value[0] if value.ndim and len(value) == 1 else value


def slices(call):
    """Where the slices of `x[:, a:b:c, ...]` begin, and their strides."""
    x, key = call.args
    key = key if isinstance(key, (tuple, list)) else (key,)
    whole = slice(None)
    key = [*key, *[whole] * (len(x.shape) + 1 - len(key))]
    if not all(isinstance(k, slice) for k in key) or key[0] != whole:
        raise Refusal(
            "only slices have one, that leave the batch as it is. Remedy: "
            "x[:, i:i+1] and keras.layers.Reshape for x[:, i]."
        )
    sides = [k.indices(n) for k, n in zip(key[1:], x.shape, strict=True)]
    if any(stride < 1 for _, _, stride in sides):
        raise Refusal("it goes backwards. Remedy: a stride of 1 or more.")
    return tuple(s[0] for s in sides), tuple(s[2] for s in sides)


def pad_sides(call):
    """Zeros before and after, along each axis without the batch."""
    operation = call.operation
    filled = [*call.args[1:], *call.kwargs.values()]
    if operation.mode != "constant" or any(v not in (None, 0) for v in filled):
        raise Refusal(
            "it pads with something else than 0. Remedy: keras.ops.pad(x, pad_width)."
        )
    batch, *sides = (tuple(int(n) for n in side) for side in operation.pad_width)
    if batch != (0, 0):
        raise Refusal("it pads the batch. Remedy: (0, 0) first in pad_width.")
    return tuple(sides)
