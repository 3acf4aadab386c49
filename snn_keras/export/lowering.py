"""Integer networks as operators of TFLite, each exact.

Tensors are int32. What goes into a convolution or a dense layer is cast to int16,
digit by digit where it has more than 4 bits; scales are 1 and zero points 0, so the
kernels of TFLite rescale nothing and their sums come out as they are.
"""

import functools

import numpy as np

from snn_keras.export import integer
from snn_keras.export.flatbuffer import File, Quantization

ONE = Quantization()
INT16_MAX = 2**15 - 1


class Lowering:
    """Puts an integer network into a file, step by step.

    Args:
        network: An `integer.IntegerNetwork`.
        batch_size: Samples that the file takes at a time.
    """

    def __init__(self, network, batch_size):
        self.network = network
        self.batch_size = batch_size
        self.file = File(network.name)
        self.inputs = {}
        self.tensors = {}  # name in the network -> number of its int32 tensor
        self.states = {}  # name of the operation -> its state; None for 0
        self.counter = None  # the tensor that holds the step, in a stream
        self.step = 0
        self._static = network.static()
        self._count = 0
        for spec in network.inputs:
            self._add_input(spec)

    def _add_input(self, spec):
        shape = (self.batch_size, *spec.shape)
        meaning = Quantization(spec.scale, spec.zero_point)
        number = self.file.tensor(spec.name, shape, spec.dtype, meaning)
        self.inputs[spec.name] = number
        whole = self.cast(number, "int32", spec.shape)
        if spec.zero_point:
            whole = self.binary(
                "SUB", whole, self.constant(spec.zero_point), spec.shape
            )
        self.tensors[spec.name] = whole

    def add_step(self):
        """Adds the operators of one time step; what is static is added once."""
        for operation in self.network.operations:
            if operation.name in self._static and self.step:
                continue
            reads = [self.tensors[name] for name in operation.inputs]
            self.tensors[operation.name] = lower(operation, self, *reads)
        self.step += 1

    def rest(self):
        """Starts from rest, where all states are 0."""
        for operation in self.network.operations:
            self.states[operation.name] = [None] * len(operation.state_names)

    def plus(self, state, x, shape):
        """`state + x`; a state of None is 0."""
        return x if state is None else self.binary("ADD", state, x, shape)

    # --- Tensors and operators -------------------------------------------------------

    def tensor(self, shape, dtype="int32", name="", quantization=None):
        """A tensor `(batch, *shape)`."""
        self._count += 1
        name = name or f"value_{self._count}"
        return self.file.tensor(name, (self.batch_size, *shape), dtype, quantization)

    def constant(self, value):
        """An int32 constant, of the batch axis at least."""
        return self.file.constant(np.atleast_1d(value))

    def cast(self, x, dtype, shape):
        """`x` as another dtype; int16 with the scale 1 that sums of products need."""
        y = self.tensor(shape, dtype, quantization=ONE if dtype == "int16" else None)
        self.file.operator("CAST", [x], [y], "CastOptions")
        return y

    def binary(self, kind, a, b, shape, dtype="int32"):
        """An elementwise operator of two tensors, which may broadcast."""
        options = "".join(word.title() for word in kind.split("_")) + "Options"
        y = self.tensor(shape, dtype)
        self.file.operator(kind, [a, b], [y], options)
        return y

    def larger(self, a, b, shape):
        """The larger of two tensors, entry by entry."""
        y = self.tensor(shape)
        self.file.operator("MAXIMUM", [a, b], [y], "MaximumMinimumOptions")
        return y

    def where(self, kind, a, b, shape):
        """1 where the comparison holds, 0 elsewhere."""
        return self.cast(self.binary(kind, a, b, shape, "bool"), "int32", shape)

    def is_on(self, steps):
        """Whether the input is on at this step: True, False, or a tensor of 1 or 0."""
        if steps is None:
            return True
        if self.counter is None:
            return self.step < steps
        bound = self.constant(steps)
        y = self.file.tensor(f"on_{steps}", (1,), "bool")
        self.file.operator("LESS", [self.counter, bound], [y], "LessOptions")
        number = self.file.tensor(f"on_{steps}_int", (1,), "int32")
        self.file.operator("CAST", [y], [number], "CastOptions")
        return number

    def copy(self, x, shape, quantization=None):
        """A tensor of its own with the same entries."""
        return self.reshape(x, shape, quantization)

    def next_step(self):
        """The step counter plus 1."""
        y = self.file.tensor("step/next", (1,), "int32")
        one = self.constant(1)
        self.file.operator("ADD", [self.counter, one], [y], "AddOptions")
        return y

    def reshape(self, x, shape, quantization=None):
        """The same entries in another shape."""
        y = self.tensor(shape, quantization=quantization)
        full = np.asarray((self.batch_size, *shape), np.int32)
        size = self.file.constant(full)
        self.file.operator("RESHAPE", [x, size], [y], "ReshapeOptions", newShape=full)
        return y

    def slice(self, x, begin, ends, strides, shape):
        """Every so many entries from `begin` to `ends`, along each axis."""
        batch = (0, self.batch_size, 1)
        bounds = zip(batch, (begin, ends, strides), strict=True)
        numbers = [self.file.constant([first, *rest]) for first, rest in bounds]
        y = self.tensor(shape)
        self.file.operator("STRIDED_SLICE", [x, *numbers], [y], "StridedSliceOptions")
        return y

    def pad(self, x, padding, shape, value=0):
        """Constants around it; `padding` for each axis without the batch."""
        sides = self.file.constant([(0, 0), *padding])
        sizes = [n + sum(p) for n, p in zip(shape, padding, strict=True)]
        y = self.tensor(sizes)
        if value:
            fill = self.file.constant([value])
            self.file.operator("PADV2", [x, sides, fill], [y], "PadV2Options")
        else:
            self.file.operator("PAD", [x, sides], [y], "PadOptions")
        return y, sizes


@functools.singledispatch
def lower(operation, to, *reads):
    """Adds the operators of one operation at one step.

    Args:
        operation: An `integer.Operation`.
        to: The `Lowering`; its `states` hold those of the operation.
        *reads: Numbers of the int32 tensors that it reads.

    Returns:
        The number of the int32 tensor that it makes.
    """
    raise NotImplementedError(type(operation).__name__)


# --- Products ------------------------------------------------------------------------


def in_digits(operation, to, x, shape, product):
    """The sum over the digits of `x` of what `product` makes of each, in int32."""
    total = None
    for place, digit in digits_of(operation, to, x, shape):
        y = to.cast(product(to.cast(digit, "int16", shape)), "int32", operation.shape)
        if place > 1:
            y = to.binary("MUL", y, to.constant(place), operation.shape)
        total = y if total is None else to.binary("ADD", total, y, operation.shape)
    return total


def digits_of(operation, to, x, shape):
    """The digits of `x` as `(place, tensor)`, by comparisons, which all targets have.

    Bit after bit, the most significant first, as a bit-serial neuron does.
    """
    interval = to.network.intervals[operation.inputs[0]]
    places = [place for place, _ in integer.digits(interval, shape[-1])]
    top = places[-1]
    if top == 1:
        return [(1, x)]
    interval = interval.with_zero()  # padding is 0
    least, most = (int(v) // top for v in (interval.low.min(), interval.high.max()))
    if least:
        x = to.binary("SUB", x, to.constant(least * top), shape)
    found = {}
    for k in reversed(range(((most - least + 1) * top - 1).bit_length())):
        place = min(top, integer.DIGIT ** (k // 4))
        bit = to.constant(2**k)
        z = to.where("GREATER_EQUAL", x, bit, shape)
        x = to.binary("SUB", x, to.binary("MUL", z, bit, shape), shape)
        z = to.binary("MUL", z, to.constant(2**k // place), shape)
        digit = found.get(place)
        found[place] = z if digit is None else to.binary("ADD", digit, z, shape)
    if least:
        found[top] = to.binary("ADD", found[top], to.constant(least), shape)
    return list(found.items())


def kernel_constant(to, kernel, axis):
    """An int8 constant, of scale 1 in each of its channels."""
    scales = Quantization(np.ones(kernel.shape[axis], np.float32), 0, axis)
    return to.file.constant(kernel, "int8", scales)


def no_bias(to, channels):
    """The bias of 0 that some kernels of TFLite insist on."""
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


def padded(operation, to, x, shape, value=0):
    """`x`, padded where no name of TFLite's paddings says the same.

    Returns:
        Whether the padding is "SAME", `x`, and its shape.
    """
    window = getattr(operation, "window", None) or operation.kernel.shape[:2]
    dilation = getattr(operation, "dilation", (1, 1))
    same = []
    for n, k, s, d in zip(shape, window, operation.strides, dilation, strict=False):
        total = max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
        same.append((total // 2, total - total // 2))
    if operation.padding == tuple(same):
        return True, x, shape
    if np.any(operation.padding):
        x, shape = to.pad(x, (*operation.padding, (0, 0)), shape, value)
    return False, x, shape


def _shape_of(operation, to):
    """Shape of the only input, without the batch."""
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


# --- What has a state ----------------------------------------------------------------


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


def max_pool(operation, to, x, interval):
    """The largest of each window: in int16 where that holds it, else by slices."""
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
    largest = None
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
def _(operation: integer.FireBits, to, x):
    shape, level = operation.shape, None
    u = to.binary("ADD", x, to.constant(operation.initial), shape)
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
