"""The integer network: what a spiking network computes, in integers alone.

`IntegerNetwork.run` defines what an exported file has to compute, operation by
operation, in NumPy. Every operation also says between which bounds its values stay,
so that no accumulator can overflow in secret.
"""

import dataclasses
import functools

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from snn_keras.text import table

INT32 = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class Interval:
    """Bounds of a tensor: integers that broadcast against its shape, batch aside."""

    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, *candidates):
        """The smallest interval around all of `candidates`."""
        return cls(*(functools.reduce(f, candidates) for f in (np.minimum, np.maximum)))

    def over(self, axes):
        """Bounds of all entries along `axes`, which are kept with length 1."""
        low, high = (np.atleast_1d(x) for x in (self.low, self.high))
        return Interval(low.min(axes, keepdims=True), high.max(axes, keepdims=True))

    def full(self, shape):
        """The same bounds, written out for every entry of `shape`."""
        return Interval(
            np.broadcast_to(self.low, shape), np.broadcast_to(self.high, shape)
        )

    def with_zero(self):
        """The same, with 0 in it: what padding and silence send."""
        return Interval(np.minimum(self.low, 0), np.maximum(self.high, 0))

    @property
    def largest(self) -> int:
        """The largest magnitude."""
        return int(max(np.max(np.abs(self.low)), np.max(np.abs(self.high))))

    def map(self, function):
        """`function` of both bounds, put in order."""
        return Interval.of(function(self.low), function(self.high))


@dataclasses.dataclass(frozen=True, eq=False)
class Operation:
    """One operation of an integer network.

    Attributes:
        name: The tensor that it makes.
        inputs: Names of the tensors that it reads.
        shape: Shape of what it makes, without the batch.
    """

    name: str
    inputs: tuple
    shape: tuple
    state_names = ()

    def initial_state(self) -> tuple:
        """Arrays of 0, without a batch axis, that it carries from step to step."""
        return ()

    def run(self, values, state, step):
        """Computes one time step.

        Args:
            values: Its inputs, integer arrays `(batch, ...)`.
            state: Arrays, as `initial_state` gives them, with a batch axis.
            step: The time step, from 0.

        Returns:
            Its output `(batch, ...)`, and the new state.
        """
        return self.apply(*values), state

    def apply(self, *values):
        """What an operation without a state computes."""
        raise NotImplementedError

    def bounds(self, *intervals, steps) -> Interval:
        """Between what its output stays in a run of `steps`, given its inputs."""
        raise NotImplementedError

    def state_bounds(self, *intervals, steps) -> tuple:
        """The same for its state."""
        return ()

    def constants(self) -> tuple:
        """Arrays that it holds."""
        return ()


DIGIT = 16


def digits(interval, channels) -> list:
    """The digits in which weighted layers take their input.

    Numbers of up to 4 bits, spikes among them, are one digit; others are
    $x = \\sum_k 16^k d_k$ with $d_k$ of 0 ... 15, and a sign in the last.

    Returns:
        A list of `(place, Interval)`, of bounds `(channels,)`.
    """
    x = _of_channels(interval, channels)
    found, place = [], 1
    while x.largest >= DIGIT:
        found.append((place, Interval(0 * x.low, 0 * x.low + DIGIT - 1)))
        x = x.map(lambda bound: bound // DIGIT)
        place *= DIGIT
    return [*found, (place, x)]


# --- Linear maps ---------------------------------------------------------------------


def matmul(x, kernel):
    """The integer product, by floats that hold every partial sum exactly."""
    largest = int(np.abs(kernel).sum(0, dtype=np.int64).max(initial=0))
    largest *= int(np.abs(x).max(initial=0))
    dtype = np.float32 if largest <= 2**24 else np.float64
    if largest > 2**53:
        raise OverflowError("an integer product exceeds 53 bits")
    return (x.astype(dtype) @ kernel.astype(dtype)).astype(np.int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Dense(Operation):
    """`x @ kernel` along the last axis; kernel int8 `(in, out)`."""

    kernel: np.ndarray

    def apply(self, x):
        return matmul(x, self.kernel)

    def bounds(self, x, *, steps):
        x = _of_channels(x, self.kernel.shape[0])
        kernel = self.kernel.astype(np.int64)
        return _total([b[:, None] * kernel for b in (x.low, x.high)], 0)

    def constants(self):
        return (self.kernel,)


@dataclasses.dataclass(frozen=True, eq=False)
class Convolve(Operation):
    """Two-dimensional convolution; kernel int8 `(height, width, in, out)`.

    Attributes:
        strides, dilation: One integer an axis.
        padding: `(before, after)` for each axis, filled with 0.
    """

    kernel: np.ndarray
    strides: tuple = (1, 1)
    padding: tuple = ((0, 0), (0, 0))
    dilation: tuple = (1, 1)

    def apply(self, x):
        window = self.kernel.shape[:2]
        views = patches(x, window, self.strides, self.padding, self.dilation)
        batch, height, width = views.shape[:3]
        # (batch, height, width, in, window) against (in, window, out)
        kernel = self.kernel.transpose(2, 0, 1, 3).reshape(-1, self.kernel.shape[-1])
        rows = views.reshape(batch * height * width, -1)
        return matmul(rows, kernel).reshape(batch, height, width, -1)

    def bounds(self, x, *, steps):
        x = _of_channels(x, self.kernel.shape[2]).with_zero()
        kernel = self.kernel.astype(np.int64)
        return _total([b[:, None] * kernel for b in (x.low, x.high)], (0, 1, 2))

    def constants(self):
        return (self.kernel,)


@dataclasses.dataclass(frozen=True, eq=False)
class DepthwiseConvolve(Convolve):
    """Every channel by itself; kernel int8 `(height, width, in, multiplier)`."""

    def apply(self, x):
        window = self.kernel.shape[:2]
        views = patches(x, window, self.strides, self.padding, self.dilation)
        # Few products an output, and integers of NumPy: exact as they are.
        y = np.einsum("bhwcij,ijcm->bhwcm", views, self.kernel.astype(np.int64))
        return y.reshape(*y.shape[:3], -1)

    def bounds(self, x, *, steps):
        x = _of_channels(x, self.kernel.shape[2]).with_zero()
        kernel = self.kernel.astype(np.int64)
        total = _total([b[:, None] * kernel for b in (x.low, x.high)], (0, 1))
        return Interval(total.low.ravel(), total.high.ravel())


def patches(x, window, strides, padding, dilation, fill=0):
    """Views of the windows of `x`, `(batch, height, width, channels, *window)`."""
    x = np.pad(x, [(0, 0), *padding, (0, 0)], constant_values=fill)
    reach = [d * (k - 1) + 1 for k, d in zip(window, dilation, strict=True)]
    views = sliding_window_view(x, reach, axis=(1, 2))
    (a, b), (c, d) = strides, dilation
    return views[:, ::a, ::b, :, ::c, ::d]


def _of_channels(interval, channels):
    """Bounds `(channels,)` of a tensor `(..., channels)`."""
    interval = interval.full(np.broadcast_shapes(np.shape(interval.low), (channels,)))
    axes = tuple(range(np.ndim(interval.low) - 1))
    merged = interval.over(axes) if axes else interval
    return Interval(merged.low.reshape(channels), merged.high.reshape(channels))


def _total(products, axes):
    """Bounds of a sum of terms, each of which lies between two products."""
    low, high = np.minimum(*products), np.maximum(*products)
    return Interval(low.sum(axes), high.sum(axes))


# --- Elementwise ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Scale(Operation):
    """Multiplies by integers that broadcast against the shape."""

    factor: np.ndarray

    def apply(self, x):
        return x * self.factor

    def bounds(self, x, *, steps):
        return x.map(lambda bound: bound * self.factor)

    def constants(self):
        return (self.factor,)


@dataclasses.dataclass(frozen=True, eq=False)
class Shift(Operation):
    """Adds integers that broadcast against the shape, for the first `on` steps.

    Attributes:
        offset: The integers.
        on: Steps for which they are added; None for all.
    """

    offset: np.ndarray
    on: int | None = None

    def run(self, values, state, step):
        (x,) = values
        return x + self.offset if self.on is None or step < self.on else x, state

    def bounds(self, x, *, steps):
        shifted = x.map(lambda bound: bound + self.offset)
        return shifted if self.on is None else Interval.of(*_ends(x, shifted))

    def constants(self):
        return (self.offset,)


@dataclasses.dataclass(frozen=True, eq=False)
class Gate(Operation):
    """Lets its input through for the first `on` steps; 0 afterwards."""

    on: int

    def run(self, values, state, step):
        (x,) = values
        return x if step < self.on else np.zeros_like(x), state

    def bounds(self, x, *, steps):
        return x.with_zero()


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Operation):
    """The sum of two tensors of one shape, or that broadcast."""

    def apply(self, a, b):
        return a + b

    def bounds(self, a, b, *, steps):
        return Interval(a.low + b.low, a.high + b.high)


def _ends(*intervals):
    return [x for interval in intervals for x in (interval.low, interval.high)]


# --- Shapes --------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Reshape(Operation):
    """Another shape for the same entries in the same order."""

    def apply(self, x):
        return x.reshape(len(x), *self.shape)

    def bounds(self, x, *, steps):
        return self.map_bounds(x)

    def map_bounds(self, x):
        """Bounds, entry by entry, unless they are the same everywhere."""
        if np.size(x.low) == np.size(x.high) == 1:
            return Interval(x.low.reshape(()), x.high.reshape(()))
        return Interval(*(self.map_array(bound) for bound in (x.low, x.high)))

    def map_array(self, array):
        """What becomes of an array that broadcasts against the input's shape."""
        return self.apply(np.broadcast_to(array, self.input_shape)[None])[0]

    input_shape: tuple = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Transpose(Reshape):
    """Axes in another order; `axes` counts without the batch, from 0."""

    axes: tuple = ()

    def apply(self, x):
        return x.transpose(0, *(a + 1 for a in self.axes))


@dataclasses.dataclass(frozen=True, eq=False)
class Pad(Reshape):
    """Zeros around it; `padding` is `(before, after)` for each axis."""

    padding: tuple = ()

    def apply(self, x):
        return np.pad(x, [(0, 0), *self.padding])

    def map_bounds(self, x):
        return super().map_bounds(x).with_zero()


@dataclasses.dataclass(frozen=True, eq=False)
class Crop(Reshape):
    """Every `strides`-th entry from `begin` on, as many along each axis as `shape`."""

    begin: tuple = ()
    strides: tuple = ()

    def ends(self):
        """One behind the last entry, along each axis."""
        sides = zip(self.begin, self.strides, self.shape, strict=True)
        return [begin + stride * (n - 1) + 1 for begin, stride, n in sides]

    def apply(self, x):
        sides = zip(self.begin, self.ends(), self.strides, strict=True)
        return x[(slice(None), *(slice(*side) for side in sides))]


@dataclasses.dataclass(frozen=True, eq=False)
class Repeat(Reshape):
    """Every entry `times` times in a row, along each axis."""

    times: tuple = ()

    def apply(self, x):
        for axis, times in enumerate(self.times, start=1):
            x = x.repeat(times, axis)
        return x


@dataclasses.dataclass(frozen=True, eq=False)
class Concatenate(Operation):
    """Tensors one behind the other along `axis`, counted without the batch."""

    axis: int
    input_shapes: tuple

    def apply(self, *xs):
        return np.concatenate(xs, self.axis + 1)

    def bounds(self, *intervals, steps):
        if all(np.size(x.low) == np.size(x.high) == 1 for x in intervals):
            return Interval.of(*(x.reshape(()) for x in _ends(*intervals)))
        full = [x.full(s) for x, s in zip(intervals, self.input_shapes, strict=True)]
        return Interval(
            np.concatenate([x.low for x in full], self.axis),
            np.concatenate([x.high for x in full], self.axis),
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Sum(Operation):
    """The sum over `axes`, counted without the batch; they are kept, of length 1."""

    axes: tuple
    input_shape: tuple

    def apply(self, x):
        return x.sum(tuple(a + 1 for a in self.axes), keepdims=True)

    def bounds(self, x, *, steps):
        x = x.full(self.input_shape)
        return Interval(
            x.low.sum(self.axes, keepdims=True), x.high.sum(self.axes, keepdims=True)
        )


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(Operation):
    """The largest entry of each window, of what has come in so far.

    It sends what that changes: its outputs so far add up to the pool of all inputs so
    far. Its state: the sum of the inputs, and the pool of it.

    Attributes:
        window, strides: One integer an axis.
        padding: `(before, after)` for each axis; never the largest.
        over_time: False for networks without time, where it has no state.

    Source: paper 004 algorithm 2.
    """

    window: tuple
    strides: tuple
    padding: tuple
    input_shape: tuple
    over_time: bool

    @property
    def state_names(self):
        return ("sum", "pool") if self.over_time else ()

    def pool(self, x):
        """The pool of one tensor."""
        least = np.iinfo(np.int64).min
        arguments = self.window, self.strides, self.padding, (1, 1)
        return patches(x, *arguments, fill=least).max((-2, -1))

    def initial_state(self):
        zeros = np.zeros(self.input_shape, np.int64), np.zeros(self.shape, np.int64)
        return zeros if self.over_time else ()

    def run(self, values, state, step):
        (x,) = values
        if not self.over_time:
            return self.pool(x), state
        total, before = state
        total = total + x
        pool = self.pool(total)
        return pool - before, (total, pool)

    def bounds(self, x, *, steps):
        # No entry changes by more than this at a step, so neither does the largest.
        return _of_channels(x, self.shape[-1])

    def state_bounds(self, x, *, steps):
        total = x.with_zero().map(lambda bound: bound * steps)
        return (total, _of_channels(total, self.shape[-1])) if self.over_time else ()


# --- Neurons -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Fire(Operation):
    r"""Integrate-and-fire neurons: spikes 1, or 0, of integer potentials.

    $u \leftarrow u + I$, $z = [u \ge \Theta]$, $u \leftarrow u - \Theta z$

    Its state is the potential above the one at rest, so that it starts from 0.

    Attributes:
        threshold: $\Theta$ >= 1, int32; broadcasts against the shape.
        initial: The potential at rest, likewise.
    """

    threshold: np.ndarray
    initial: np.ndarray
    state_names = ("potential",)

    def initial_state(self):
        return (np.zeros(self.shape, np.int64),)

    def run(self, values, state, step):
        u = state[0] + values[0]
        z = (u >= self.threshold - self.initial).astype(np.int64)
        return z, (u - self.threshold * z,)

    def bounds(self, x, *, steps):
        return Interval(np.int64(0), np.int64(1))

    def state_bounds(self, x, *, steps):
        # As if it never fired, which nothing exceeds.
        return (x.with_zero().map(lambda bound: bound * steps),)

    def constants(self):
        return self.threshold, self.initial


@dataclasses.dataclass(frozen=True, eq=False)
class SignedFire(Fire):
    r"""Neurons that take spikes back: 1, -1 or 0.

    1 where $u \ge \Theta$ and fewer than `ceiling` were sent; -1 where $u < 0$ and
    any were. Its state: the potential, and the count.
    """

    ceiling: int | None = None
    state_names = ("potential", "count")

    def initial_state(self):
        return *super().initial_state(), np.zeros(self.shape, np.int64)

    def run(self, values, state, step):
        u, count = state[0] + values[0], state[1]
        fires = u >= self.threshold - self.initial
        if self.ceiling is not None:
            fires = fires & (count < self.ceiling)
        z = fires.astype(np.int64) - ((u < -self.initial) & (count > 0))
        return z, (u - self.threshold * z, count + z)

    def bounds(self, x, *, steps):
        return Interval(np.int64(-1), np.int64(1))

    def state_bounds(self, x, *, steps):
        (potential,) = super().state_bounds(x, steps=steps)
        # Taking a spike back adds the threshold to what is below rest.
        most = np.maximum(potential.high, self.threshold)
        count = Interval(np.int64(0), np.int64(self.ceiling or steps))
        return Interval(potential.low, most), count


@dataclasses.dataclass(frozen=True, eq=False)
class FireBits(Fire):
    r"""Bit-serial neurons: what they send in `bits` steps, as one integer.

    $z_t = [u \ge \Theta 2^{-t}]$, $u \leftarrow u - \Theta 2^{-t} z_t$; the output is
    $\sum_t 2^{b-t} z_t$. $\Theta$ is a multiple of $2^b$.
    """

    bits: int = 1
    state_names = ()

    def weights(self):
        """What the spikes of each step weigh, most significant first."""
        return [self.threshold >> t for t in range(1, self.bits + 1)]

    def spikes(self, x):
        """The bits `(bits, batch, ...)`, most significant first."""
        u = self.initial + x
        spikes = []
        for weight in self.weights():
            spikes.append((u >= weight).astype(np.int64))
            u = u - weight * spikes[-1]
        return np.stack(spikes)

    def initial_state(self):
        return ()

    def run(self, values, state, step):
        place = 2 ** np.arange(self.bits)[::-1]
        return np.tensordot(place, self.spikes(values[0]), 1), state

    def bounds(self, x, *, steps):
        return Interval(np.int64(0), np.int64(2**self.bits - 1))

    def state_bounds(self, x, *, steps):
        return ()


@dataclasses.dataclass(frozen=True, eq=False)
class Integrate(Operation):
    """The sum of all inputs so far: the network's output, undivided."""

    state_names = ("sum",)

    def initial_state(self):
        return (np.zeros(self.shape, np.int64),)

    def run(self, values, state, step):
        total = state[0] + values[0]
        return total, (total,)

    def bounds(self, x, *, steps):
        return x.with_zero().map(lambda bound: bound * steps)

    def state_bounds(self, x, *, steps):
        return (self.bounds(x, steps=steps),)


# --- The network ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of an integer network: $x = scale (q - zero\\_point)$.

    Attributes:
        name: Its name.
        shape: Its shape, without the batch.
        dtype: What q is held in: "uint8", "int8" or "int16".
        scale, zero_point: What q means.
    """

    name: str
    shape: tuple
    dtype: str
    scale: float
    zero_point: int

    @property
    def interval(self):
        """Bounds of q - zero_point."""
        limits = np.iinfo(self.dtype)
        ends = np.int64(limits.min), np.int64(limits.max)
        return Interval(*ends).map(lambda bound: bound - self.zero_point)

    def quantize(self, x):
        """Numbers `(batch, ...)` as q: the nearest, within the dtype."""
        limits = np.iinfo(self.dtype)
        q = np.floor(np.asarray(x, "float64") / self.scale + 0.5) + self.zero_point
        return np.clip(q, limits.min, limits.max).astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Output:
    """An output: its integers mean `scale` each, over `divisor` steps.

    Attributes:
        name: The tensor.
        scale: Real value of 1.
        divisor: Steps to divide by; None for as many as have run.
    """

    name: str
    scale: float
    divisor: int | None


class IntegerNetwork:
    """A spiking network in integers; made by `snn_keras.export.quantize_weights`.

    Args:
        name: Its name.
        inputs: List of `Input`.
        operations: List of `Operation`, each behind all that it reads.
        outputs: List of `Output`.
        timesteps: Time steps of a run.
        notes: List of `(layer, note)`: what is held otherwise than in the source.
        left_out: Names of layers behind the network that are left to the caller.

    Raises:
        OverflowError: if a value could leave 32 bits.
    """

    def __init__(
        self, name, inputs, operations, outputs, timesteps, notes=(), left_out=()
    ):
        self.name = name
        self.inputs = list(inputs)
        self.operations = list(operations)
        self.outputs = list(outputs)
        self.timesteps = timesteps
        self.notes = list(notes)
        self.left_out = list(left_out)
        self.intervals = {x.name: x.interval for x in self.inputs}
        self.state_intervals = {}
        for operation in self.operations:
            reads = [self.intervals[name] for name in operation.inputs]
            bounds = operation.bounds(*reads, steps=timesteps)
            states = operation.state_bounds(*reads, steps=timesteps)
            self.intervals[operation.name] = bounds
            self.state_intervals[operation.name] = states
            largest = max(x.largest for x in (bounds, *states))
            if largest > INT32:
                raise OverflowError(
                    f"'{operation.name}' ({type(operation).__name__}) may reach "
                    f"{largest:.3g} in {timesteps} steps, and 32 bits hold "
                    f"{INT32:.3g}. Remedy: fewer steps, or larger thresholds."
                )

    @property
    def neurons(self):
        """The layers of spiking neurons."""
        return [x for x in self.operations if isinstance(x, Fire)]

    @property
    def is_exact(self) -> bool:
        """Whether its weights and thresholds are the source's, without rounding."""
        return not self.notes

    def static(self) -> set:
        """Names of what is the same at every step of a constant input."""
        names = {x.name for x in self.inputs}
        for operation in self.operations:
            changes = operation.initial_state() or getattr(operation, "on", None)
            if not changes and names.issuperset(operation.inputs):
                names.add(operation.name)
        return names

    def initial_state(self, batch_size) -> dict:
        """The state of a network at rest: tuples of arrays by operation."""
        return {
            operation.name: tuple(
                np.zeros((batch_size, *x.shape), np.int64)
                for x in operation.initial_state()
            )
            for operation in self.operations
        }

    def step(self, inputs, state, step, known=()):
        """Runs one time step.

        Args:
            inputs: List of arrays `(batch, ...)`, quantized as `inputs` say.
            state: As `initial_state`, or the step before, gives it.
            step: The time step, from 0.
            known: Values that need not be computed, by name.

        Returns:
            All values by name, and the new state.
        """
        values = dict(known)
        for x, q in zip(self.inputs, inputs, strict=True):
            values[x.name] = np.asarray(q).astype(np.int64) - x.zero_point
        new = {}
        for operation in self.operations:
            if operation.name in values:
                new[operation.name] = state[operation.name]
                continue
            reads = [values[name] for name in operation.inputs]
            values[operation.name], new[operation.name] = operation.run(
                reads, state[operation.name], step
            )
        return values, new

    def run(self, inputs):
        """Runs all steps on a constant input.

        Args:
            inputs: Arrays, as for `step`.

        Yields:
            `(values, state)` after each step.
        """
        state = self.initial_state(len(inputs[0]))
        static, known = self.static(), {}
        for step in range(self.timesteps):
            values, state = self.step(inputs, state, step, known)
            known = {name: values[name] for name in static}
            yield values, state

    def quantize(self, x):
        """Inputs as numbers, to the integers that the network takes.

        Args:
            x: An array, or a list or dict of one for each input.
        """
        if isinstance(x, dict):
            x = [x[spec.name] for spec in self.inputs]
        elif not isinstance(x, (list, tuple)):
            x = [x]
        return [spec.quantize(a) for spec, a in zip(self.inputs, x, strict=True)]

    def decode(self, values, step):
        """The outputs after `step` steps, as real numbers."""
        return [
            values[out.name] * (out.scale / (out.divisor or step))
            for out in self.outputs
        ]

    def predict_over_time(self, x, batch_size=100):
        """The decoded output after every step, `(timesteps, batch, ...)`.

        Args:
            x: Inputs as the source network takes them, not quantized.
            batch_size: Samples at a time.

        Returns:
            An array; a list of one for each output, where there are several.
        """
        quantized = self.quantize(x)
        parts = []
        for start in range(0, len(quantized[0]), batch_size):
            inputs = [q[start : start + batch_size] for q in quantized]
            runs = enumerate(self.run(inputs), start=1)
            parts.append([self.decode(values, step) for step, (values, _) in runs])
        outputs = [
            np.concatenate([np.stack([y[i] for y in part]) for part in parts], axis=1)
            for i in range(len(self.outputs))
        ]
        return outputs[0] if len(outputs) == 1 else outputs

    def predict(self, x, batch_size=100):
        """The decoded output of a run, `(batch, ...)`; see `predict_over_time`."""
        over_time = self.predict_over_time(x, batch_size)
        if isinstance(over_time, list):
            return [y[-1] for y in over_time]
        return over_time[-1]

    def __str__(self):
        rows = [("tensor", "operation", "shape", "constants", "between")]
        for operation in self.operations:
            interval = self.intervals[operation.name]
            rows.append(
                (
                    operation.name,
                    type(operation).__name__,
                    " x ".join(map(str, operation.shape)),
                    str(sum(np.size(x) for x in operation.constants()) or ""),
                    f"{np.min(interval.low)} and {np.max(interval.high)}",
                )
            )
        notes = [f"{layer}: {note}" for layer, note in self.notes]
        exact = ["every weight and threshold is the source's, without rounding"]
        head = f"{self.name}, {self.timesteps} time steps, in integers"
        return "\n".join([head, table(rows), *(notes or exact)])
