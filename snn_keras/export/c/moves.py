"""C of the operations that move entries, and of max pooling."""

import functools
from collections.abc import Sequence

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c.function import Function
from snn_keras.export.c.stages import lengths


@functools.singledispatch
def move(operation: integer.Operation, function: Function) -> None:
    """Writes a stage of one operation that nothing can follow in its loop."""
    raise NotImplementedError(type(operation).__name__)


def strides_of(shape: Sequence[int]) -> list[int]:
    """The distance of neighbours along each axis."""
    return [int(np.prod(shape[axis + 1 :], dtype=int)) for axis in range(len(shape))]


def copied(
    function: Function,
    shape: Sequence[int],
    source: Sequence[str],
    target: Sequence[str],
) -> None:
    """Writes loops over `shape` that copy from one index to another.

    Args:
        function: The `Function`.
        shape: How many entries are copied along each axis.
        source, target: Terms of the index for each axis, in which `{i}` is the entry's.
    """
    _nest(function, shape, source, target, 0)


def _nest(function, shape, source, target, axis):
    code, dtype = function.code, function.output.dtype
    if axis == len(shape):
        places = [
            " + ".join(term.format(i=f"i{a}") for a, term in enumerate(terms) if term)
            for terms in (source, target)
        ]
        code(f"y[{places[1] or 0}] = ({dtype}_t)x[{places[0] or 0}];")
        return
    with code.loop(f"i{axis}", shape[axis]):
        _nest(function, shape, source, target, axis + 1)


def _terms(strides, begin=None, steps=None):
    """Terms of an index: `(begin + step i) stride` for each axis."""
    begin, steps = begin or [0] * len(strides), steps or [1] * len(strides)
    return [
        f"({b} + {{i}} * {s}) * {n}" if b else f"{{i}} * {s * n}"
        for b, s, n in zip(begin, steps, strides, strict=True)
    ]


@move.register
def _(operation: integer.Transpose, function):
    x, _ = function.read(operation.inputs[0], "x"), function.write()
    own = strides_of(x.shape)
    source = _terms([own[axis] for axis in operation.axes])
    copied(function, operation.shape, source, _terms(strides_of(operation.shape)))


@move.register
def _(operation: integer.Pad, function):
    x, y = function.read(operation.inputs[0], "x"), function.write()
    places, channels = lengths(operation.shape)
    function.code(f"memset({y}, 0, {places * channels} * sizeof *{y});")
    before = [before for before, _ in operation.padding]
    target = _terms(strides_of(operation.shape), before)
    copied(function, x.shape, _terms(strides_of(x.shape)), target)


@move.register
def _(operation: integer.Crop, function):
    x, _ = function.read(operation.inputs[0], "x"), function.write()
    source = _terms(strides_of(x.shape), operation.begin, operation.strides)
    copied(function, operation.shape, source, _terms(strides_of(operation.shape)))


@move.register
def _(operation: integer.Repeat, function):
    x, _ = function.read(operation.inputs[0], "x"), function.write()
    pairs = zip(strides_of(x.shape), operation.times, strict=True)
    source = [f"{{i}} / {times} * {stride}" for stride, times in pairs]
    copied(function, operation.shape, source, _terms(strides_of(operation.shape)))


@move.register
def _(operation: integer.Concatenate, function):
    function.write()
    outer = int(np.prod(operation.shape[: operation.axis], dtype=int))
    whole = int(np.prod(operation.shape[operation.axis :], dtype=int))
    begin, code, dtype = 0, function.code, function.output.dtype
    for number, name in enumerate(operation.inputs):
        part = function.read(name, f"x{number}")
        count = int(np.prod(part.shape[operation.axis :], dtype=int))
        with code.loop("i", outer), code.loop("k", count):
            target = f"y[i * {whole} + {begin} + k]"
            code(f"{target} = ({dtype}_t)x{number}[i * {count} + k];")
        begin += count


@move.register
def _(operation: integer.MaxPool, function):
    x, y = function.read(operation.inputs[0], "x"), function.write()
    code, dtype = function.code, function.output.dtype
    height, width, channels = operation.input_shape
    largest = function.scratch("largest", "int32", channels)
    total = "x"
    if operation.over_time:
        total, wide = function.state(operation, "sum")
        with code.loop("k", height * width * channels):
            code(f"{total}[k] = ({wide}_t)({total}[k] + x[k]);")
    (above, _), (left, _) = operation.padding
    with code.loop("row", operation.shape[0]), code.loop("column", operation.shape[1]):
        code(f"const int place = (row * {operation.shape[1]} + column) * {channels};")
        with code.loop("c", channels):
            code(f"{largest}[c] = INT32_MIN;")
        with code.loop("ky", operation.window[0]):
            code(
                f"const int from = row * {operation.strides[0]} + ky - {above};",
                f"if (from < 0 || from >= {height}) continue;",
            )
            with code.loop("kx", operation.window[1]):
                code(
                    f"const int at = column * {operation.strides[1]} + kx - {left};",
                    f"if (at < 0 || at >= {width}) continue;",
                )
                with code.loop("c", channels):
                    entry = f"{total}[(from * {width} + at) * {channels} + c]"
                    code(f"if ({entry} > {largest}[c]) {largest}[c] = {entry};")
        with code.loop("c", channels):
            if operation.over_time:
                pool, wide = function.state(operation, "pool")
                code(
                    f"{y}[place + c] = ({dtype}_t)({largest}[c] - {pool}[place + c]);",
                    f"{pool}[place + c] = ({wide}_t){largest}[c];",
                )
            else:
                code(f"{y}[place + c] = ({dtype}_t){largest}[c];")
    del x
