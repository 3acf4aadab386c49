"""The decomposition of inputs into digits, whose weighted sums fit in 16 bits."""

import numpy as np

from snn_keras.export.integer.interval import Interval, of_channels

SUM_MAX = 2**15 - 1  # int16, in which convolutions accumulate
DIGIT_BITS = (4, 2, 1)  # of a digit; the first that fits is used


def digits(interval: Interval, channels: int, bits: int = DIGIT_BITS[0]) -> list:
    """The digits into which the input of layers with weights is decomposed.

    Numbers of up to `bits` bits, such as spikes, are one digit; others are
    $x = \\sum_k 2^{k b} d_k$ with $d_k$ in 0 ... 2^b - 1; the last digit has the sign.

    Returns:
        A list of `(place, Interval)`, with bounds of shape `(channels,)`.
    """
    x = of_channels(interval, channels)
    base, found, place = 2**bits, [], 1
    while x.largest >= base:
        found.append((place, Interval(0 * x.low, 0 * x.low + base - 1)))
        x = x.map(lambda bound: bound // base)
        place *= base
    return [*found, (place, x)]


def largest_sums(
    kernel: np.ndarray, interval: Interval, bits: int, each: bool
) -> np.ndarray:
    """The largest magnitude of each output's sum over a digit, for the worst input.

    Args:
        kernel: `(..., in, out)`, or `(..., in, multiplier)` of a depthwise layer.
        interval: Bounds of the input.
        bits: Bits of a digit.
        each: Whether the layer is depthwise.
    """
    axes = tuple(range(kernel.ndim - (2 if each else 1)))
    found = []
    for _, digit in digits(interval, kernel.shape[-2], bits):
        products = [np.asarray(b)[..., None] * kernel for b in (digit.low, digit.high)]
        high = np.maximum(*products).sum(axes).ravel()
        low = np.minimum(*products).sum(axes).ravel()
        found.append(np.maximum(high, -low))
    return np.maximum.reduce(found)


def digit_bits(kernel: np.ndarray, interval: Interval, each: bool) -> int:
    """The widest digits with which all sums fit in 16 bits.

    Args:
        kernel, interval, each: As for `largest_sums`; the kernel in integers.
    """
    whole = kernel.astype(np.int64)
    fits = (
        bits
        for bits in DIGIT_BITS
        if (largest_sums(whole, interval, bits, each) <= SUM_MAX).all()
    )
    return next(fits, DIGIT_BITS[-1])
