"""What every layer of a spiking network is in integers."""

import math

import keras
import numpy as np
from keras import layers, ops

from snn_keras import neurons
from snn_keras.convert._keras import operation_types
from snn_keras.export import integer
from snn_keras.export.quantizer import Refusal, rule
from snn_keras.export.units import Signal, common_bit, fine_unit, plain

# --- Time ----------------------------------------------------------------------------


@rule(neurons.Present)
def present(quantizer, call):
    x = call.signal
    if call.layer.input_steps is None:
        return x.with_(timed=True, weights=None)
    x = quantizer.settled(x)
    on = call.layer.input_steps
    name = quantizer.add(integer.Gate, x, x.shape, call.name, on=on)
    return x.with_(name=name, timed=True, weights=None)


@rule(neurons.Readout)
def readout(quantizer, call):
    x = quantizer.settled(quantizer.even(call.signal))
    name = quantizer.add(integer.Integrate, x, x.shape, call.name)
    return x.with_(name=name, weights=None)


@rule(neurons.BiasCorrection)
def bias_correction(quantizer, call):
    return quantizer.affine(call.signal, 1.0, array(call.operation.bias))


# --- Neurons -------------------------------------------------------------------------


@rule(neurons.Spiking, neurons.FusedSpiking)
def spiking(quantizer, call):
    cell = call.layer.cell
    if type(cell) is neurons.IFCell:
        kind, arguments, grain = integer.Fire, {}, 2
    elif type(cell) is neurons.SignedIFCell:
        kind, arguments, grain = integer.SignedFire, {"ceiling": cell.ceiling}, 2
    elif type(call.layer) is neurons.FusedSpiking:
        kind, arguments = integer.FireBits, {"bits": cell.timesteps}
        grain = 2 ** (cell.timesteps + 1)
    elif isinstance(cell, neurons.BitSerialCell):
        raise Refusal(
            "bit-serial neurons are exported from a network of one pass. Remedy: "
            'convert(..., neuron="bit_serial", fused=True).'
        )
    else:
        raise Refusal(
            f"its neurons are {type(cell).__name__}. Remedy: convert with neuron="
            '"if", "signed" or "bit_serial".'
        )
    theta = cell.theta_value()
    initial = array(cell.initial_state(np.shape(theta))[0])
    x = quantizer.settled(call.signal)
    if x.is_open:
        x.unit.need(theta / x.factor / (grain if grain > 2 else 1))
        x.unit.need(initial / x.factor)
        x.unit.anchor(theta / x.factor / grain)
    else:
        x = finer(quantizer, x, theta / grain, call.name)

    def threshold():
        parts = theta / x.scale / (grain if grain > 2 else 1)
        whole = quantizer.whole(call.name, "threshold", parts)
        return np.maximum(whole, 1) * (grain if grain > 2 else 1)

    def start():
        return quantizer.whole(call.name, "initial potential", initial / x.scale)

    name = quantizer.add(
        kind, x, x.shape, call.name, threshold=threshold, initial=start, **arguments
    )
    step = theta / 2**cell.timesteps if kind is integer.FireBits else theta
    return Signal(name, x.shape, np.asarray(step), timed=x.timed)


def finer(quantizer, x, grain, name):
    """`x`, fixed, in a unit of which `grain` is many, or a whole number."""
    bit = common_bit(grain, x.scale)
    if np.max(x.scale) <= 2**12 * bit:
        return quantizer.in_unit(x, np.float64(bit), f"{name}/gain")
    parts = np.min(grain / x.scale)
    gain = 2.0 ** max(0, math.ceil(math.log2(2**10 / parts)))
    return quantizer.in_unit(x, x.scale / gain, f"{name}/gain")


# --- Weights -------------------------------------------------------------------------


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


@rule(layers.Dense)
def dense(quantizer, call):
    x, layer = quantizer.of_channels(call.signal), call.operation
    shape = (*x.shape[:-1], layer.units)
    kernel = array(layer.kernel)
    return quantizer.weighted(integer.Dense, x, kernel, shape, call, bias_of(layer))


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


def as_image(quantizer, x, name):
    """A sequence `(length, channels)` as an image of height 1."""
    if len(x.shape) == 3:
        return x
    if len(x.shape) != 2:
        raise Refusal("three-dimensional layers have none.")
    return reshaped(quantizer, x, (1, *x.shape), f"{name}/image")


def like_input(quantizer, y, x, name):
    """An image of height 1 as the sequence that `x` is."""
    if len(x.shape) == 3:
        return y
    return reshaped(quantizer, y, y.shape[1:], f"{name}/sequence")


def convolved(quantizer, call, kind, kernel, offset):
    """A convolution of any kind, of images and of sequences."""
    layer = call.operation
    check_channels_last(layer)
    x = quantizer.of_channels(call.signal)
    image = as_image(quantizer, x, call.name)
    kernel = kernel if kernel.ndim == 4 else kernel[None]
    strides, dilation = map(two_dimensional, (layer.strides, layer.dilation_rate))
    sizes, window = image.shape[:2], kernel.shape[:2]
    padding, places = windows(sizes, window, strides, layer.padding, dilation)
    channels = kernel.shape[-1]
    if kind is integer.DepthwiseConvolve:
        channels *= kernel.shape[-2]
    settings = {"strides": strides, "padding": padding, "dilation": dilation}
    y = quantizer.weighted(
        kind, image, kernel, (*places, channels), call, offset, **settings
    )
    return like_input(quantizer, y, x, call.name)


@rule(layers.Conv1D, layers.Conv2D)
def convolution(quantizer, call):
    layer = call.operation
    kernel = array(layer.kernel)
    if layer.groups > 1:
        kernel = ungrouped(kernel, layer.groups)
    return convolved(quantizer, call, integer.Convolve, kernel, bias_of(layer))


def ungrouped(kernel, groups):
    """The kernel over all input channels: zeros for those of other groups."""
    *window, inside, outside = kernel.shape
    full = np.zeros((*window, groups * inside, outside))
    for i, part in enumerate(np.split(kernel, groups, axis=-1)):
        ins = slice(i * inside, (i + 1) * inside)
        outs = slice(i * outside // groups, (i + 1) * outside // groups)
        full[..., ins, outs] = part
    return full


@rule(layers.DepthwiseConv1D, layers.DepthwiseConv2D)
def depthwise_convolution(quantizer, call):
    layer = call.operation
    kernel = array(layer.kernel)
    kind = integer.DepthwiseConvolve
    return convolved(quantizer, call, kind, kernel, bias_of(layer))


@rule(layers.SeparableConv1D, layers.SeparableConv2D)
def separable_convolution(quantizer, call):
    """As the one convolution that it is: nothing is rounded in between."""
    layer = call.operation
    depthwise, pointwise = array(layer.depthwise_kernel), array(layer.pointwise_kernel)
    *_, channels, multiplier = depthwise.shape
    pointwise = pointwise.reshape(channels, multiplier, -1)
    kernel = np.einsum("...cm,cmo->...co", depthwise, pointwise)
    return convolved(quantizer, call, integer.Convolve, kernel, bias_of(layer))


@rule(layers.Conv1DTranspose, layers.Conv2DTranspose)
def transposed_convolution(quantizer, call):
    """As a convolution of the input with zeros between its entries."""
    layer = call.operation
    check_channels_last(layer)
    if np.any(np.asarray(layer.dilation_rate) != 1) or layer.output_padding:
        raise Refusal("it is dilated, or has output_padding. Remedy: the defaults.")
    x = quantizer.of_channels(call.signal)
    image = as_image(quantizer, x, call.name)
    kernel = array(layer.kernel)
    kernel = kernel if kernel.ndim == 4 else kernel[None]
    kernel = kernel.transpose(0, 1, 3, 2)[::-1, ::-1]
    strides = two_dimensional(layer.strides)
    padding, places = [], []
    for n, k, s in zip(image.shape, kernel.shape[:2], strides, strict=False):
        cut = max(k - s, 0) if layer.padding == "same" else 0
        places.append(n * s + max(k - s, 0) - cut)
        before = k - 1 - cut // 2
        padding.append((before, places[-1] + k - 1 - before - n * s))
    spread = with_zeros_between(quantizer, image, strides, call.name)
    shape = (*places, kernel.shape[-1])
    y = quantizer.weighted(
        integer.Convolve,
        spread,
        kernel,
        shape,
        call,
        bias_of(layer),
        padding=tuple(padding),
    )
    return like_input(quantizer, y, x, call.name)


def with_zeros_between(quantizer, x, strides, name):
    """An image with `stride - 1` zeros behind each entry, along each axis."""
    for axis, stride in enumerate(strides):
        if stride == 1:
            continue
        before, after = math.prod(x.shape[: axis + 1]), x.shape[axis + 1 :]
        image = (*x.shape[:axis], x.shape[axis] * stride, *after)
        x = reshaped(quantizer, x, (before, 1, math.prod(after)), f"{name}/spread")
        sides = ((0, 0), (0, stride - 1), (0, 0))
        shape, kind = (before, stride, x.shape[-1]), integer.Pad
        x = rearranged(quantizer, x, kind, shape, f"{name}/spread", True, padding=sides)
        x = reshaped(quantizer, x, image, f"{name}/spread")
    return x


# --- Affine --------------------------------------------------------------------------


def batch_norm_gain(layer, shape):
    """What batch normalization multiplies by, and adds, one a channel."""
    if layer.axis not in (-1, len(shape)):
        raise Refusal("it normalizes another axis than the last. Remedy: axis=-1.")
    gamma = array(layer.gamma) if layer.scale else np.ones(shape[-1])
    beta = array(layer.beta) if layer.center else np.zeros(shape[-1])
    gain = gamma / np.sqrt(array(layer.moving_variance) + layer.epsilon)
    return gain, beta - gain * array(layer.moving_mean)


@rule(layers.BatchNormalization)
def batch_normalization(quantizer, call):
    x = call.signal
    return quantizer.affine(x, *batch_norm_gain(call.operation, x.shape))


@rule(layers.Rescaling)
def rescaling(quantizer, call):
    layer = call.operation
    return quantizer.affine(call.signal, np.float64(layer.scale), layer.offset)


@rule(layers.Normalization)
def normalization(quantizer, call):
    layer, x = call.operation, call.signal
    mean, variance = (
        np.broadcast_to(array(v), (1, *x.shape))[0] if np.ndim(v) else np.float64(v)
        for v in (layer.mean, layer.variance)
    )
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    gain = deviation if layer.invert else 1 / deviation
    offset = mean if layer.invert else -mean / deviation
    return quantizer.affine(x, gain, offset)


@rule(*operation_types("Add"))
def addition(quantizer, call):
    return plus(quantizer, *call.args, call.name)


@rule(*operation_types("Subtract"))
def subtraction(quantizer, call):
    a, b = call.args
    return plus(quantizer, a, negative(quantizer, b), call.name)


@rule(layers.Add)
def add(quantizer, call):
    total, *others = call.signals
    for other in others:
        total = plus(quantizer, total, other, call.name)
    return total


@rule(layers.Average)
def average(quantizer, call):
    return quantizer.affine(add(quantizer, call), 1 / len(call.signals))


@rule(layers.Subtract)
def subtract(quantizer, call):
    a, b = call.signals
    return plus(quantizer, a, negative(quantizer, b), call.name)


@rule(*operation_types("Negative"))
def negation(quantizer, call):
    return negative(quantizer, call.signal)


@rule(*operation_types("Multiply"))
def multiplication(quantizer, call):
    if len(call.signals) > 1:
        raise Refusal("products of two signals have none.")
    (constant,) = (a for a in call.args if not isinstance(a, Signal))
    return quantizer.affine(call.signal, constant_of(constant))


@rule(*operation_types("Divide", "TrueDivide"))
def division(quantizer, call):
    a, b = call.args
    if isinstance(b, Signal):
        raise Refusal("quotients of signals have none.")
    return quantizer.affine(a, 1 / constant_of(b))


def constant_of(x):
    """A constant argument, without the batch axis."""
    value = np.asarray(ops.convert_to_numpy(x), "float64")
    return value[0] if value.ndim and len(value) == 1 else value


def negative(quantizer, x):
    """`-x`, of a signal or a constant."""
    if isinstance(x, Signal):
        return quantizer.affine(x, -1.0)
    return -constant_of(x)


def plus(quantizer, a, b, name):
    """The sum of two signals, or of a signal and a constant."""
    if not isinstance(a, Signal):
        a, b = b, a
    if not isinstance(b, Signal):
        return quantizer.affine(a, 1.0, constant_of(b))
    shape = np.broadcast_shapes(a.shape, b.shape)
    if a.name == b.name:
        return quantizer.affine(a, 2.0)
    a, b = in_one_unit(quantizer, a, b, name)
    total = quantizer.add(integer.Add, [a, b], shape, name)
    return Signal(
        total,
        shape,
        a.factor,
        a.unit,
        a.timed or b.timed,
        np.asarray(a.offset) + b.offset,
    )


def in_one_unit(quantizer, a, b, name):
    """Two signals whose integers may be added."""
    if a.timed != b.timed:  # their offsets are not on for the same steps
        a, b = quantizer.settled(a), quantizer.settled(b)
    if by_channel(a) and by_channel(b) and a.shape[-1] == b.shape[-1]:
        if a.is_open and b.is_open:
            ratio = a.factor / b.factor
            if a.unit.root()[0] is not b.unit.root()[0]:
                b.unit.join(a.unit, ratio)
                return a, b
            if np.array_equal(a.unit.root()[1], ratio * b.unit.root()[1]):
                return a, b
        elif a.is_open:
            return a, gained(quantizer, quantizer.settled(b), a, name)
        elif b.is_open:
            return gained(quantizer, quantizer.settled(a), b, name), b
    a, b = quantizer.fixed(a), quantizer.fixed(b)
    unit = fine_unit(a.factor, b.factor)
    return tuple(quantizer.in_unit(x, unit, f"{name}/gain") for x in (a, b))


def gained(quantizer, x, other, name):
    """`x`, whose unit is closed, in the unit of `other`, which is open."""
    other.unit.need(np.broadcast_to(x.scale / other.factor, other.shape[-1:]))
    return quantizer.in_unit(x, lambda: other.scale, f"{name}/gain").with_(
        factor=other.factor, unit=other.unit
    )


def by_channel(x):
    """Whether all that is known of `x` is the same along all axes but the last."""
    shapes = np.shape(x.factor), np.shape(x.offset)
    return all(shape in ((), x.shape[-1:]) for shape in shapes)


# --- Pooling -------------------------------------------------------------------------


def pooling_windows(layer, sizes):
    """Window, strides, padding and places of a pooling layer along two axes."""
    check_channels_last(layer)
    window, strides = two_dimensional(layer.pool_size), two_dimensional(layer.strides)
    padding, places = windows(sizes, window, strides, layer.padding)
    return window, strides, padding, places


@rule(layers.AveragePooling1D, layers.AveragePooling2D)
def average_pooling(quantizer, call):
    """The sum of the window; its size goes into the unit."""
    x = call.signal if by_channel(call.signal) else quantizer.fixed(call.signal)
    image = as_image(quantizer, quantizer.settled(x), call.name)
    if not by_channel(image):
        image = quantizer.of_channels(image)
    shape, channels = image.shape[:2], image.shape[-1]
    window, strides, padding, places = pooling_windows(call.operation, shape)
    name = quantizer.add(
        integer.DepthwiseConvolve,
        image,
        (*places, channels),
        call.name,
        kernel=np.ones((*window, channels, 1), np.int8),
        strides=strides,
        padding=padding,
    )
    y = image.with_(name=name, shape=(*places, channels), weights=None)
    # At the rim, "same" takes the mean of what is there.
    views = integer.patches(
        np.ones((1, *shape, 1), np.int64), window, strides, padding, (1, 1)
    )
    counts = views.sum((-2, -1))[0]
    least = math.lcm(*(int(c) for c in np.unique(counts)))
    if (counts != least).any():
        y = quantizer.scaled(y, least // counts, f"{call.name}/rim")
    y = y.with_(factor=y.factor / least)
    return like_input(quantizer, y, x, call.name)


def reduced(quantizer, x, axes, keepdims, name, mean=True):
    """The mean, or the sum, over `axes`, counted without the batch."""
    axes = tuple(sorted(a % len(x.shape) for a in axes))
    last = len(x.shape) - 1
    if last in axes:
        x = quantizer.even(quantizer.fixed(x))
    elif not by_channel(x):
        x = quantizer.of_channels(x)
    if np.ndim(x.offset) and last in axes:
        x = quantizer.settled(x)
    count = math.prod(x.shape[a] for a in axes)
    kept = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    total = quantizer.add(integer.Sum, x, kept, name, axes=axes, input_shape=x.shape)
    share = count if mean else 1
    y = x.with_(
        name=total,
        shape=kept,
        factor=x.factor / share,
        offset=np.asarray(x.offset) * (count / share),
        weights=None,
    )
    if keepdims:
        return y
    shape = tuple(n for i, n in enumerate(x.shape) if i not in axes)
    return rearranged(
        quantizer, y, integer.Reshape, shape, f"{name}/squeezed", last not in axes
    )


@rule(layers.GlobalAveragePooling1D, layers.GlobalAveragePooling2D)
def global_average_pooling(quantizer, call):
    check_channels_last(call.operation)
    x, keepdims = call.signal, call.operation.keepdims
    return reduced(quantizer, x, range(len(x.shape) - 1), keepdims, call.name)


@rule(*operation_types("Mean", "Sum"))
def reduction(quantizer, call):
    operation, x = call.operation, call.signal
    mean = type(operation).__name__ == "Mean"
    axes = np.atleast_1d(operation.axis)
    axes = [a - 1 if a > 0 else a for a in axes]
    return reduced(quantizer, x, axes, operation.keepdims, call.name, mean)


@rule(layers.MaxPooling1D, layers.MaxPooling2D)
def max_pooling(quantizer, call):
    return pooled(quantizer, call, lambda sizes: pooling_windows(call.operation, sizes))


@rule(layers.GlobalMaxPooling1D, layers.GlobalMaxPooling2D)
def global_max_pooling(quantizer, call):
    check_channels_last(call.operation)
    y = pooled(quantizer, call, lambda sizes: (sizes, (1, 1), ((0, 0), (0, 0)), (1, 1)))
    if call.operation.keepdims:
        return y
    shape = y.shape[-1:]
    return rearranged(
        quantizer, y, integer.Reshape, shape, f"{call.name}/squeezed", True
    )


def pooled(quantizer, call, settings):
    """A max pool: of the counts so far, where there is time."""
    x = quantizer.settled(call.signal)
    if not by_channel(x):
        x = quantizer.of_channels(x)
    image = as_image(quantizer, x, call.name)
    window, strides, padding, places = settings(image.shape[:2])
    shape = (*places, image.shape[-1])
    name = quantizer.add(
        integer.MaxPool,
        image,
        shape,
        call.name,
        window=window,
        strides=strides,
        padding=padding,
        input_shape=image.shape,
        over_time=isinstance(call.layer, neurons.TemporalDifference),
    )
    y = image.with_(name=name, shape=shape, weights=None)
    return like_input(quantizer, y, x, call.name)


# --- Shapes --------------------------------------------------------------------------


def rearranged(quantizer, x, kind, shape, name, keeps_channels=False, **arguments):
    """The same entries in another place, each in the unit that it has."""
    if kind is integer.Pad:
        x = quantizer.settled(x)  # what it pads with has no offset
    stays = keeps_channels and by_channel(x)
    if not stays:
        x = quantizer.fixed(x)
    name = quantizer.add(kind, x, shape, name, input_shape=x.shape, **arguments)
    moved = x.with_(name=name, shape=tuple(shape), weights=None)
    if stays or np.ndim(x.factor) == 0:
        return moved
    factor = quantizer.built(name).map_array(x.factor)
    return moved.with_(factor=plain(np.where(factor == 0, 1.0, factor)))


def reshaped(quantizer, x, shape, name):
    """Another shape for the same entries."""
    stays = shape[-1:] == x.shape[-1:]
    return rearranged(quantizer, x, integer.Reshape, shape, name, stays)


@rule(layers.Reshape, layers.Flatten, *operation_types("Reshape", "Squeeze"))
def reshaping(quantizer, call):
    return reshaped(quantizer, call.signal, call.shape, call.name)


@rule(*operation_types("ExpandDims"))
def expansion(quantizer, call):
    return reshaped(quantizer, call.signal, call.shape, call.name)


@rule(layers.Permute)
def permutation(quantizer, call):
    axes = tuple(d - 1 for d in call.operation.dims)
    return permuted(quantizer, call, axes)


@rule(*operation_types("Transpose"))
def transposition(quantizer, call):
    axes = call.operation.axes
    if axes is None or axes[0] != 0:
        raise Refusal("it moves the batch axis.")
    return permuted(quantizer, call, tuple(a - 1 for a in axes[1:]))


def permuted(quantizer, call, axes):
    stays = axes[-1] == len(axes) - 1
    kind = integer.Transpose
    return rearranged(
        quantizer, call.signal, kind, call.shape, call.name, stays, axes=axes
    )


@rule(layers.ZeroPadding1D, layers.ZeroPadding2D)
def zero_padding(quantizer, call):
    check_channels_last(call.operation)
    padding = (*_sides(call.operation.padding), (0, 0))
    kind = integer.Pad
    return rearranged(
        quantizer, call.signal, kind, call.shape, call.name, True, padding=padding
    )


@rule(layers.Cropping1D, layers.Cropping2D)
def cropping(quantizer, call):
    check_channels_last(call.operation)
    begin = (*(before for before, _ in _sides(call.operation.cropping)), 0)
    return cropped(quantizer, call, begin, (1,) * len(begin))


@rule(*operation_types("GetItem"))
def item(quantizer, call):
    begin, strides = slices(call)
    return cropped(quantizer, call, begin, strides)


def slices(call):
    """Where the slices of `x[:, a:b:c, ...]` begin, and their strides."""
    x, key = call.args
    key = key if isinstance(key, (tuple, list)) else (key,)
    whole = slice(None)
    key = [*key, *[whole] * (len(x.shape) + 1 - len(key))]
    if not all(isinstance(k, slice) for k in key) or key[0] != whole:
        raise Refusal("only slices have one, that leave the batch as it is.")
    sides = [k.indices(n) for k, n in zip(key[1:], x.shape, strict=True)]
    if any(stride < 1 for _, _, stride in sides):
        raise Refusal("it goes backwards.")
    return tuple(s[0] for s in sides), tuple(s[2] for s in sides)


def cropped(quantizer, call, begin, strides):
    """A part of a signal."""
    x, kind = call.signal, integer.Crop
    stays = begin[-1] == 0 and call.shape[-1] == x.shape[-1]
    settings = {"begin": begin, "strides": strides}
    return rearranged(quantizer, x, kind, call.shape, call.name, stays, **settings)


@rule(*operation_types("Pad"))
def padding_by_zeros(quantizer, call):
    sides = pad_sides(call)
    x, kind, stays = call.signal, integer.Pad, sides[-1] == (0, 0)
    return rearranged(quantizer, x, kind, call.shape, call.name, stays, padding=sides)


def pad_sides(call):
    """Zeros before and after, along each axis without the batch."""
    operation = call.operation
    filled = [*call.args[1:], *call.kwargs.values()]
    if operation.mode != "constant" or any(v not in (None, 0) for v in filled):
        raise Refusal("it pads with something else than 0.")
    batch, *sides = (tuple(int(n) for n in side) for side in operation.pad_width)
    if batch != (0, 0):
        raise Refusal("it pads the batch.")
    return tuple(sides)


def _sides(values):
    """`(before, after)` for each axis, of which layers of one axis give one pair."""
    return tuple(values) if np.ndim(values) == 2 else (tuple(values),)


@rule(layers.UpSampling1D, layers.UpSampling2D)
def up_sampling(quantizer, call):
    check_channels_last(call.operation)
    if getattr(call.operation, "interpolation", "nearest") != "nearest":
        raise Refusal('it interpolates. Remedy: interpolation="nearest".')
    times = (*np.atleast_1d(call.operation.size).tolist(), 1)
    kind = integer.Repeat
    return rearranged(
        quantizer, call.signal, kind, call.shape, call.name, True, times=times
    )


@rule(layers.Concatenate, *operation_types("Concatenate"))
def concatenation(quantizer, call):
    axis = call.operation.axis
    rank = len(call.shape)
    axis = axis - 1 if axis > 0 else axis + rank
    parts = [quantizer.fixed(x) for x in call.signals]
    full = [np.broadcast_to(x.factor, x.shape) for x in parts]
    name = quantizer.add(
        integer.Concatenate,
        parts,
        call.shape,
        call.name,
        axis=axis,
        input_shapes=tuple(x.shape for x in parts),
    )
    factor = plain(np.concatenate(full, axis))
    return Signal(name, call.shape, factor, timed=any(x.timed for x in parts))


# --- What leaves no trace ------------------------------------------------------------


@rule(layers.Identity)
def identity(quantizer, call):
    return call.signal


@rule(layers.Softmax, layers.Activation, *operation_types("Softmax", "Sigmoid"))
def last_activation(quantizer, call):
    """Behind the network it keeps the order of classes, and is left to the caller."""
    if not call.is_last:
        raise Refusal("only at the end of a network is it left to the caller.")
    quantizer.left_out.append(call.name)
    return call.signal
