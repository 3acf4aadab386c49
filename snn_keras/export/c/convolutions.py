"""C of convolutions: event by event, row by row; or number by number, in windows."""

import math

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import SPARSE, Events, is_sparse, sums_dtype
from snn_keras.export.c.sums import add_numbers, head
from snn_keras.export.c.taps import reached, taps


@head.register
def _(operation: integer.Convolve, function):
    x = function.read(operation.inputs[0], "x")
    kernel = operation.kernel
    interval = integer.of_channels(x.interval, kernel.shape[2])
    wide = integer.Interval(interval.low[:, None], interval.high[:, None])
    groups = groups_of(kernel)
    if is_sparse(function, SPARSE) or groups > 1:
        _events_of_rows(operation, function, x, wide, groups)
    else:
        _whole_windows(operation, function, x, wide)


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


def _events_of_rows(operation, function, x, wide, groups):
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
    stride = rows * columns * made
    (_, width, channels), depth = x.shape, groups * made
    left = max(columns - 1 - operation.padding[1][0], 0) if is_run else 0
    begin = left + operation.padding[1][0] - columns + 1  # of the first column's run
    length = operation.shape[1] + left
    if is_run:
        length = max(length, begin + width - 1 + columns)
    whole, axes = length * depth, (0, 1, 2)
    events = Events(function, x, wide, operation.kernel, axes, taken, whole)
    code = function.code
    with code.loop("row", operation.shape[0]):
        events.clear()
        with (
            taps(code, "ky", "from", "row", operation, 0, x.shape[0]),
            code.loop("column", width),
            _loop_groups(code, groups),
        ):
            start = f"(from * {width} + column) * {channels}"
            start += f" + group * {taken}" if groups > 1 else ""
            with events.listed(start, stride) as further:
                row = f"{name} + ky * {columns * made}{further}"
                if groups > 1:
                    row += f" + group * {taken * stride}"
                if is_run:
                    to = f"(column + {begin}) * {made}"
                    events.add(to, columns * made, row, stride)
                else:
                    _each_column(operation, code, events, row, groups)
        finish(
            function,
            f"row * {operation.shape[1]}",
            operation.shape[1],
            events.sum(f"(i + {left}) * {depth} + c"),
        )


def _loop_groups(code, groups):
    return code.loop("group", groups) if groups > 1 else code.block("")


def _each_column(operation, code, events, row, groups):
    """Adds the listed events of one input column to all outputs that it reaches."""
    _, columns, _, made = operation.kernel.shape
    within = made // groups
    stride = operation.kernel.shape[0] * columns * within
    with reached(code, operation):
        to = f"to * {made}" + (f" + group * {within}" if groups > 1 else "")
        events.add(to, within, f"{row} + kx * {within}", stride)


def _whole_windows(operation, function, x, wide):
    """Output by output: the window is copied, then each of its numbers multiplied."""
    rows, columns, taken, made = operation.kernel.shape
    name = function.constant(f"{operation.name}_weights", operation.kernel)
    function.notes.append("weights: row, column, input channel, output channel")
    code, (height, width, _) = function.code, x.shape
    dtype = sums_dtype(wide, operation.kernel, (0, 1, 2))
    sums = function.scratch("sums", dtype, made)
    count = rows * columns * taken
    window = function.scratch("window", x.dtype, count)
    with code.loop("row", operation.shape[0]), code.loop("column", operation.shape[1]):
        code(f"memset({window}, 0, {count} * sizeof *{window});")
        with (
            taps(code, "ky", "from", "row", operation, 0, height),
            taps(code, "kx", "at", "column", operation, 1, width),
        ):
            to = f"{window} + (ky * {columns} + kx) * {taken}"
            source = f"x + (from * {width} + at) * {taken}"
            code(f"memcpy({to}, {source}, {taken} * sizeof *{window});")
        code(f"memset({sums}, 0, {made} * sizeof *{sums});")
        add_numbers(function, dtype, sums, made, name, x.dtype, window, count)
        place = f"row * {operation.shape[1]} + column"
        finish(function, place, 1, f"{sums}[i * {made} + c]")
