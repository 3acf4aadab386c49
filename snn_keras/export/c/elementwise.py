"""C of the operations that change every entry by itself, neurons included."""

import functools

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c import text
from snn_keras.export.c.function import Function, index
from snn_keras.export.c.stages import lengths
from snn_keras.typing import Array

Lines = list[str]


def finish(function: Function, first: str, count: int | None, value: str) -> None:
    """Writes the loop that takes sums to the output of a stage.

    Args:
        function: The `Function`.
        first: The C expression of the first place.
        count: The number of places; None for one alone, without a loop.
        value: The C expression of the sum of place `i` of these, channel `c`.
    """
    lines: Lines = []
    made = function.stage.head.name if function.stage.head else function.stage.source
    for operation in function.stage.chain:
        lines.append(text.comment(operation.name))
        lines += apply(operation, function, made)
        made = operation.name
    code, output = function.code, function.output
    _, channels = lengths(function.shape)
    local = function.write()
    with code.block("") if count is None else code.loop("i", count):
        code(f"const int p = {first if count is None else f'{first} + i'};")
        with code.loop("c", channels):
            code(f"int32_t v = {value};", *lines)
            code(f"{local}[p * {channels} + c] = ({output.dtype}_t)v;")


def start(function: Function) -> None:
    """Writes a stage of elementwise operations alone."""
    x = function.read(function.stage.source, "x")
    places, _ = lengths(function.shape)
    finish(function, "0", places, f"x[{index(x.shape, function.shape)}]")


@functools.singledispatch
def apply(operation: integer.Operation, function: Function, made: str) -> Lines:
    """Lines of C that take `v`, the tensor `made`, to the operation's output."""
    raise NotImplementedError(type(operation).__name__)


@apply.register
def _(operation: integer.Scale, function, made):
    factor = function.entries(f"{operation.name}_factor", operation.factor)
    return [f"v *= {factor};"]


@apply.register
def _(operation: integer.Shift, function, made):
    offset = function.entries(f"{operation.name}_offset", operation.offset)
    if operation.on is None:
        return [f"v += {offset};"]
    return [f"v += net->step < {operation.on} ? {offset} : 0;"]


@apply.register
def _(operation: integer.Gate, function, made):
    return [f"v = net->step < {operation.on} ? v : 0;"]


@apply.register
def _(operation: integer.Add, function, made):
    a, b = operation.inputs
    name = a if b == made else b
    other = function.read(name, f"other_{text.identifier(operation.name)}")
    place = index(other.shape, operation.shape)
    return [f"v += other_{text.identifier(operation.name)}[{place}];"]


@apply.register
def _(operation: integer.Integrate, function, made):
    total, dtype = _entry(operation, function, "sum")
    return [f"v += {total};", f"{total} = ({dtype}_t)v;"]


# --- Neurons -------------------------------------------------------------------------


def fires(
    operation: integer.Fire, function: Function, spikes: Lines, least: str
) -> Lines:
    """`u` is the potential; `spikes` set `z`; a spike of 1 takes away `least`."""
    potential, dtype = _entry(operation, function, "potential")
    body = [
        f"const int32_t u = {potential} + v;",
        *spikes,
        f"{potential} = ({dtype}_t)(u - {least});",
        "v = z;",
    ]
    return body


@apply.register
def _(operation: integer.Fire, function, made):
    bound, threshold = _bound(operation, function), _threshold(operation, function)
    spikes = [f"const int32_t z = u >= {bound};"]
    return fires(operation, function, spikes, f"(z ? {threshold} : 0)")


@apply.register
def _(operation: integer.SignedFire, function, made):
    bound, threshold = _bound(operation, function), _threshold(operation, function)
    count, dtype = _entry(operation, function, "count")
    below = function.entries(f"{operation.name}_below", -operation.initial)
    ceiling = operation.ceiling
    free = "" if ceiling is None else f" & ({count} < {ceiling})"
    spikes = [
        f"const int32_t z = ((u >= {bound}){free}) - ((u < {below}) & ({count} > 0));",
        f"{count} = ({dtype}_t)({count} + z);",
    ]
    return fires(operation, function, spikes, f"z * {threshold}")


@apply.register(integer.FireSizes)
@apply.register(integer.FireChanges)
def _(operation, function, made):
    sent, dtype = _entry(operation, function, "sent")
    spikes = [f"const int32_t before = {sent};", "int32_t z = 0;"]
    most, above = operation.ceiling, "u"
    if np.any(operation.initial):
        initial = function.entries(f"{operation.name}_initial", operation.initial)
        spikes.append(f"const int32_t above = u + {initial};")
        above = "above"
    for size, threshold in operation.thresholds():
        bound = function.entries(f"{operation.name}_threshold_{size}", threshold)
        free = "" if most is None else f" & (before <= {most - size})"
        spikes += [
            f"z = (({above} >= {bound}){free}) ? {size} : z;",
            f"z = (({above} < -{bound}) & (before >= {size})) ? -{size} : z;",
        ]
    spikes.append(f"{sent} = ({dtype}_t)(before + z);")
    least = function.entries(f"{operation.name}_least", operation.least)
    return fires(operation, function, spikes, f"z * {least}")


@apply.register
def _(operation: integer.FireBits, function, made):
    lines = []
    if np.any(operation.initial):
        initial = function.entries(f"{operation.name}_initial", operation.initial)
        lines.append(f"v += {initial};")
    most = np.asarray(operation.threshold) - 1
    if operation.most is not None:
        most = np.minimum(most, operation.most)
    limit = function.entries(f"{operation.name}_most", most)
    lines += [f"v = v < {limit} ? v : {limit};", "v = v > 0 ? v : 0;"]
    found = reciprocals(operation.threshold, operation.bits)
    if found is None:
        return lines + _bit_by_bit(operation, function)
    factor = function.entries(f"{operation.name}_reciprocal", found[0])
    # All bits at once: the level is v / (threshold / 2^bits), rounded down.
    return [*lines, f"v = (int32_t)((uint32_t)v * (uint32_t){factor} >> {found[1]});"]


def reciprocals(threshold: Array, bits: int) -> tuple[np.ndarray, int] | None:
    r"""Factors that divide by $s = \Theta 2^{-b}$ in 32 bits without a sign.

    With $m = \lceil 2^k / s \rceil$ and $e = m s - 2^k$, the quotient
    $\lfloor u m 2^{-k} \rfloor$ is $\lfloor u / s \rfloor$ for all
    $0 \le u < \Theta$ if $e (\Theta - 1) < 2^k$: before each multiple of $s$,
    $u m$ stays below that of $2^k$.

    Returns:
        `(m, k)`; None if there are none.
    """
    threshold = np.asarray(threshold, np.int64)
    step = threshold >> bits
    for shift in range(30, bits, -1):
        factor = -(-(2**shift) // step)
        rest = factor * step - 2**shift
        fits = factor * (threshold - 1) < 2**32
        if np.all(fits & (rest * (threshold - 1) < 2**shift)):
            return factor, shift
    return None


def _bit_by_bit(operation, function):
    threshold = _threshold(operation, function)
    lines = ["int32_t level = 0;"]
    for place in range(1, operation.bits + 1):
        weight, spike = f"({threshold} >> {place})", f"z{place}"
        lines += [
            f"const int32_t {spike} = v >= {weight};",
            f"v -= {spike} ? {weight} : 0;",
            f"level += {spike} ? {1 << (operation.bits - place)} : 0;",
        ]
    return [*lines, "v = level;"]


def _threshold(operation, function):
    return function.entries(f"{operation.name}_threshold", operation.threshold)


def _bound(operation, function):
    """The potential, without its initial value, from which on a neuron fires."""
    bound = np.asarray(operation.threshold) - operation.initial
    return function.entries(f"{operation.name}_bound", bound)


def _entry(operation, function, name) -> tuple[str, str]:
    """The C expression of this entry of a state, and its dtype."""
    field, dtype = function.state(operation, name)
    _, channels = lengths(operation.shape)
    return f"{field}[p * {channels} + c]", dtype
