"""Converts padding to that of NIR, which is equal on both sides."""

from collections.abc import Sequence

import numpy as np

from snn_keras.export.calls import NotExported

REMEDY = (
    'Remedy: a square kernel with padding="valid", behind as many zeros on every side, '
    "keras.layers.ZeroPadding2D(n)."
)


def symmetric(
    weight: np.ndarray, padding: Sequence[tuple[int, int]], dilation: Sequence[int]
) -> tuple[np.ndarray, tuple[int, ...]]:
    """An equivalent convolution with equal padding on both sides and a square kernel.

    Zeros in the kernel compensate for different padding on both sides, and make the
    kernel square, as the shape inference of NIR assumes.

    Args:
        weight: A kernel `(out, in, height, width)`.
        padding: `(before, after)` for each axis.
        dilation: One integer for each axis.

    Returns:
        The kernel, and the padding, one integer for each axis.
    """
    both = []
    for axis, (before, after) in enumerate(padding):
        taps, rest = divmod(abs(after - before), dilation[axis])
        if rest:
            raise NotExported(f"its padding differs by no dilated tap. {REMEDY}")
        sides = [(0, 0)] * 4
        sides[2 + axis] = (taps, 0) if after > before else (0, taps)
        weight = np.pad(weight, sides)
        both.append(max(before, after))
    lack = max(weight.shape[2:]) - np.array(weight.shape[2:])
    if np.any(lack % 2):
        raise NotExported(
            f"its kernel, {weight.shape[2:]} with the zeros that its padding takes, is "
            f"not square. {REMEDY}"
        )
    half = [int(n) // 2 for n in lack]
    weight = np.pad(weight, [(0, 0), (0, 0), *((n, n) for n in half)])
    ends = zip(both, half, dilation, strict=True)
    return weight, tuple(p + n * d for p, n, d in ends)
