"""Integer operations with a state: neurons, max pooling, and sums over time."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from snn_keras.export.integer.interval import Interval, ends_of, of_channels
from snn_keras.export.integer.operations import Operation, patches


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(Operation):
    """Max pooling of the sum of all inputs so far.

    It sends changes: the sum of its outputs so far is the pool of the sum of all inputs
    so far. The state is the sum of the inputs, and its pool.

    Attributes:
        window, strides: One integer for each axis.
        padding: `(before, after)` for each axis; padding is never the largest entry.
        over_time: False for networks without time, which need no state.

    Source: Li et al. 2022, algorithm 2.
    """

    window: tuple
    strides: tuple
    padding: tuple
    input_shape: tuple
    over_time: bool

    @property
    def state_names(self) -> tuple[str, ...]:
        return ("sum", "pool") if self.over_time else ()

    def pool(self, x: np.ndarray) -> np.ndarray:
        """The pool of one tensor."""
        least = np.iinfo(np.int64).min
        arguments = self.window, self.strides, self.padding, (1, 1)
        return patches(x, *arguments, fill=least).max((-2, -1))

    def initial_state(self) -> tuple:
        zeros = np.zeros(self.input_shape, np.int64), np.zeros(self.shape, np.int64)
        return zeros if self.over_time else ()

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        (x,) = values
        if not self.over_time:
            return self.pool(x), state
        total, before = state
        total = total + x
        pool = self.pool(total)
        return pool - before, (total, pool)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        # If no entry changes by more than this in a step, neither does the largest.
        return of_channels(x, self.shape[-1])

    def state_bounds(self, x: Interval, *, steps: int) -> tuple:
        total = x.with_zero().map(lambda bound: bound * steps)
        return (total, of_channels(total, self.shape[-1])) if self.over_time else ()


@dataclasses.dataclass(frozen=True, eq=False)
class Fire(Operation):
    r"""Integrate-and-fire neurons with integer potentials; spikes are 1.

    $u \leftarrow u + I$, $z = [u \ge \Theta]$, $u \leftarrow u - \Theta z$

    The state is the potential minus the initial potential, so that it starts from 0.

    Attributes:
        threshold: $\Theta$ >= 1, int32; broadcasts against the shape.
        initial: The initial potential; broadcasts against the shape.
    """

    threshold: np.ndarray
    initial: np.ndarray
    state_names = ("potential",)

    def initial_state(self) -> tuple:
        return (np.zeros(self.shape, np.int64),)

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        u = state[0] + values[0]
        z = (u >= self.threshold - self.initial).astype(np.int64)
        return z, (u - self.threshold * z,)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return Interval(np.int64(0), np.int64(1))

    def state_bounds(self, x: Interval, *, steps: int) -> tuple:
        # The bounds without spikes: after a spike u is at least 0.
        x = x.with_zero().map(lambda bound: bound * steps)
        return (Interval(x.low - np.maximum(self.initial, 0), x.high),)

    def constants(self) -> tuple:
        return self.threshold, self.initial


@dataclasses.dataclass(frozen=True, eq=False)
class SignedFire(Fire):
    r"""Signed integrate-and-fire neurons: spikes are 1 or -1.

    1 where $u \ge \Theta$ and the count is below `ceiling`; -1 where $u < 0$ and the
    count is above 0. The state is the potential and the count.
    """

    ceiling: int | None = None
    state_names = ("potential", "count")

    def initial_state(self) -> tuple:
        return *super().initial_state(), np.zeros(self.shape, np.int64)

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        u, count = state[0] + values[0], state[1]
        fires = u >= self.threshold - self.initial
        if self.ceiling is not None:
            fires = fires & (count < self.ceiling)
        z = fires.astype(np.int64) - ((u < -self.initial) & (count > 0))
        return z, (u - self.threshold * z, count + z)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return Interval(np.int64(-1), np.int64(1))

    def state_bounds(self, x: Interval, *, steps: int) -> tuple:
        (potential,) = super().state_bounds(x, steps=steps)
        # A negative spike adds the threshold to a potential below 0.
        most = np.maximum(potential.high, self.threshold)
        count = Interval(np.int64(0), np.int64(self.ceiling or steps))
        return Interval(potential.low, most), count


@dataclasses.dataclass(frozen=True, eq=False)
class FireSizes(Fire):
    r"""Multi-threshold neurons: $\pm 2^k$, $k = 0, \dots, n - 1$, or 0.

    In units of the smallest size $\lambda = \Theta / 2^{n - 1}$, a multiple of 4:
    $+2^k$ where $u \ge \tfrac{3}{4} 2^k \lambda$, the largest such; where
    $u < -\tfrac{3}{4} 2^k \lambda$ and $2^k$ is no more than what was sent, $-2^k$,
    the largest such; $u \leftarrow u - \lambda z$. Its state: the potential minus the
    initial potential, and what was sent. Nothing is sent that would make this more
    than `ceiling`.
    """

    sizes: int = 1
    ceiling: int | None = None
    state_names = ("potential", "sent")

    @property
    def least(self) -> np.ndarray:
        """The smallest size."""
        return self.threshold >> (self.sizes - 1)

    def thresholds(self) -> list[tuple[int, np.ndarray]]:
        """`(size, threshold)` of each size, the smallest first.

        It is sent from the threshold on, and taken back below minus the threshold.
        """
        each = 3 * (self.least >> 2)
        return [(1 << k, each << k) for k in range(self.sizes)]

    def initial_state(self) -> tuple:
        return *super().initial_state(), np.zeros(self.shape, np.int64)

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        u, sent = state[0] + values[0], state[1]
        z, above = np.zeros_like(u), u + self.initial
        most = np.inf if self.ceiling is None else self.ceiling
        for size, bound in self.thresholds():
            z = np.where((above >= bound) & (sent + size <= most), size, z)
            z = np.where((above < -bound) & (sent >= size), -size, z)
        return z, (u - self.least * z, sent + z)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        most = np.int64(1 << (self.sizes - 1))
        return Interval(-most, most)

    def state_bounds(self, x: Interval, *, steps: int) -> tuple:
        (potential,) = super().state_bounds(x, steps=steps)
        # A spike leaves no more than a third of itself on the other side.
        low = np.minimum(potential.low, -self.threshold - self.initial)
        high = np.maximum(potential.high, self.threshold - self.initial)
        most = self.ceiling or steps << (self.sizes - 1)
        return Interval(low, high), Interval(np.int64(0), np.int64(most))


@dataclasses.dataclass(frozen=True, eq=False)
class FireChanges(FireSizes):
    r"""Differential neurons: as `FireSizes`, but to the nearest level.

    The threshold of the smallest size is $\lambda / 2$.
    """

    def thresholds(self) -> list[tuple[int, np.ndarray]]:
        most = self.ceiling or 1 << self.sizes
        bounds = [(1, self.least >> 1), *super().thresholds()[1:]]
        return [each for each in bounds if each[0] <= most]


@dataclasses.dataclass(frozen=True, eq=False)
class FireBits(Fire):
    r"""Bit-serial neurons; the output is the integer of all `bits` spikes.

    $z_t = [u \ge \Theta 2^{-t}]$, $u \leftarrow u - \Theta 2^{-t} z_t$; the output is
    $\sum_t 2^{b-t} z_t$. $\Theta$ must be a multiple of $2^b$; $u$ is limited to
    `most`.
    """

    bits: int = 1
    most: np.ndarray | None = None
    state_names = ()

    def weights(self) -> list[np.ndarray]:
        """The weights of the spikes of each step, most significant first."""
        return [self.threshold >> t for t in range(1, self.bits + 1)]

    def spikes(self, x: np.ndarray) -> np.ndarray:
        """The bits `(bits, batch, ...)`, most significant first."""
        u = self.initial + x
        if self.most is not None:
            u = np.minimum(u, self.most)
        spikes = []
        for weight in self.weights():
            spikes.append((u >= weight).astype(np.int64))
            u = u - weight * spikes[-1]
        return np.stack(spikes)

    def initial_state(self) -> tuple:
        return ()

    def constants(self) -> tuple:
        ceiling = () if self.most is None else (self.most,)
        return *super().constants(), *ceiling

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        place = 2 ** np.arange(self.bits)[::-1]
        return np.tensordot(place, self.spikes(values[0]), 1), state

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return Interval(np.int64(0), np.int64(2**self.bits - 1))

    def state_bounds(self, x: Interval, *, steps: int) -> tuple:
        return ()

    def extremes(self, x: Interval, *, steps: int) -> list:
        start = x.map(lambda bound: bound + self.initial)
        return [*super().extremes(x, steps=steps), *ends_of(start)]


@dataclasses.dataclass(frozen=True, eq=False)
class Integrate(Operation):
    """The sum of all inputs so far: the network's output before division."""

    state_names = ("sum",)

    def initial_state(self) -> tuple:
        return (np.zeros(self.shape, np.int64),)

    def run(
        self, values: Sequence[np.ndarray], state: tuple, step: int
    ) -> tuple[np.ndarray, tuple]:
        total = state[0] + values[0]
        return total, (total,)

    def bounds(self, x: Interval, *, steps: int) -> Interval:
        return x.with_zero().map(lambda bound: bound * steps)

    def state_bounds(self, x: Interval, *, steps: int) -> tuple:
        return (self.bounds(x, steps=steps),)
