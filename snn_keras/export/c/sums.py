"""C of the operations that make sums: dense layers and sums over axes."""

import functools

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import SPARSE, Events, is_sparse, sums_dtype
from snn_keras.export.c.function import Function
from snn_keras.export.c.moves import strides_of
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
    name = function.constant(f"{operation.name}_weights", operation.kernel)
    places, _ = lengths(operation.shape)
    if is_sparse(function, SPARSE):
        events = Events(function, x, wide, operation.kernel, (0,), taken, made)
        with code.loop("place", places):
            events.clear()
            with events.listed(f"place * {taken}", made) as further:
                events.add("0", made, name + further, made)
            finish(function, "place", 1, events.sum(f"i * {made} + c"))
        return
    dtype = sums_dtype(wide, operation.kernel, (0,))
    sums = function.scratch("sums", dtype, made)
    with code.loop("place", places):
        code(f"memset({sums}, 0, {made} * sizeof *{sums});")
        row = f"x + place * {taken}"
        add_numbers(function, dtype, sums, made, name, x.dtype, row, taken)
        finish(function, "place", 1, f"{sums}[i * {made} + c]")


def add_numbers(
    function: Function,
    dtype: str,
    sums: str,
    made: int,
    weights: str,
    x_dtype: str,
    x: str,
    count: int,
) -> None:
    """Adds all numbers of a slice, each times its row of weights."""
    function.kernels.add(("numbers", dtype, x_dtype))
    call = f"add_numbers_{dtype}_{x_dtype}"
    function.code(f"{call}({sums}, {made}, {weights}, {x}, {count});")


@head.register
def _(operation: integer.Sum, function):
    x, code = function.read(operation.inputs[0], "x"), function.code
    whole = x.interval.full(x.shape)
    dtype = sums_dtype(whole, np.ones(x.shape, np.int8), operation.axes)
    places, channels = lengths(operation.shape)
    count = places * channels
    sums = function.scratch("sums", dtype, count)
    code(f"memset({sums}, 0, {count} * sizeof *{sums});")
    strides = strides_of(operation.shape)
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
