"""C of the operations that make sums: dense layers, convolutions, sums over axes."""

import functools
import math

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import (
    SPARSE,
    SPARSE_DEPTHWISE,
    Events,
    is_sparse,
    sums_dtype,
)
from snn_keras.export.c.function import Function
from snn_keras.export.c.stages import lengths


@functools.singledispatch
def head(operation: integer.Operation, function: Function) -> None:
    """Writes the loops of a stage whose first operation makes sums."""
    raise NotImplementedError(type(operation).__name__)


@head.register
def _(operation: integer.Dense, function):
    x, code = function.read(operation.inputs[0], "x"), function.code
    taken, made = operation.kernel.shape
    interval = integer.of_channels(x.interval, taken)
    wide = integer.Interval(interval.low[:, None], interval.high[:, None])
    dtype = sums_dtype(wide, operation.kernel, (0,))
    sums = function.scratch("sums", dtype, made)
    weights = function.constant(f"{operation.name}_weights", operation.kernel)
    sparse = is_sparse(function, SPARSE)
    places, _ = lengths(operation.shape)
    events = Events(function, x, dtype, taken) if sparse else None
    with code.loop("place", places):
        code(f"memset({sums}, 0, {made} * sizeof *{sums});")
        if events is not None:
            with events.listed(f"place * {taken}", made) as further:
                code(events.add(sums, made, weights + further, made))
        else:
            row = f"x + place * {taken}"
            _add_numbers(function, dtype, sums, made, weights, x.dtype, row, taken)
        finish(function, "place", 1, f"{sums}[i * {made} + c]")


def _add_numbers(function, dtype, sums, made, weights, x_dtype, x, count):
    """Adds all numbers of a slice, each times its row of weights."""
    function.kernels.add(("numbers", dtype, x_dtype))
    call = f"add_numbers_{dtype}_{x_dtype}"
    function.code(f"{call}({sums}, {made}, {weights}, {x}, {count});")


@head.register
def _(operation: integer.Convolve, function):
    x = function.read(operation.inputs[0], "x")
    kernel = operation.kernel
    interval = integer.of_channels(x.interval, kernel.shape[2])
    wide = integer.Interval(interval.low[:, None], interval.high[:, None])
    dtype = sums_dtype(wide, kernel, (0, 1, 2))
    groups = groups_of(kernel)
    if is_sparse(function, SPARSE) or groups > 1:
        _events_of_rows(operation, function, x, dtype, groups)
    else:
        _whole_windows(operation, function, x, dtype)


def groups_of(kernel: np.ndarray) -> int:
    """The number of groups, between which all weights are 0."""
    *_, taken, made = kernel.shape
    used = np.any(kernel, axis=(0, 1))
    most = math.gcd(taken, made)
    for groups in (n for n in range(most, 1, -1) if most % n == 0):
        parts = used.reshape(groups, taken // groups, groups, made // groups)
        across = parts.any(axis=(1, 3))
        if not across[~np.eye(groups, dtype=bool)].any():
            return groups
    return 1


def grouped(kernel: np.ndarray, groups: int) -> np.ndarray:
    """The weights within groups, `(group, rows, columns, in, out)`."""
    rows, columns, taken, made = kernel.shape
    parts = kernel.reshape(
        rows, columns, groups, taken // groups, groups, made // groups
    )
    return np.stack([parts[:, :, g, :, g] for g in range(groups)])


def _events_of_rows(operation, function, x, dtype, groups):
    """Row by row of the output: each event adds its weights to the sums it reaches."""
    rows, columns, taken, made = operation.kernel.shape
    step, apart = operation.strides[1], operation.dilation[1]
    # With neighbouring columns, an event adds to neighbouring sums, in one run.
    is_run = step == apart == groups == 1
    taken, made = taken // groups, made // groups
    weights = grouped(operation.kernel, groups).transpose(0, 3, 1, 2, 4)
    weights = weights[:, :, :, ::-1] if is_run else weights
    name = function.constant(f"{operation.name}_weights", weights)
    function.notes.append("weights: input channel, row, column, output channel")
    events, code = Events(function, x, dtype, taken), function.code
    stride = rows * columns * made
    (_, width, channels), depth = x.shape, groups * made
    left = max(columns - 1 - operation.padding[1][0], 0) if is_run else 0
    begin = left + operation.padding[1][0] - columns + 1  # of the first column's run
    length = operation.shape[1] + left
    if is_run:
        length = max(length, begin + width - 1 + columns)
    sums = function.scratch("sums", dtype, length * depth)
    with code.loop("row", operation.shape[0]):
        code(f"memset({sums}, 0, {length * depth} * sizeof *{sums});")
        with _taps(code, "ky", "from", "row", operation, 0, x.shape[0]):
            with code.loop("column", width), _loop_groups(code, groups):
                start = f"(from * {width} + column) * {channels}"
                start += f" + group * {taken}" if groups > 1 else ""
                with events.listed(start, stride) as further:
                    row = f"{name} + ky * {columns * made}{further}"
                    if groups > 1:
                        row += f" + group * {taken * stride}"
                    if is_run:
                        to = f"{sums} + (column + {begin}) * {made}"
                        code(events.add(to, columns * made, row, stride))
                    else:
                        _each_column(operation, code, events, sums, row, groups)
        finish(
            function,
            f"row * {operation.shape[1]}",
            operation.shape[1],
            f"{sums}[(i + {left}) * {depth} + c]",
        )


def _loop_groups(code, groups):
    return code.loop("group", groups) if groups > 1 else code.block("")


def _each_column(operation, code, events, sums, row, groups):
    """Adds the listed events of one input column to all outputs that it reaches."""
    _, columns, _, made = operation.kernel.shape
    within = made // groups
    stride = operation.kernel.shape[0] * columns * within
    with _reached(code, operation):
        to = f"{sums} + to * {made}" + (f" + group * {within}" if groups > 1 else "")
        code(events.add(to, within, f"{row} + kx * {within}", stride))


def _reached(code, operation):
    """The block for each output column `to` that an input column reaches by `kx`."""
    columns, step = operation.kernel.shape[1], operation.strides[1]
    block = code.loop("kx", columns)
    before, apart = operation.padding[1][0], operation.dilation[1]
    head = f"const int reach = column + {before} - kx * {apart};"
    misses = f"reach < 0 || reach % {step} != 0"
    lines = (
        head,
        f"if ({misses} || reach / {step} >= {operation.shape[1]}) continue;",
        f"const int to = reach / {step};",
    )
    return _Begin(code, block, lines)


def _taps(code, k, local, place, operation, axis, size):
    """The block for each tap `k` of an axis, with the input's index, if it exists."""
    step, apart = operation.strides[axis], operation.dilation[axis]
    before = operation.padding[axis][0]
    lines = (
        f"const int {local} = {place} * {step} + {k} * {apart} - {before};",
        f"if ({local} < 0 || {local} >= {size}) continue;",
    )
    return _Begin(code, code.loop(k, operation.kernel.shape[axis]), lines)


class _Begin:
    """A block that begins with certain lines."""

    def __init__(self, code, block, lines):
        self.code, self.block, self.lines = code, block, lines

    def __enter__(self):
        self.block.__enter__()
        self.code(*self.lines)

    def __exit__(self, *error):
        return self.block.__exit__(*error)


def _whole_windows(operation, function, x, dtype):
    """Output by output: the window is copied, then each of its numbers multiplied."""
    rows, columns, taken, made = operation.kernel.shape
    name = function.constant(f"{operation.name}_weights", operation.kernel)
    function.notes.append("weights: row, column, input channel, output channel")
    code, (height, width, _) = function.code, x.shape
    sums = function.scratch("sums", dtype, made)
    count = rows * columns * taken
    window = function.scratch("window", x.dtype, count)
    with code.loop("row", operation.shape[0]):
        with code.loop("column", operation.shape[1]):
            code(f"memset({window}, 0, {count} * sizeof *{window});")
            with _taps(code, "ky", "from", "row", operation, 0, height):
                with _taps(code, "kx", "at", "column", operation, 1, width):
                    to = f"{window} + (ky * {columns} + kx) * {taken}"
                    source = f"x + (from * {width} + at) * {taken}"
                    code(f"memcpy({to}, {source}, {taken} * sizeof *{window});")
            code(f"memset({sums}, 0, {made} * sizeof *{sums});")
            _add_numbers(function, dtype, sums, made, name, x.dtype, window, count)
            place = f"row * {operation.shape[1]} + column"
            finish(function, place, 1, f"{sums}[i * {made} + c]")


@head.register
def _(operation: integer.DepthwiseConvolve, function):
    x = function.read(operation.inputs[0], "x")
    rows, columns, taken, each = operation.kernel.shape
    interval = integer.of_channels(x.interval, taken)
    wide = integer.Interval(interval.low[:, None], interval.high[:, None])
    dtype = sums_dtype(wide, operation.kernel, (0, 1))
    depth, code = taken * each, function.code
    count = operation.shape[1] * depth
    sums = function.scratch("sums", dtype, count)
    is_pool = bool(np.all(operation.kernel == 1))
    sparse = is_sparse(function, SPARSE_DEPTHWISE)
    weights = ""
    if not is_pool:
        order = (2, 0, 1, 3) if sparse else (0, 1, 2, 3)
        kernel = operation.kernel.transpose(order)
        weights = function.constant(f"{operation.name}_weights", kernel)
    events = Events(function, x, dtype, taken) if sparse else None
    with code.loop("row", operation.shape[0]):
        code(f"memset({sums}, 0, {count} * sizeof *{sums});")
        with _taps(code, "ky", "from", "row", operation, 0, x.shape[0]):
            if events is not None:
                _depthwise_events(operation, function, events, dtype, weights)
            else:
                _depthwise_numbers(operation, function, x, dtype, weights)
        first = f"row * {operation.shape[1]}"
        finish(function, first, operation.shape[1], f"{sums}[i * {depth} + c]")


def _depthwise_events(operation, function, events, dtype, weights):
    rows, columns, taken, each = operation.kernel.shape
    code, width = function.code, events.x.shape[1]
    depth = taken * each
    with code.loop("column", width):
        start = f"(from * {width} + column) * {taken}"
        stride = rows * columns * each
        with events.listed(start, stride) as further, _reached(code, operation):
            with code.loop("k", "events"), code.loop("m", each):
                c = "places[k]" + (" + part" if further else "")
                factor = f"{weights}[(({c}) * {rows * columns} + ky * {columns} + kx)"
                factor = f" * {factor} * {each} + m]" if weights else ""
                entry = f"sums[to * {depth} + ({c}) * {each} + m]"
                code(f"{entry} = ({dtype}_t)({entry} + values[k]{factor});")


def _depthwise_numbers(operation, function, x, dtype, weights):
    rows, columns, taken, each = operation.kernel.shape
    code, width = function.code, x.shape[1]
    depth = taken * each
    with code.loop("column", operation.shape[1]):
        with _taps(code, "kx", "at", "column", operation, 1, width):
            with code.loop("c", depth):
                c = "c" if each == 1 else f"c / {each}"
                factor = f" * {weights}[(ky * {columns} + kx) * {depth} + c]"
                product = f"x[(from * {width} + at) * {taken} + {c}]"
                product += factor if weights else ""
                entry = f"sums[column * {depth} + c]"
                code(f"{entry} = ({dtype}_t)({entry} + {product});")


@head.register
def _(operation: integer.Sum, function):
    x, code = function.read(operation.inputs[0], "x"), function.code
    whole = x.interval.full(x.shape)
    dtype = sums_dtype(whole, np.ones(x.shape, np.int8), operation.axes)
    places, channels = lengths(operation.shape)
    count = places * channels
    sums = function.scratch("sums", dtype, count)
    code(f"memset({sums}, 0, {count} * sizeof *{sums});")
    strides = np.cumprod((1, *operation.shape[:0:-1]))[::-1]
    lead, last = lengths(x.shape)
    terms, after = [], last
    for axis in reversed(range(len(x.shape) - 1)):
        n = x.shape[axis]
        if axis not in operation.axes:
            terms.append(f"q / {after // last} % {n} * {strides[axis]}")
        after *= n
    terms += ["d"] if len(x.shape) - 1 not in operation.axes else []
    entry = f"{sums}[{' + '.join(terms) or '0'}]"
    with code.loop("q", lead), code.loop("d", last):
        code(f"{entry} = ({dtype}_t)({entry} + x[q * {last} + d]);")
    finish(function, "0", places, f"{sums}[i * {channels} + c]")
