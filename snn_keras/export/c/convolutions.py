"""C of convolutions: output by output, the rows of weights of its window are added."""

import contextlib
import math
from collections.abc import Iterator

import numpy as np

from snn_keras.export import integer
from snn_keras.export.c import text
from snn_keras.export.c.elementwise import finish
from snn_keras.export.c.events import Events, loop_groups
from snn_keras.export.c.sums import head
from snn_keras.export.c.taps import taps


@head.register
def _(operation: integer.Convolve, function):
    x = function.read(operation.inputs[0], "x")
    kernel, code = operation.kernel, function.code
    height, width, _ = x.shape
    groups = groups_of(kernel)
    *_, taken, made = grouped(kernel, groups).shape
    name = function.constant(f"{operation.name}_weights", grouped(kernel, groups))
    step, apart = operation.strides[0], operation.dilation[0]
    reach = (len(kernel) - 1) * apart
    kept = min(reach + 1, height)
    events = Events(function, x, width, kernel, groups, kept)
    weights = "weights: row, column, input channel, output channel"
    function.notes.append(weights)
    tap, last = taken * made, f"row * {step} + {reach - operation.padding[0][0]}"
    with (
        events.rows(operation.shape[0], last, height),
        code.loop("column", operation.shape[1]),
    ):
        events.clear()
        with (
            taps(code, "ky", "from", "row", operation, 0, height),
            _runs(code, operation, width) as (columns, first),
            loop_groups(code, groups),
        ):
            row = f"{name} + ky * {kernel.shape[1] * tap}"
            if groups > 1:
                row += f" + group * {kernel[:, :, 0, 0].size * tap}"
            events.add(row, "from", columns, first)
        finish(function, f"row * {operation.shape[1]} + column", None, "sums[c]")


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


@contextlib.contextmanager
def _runs(
    code: text.Code, operation: integer.Convolve, width: int
) -> Iterator[tuple[tuple[str, str], str]]:
    """The block for each run of input columns whose weights are one behind another.

    Yields:
        The first column and that behind the last; and the column of the first weights.
    """
    columns, step = operation.kernel.shape[1], operation.strides[1]
    if operation.dilation[1] > 1:
        with taps(code, "kx", "at", "column", operation, 1, width):
            yield ("at", "at + 1"), "(at - kx)"
        return
    with code.block(""):
        code(
            f"const int at = column * {step} - {operation.padding[1][0]};",
            "const int begin = at < 0 ? 0 : at;",
            f"const int end = at + {columns} < {width} ? at + {columns} : {width};",
            "if (begin >= end) continue;",
        )
        yield ("begin", "end"), "at"
