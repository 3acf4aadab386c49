"""C of depthwise convolutions and average pooling, whose weights may all be 1."""

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import SPARSE_DEPTHWISE, Events, is_sparse, sums_dtype
from snn_keras.export.c.sums import head
from snn_keras.export.c.taps import reached, taps


@head.register
def _(operation: integer.DepthwiseConvolve, function):
    x = function.read(operation.inputs[0], "x")
    *_, taken, each = operation.kernel.shape
    interval = integer.of_channels(x.interval, taken)
    wide = integer.Interval(interval.low[:, None], interval.high[:, None])
    depth, code = taken * each, function.code
    count = operation.shape[1] * depth
    is_pool = bool(np.all(operation.kernel == 1))
    sparse = is_sparse(function, SPARSE_DEPTHWISE)
    weights = ""
    if not is_pool:
        order = (2, 0, 1, 3) if sparse else (0, 1, 2, 3)
        kernel = operation.kernel.transpose(order)
        weights = function.constant(f"{operation.name}_weights", kernel)
    settings = wide, operation.kernel, (0, 1)
    events, dtype = None, sums_dtype(*settings)
    if sparse:
        events = Events(function, x, *settings, taken, count, may_halve=False)
    else:
        function.scratch("sums", dtype, count)
    with code.loop("row", operation.shape[0]):
        code(f"memset(sums, 0, {count} * sizeof *sums);")
        with taps(code, "ky", "from", "row", operation, 0, x.shape[0]):
            if events is not None:
                _depthwise_events(operation, function, events, dtype, weights)
            else:
                _depthwise_numbers(operation, function, x, dtype, weights)
        first = f"row * {operation.shape[1]}"
        finish(function, first, operation.shape[1], f"sums[i * {depth} + c]")


def _depthwise_events(operation, function, events, dtype, weights):
    rows, columns, taken, each = operation.kernel.shape
    code, width = function.code, events.x.shape[1]
    depth = taken * each
    with code.loop("column", width):
        start = f"(from * {width} + column) * {taken}"
        stride = rows * columns * each
        with (
            events.listed(start, stride) as further,
            reached(code, operation),
            code.loop("k", "events"),
            code.loop("m", each),
        ):
            c = "places[k]" + (" + part" if further else "")
            factor = f"{weights}[(({c}) * {rows * columns} + ky * {columns} + kx)"
            factor = f" * {factor} * {each} + m]" if weights else ""
            entry = f"sums[to * {depth} + ({c}) * {each} + m]"
            code(f"{entry} = ({dtype}_t)({entry} + values[k]{factor});")


def _depthwise_numbers(operation, function, x, dtype, weights):
    _, columns, taken, each = operation.kernel.shape
    code, width = function.code, x.shape[1]
    depth = taken * each
    with (
        code.loop("column", operation.shape[1]),
        taps(code, "kx", "at", "column", operation, 1, width),
        code.loop("c", depth),
    ):
        c = "c" if each == 1 else f"c / {each}"
        factor = f" * {weights}[(ky * {columns} + kx) * {depth} + c]"
        product = f"x[(from * {width} + at) * {taken} + {c}]"
        product += factor if weights else ""
        entry = f"sums[column * {depth} + c]"
        code(f"{entry} = ({dtype}_t)({entry} + {product});")
