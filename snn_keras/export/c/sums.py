"""C of the operations that make sums: dense layers and sums over axes."""

import functools

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import Events, sums_dtype
from snn_keras.export.c.function import Function
from snn_keras.export.c.moves import strides_of
from snn_keras.export.c.stages import lengths


@functools.singledispatch
def head(operation: integer.Operation, function: Function) -> None:
    """Writes the loops of a stage whose first operation makes sums."""
    raise NotImplementedError(type(operation).__name__)


@head.register
def _(operation: integer.Dense, function):
    x = function.read(operation.inputs[0], "x")
    name = function.constant(f"{operation.name}_weights", operation.kernel)
    events = Events(function, x, 1, operation.kernel)
    places, _ = lengths(operation.shape)
    with events.rows(places, "row", places):
        events.clear()
        events.add(name, "row", ("0", "1"), "0")
        finish(function, "row", None, "sums[c]")


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
