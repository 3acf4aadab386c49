"""Loops over the taps of windows: which input and which output belong together."""

import contextlib
from collections.abc import Iterator

from snn_keras.export import integer
from snn_keras.export.c import text


@contextlib.contextmanager
def taps(
    code: text.Code,
    k: str,
    local: str,
    place: str,
    operation: integer.Convolve,
    axis: int,
    size: int,
) -> Iterator[None]:
    """The block for each tap `k` of an axis whose input, at `local`, exists.

    Args:
        code: The `Code`.
        k, local, place: C names of the tap, and of the places of input and output.
        operation: The convolution.
        axis: The axis, 0 or 1.
        size: The length of the input along it.
    """
    step, apart = operation.strides[axis], operation.dilation[axis]
    before = operation.padding[axis][0]
    with code.loop(k, operation.kernel.shape[axis]):
        code(f"const int {local} = {place} * {step} + {k} * {apart} - {before};")
        code(f"if ({local} < 0 || {local} >= {size}) continue;")
        yield


@contextlib.contextmanager
def reached(code: text.Code, operation: integer.Convolve) -> Iterator[None]:
    """The block for each output column `to` that an input column reaches by `kx`."""
    step, apart = operation.strides[1], operation.dilation[1]
    before = operation.padding[1][0]
    with code.loop("kx", operation.kernel.shape[1]):
        code(f"const int reach = column + {before} - kx * {apart};")
        misses = f"reach < 0 || reach % {step} != 0"
        code(f"if ({misses} || reach / {step} >= {operation.shape[1]}) continue;")
        code(f"const int to = reach / {step};")
        yield
