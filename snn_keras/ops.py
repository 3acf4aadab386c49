"""Pure functions and their gradients: rounding, quantizing, noise, spiking.

Notation (used throughout the package): `v` pre-activation, `s` > 0 quantization
step, `p` number of positive levels, `theta = p * s` clipping point and firing
threshold, `u` membrane potential.

Every gradient is written with `stop_gradient` and explicit masks, never left to
the backend's derivative of `clip` or `floor`: backends disagree at the ends of
the range.
"""

import math
from collections.abc import Callable

import keras
import numpy as np
from keras import ops

from snn_keras.typing import Array


def in_floats(x: Array, dtype: str) -> Array:
    """`x`, in `dtype` if it holds whole numbers or truth values."""
    return x if keras.backend.is_float_dtype(x.dtype) else ops.cast(x, dtype)


def round_half_up(x: Array) -> Array:
    """Rounds to the nearest integer, halves up: `floor(x + 1/2)`.

    An integrate-and-fire neuron that starts at half its threshold fires if
    `u >= theta`, so it rounds halves up; `keras.ops.round` rounds them to even.
    """
    return ops.floor(x + 0.5)


def divide_by_integer(x: Array, n: Array) -> Array:
    """`x / n`, exact although compilers may multiply by a rounded reciprocal.

    The quotient is corrected by its remainder. Compilers that know `n` would remove
    the correction, so `n` is hidden from them.
    """
    x = ops.convert_to_tensor(x)
    n = ops.cast(ops.where(x == x, float(n), 1.0), x.dtype)
    quotient = x / n
    return quotient + (x - quotient * n) / n


def scale_gradient(x: Array, factor: Array) -> Array:
    """Returns `x` unchanged, and its gradient multiplied by `factor`."""
    return x + (factor - 1.0) * (x - ops.stop_gradient(x))


def quantize(v: Array, step: Array, levels: Array) -> Array:
    r"""Quantizes to `levels` positive levels, with LSQ's gradients.

    $$a = s \cdot \lfloor \mathrm{clip}(v / s, 0, p) \rceil$$

    Gradients (Li 2023, eq. 4-5; learned step size quantization):

    * with respect to `v`: 1 where `0 < v/s < p`, else 0;
    * with respect to `step`: 0 below the range, `round(v/s) - v/s` inside, `p` above.

    Args:
        v: Pre-activation, any shape.
        step: Quantization step `s` > 0, broadcastable to `v`.
        levels: Number of positive levels `p` >= 1.

    Returns:
        A tensor like `v`.
    """

    @ops.custom_gradient
    def staircase(v, step):
        count = level_of(v, step, levels)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream  # PyTorch names it
            x = v / step
            inside = ops.logical_and(x > 0, x < levels)
            to_step = upstream * (count - ops.where(inside, x, 0.0))
            return ops.where(inside, upstream, 0.0), _sum_to(to_step, step)

        return count * step, gradient

    return staircase(v, step)


def level_of(v: Array, step: Array, levels: Array) -> Array:
    """The level of `v`, `round(clip(v / step, 0, levels))`, without a gradient.

    It is exact at the edges between levels. Compilers may replace a division by an
    approximate reciprocal, so the quotient is only a first guess, and is corrected by
    the products `(k + 1/2) * step`, with which a neuron compares, too.
    """
    guess = round_half_up(v / step)
    too_low = ops.cast(v >= (guess + 0.5) * step, v.dtype)
    too_high = ops.cast(v < (guess - 0.5) * step, v.dtype)
    return ops.stop_gradient(ops.clip(guess + too_low - too_high, 0, levels))


_EXPONENTS = np.arange(-40, 41)


def power_of_two(x: Array) -> Array:
    r"""The power of two nearest to `x` > 0 on a logarithmic scale.

    $$2^{\lfloor \log_2 x \rceil}$$

    within $2^{-40}$ and $2^{40}$; its gradient is that of `x`. It compares and looks
    up, so it is the same power on every backend: logarithms are rounded differently.
    """
    x = ops.convert_to_tensor(x)
    bounds = ops.cast(2.0 ** (_EXPONENTS[1:] - 0.5), x.dtype)
    place = ops.sum(ops.cast(ops.expand_dims(x, -1) >= bounds, "int32"), axis=-1)
    power = ops.take(ops.cast(2.0**_EXPONENTS, x.dtype), place)
    return straight_through(power, x)


def two_to(exponent: Array) -> Array:
    r"""Two to the power of the nearest whole exponent, exactly.

    $$s = 2^{\lfloor e \rceil}, \qquad \partial s / \partial e = s \ln 2$$

    within $2^{-40}$ and $2^{40}$, halves rounded up.

    Source: Jain et al. 2020, section 3, which trains the logarithm of a threshold.
    """
    e = ops.convert_to_tensor(exponent)
    place = ops.clip(round_half_up(e) - _EXPONENTS[0], 0, len(_EXPONENTS) - 1)
    powers = ops.cast(2.0**_EXPONENTS, e.dtype)
    power = ops.stop_gradient(ops.take(powers, ops.cast(place, "int32")))
    return power * (1.0 + math.log(2.0) * (e - ops.stop_gradient(e)))


def straight_through(value: Array, x: Array) -> Array:
    """`value`, exactly, with the gradient of `x`."""
    return ops.stop_gradient(value) + (x - ops.stop_gradient(x))


def quantize_weight(w: Array, step: Array, most: int, scale: float = 1.0) -> Array:
    r"""Quantizes weights to whole numbers of steps, with LSQ's gradients.

    $$\hat w = s \cdot \lfloor \mathrm{clip}(w / s, -m, m) \rceil$$

    with halves rounded up. Gradients (Esser et al. 2020, eq. 3 and 5): with respect to
    `w`, 1 where $|w / s| \le m$, else 0; with respect to `step`, `round(w/s) - w/s`
    inside, `m` above and `-m` below, times `scale`.

    Args:
        w: Weights, any shape.
        step: Steps `s` > 0, broadcastable to `w`; powers of two divide exactly.
        most: The largest number `m` of steps.
        scale: What multiplies the gradient of the step.
    """

    @ops.custom_gradient
    def grid(w, step):
        count = ops.clip(round_half_up(w / step), -most, most)

        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream  # PyTorch names it
            x = w / step
            inside = ops.abs(x) <= most
            to_step = upstream * (count - ops.where(inside, x, 0.0)) * scale
            return ops.where(inside, upstream, 0.0), _sum_to(to_step, step)

        return count * step, gradient

    return grid(w, step)


def add_step_noise(v: Array, step: Array, noise: Array) -> Array:
    r"""Adds `noise` quantization steps to `v` (Li 2023, eq. 7).

    $$v' = v + \epsilon s, \qquad \partial v' / \partial s = 0$$

    Quantizing $v'$ then has the gradient of eq. 10 with respect to the step,
    $\lfloor v/s + \epsilon \rceil - (v/s + \epsilon)$.
    """
    return v + ops.convert_to_tensor(noise) * ops.stop_gradient(step)


def atan_surrogate(x: Array, slope: float = 2.0) -> Array:
    r"""Surrogate derivative of a spike at distance `x` from its threshold.

    $$\frac{a}{2 (1 + (\frac{\pi}{2} a x)^2)}$$ with $a$ = `slope`.
    """
    return slope / (2.0 * (1.0 + ops.square(1.5707963267948966 * slope * x)))


def spike(
    u: Array,
    threshold: Array,
    surrogate: Callable[[Array], Array] = atan_surrogate,
    strict: bool = False,
) -> Array:
    """Heaviside step, 1 where `u >= threshold`, with a surrogate derivative.

    Args:
        u: Membrane potential.
        threshold: Firing threshold > 0, broadcastable to `u`.
        surrogate: Returns the derivative of the spike with respect to `(u -
            threshold) / threshold`, for the backward pass.
        strict: Whether to fire only where `u > threshold`.

    Returns:
        0 or 1 for each element, in the dtype of `u`; NaN where `u` is NaN.
    """

    @ops.custom_gradient
    def fire(u, threshold):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream  # PyTorch names it
            slope = upstream * surrogate(u / threshold - 1.0)
            to_u = slope / threshold
            to_threshold = -slope * u / ops.square(threshold)
            return to_u, _sum_to(to_threshold, threshold)

        fired = u > threshold if strict else u >= threshold
        return ops.where(u == u, ops.cast(fired, u.dtype), u), gradient

    return fire(u, threshold)


def sized_spike(
    u: Array, least: Array, room: Array, num_sizes: int, rounds: bool = False
) -> Array:
    r"""The largest spike, of either sign and a size $2^k$, that is near `u`.

    $2^k$ with the largest k < n for which $u \ge b_k$, or $-2^k$ with the largest for
    which $u < -b_k$, $b_k = \tfrac{3}{4} 2^k \lambda$, if $2^k$ is within the room; 0
    if there is none. It is found by bisection of the sizes.

    Gradients, with $\lambda$ times the result as the output, are those of a quantized
    activation: with respect to `u` 1 where $|u| \le \lambda \cdot$ `room`, else 0.

    Args:
        u: Membrane potential.
        least: The smallest size, $\lambda$ > 0, broadcastable to `u`.
        room: The largest size that may be sent, with the sign of `u`, in units of
            $\lambda$.
        num_sizes: Number n of sizes, an integer >= 1.
        rounds: Whether $b_0 = \lambda / 2$, so that it rounds, halves up.

    Returns:
        A whole number for each element, in the dtype of `u`; NaN where `u` is NaN.
    """
    most = 2.0 ** (num_sizes - 1)

    @ops.custom_gradient
    def fire(u, least, room):
        def gradient(*args, upstream=None):
            upstream = args[0] if upstream is None else upstream  # PyTorch names it
            inside = ops.cast(ops.abs(u) <= room * least, u.dtype)
            to_u = upstream * inside / least
            return to_u, _sum_to(-to_u * u / least, least), ops.zeros_like(room)

        def reaches(bound):
            return ops.logical_or(u >= bound, u < -bound)

        bound, within = 0.75 * least, ops.minimum(room, most)
        size = ops.ones_like(u)
        for i in reversed(range((num_sizes - 1).bit_length())):
            larger = size * 2.0**2**i
            reached = ops.logical_and(reaches(larger * bound), larger <= within)
            size = ops.where(reached, larger, size)
        reached = reaches(0.5 * least if rounds else bound)
        reached = ops.logical_and(reached, within >= 1)
        spikes = ops.where(reached, ops.where(u > 0, size, -size), 0.0)
        return ops.where(u == u, spikes, u), gradient

    return fire(u, least, room)


def standardize(x: Array) -> Array:
    """`(x - mean) / deviation`, over each sample's own elements; 0 if constant.

    Args:
        x: `(batch, ...)`.
    """
    axes = tuple(range(1, len(x.shape)))
    centred = x - ops.mean(x, axis=axes, keepdims=True)
    variance = ops.mean(ops.square(centred), axis=axes, keepdims=True)
    low = ops.min(x, axis=axes, keepdims=True)
    varies = ops.max(x, axis=axes, keepdims=True) > low
    varies = ops.logical_and(varies, variance > 0)  # tiny squares are rounded to 0
    # Before the root, whose derivative at 0 is infinite.
    deviation = ops.sqrt(ops.where(varies, variance, 1.0))
    return ops.where(varies, centred / deviation, 0.0)


def spread(x: Array, half_range: float) -> Array:
    """Scales each sample of `x` so that its largest magnitude is `half_range`."""
    axes = tuple(range(1, len(x.shape)))
    largest = ops.max(ops.abs(x), axis=axes, keepdims=True)
    return half_range * x / ops.where(largest > 0, largest, 1.0)


def uniform_at(shape: tuple[int, ...], seed: Array, step: Array) -> Array:
    """Draws from U(0, 1), fixed by the integers `seed` and `step`.

    A counter-based generator: the numbers are a hash of seed, step and index. It has no
    state, so `step` may be a tensor in a loop. It computes with integers, so the
    numbers are the same on every backend, compiled or not.

    Args:
        shape: Shape of the result.
        seed: An integer, or a scalar integer tensor.
        step: An integer, or a scalar integer tensor.

    Returns:
        A float32 tensor of odd multiples of 2**-24.

    Source: the hash is C. Wellons' lowbias32.
    """
    places = ops.cast(ops.arange(math.prod(shape), dtype="int32"), "uint32")
    seed = ops.full((), seed % 2**32, "uint32") if isinstance(seed, int) else seed
    key = _hash(_low_bits(ops.cast(step, "uint32") + _hash(ops.cast(seed, "uint32"))))
    bits = _hash(ops.bitwise_xor(_hash(_low_bits(places + key)), key))
    high = ops.cast(ops.right_shift(bits, _unsigned(9)), "float32")
    return ops.reshape((high + 0.5) * 2.0**-23, shape)


def normal_at(shape: tuple[int, ...], seed: Array, step: Array) -> Array:
    """Draws from N(0, 1), fixed by the integers `seed` and `step`.

    They are the normal quantiles of the numbers of `uniform_at`.
    """
    return math.sqrt(2.0) * ops.erfinv(2.0 * uniform_at(shape, seed, step) - 1.0)


def _hash(x):
    """The hash lowbias32 of 32-bit integers."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = ops.bitwise_xor(x, ops.right_shift(x, _unsigned(shift)))
        x = _low_bits(x * _unsigned(factor))
    return ops.bitwise_xor(x, ops.right_shift(x, _unsigned(16)))


def _unsigned(value):
    return ops.full((), value, "uint32")


def _low_bits(x):
    """The lowest 32 bits of integers of 32 or 64 bits."""
    is_wide = keras.backend.standardize_dtype(x.dtype) == "int64"
    return ops.bitwise_and(x, 0xFFFFFFFF) if is_wide else x


def count_bits(level: Array, num_bits: int) -> Array:
    """The number of ones among the `num_bits` bits of integer levels."""
    level = ops.cast(level, "int32")
    ones = [ops.bitwise_and(ops.right_shift(level, i), 1) for i in range(num_bits)]
    return ops.cast(sum(ones), "float32")


def bit_sparsity(a: Array, step: Array, levels: Array) -> Array:
    """The number of one bits of quantized activations, with a surrogate gradient.

    The derivative of each of the b bits with respect to `a` is 1 where
    `0 < a < levels * step`, and 0 elsewhere (Datta et al. 2024, eq. 9-10).

    Args:
        a: Quantized activations, multiples of `step`.
        step: Quantization step, broadcastable to `a`.
        levels: Number of positive levels.

    Returns:
        A tensor like `a`.
    """
    num_bits = int(levels).bit_length()
    inside = ops.logical_and(a > 0, a < levels * step)
    slope = num_bits * ops.cast(inside, a.dtype)
    ones = ops.cast(count_bits(level_of(a, step, levels), num_bits), a.dtype)
    return ops.stop_gradient(ones) + slope * (a - ops.stop_gradient(a))


def _sum_to(x, like):
    """Sums `x` over the axes along which `like` was broadcast to it."""
    lead = len(x.shape) - len(like.shape)
    x = ops.sum(x, axis=tuple(range(lead))) if lead else x
    axes = tuple(i for i, n in enumerate(like.shape) if n == 1 and x.shape[i] != 1)
    return ops.sum(x, axis=axes, keepdims=True) if axes else x
