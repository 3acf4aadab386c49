"""Lowers each kind of integer operation to operators of TFLite."""

import numpy as np

from snn_keras.export import integer
from snn_keras.export.tflite.lowering import lower

# --- Products ------------------------------------------------------------------------


@lower.register
def _(operation: integer.Dense | integer.Convolve, to, x):
    return to.arithmetic.product(operation, to, x)


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
        gated = to.file.tensor(f"{operation.name}/on", shape, to.dtype)
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
    y = to.like(x, operation.shape)
    to.file.operator("TRANSPOSE", [x, axes], [y], "TransposeOptions")
    return y


@lower.register
def _(operation: integer.Pad, to, x):
    return to.pad(x, operation.padding)


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
        y = to.like(x, (before, times, after))
        to.file.operator("TILE", [x, counts], [y], "TileOptions")
        shape[axis] *= times
        x = to.reshape(y, shape)
    return x


@lower.register
def _(operation: integer.Concatenate, to, *xs):
    y = to.like(xs[0], operation.shape)
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
        return to.arithmetic.max_pool(operation, to, x, interval)
    total, before = to.states[operation.name]
    total = to.plus(total, x, operation.input_shape)
    interval, _ = to.network.state_intervals[operation.name]
    pool = to.arithmetic.max_pool(operation, to, total, interval)
    to.states[operation.name] = [total, pool]
    return pool if before is None else to.binary("SUB", pool, before, operation.shape)


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
    for size, bound in operation.thresholds():
        above, below = bound - operation.initial, -bound - operation.initial
        fires = to.where("GREATER_EQUAL", u, to.constant(above), shape)
        if most is not None and before is not None:
            free = to.where("LESS_EQUAL", before, to.constant(most - size), shape)
            fires = to.binary("MUL", fires, free, shape)
        if before is not None:
            below = to.where("LESS", u, to.constant(below), shape)
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
