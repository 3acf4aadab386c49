"""Lowers each kind of integer operation to operators of TFLite."""

from collections.abc import Callable
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.interval import Interval
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.lowering import INT16_MAX, ONE, Lowering, lower
from snn_keras.linear.windows import padding_of

# --- Products ------------------------------------------------------------------------


def in_digits(
    operation: Any,
    to: Lowering,
    x: int,
    shape: tuple[int, ...],
    product: Callable[[int], int],
) -> int:
    """The int32 sum of `product(digit)` over the digits of `x`, with their places."""
    total: Any = None
    for place, digit in digits_of(operation, to, x, shape):
        y = to.cast(product(to.cast(digit, "int16", shape)), "int32", operation.shape)
        if place > 1:
            y = to.binary("MUL", y, to.constant(place), operation.shape)
        total = y if total is None else to.binary("ADD", total, y, operation.shape)
    return total


def digits_of(
    operation: Any, to: Lowering, x: int, shape: tuple[int, ...]
) -> list[tuple[int, int]]:
    """The digits of `x` as `(place, tensor)`, by comparisons, which all targets have.

    Bits are found one by one, the most significant first, as by a bit-serial neuron.
    """
    interval = to.network.intervals[operation.inputs[0]]
    each = isinstance(operation, integer.DepthwiseConvolve)
    bits = integer.digit_bits(operation.kernel, interval, each)
    places = [place for place, _ in integer.digits(interval, shape[-1], bits)]
    top = places[-1]
    if top == 1:
        return [(1, x)]
    interval = interval.with_zero()  # padding is 0
    least, most = (int(v) // top for v in (interval.low.min(), interval.high.max()))
    if least:
        x = to.binary("SUB", x, to.constant(least * top), shape)
    found = {}
    for k in reversed(range(((most - least + 1) * top - 1).bit_length())):
        place = min(top, 2 ** (k // bits * bits))
        bit = to.constant(2**k)
        z = to.where("GREATER_EQUAL", x, bit, shape)
        x = to.binary("SUB", x, to.binary("MUL", z, bit, shape), shape)
        z = to.binary("MUL", z, to.constant(2**k // place), shape)
        digit = found.get(place)
        found[place] = z if digit is None else to.binary("ADD", digit, z, shape)
    if least:
        found[top] = to.binary("ADD", found[top], to.constant(least), shape)
    return list(found.items())


def kernel_constant(to: Lowering, kernel: np.ndarray, axis: int) -> int:
    """An int8 constant with scale 1 for each channel."""
    scales = Quantization(np.ones(kernel.shape[axis], np.float32), 0, axis)
    return to.file.constant(kernel, "int8", scales)


def no_bias(to: Lowering, channels: int) -> int:
    """A bias of 0, which some kernels of TFLite require."""
    scales = Quantization(np.ones(channels, np.float32))
    return to.file.constant(np.zeros(channels), "int64", scales)


@lower.register
def _(operation: integer.Dense, to, x):
    shape = _shape_of(operation, to)
    kernel = kernel_constant(to, operation.kernel.T, 0)
    bias = no_bias(to, operation.shape[-1])

    def product(digit):
        y = to.tensor(operation.shape, "int16", quantization=ONE)
        table = {"keepNumDims": len(shape) > 1}
        to.file.operator(
            "FULLY_CONNECTED",
            [digit, kernel, bias],
            [y],
            "FullyConnectedOptions",
            version=7,
            **table,
        )
        return y

    return in_digits(operation, to, x, shape, product)


@lower.register
def _(operation: integer.Convolve, to, x):
    depthwise = isinstance(operation, integer.DepthwiseConvolve)
    shape = _shape_of(operation, to)
    weights = operation.kernel
    if depthwise:
        kernel = weights.reshape(1, *weights.shape[:2], -1)
    else:
        kernel = weights.transpose(3, 0, 1, 2)
    kernel = kernel_constant(to, kernel, 3 if depthwise else 0)
    bias = no_bias(to, operation.shape[-1])
    table = {
        "strideH": operation.strides[0],
        "strideW": operation.strides[1],
        "dilationHFactor": operation.dilation[0],
        "dilationWFactor": operation.dilation[1],
    }
    if depthwise:
        table["depthMultiplier"] = weights.shape[-1]
    is_same, x, shape = padded(operation, to, x, shape)
    table["padding"] = 0 if is_same else 1

    def product(digit):
        y = to.tensor(operation.shape, "int16", quantization=ONE)
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        options = "DepthwiseConv2DOptions" if depthwise else "Conv2DOptions"
        inputs = [digit, kernel, bias]
        to.file.operator(kind, inputs, [y], options, version=5, **table)
        return y

    return in_digits(operation, to, x, shape, product)


def padded(
    operation: Any, to: Lowering, x: int, shape: tuple[int, ...], value: int = 0
) -> tuple[bool, int, tuple[int, ...]]:
    """`x`, padded unless TFLite's "SAME" or "VALID" has the same effect.

    Returns:
        Whether the padding is "SAME", `x`, and its shape.
    """
    window = getattr(operation, "window", None) or operation.kernel.shape[:2]
    dilation = getattr(operation, "dilation", (1, 1))
    settings = window, operation.strides, dilation
    if operation.padding == padding_of("same", shape[:2], *settings):
        return True, x, shape
    if np.any(operation.padding):
        x, shape = to.pad(x, (*operation.padding, (0, 0)), shape, value)
    return False, x, shape


def _shape_of(operation, to):
    """The shape of the only input, without the batch."""
    (name,) = operation.inputs
    for known in (*to.network.inputs, *to.network.operations):
        if known.name == name:
            return tuple(known.shape)
    raise KeyError(name)


# --- Elementwise ---------------------------------------------------------------------


@lower.register
def _(operation: integer.Scale, to, x):
    if np.all(operation.factor == 1):
        return x
    return to.binary("MUL", x, to.constant(operation.factor), operation.shape)


@lower.register
def _(operation: integer.Shift, to, x):
    on = to.is_on(operation.on)
    offset = to.constant(operation.offset)
    if on is False:
        return x
    if on is not True:
        shape = np.shape(np.atleast_1d(operation.offset))
        gated = to.file.tensor(f"{operation.name}/on", shape, "int32")
        to.file.operator("MUL", [offset, on], [gated], "MulOptions")
        offset = gated
    return to.binary("ADD", x, offset, operation.shape)


@lower.register
def _(operation: integer.Gate, to, x):
    on = to.is_on(operation.on)
    if on is True:
        return x
    return to.binary("MUL", x, to.constant(0) if on is False else on, operation.shape)


@lower.register
def _(operation: integer.Add, to, a, b):
    return to.binary("ADD", a, b, operation.shape)


# --- Shapes --------------------------------------------------------------------------


@lower.register
def _(operation: integer.Reshape, to, x):
    return to.reshape(x, operation.shape)


@lower.register
def _(operation: integer.Transpose, to, x):
    axes = to.file.constant([0, *(a + 1 for a in operation.axes)])
    y = to.tensor(operation.shape)
    to.file.operator("TRANSPOSE", [x, axes], [y], "TransposeOptions")
    return y


@lower.register
def _(operation: integer.Pad, to, x):
    return to.pad(x, operation.padding, operation.input_shape)[0]


@lower.register
def _(operation: integer.Crop, to, x):
    begin, strides = operation.begin, operation.strides
    return to.slice(x, begin, operation.ends(), strides, operation.shape)


@lower.register
def _(operation: integer.Repeat, to, x):
    # (a, b, c) -> (a, 1, b c) -> (a, times, b c) -> (a times, b, c), axis by axis.
    shape = list(operation.input_shape)
    for axis, times in enumerate(operation.times):
        if times == 1:
            continue
        before = int(np.prod(shape[: axis + 1]))
        after = int(np.prod(shape[axis + 1 :]))
        x = to.reshape(x, (before, 1, after))
        counts = to.file.constant([1, 1, times, 1])
        y = to.tensor((before, times, after))
        to.file.operator("TILE", [x, counts], [y], "TileOptions")
        shape[axis] *= times
        x = to.reshape(y, shape)
    return x


@lower.register
def _(operation: integer.Concatenate, to, *xs):
    y = to.tensor(operation.shape)
    table = {"axis": operation.axis + 1}
    to.file.operator("CONCATENATION", xs, [y], "ConcatenationOptions", **table)
    return y


@lower.register
def _(operation: integer.Sum, to, x):
    axes = to.file.constant([a + 1 for a in operation.axes])
    y = to.tensor(operation.shape)
    to.file.operator("SUM", [x, axes], [y], "ReducerOptions", keepDims=True)
    return y


# --- Operations with a state ---------------------------------------------------------


@lower.register
def _(operation: integer.MaxPool, to, x):
    if not operation.over_time:
        interval = to.network.intervals[operation.inputs[0]]
        return max_pool(operation, to, x, interval)
    total, before = to.states[operation.name]
    total = to.plus(total, x, operation.input_shape)
    interval, _ = to.network.state_intervals[operation.name]
    pool = max_pool(operation, to, total, interval)
    to.states[operation.name] = [total, pool]
    return pool if before is None else to.binary("SUB", pool, before, operation.shape)


def max_pool(operation: Any, to: Lowering, x: int, interval: Interval) -> int:
    """Max pooling: by the operator in int16 if values fit, else by slices."""
    shape, least = operation.input_shape, -(2**31)
    if interval.largest <= INT16_MAX:
        is_same, x, shape = padded(operation, to, x, shape, -INT16_MAX)
        y = to.tensor(operation.shape, "int16", quantization=ONE)
        to.file.operator(
            "MAX_POOL_2D",
            [to.cast(x, "int16", shape)],
            [y],
            "Pool2DOptions",
            version=3,
            padding=0 if is_same else 1,
            strideH=operation.strides[0],
            strideW=operation.strides[1],
            filterHeight=operation.window[0],
            filterWidth=operation.window[1],
        )
        return to.cast(y, "int32", operation.shape)
    if np.any(operation.padding):
        x, shape = to.pad(x, (*operation.padding, (0, 0)), shape, least)
    largest: Any = None
    for place in np.ndindex(*operation.window):
        ends = [
            p + s * (n - 1) + 1
            for p, s, n in zip(
                place, operation.strides, operation.shape[:2], strict=True
            )
        ]
        begin, ends = (*place, 0), (*ends, shape[-1])
        strides = (*operation.strides, 1)
        y = to.slice(x, begin, ends, strides, operation.shape)
        largest = y if largest is None else to.larger(largest, y, operation.shape)
    return largest


@lower.register
def _(operation: integer.Fire, to, x):
    shape, threshold = operation.shape, to.constant(operation.threshold)
    (potential,) = to.states[operation.name]
    u = to.plus(potential, x, shape)
    bound = to.constant(operation.threshold - operation.initial)
    z = to.where("GREATER_EQUAL", u, bound, shape)
    sent = to.binary("MUL", z, threshold, shape)
    to.states[operation.name] = [to.binary("SUB", u, sent, shape)]
    return z


@lower.register
def _(operation: integer.SignedFire, to, x):
    shape, threshold = operation.shape, to.constant(operation.threshold)
    potential, count = to.states[operation.name]
    u = to.plus(potential, x, shape)
    bound = to.constant(operation.threshold - operation.initial)
    z = to.where("GREATER_EQUAL", u, bound, shape)
    if count is not None:
        if operation.ceiling is not None:
            free = to.where("LESS", count, to.constant(operation.ceiling), shape)
            z = to.binary("MUL", z, free, shape)
        below = to.where("LESS", u, to.constant(-operation.initial), shape)
        sent = to.where("GREATER", count, to.constant(0), shape)
        z = to.binary("SUB", z, to.binary("MUL", below, sent, shape), shape)
    u = to.binary("SUB", u, to.binary("MUL", z, threshold, shape), shape)
    to.states[operation.name] = [u, to.plus(count, z, shape)]
    return z


@lower.register
def _(operation: integer.FireSizes, to, x):
    shape, z = operation.shape, None
    potential, before = to.states[operation.name]
    u = to.plus(potential, x, shape)
    most = operation.ceiling
    for size, above, below in operation.thresholds():
        fires = to.where("GREATER_EQUAL", u, to.constant(above), shape)
        if most is not None and before is not None:
            free = to.where("LESS_EQUAL", before, to.constant(most - size), shape)
            fires = to.binary("MUL", fires, free, shape)
        if before is not None:
            below = to.where("LESS_EQUAL", u, to.constant(below), shape)
            may = to.where("GREATER_EQUAL", before, to.constant(size), shape)
            fires = to.binary("SUB", fires, to.binary("MUL", below, may, shape), shape)
        more = to.constant(size - size // 2)  # than the size below it
        adds = to.binary("MUL", fires, more, shape)
        z = adds if z is None else to.binary("ADD", z, adds, shape)
    least = to.constant(operation.least)
    u = to.binary("SUB", u, to.binary("MUL", z, least, shape), shape)
    to.states[operation.name] = [u, to.plus(before, z, shape)]
    return z


@lower.register
def _(operation: integer.FireBits, to, x):
    shape, level = operation.shape, None
    u = to.binary("ADD", x, to.constant(operation.initial), shape)
    if operation.most is not None:
        u = to.smaller(u, to.constant(operation.most), shape)
    for weight in operation.weights():
        weight = to.constant(weight)
        z = to.where("GREATER_EQUAL", u, weight, shape)
        u = to.binary("SUB", u, to.binary("MUL", z, weight, shape), shape)
        if level is not None:
            level = to.binary("ADD", level, level, shape)
        level = z if level is None else to.binary("ADD", level, z, shape)
    return level


@lower.register
def _(operation: integer.Integrate, to, x):
    (total,) = to.states[operation.name]
    total = to.plus(total, x, operation.shape)
    to.states[operation.name] = [total]
    return total
