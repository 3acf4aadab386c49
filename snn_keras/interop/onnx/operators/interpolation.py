"""The matrix by which a resize computes one axis, from ONNX's definition of it."""

import dataclasses
import math

import numpy as np

from snn_keras.interop.errors import Untranslatable


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How one axis is resized; the names are those of ONNX's Resize.

    Attributes:
        length, size: The old and the new length.
        scale: Their ratio, as the file says.
        mode: "nearest", "linear" or "cubic".
        transformation: The coordinate_transformation_mode.
        nearest_mode, cubic_coeff_a, exclude_outside, antialias: As in ONNX.
        crop: The share of the axis that "tf_crop_and_resize" keeps.
        extrapolation: The value outside, which must be 0 here.
    """

    length: int
    size: int
    scale: float
    mode: str = "nearest"
    transformation: str = "half_pixel"
    nearest_mode: str = "round_prefer_floor"
    cubic_coeff_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False
    crop: tuple = (0.0, 1.0)
    extrapolation: float = 0.0


ROUNDED = {
    "round_prefer_floor": lambda x: math.ceil(x - 0.5),
    "round_prefer_ceil": lambda x: math.floor(x + 0.5),
    "floor": math.floor,
    "ceil": math.ceil,
}


def matrix_of(sampling: Sampling) -> np.ndarray:
    """The matrix `(size, length)` of an axis."""
    found = np.zeros((sampling.size, sampling.length))
    for i in range(sampling.size):
        place = _place(sampling, i)
        if sampling.transformation == "tf_crop_and_resize" and not (
            0 <= place <= sampling.length - 1
        ):
            if sampling.extrapolation != 0:
                raise Untranslatable("its extrapolation_value is not 0")
            continue
        for index, weight in _weights(sampling, place):
            found[i, min(max(index, 0), sampling.length - 1)] += weight
    return found


def _place(s, i):
    """The place in the old axis of entry `i` of the new one.

    It is computed in float32, as ONNX Runtime does, and so are its ties.
    """
    kind = s.transformation
    n, m, i, scale = map(np.float32, (s.length, s.size, i, s.scale))
    half = np.float32(0.5)
    if kind == "asymmetric":
        return float(i / scale)
    if kind == "half_pixel" or (kind == "pytorch_half_pixel" and m > 1):
        return float((i + half) / scale - half)
    if kind == "pytorch_half_pixel":
        return 0.0
    if kind == "align_corners":
        return 0.0 if m == 1 else float(i * (n - 1) / (m - 1))
    if kind == "half_pixel_symmetric":
        shift = n / 2 * (1 - m / (n * scale))
        return float(shift + (i + half) / scale - half)
    if kind == "tf_crop_and_resize":
        start, end = map(np.float32, s.crop)
        if m == 1:
            return float(half * (start + end) * (n - 1))
        return float(start * (n - 1) + i * (end - start) * (n - 1) / (m - 1))
    raise Untranslatable(f'its coordinate_transformation_mode "{kind}" is unknown')


def _weights(s, place):
    """Pairs of an index and its weight."""
    if s.mode == "nearest":
        return [(ROUNDED[s.nearest_mode](place), 1.0)]
    if s.mode not in ("linear", "cubic"):
        raise Untranslatable(f'its mode "{s.mode}" is unknown')
    kernel = _triangle if s.mode == "linear" else _cubic(s.cubic_coeff_a)
    reach = 1 if s.mode == "linear" else 2
    stretch = min(s.scale, 1.0) if s.antialias else 1.0
    reach = reach / stretch
    first, last = math.floor(place - reach), math.ceil(place + reach)
    pairs = [(j, kernel((j - place) * stretch)) for j in range(first, last + 1)]
    if s.exclude_outside:
        pairs = [(j, w) for j, w in pairs if 0 <= j < s.length]
    total = sum(w for _, w in pairs)
    return [(j, w / total) for j, w in pairs if w]


def _triangle(x):
    return max(1 - abs(x), 0.0)


def _cubic(a):
    def kernel(x):
        x = abs(x)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    return kernel
