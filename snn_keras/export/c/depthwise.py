"""C of depthwise convolutions and average pooling, whose weights may all be 1."""

import contextlib

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import of_inputs, sums_dtype
from snn_keras.export.c.sums import head
from snn_keras.export.c.taps import reached, taps

SPARSE = 0.1  # one weight for each number leaves little to save


@head.register
def _(operation: integer.DepthwiseConvolve, function):
    x = function.read(operation.inputs[0], "x")
    kernel, code = operation.kernel, function.code
    _, columns, taken, each = kernel.shape
    depth, width = taken * each, x.shape[1]
    count = operation.shape[1] * depth
    is_pool = bool(np.all(kernel == 1))
    # Sums of a byte hold no products.
    least = "uint8" if is_pool else "int16"
    dtype = sums_dtype(of_inputs(x, taken), kernel, (0, 1), least)
    sums = function.scratch("sums", dtype, count)
    factor = ""
    if not is_pool:
        name = function.constant(f"{operation.name}_weights", kernel)
        factor = f" * {name}[(ky * {columns} + kx) * {depth} + {_index(each)}]"
    # Vectors add all numbers in the time that looking at each would take.
    density = function.density(function.stage.source)
    function.notes.append(f"{density:.0%} of inputs are not 0")
    sparse = not function.simd and density <= SPARSE
    with code.loop("row", operation.shape[0]):
        code(f"memset({sums}, 0, {count} * sizeof *{sums});")
        with taps(code, "ky", "from", "row", operation, 0, x.shape[0]):
            write = _events if sparse else _numbers
            write(operation, code, width, f"({dtype}_t)", factor)
        first = f"row * {operation.shape[1]}"
        finish(function, first, operation.shape[1], f"{sums}[i * {depth} + c]")


def _events(operation, code, width, cast, factor):
    *_, taken, each = operation.kernel.shape
    with code.loop("column", width), code.loop("c", taken):
        code(
            f"const int value = x[(from * {width} + column) * {taken} + c];",
            "if (value == 0) continue;",
        )
        with reached(code, operation), _multiplied(code, each):
            entry = f"sums[to * {taken * each} + {_index(each)}]"
            code(f"{entry} = {cast}({entry} + value{factor});")


def _numbers(operation, code, width, cast, factor):
    *_, taken, each = operation.kernel.shape
    with (
        code.loop("column", operation.shape[1]),
        taps(code, "kx", "at", "column", operation, 1, width),
        code.loop("c", taken),
        _multiplied(code, each),
    ):
        entry = f"sums[column * {taken * each} + {_index(each)}]"
        value = f"x[(from * {width} + at) * {taken} + c]"
        code(f"{entry} = {cast}({entry} + {value}{factor});")


def _multiplied(code, each):
    """The block for each output channel of an input channel."""
    return code.loop("m", each) if each > 1 else contextlib.nullcontext()


def _index(each):
    """The output channel."""
    return f"c * {each} + m" if each > 1 else "c"
