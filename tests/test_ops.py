"""The pure functions against the reference: values, and gradients one by one.

Multiples of 1/64 over steps that are powers of two are exact in float32, so there
the tests ask for equality.
"""

import numpy as np
import pytest
from keras import ops

from snn_keras.ops import (
    add_step_noise,
    atan_surrogate,
    normal_at,
    quantize,
    round_half_up,
    scale_gradient,
    sized_spike,
    spike,
    uniform_at,
)
from tests import reference
from tests.autodiff import compiled, gradients

JIT = pytest.mark.parametrize("jit", [False, True], ids=["eager", "xla"])
LEVELS = pytest.mark.parametrize("levels", [1, 2, 3, 7])

# Every multiple of 1/64 from well below the range to well above it, so that the
# ends of the range and every tie are among them.
GRID = (np.arange(-160, 640) / 64).astype("float32")
EPSILONS = (np.arange(-31, 32) / 64).astype("float32")


def values(f, *xs, jit):
    f = compiled(f) if jit else f
    return ops.convert_to_numpy(f(*map(ops.convert_to_tensor, xs)))


def each(step, v):
    """The step once for every element of `v`, to tell its gradients apart."""
    return np.full_like(v, step)


def upstream_for(v):
    """A dyadic upstream gradient that differs from element to element."""
    return (np.random.default_rng(0).integers(-8, 9, v.shape) / 4).astype("float32")


# --- Rounding ------------------------------------------------------------------------


@JIT
def test_halves_round_up(jit):
    ties = np.arange(-6, 7, dtype="float32") + 0.5
    assert np.array_equal(values(round_half_up, ties, jit=jit), np.arange(-5, 8))


@JIT
def test_round_half_up_is_the_references(jit):
    expected = reference.round_half_up(GRID)
    assert np.array_equal(values(round_half_up, GRID, jit=jit), expected)


# --- Quantizing ----------------------------------------------------------------------


@JIT
@LEVELS
@pytest.mark.parametrize("step", [0.125, 0.375, 0.75, 1.0, 1.25])
def test_quantize_is_the_references(levels, step, jit):
    # v/s of a tie is k + 1/2 exactly, whatever the dyadic step.
    ties = (np.arange(-3, 2 * levels + 4) / 2 * step).astype("float32")
    v = np.concatenate([GRID, ties])
    received = values(
        lambda v, step: quantize(v, step, levels), v, np.float32(step), jit=jit
    )
    assert np.array_equal(received, reference.quantize(v, step, levels))


@JIT
@LEVELS
@pytest.mark.parametrize("step", [0.25, 0.5, 1.0])
def test_quantize_gradients(levels, step, jit):
    assert {0.0, step / 2, levels * step} <= set(GRID.tolist())
    upstream = upstream_for(GRID)
    _, received = gradients(
        lambda v, step: quantize(v, step, levels),
        GRID,
        each(step, GRID),
        jit=jit,
        upstream=upstream,
    )
    expected = reference.quantize_gradients(GRID, step, levels, upstream)
    assert np.array_equal(received[0], expected[0])
    assert np.array_equal(received[1], expected[1])


@JIT
@LEVELS
def test_quantize_on_random_numbers(levels, jit):
    rng = np.random.default_rng(levels)
    v = rng.normal(0.5, 2.0, 2000).astype("float32")
    step = rng.uniform(0.3, 1.0, 2000).astype("float32")
    # float32 may round v/s across a tie or an end of the range: keep off those.
    ratio = v.astype(float) / step
    clear = np.abs(ratio * 2 - np.round(ratio * 2)) > 1e-4
    v, step = v[clear], step[clear]
    value, received = gradients(
        lambda v, step: quantize(v, step, levels), v, step, jit=jit
    )
    np.testing.assert_allclose(value, reference.quantize(v, step, levels), rtol=1e-6)
    to_v, to_step = reference.quantize_gradients(v, step.astype(float), levels, 1.0)
    assert np.array_equal(received[0], to_v)
    np.testing.assert_allclose(received[1], to_step, atol=5e-6)


@JIT
@LEVELS
def test_quantize_hits_its_levels_exactly(levels, jit):
    v = np.random.default_rng(levels).normal(1.0, 3.0, 5000).astype("float32")
    step = np.float32(0.3)
    received = values(lambda v, step: quantize(v, step, levels), v, step, jit=jit)
    allowed = step * np.arange(levels + 1, dtype="float32")
    assert set(received.tolist()) == set(allowed.tolist())


@JIT
@pytest.mark.parametrize("shape", [(), (4,), (1, 4), (3, 1)])
def test_gradient_of_a_shared_step_is_the_sum(shape, jit):
    v = GRID[:12].reshape(3, 4) + np.arange(12, dtype="float32").reshape(3, 4) / 2
    step = np.full(shape, 0.5, "float32")
    _, received = gradients(lambda v, step: quantize(v, step, 3), v, step, jit=jit)
    _, terms = reference.quantize_gradients(v, 0.5, 3, np.ones_like(v))
    assert np.array_equal(received[1], sum_to(terms, shape))


def sum_to(x, shape):
    """Sums `x` to `shape`, the transpose of broadcasting."""
    padded = (1,) * (x.ndim - len(shape)) + tuple(shape)
    axes = tuple(i for i, n in enumerate(padded) if n == 1)
    return x.sum(axes, keepdims=True).reshape(shape)


# --- Noise adaptor -------------------------------------------------------------------


def noisy(levels, epsilon):
    """The quantizer with noise `epsilon` in units of the step."""
    return lambda v, step: quantize(add_step_noise(v, step, epsilon), step, levels)


@JIT
def test_add_step_noise_adds_steps_and_has_no_gradient_to_them(jit):
    value, (to_v, to_step) = gradients(
        lambda v, step: add_step_noise(v, step, 0.25), GRID, each(0.5, GRID), jit=jit
    )
    assert np.array_equal(value, GRID + 0.125)
    assert np.all(to_v == 1) and np.all(to_step == 0)


@JIT
@LEVELS
@pytest.mark.parametrize("step", [0.5, 1.0])
def test_noise_adaptor_gradients(levels, step, jit):
    # Every noise with every pre-activation: v/s + eps meets 0, p and every tie.
    v, epsilon = (x.ravel() for x in np.meshgrid(GRID[::4], EPSILONS))
    shifted = v / step + epsilon
    assert {0.0, 0.5, float(levels)} <= set(shifted.tolist())
    upstream = upstream_for(v)
    value, (to_v, to_step) = gradients(
        noisy(levels, epsilon), v, each(step, v), jit=jit, upstream=upstream
    )
    assert np.array_equal(value, reference.noise_adaptor(v, step, levels, epsilon))
    expected = reference.noise_adaptor_gradients(v, step, levels, epsilon, upstream)
    assert np.array_equal(to_v, expected[0])
    assert np.array_equal(to_step, expected[1])


@JIT
def test_noise_adaptor_gradient_is_not_the_plain_derivative(jit):
    """Li 2023, eq. 10 has the noise inside; differentiating s eps would not."""
    v, epsilon = np.float32([0.75]), np.float32([0.25])
    _, (_, to_step) = gradients(noisy(3, epsilon), v, np.float32([0.5]), jit=jit)
    r = 0.75 / 0.5 + 0.25
    assert to_step == np.floor(r + 0.5) - r


# --- Gradient scale ------------------------------------------------------------------


@JIT
@pytest.mark.parametrize("factor", [0.0, 0.125, 1.0, 4.0])
def test_scale_gradient(factor, jit):
    upstream = upstream_for(GRID)
    value, (gradient,) = gradients(
        lambda x: scale_gradient(x, factor), GRID, jit=jit, upstream=upstream
    )
    assert np.array_equal(value, GRID)
    assert np.array_equal(gradient, factor * upstream)


# --- Spikes --------------------------------------------------------------------------

THRESHOLDS = pytest.mark.parametrize(
    "threshold",
    [0.5, [0.25, 0.5, 1.0, 2.0], [[0.25, 0.5, 1.0, 2.0]], [[0.5], [2.0], [1.0]]],
    ids=["scalar", "per_channel", "row", "column"],
)


def potentials(threshold):
    """Potentials around, and exactly at, the thresholds they are compared with."""
    u = np.float32([[-2, 0, 1, 2], [0.5, 1, 0.25, -1], [0.75, 0.5, 3, 8]])
    u[:, ::2] = np.broadcast_to(threshold, u.shape)[:, ::2]
    return u


@JIT
@THRESHOLDS
def test_spike_fires_at_the_threshold(threshold, jit):
    threshold = np.float32(threshold)
    u = potentials(threshold)
    received = values(spike, u, threshold, jit=jit)
    assert received.dtype == u.dtype
    assert np.array_equal(received, u >= threshold)
    below = np.nextafter(np.broadcast_to(threshold, u.shape), -np.inf, dtype="float32")
    assert not values(spike, below, threshold, jit=jit).any()


def triangle(x):
    """A surrogate without rounding."""
    return ops.maximum(0.0, 1.0 - ops.abs(x))


@JIT
@THRESHOLDS
def test_spike_gradient_is_exact_with_an_exact_surrogate(threshold, jit):
    threshold = np.float32(threshold)
    u = potentials(threshold)
    upstream = upstream_for(u)
    _, (to_u, to_threshold) = gradients(
        lambda u, threshold: spike(u, threshold, triangle),
        u,
        threshold,
        jit=jit,
        upstream=upstream,
    )
    # d z = g(x) d x with x = (u - theta)/theta.
    slope = upstream * np.maximum(0, 1 - np.abs((u - threshold) / threshold))
    assert np.array_equal(to_u, slope / threshold)
    expected = sum_to(-slope * u / threshold**2, threshold.shape)
    assert to_threshold.shape == threshold.shape
    assert np.array_equal(to_threshold, expected)


@JIT
@THRESHOLDS
def test_spike_gradient_with_the_default_surrogate(threshold, jit):
    threshold = np.float32(threshold)
    u = potentials(threshold)
    upstream = upstream_for(u)
    _, (to_u, to_threshold) = gradients(spike, u, threshold, jit=jit, upstream=upstream)
    slope = upstream * reference.noisy_spike_surrogate(
        (u - threshold) / threshold, threshold=0.0, a=2.0
    )
    np.testing.assert_allclose(to_u, slope / threshold, rtol=1e-5)
    np.testing.assert_allclose(
        to_threshold,
        sum_to(-slope * u / threshold**2, threshold.shape),
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("slope", [1.0, 2.0, 3.0])
def test_atan_surrogate_is_the_papers(slope):
    received = ops.convert_to_numpy(atan_surrogate(ops.convert_to_tensor(GRID), slope))
    expected = reference.noisy_spike_surrogate(GRID, threshold=0.0, a=slope)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_atan_surrogate_is_the_derivative_of_a_step_of_height_one():
    """It is the density of a probability: its integral over all x is 1."""
    x = np.linspace(-500, 500, 1_000_001).astype("float32")
    density = ops.convert_to_numpy(atan_surrogate(ops.convert_to_tensor(x)))
    assert abs(density.astype(float).sum() * 1e-3 - 1) < 1e-3


# --- Spikes of sizes -----------------------------------------------------------------


def largest_size(u, least, room, num_sizes, rounds):
    """The signed size that `sized_spike` sends for one neuron, by trying all."""
    for k in reversed(range(num_sizes)):
        size = 2**k
        bound = least / 2 if rounds and k == 0 else 0.75 * size * least
        if (u >= bound or u < -bound) and size <= room:
            return np.sign(u) * size
    return 0.0


@JIT
@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize("num_sizes", [1, 2, 3, 5, 8, 16])
def test_sized_spikes_are_the_largest_that_fit(num_sizes, rounds, jit):
    """At every bound, just beyond it, between bounds; any room."""
    least = np.float32([0.5, 0.75, 3.0])
    bounds = np.outer([0.5, 0.75], 2.0 ** np.arange(num_sizes + 1)).ravel()
    bounds = np.concatenate([[0], bounds, 1.25 * bounds]).astype("float32")
    u = np.float32([f for b in bounds for f in (b, np.nextafter(b, np.float32(0)))])
    u = np.concatenate([u, -u])[:, None] * least
    for room in (0, 1, 2, 3, 2**num_sizes - 1, np.inf):
        rooms = np.full_like(u, room)
        found = values(
            lambda u, least, room: sized_spike(u, least, room, num_sizes, rounds),
            *(u, least, rooms),
            jit=jit,
        )
        expected = [
            [
                largest_size(*one, room, num_sizes, rounds)
                for one in zip(row, least, strict=True)
            ]
            for row in u.astype(float)
        ]
        assert np.array_equal(found, expected)


def test_sized_spikes_keep_what_is_not_a_number():
    u = np.float32([np.nan, np.inf, -np.inf])
    room = np.float32([7, 7, 0])
    found = values(lambda u, r: sized_spike(u, np.float32(1), r, 3), u, room, jit=False)
    assert np.array_equal(found, [np.nan, 4, 0], equal_nan=True)


@JIT
def test_sized_spike_gradient_is_that_of_a_quantized_activation(jit):
    """Of one neuron's first step with room for 7: of LSQ with 7 levels, but for what a
    spike leaves for later ones. Below 0 there is no room."""
    u, least = GRID * 4, np.float32([0.5])
    room = np.where(u > 0, 7, 0).astype("float32")
    upstream = upstream_for(u)

    def output(u, least):
        return least * sized_spike(u, least, ops.convert_to_tensor(room), 3)

    value, (to_u, to_least) = gradients(output, u, least, jit=jit, upstream=upstream)
    inside = (u <= 3.5) & (u >= 0)
    assert np.array_equal(to_u, upstream * inside)
    each = upstream * (value / least - inside * u / least)
    assert np.array_equal(to_least, [each.sum()])


# --- Random numbers ------------------------------------------------------------------


def hashed(x):
    """The hash of `uniform_at`, on Python's integers."""
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x ^= x >> shift
        x = x * factor % 2**32
    return x ^ x >> 16


def uniform(count, seed, step):
    """What `uniform_at` draws, as exact fractions, in float32 too."""
    key = hashed((step + hashed(seed)) % 2**32)
    bits = [hashed(hashed((i + key) % 2**32) ^ key) for i in range(count)]
    return np.array([(2 * (b >> 9) + 1) / 2**24 for b in bits], "float32")


@pytest.mark.parametrize("seed, step", [(0, 0), (5, 3), (2**31 - 1, 10**6)])
@JIT
def test_draws_are_the_same_everywhere(seed, step, jit):
    def draw(step):
        return uniform_at((7, 11), seed, step)

    draw = compiled(draw) if jit else draw
    drawn = np.asarray(draw(ops.convert_to_tensor(step, "int32")))
    expected = uniform(77, seed, step).reshape(7, 11)
    assert np.array_equal(drawn, expected)


@pytest.mark.parametrize("seed", [0, 1, 12345])
def test_draws_are_uniform_and_independent(seed):
    """Means and correlations lie within four deviations of what chance gives."""
    count = 200_000
    draws = [np.asarray(uniform_at((count,), seed, t)) for t in (0, 1, 7)]
    draws.append(np.asarray(uniform_at((count,), seed + 1, 0)))
    for x in draws:
        assert x.min() > 0 and x.max() < 1
        cells = np.bincount((64 * x).astype(int), minlength=64)
        chi = np.sum((cells - count / 64) ** 2) / (count / 64)
        assert abs(chi - 63) < 4 * np.sqrt(2 * 63)
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 4 / np.sqrt(count)
    for i, x in enumerate(draws):
        for y in draws[:i]:
            assert abs(np.corrcoef(x, y)[0, 1]) < 4 / np.sqrt(count)
    normal = np.asarray(normal_at((count,), seed, 0))
    assert abs(normal.mean()) < 4 / np.sqrt(count)
    assert abs(normal.std() - 1) < 4 / np.sqrt(2 * count)
    assert np.all(np.diff(normal[np.argsort(draws[0])]) >= -1e-6)  # quantiles rise
