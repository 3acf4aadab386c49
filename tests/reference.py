"""Slow, literal NumPy reference of the project's methods.

Written from METHODS.md alone, to be compared with the fast implementations. All
arithmetic is float64: on dyadic weights, steps and inputs it is exact, so that tests
may ask for equality. Arrays are channels-last, with the batch on axis 0; a trace has
the time steps t = 1..T on a new axis in front.

Notation: v pre-activation, s step, p levels, theta threshold, u potential, z spike,
Z running spike count, T time steps, P input phase, b bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any

import numpy as np

Array = np.ndarray
Signals = dict[str, Array]


@dataclass(frozen=True)
class Node:
    """One operation of a network; a network is a list in topological order.

    ``inputs`` names the nodes it reads. Kinds and params (sizes are tuples, one entry
    an axis; bias may be None; strides, padding, dilation, groups, keepdims may be left
    out for strides of 1, a pool's of its window, "valid", 1, 1, False):
      input
      dense           kernel (in, out), bias
      conv            kernel (*window, in/groups, out), bias, strides, padding,
                      dilation, groups
      depthwise       kernel (*window, in, multiplier), bias, strides, padding, dilation
      conv_transpose  kernel (*window, out, in), bias, strides, padding
      batch_norm      gamma, beta, mean, variance, epsilon
      avg_pool, max_pool          window, strides, padding
      global_avg_pool             keepdims
      zero_pad: padding           crop: cropping             upsample: size
      reshape: target_shape       flatten                    permute: dims (from 1)
      add, subtract, average      concat: axis               mean: axes, keepdims
      scale: factor               shift: offset              negate
      activation: step, levels    relu
      product, square             at_least: bound
    The axes of concat and mean count the batch, and are never the batch.
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)


# --- Scalar laws ---------------------------------------------------------------------


def round_half_up(x):
    """floor(x + 1/2) (METHODS, Notation): a neuron that is just at theta fires."""
    return np.floor(np.asarray(x, float) + 0.5)


def quantize(v, step, levels):
    """LSQ: s * round(clip(v/s, 0, p)) (METHODS 1; 000 eq. 3)."""
    return step * round_half_up(np.clip(v / step, 0, levels))


def quantize_gradients(v, step, levels, upstream):
    """LSQ gradients to v and, element by element, to s (METHODS 1; 000 eq. 4, 5)."""
    return noise_adaptor_gradients(v, step, levels, 0.0, upstream)


def noise_adaptor(v, step, levels, eps):
    """s * round(clip(v/s + eps, 0, p)), eps in (-1/2, 1/2) (METHODS 1; 000 eq. 7)."""
    return step * round_half_up(np.clip(v / step + eps, 0, levels))


def noise_adaptor_gradients(v, step, levels, eps, upstream):
    """Gradients to v and, element by element, to s (METHODS 1; 000 eq. 9, 10).

    With r = v/s + eps:  r <= 0: (0, 0);  0 < r < p: (1, round(r) - r);  r >= p: (0, p).
    """
    r = v / step + eps
    inside = (r > 0) & (r < levels)
    to_step = np.where(inside, round_half_up(r) - r, np.where(r >= levels, levels, 0.0))
    return upstream * inside, upstream * to_step


def qcfs(v, threshold, levels):
    """lambda * clip(round(v L / lambda) / L, 0, 1) (METHODS 1; 001 eq. 6)."""
    return threshold * np.clip(round_half_up(v * levels / threshold) / levels, 0, 1)


def slip_relu(v, threshold, levels, slope):
    """c * clip(v, 0, theta) + (1 - c) * QCFS(v), with the shift 1/2 (METHODS 1)."""
    return slope * np.clip(v, 0, threshold) + (1 - slope) * qcfs(v, threshold, levels)


def noisy_spike(x, noise, threshold=1.0):
    """H(x + n > V_th), strict (METHODS 1; 003 eq. 2, 6)."""
    return np.asarray(x + noise > threshold, float)


def leaky(currents, threshold=1.0, decay=0.5):
    """Spikes and potentials of plain LIF neurons, time first (METHODS 2; 003 eq. 1-3).

    h = decay V + I; fires where h > threshold; hard reset to 0.
    """
    V, spikes, potentials = np.zeros_like(currents[0], float), [], []
    for current in currents:
        h = decay * V + current
        z = np.asarray(h > threshold, float)
        V = h * (1 - z)
        spikes.append(z)
        potentials.append(V)
    return np.stack(spikes), np.stack(potentials)


def noisy_spike_surrogate(x, threshold=1.0, a=3.0):
    """a / (2 (1 + (pi/2 a (x - V_th))^2)), x with its noise in it (003 eq. 4)."""
    return a / (2 * (1 + (np.pi / 2 * a * (x - threshold)) ** 2))


def bits(count, b):
    """The b binary digits of an integer array, most significant first: (b, ...)."""
    count = np.asarray(count).astype(np.int64)
    return np.stack([(count >> (b - t)) & 1 for t in range(1, b + 1)])


def bit_sparsity_penalty(activation, step, levels):
    """One layer's sum over its elements and bits of bit_t(a) (METHODS 1; 002 eq. 9).

    Neither multiplied by lambda_reg nor averaged over the batch.
    """
    return float(bits(np.rint(activation / step), int(levels).bit_length()).sum())


def bit_sparsity_gradient(activation, step, levels, upstream=1.0):
    """The surrogate b * [0 < a < theta], theta = p s (METHODS 1; 002 eq. 10)."""
    inside = (activation > 0) & (activation < levels * step)
    return upstream * int(levels).bit_length() * inside.astype(float)


def normalised_potential(A, alpha, beta):
    """N(A) = A^/(alpha max|A^|) + beta, A^ = (A - mu)/sigma (METHODS 2; 003 eq. 8-10).

    mu, sigma and the maximum are each sample's own; A^ = 0 where sigma = 0.
    """
    A = np.asarray(A, float)
    axes = tuple(range(1, A.ndim))
    centred = A - A.mean(axes, keepdims=True)
    sigma = A.std(axes, keepdims=True)
    # A constant A can miss its own mean by a rounding: ask for the spread itself.
    constant = np.ptp(A, axes, keepdims=True) == 0
    hat = np.where(constant, 0.0, centred / np.where(constant, 1.0, sigma))
    peak = np.abs(hat).max(axes, keepdims=True)
    return hat / (alpha * np.where(peak == 0, 1.0, peak)) + beta


# --- Operations ----------------------------------------------------------------------


def _same_padding(size, window, stride):
    """TensorFlow's SAME rule for one axis: (before, after), the odd one after."""
    output = -(-size // stride)
    total = max((output - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _taps(x, window, p, strides, fill=0.0):
    """Yield (k, x at window position k, for every output position)."""
    dilation = p.get("dilation", (1,) * len(window))
    reach = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if p.get("padding", "valid") == "same":
        pads = map(_same_padding, x.shape[1:-1], reach, strides)
        x = np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=fill)
    for k in np.ndindex(*window):
        index = [
            slice(i * d, i * d + n - r + 1, s)
            for i, d, n, r, s in zip(
                k, dilation, x.shape[1:-1], reach, strides, strict=True
            )
        ]
        yield k, x[(slice(None), *index)]


def _strides(p, window):
    return p.get("strides", (1,) * len(window))


def _bias(p):
    return 0.0 if p.get("bias") is None else p["bias"]


def _dense(p, x):
    return x @ p["kernel"] + _bias(p)


def _conv(p, x):
    """Sum over the window of x @ kernel[k], each group with its own channels."""
    groups = p.get("groups", 1)
    window = p["kernel"].shape[:-2]
    strides = _strides(p, window)
    kernels = np.split(np.asarray(p["kernel"], float), groups, axis=-1)
    outputs = [
        sum(tap @ kernel[k] for k, tap in _taps(part, window, p, strides))
        for part, kernel in zip(np.split(x, groups, axis=-1), kernels, strict=True)
    ]
    return np.concatenate(outputs, axis=-1) + _bias(p)


def _depthwise(p, x):
    """Every channel through its own filters; outputs in-major, multiplier-minor."""
    kernel = np.asarray(p["kernel"], float)
    window = kernel.shape[:-2]
    strides = _strides(p, window)
    y = sum(tap[..., None] * kernel[k] for k, tap in _taps(x, window, p, strides))
    return y.reshape(*y.shape[:-2], -1) + _bias(p)


def _conv_transpose(p, x):
    """The gradient of a convolution: x at i adds x @ kernel[k].T to i*stride + k.

    Sizes: "valid" n s + max(w - s, 0), of which "same" keeps n s: what is cropped is
    the padding that the convolution would have put.
    """
    kernel = np.asarray(p["kernel"], float)
    window = kernel.shape[:-2]
    axes = list(zip(x.shape[1:-1], window, _strides(p, window), strict=True))
    y = np.zeros(
        (len(x), *(n * s + max(w - s, 0) for n, w, s in axes), kernel.shape[-2])
    )
    for k in np.ndindex(*window):
        index = [slice(i, i + n * s, s) for i, (n, _, s) in zip(k, axes, strict=True)]
        y[(slice(None), *index)] += x @ kernel[k].T
    if p.get("padding", "valid") == "same":
        before = [max(w - s, 0) // 2 for _, w, s in axes]
        index = [
            slice(lo, lo + n * s) for lo, (n, _, s) in zip(before, axes, strict=True)
        ]
        y = y[(slice(None), *index)]
    return y + _bias(p)


def _batch_norm(p, x):
    sigma = np.sqrt(p["variance"] + p["epsilon"])
    return p["gamma"] * (x - p["mean"]) / sigma + p["beta"]


def _avg_pool(p, x):
    """Padding counts neither in the sum nor in the number of elements."""
    window, strides = p["window"], p.get("strides", p["window"])
    total = sum(tap for _, tap in _taps(x, window, p, strides))
    return total / sum(tap for _, tap in _taps(np.ones_like(x), window, p, strides))


def _max_pool(p, x):
    window, strides = p["window"], p.get("strides", p["window"])
    taps = [tap for _, tap in _taps(x, window, p, strides, fill=-np.inf)]
    return np.max(taps, axis=0)


def _global_avg_pool(p, x):
    axes = tuple(range(1, x.ndim - 1))
    return x.mean(axes, keepdims=p.get("keepdims", False))


def _crop(p, x):
    index = [
        slice(lo, n - hi)
        for (lo, hi), n in zip(p["cropping"], x.shape[1:-1], strict=True)
    ]
    return x[(slice(None), *index)]


def _upsample(p, x):
    for axis, size in enumerate(p["size"], start=1):
        x = np.repeat(x, size, axis)
    return x


FUNCTIONS: dict[str, Callable[..., Array]] = {
    "dense": _dense,
    "conv": _conv,
    "depthwise": _depthwise,
    "conv_transpose": _conv_transpose,
    "batch_norm": _batch_norm,
    "avg_pool": _avg_pool,
    "max_pool": _max_pool,
    "global_avg_pool": _global_avg_pool,
    "zero_pad": lambda p, x: np.pad(x, [(0, 0), *p["padding"], (0, 0)]),
    "crop": _crop,
    "upsample": _upsample,
    "reshape": lambda p, x: x.reshape(len(x), *p["target_shape"]),
    "flatten": lambda p, x: x.reshape(len(x), -1),
    "permute": lambda p, x: x.transpose(0, *p["dims"]),
    "add": lambda p, *xs: sum(xs),
    "subtract": lambda p, x, y: x - y,
    "average": lambda p, *xs: sum(xs) / len(xs),
    "concat": lambda p, *xs: np.concatenate(xs, axis=p.get("axis", -1)),
    "scale": lambda p, x: x * p["factor"],
    "shift": lambda p, x: x + p["offset"],
    "negate": lambda p, x: -x,
    "mean": lambda p, x: x.mean(p["axes"], keepdims=p.get("keepdims", False)),
    "activation": lambda p, x: quantize(x, p["step"], p["levels"]),
    "relu": lambda p, x: np.maximum(x, 0.0),
    "product": lambda p, x, y: x * y,
    "square": lambda p, x: x * x,
    "at_least": lambda p, x: np.maximum(x, p["bound"]),
}
NONLINEAR = {"activation", "relu", "max_pool", "product", "square", "at_least"}


# --- The quantized network -----------------------------------------------------------


def evaluate(nodes: list[Node], inputs: Mapping[str, Array]) -> Signals:
    """Every tensor of the quantized, non-spiking network."""
    values: Signals = {}
    for node in nodes:
        if node.kind == "input":
            values[node.name] = np.asarray(inputs[node.name], float)
        else:
            arguments = [values[name] for name in node.inputs]
            values[node.name] = FUNCTIONS[node.kind](node.params, *arguments)
    return values


def integer_activation(nodes: list[Node], inputs: Mapping[str, Array]) -> Signals:
    """round(a / s), the integer in 0..p, of every activation node."""
    values = evaluate(nodes, inputs)
    return {
        node.name: np.rint(values[node.name] / node.params["step"]).astype(np.int64)
        for node in _activations(nodes)
    }


def _activations(nodes):
    return [node for node in nodes if node.kind == "activation"]


def _static(nodes):
    """The nodes with no activation upstream: the same analog value at every step."""
    names, static = set(), []
    for node in nodes:
        if node.kind != "activation" and names.issuperset(node.inputs):
            names.add(node.name)
            static.append(node)
    return static


# --- Neurons -------------------------------------------------------------------------


class IF:
    """u_t = u_{t-1} + I_t, z_t = [u_t >= theta], u_t <- u_t - theta z_t (METHODS 2).

    Neurons that are not ``active`` integrate and never fire (for SRP).
    """

    def __init__(self, threshold, initial, active=True):
        self.threshold, self.potential, self.active = threshold, initial, active

    def step(self, current):
        """One time step; returns theta * z_t."""
        u = self.potential + current
        self.spike = ((u >= self.threshold) & self.active).astype(np.int64)
        self.potential = u - self.threshold * self.spike
        return self.threshold * self.spike


class SignedIF:
    """Fires while Z_{t-1} < p; else takes one back where u < 0, Z_{t-1} > 0 (004)."""

    def __init__(self, threshold, initial, ceiling):
        self.threshold, self.potential, self.ceiling = threshold, initial, ceiling
        self.count = 0

    def step(self, current):
        """One time step; returns theta * z_t, with z_t in {-1, 0, 1}."""
        u = self.potential + current
        fires = (u >= self.threshold) & (self.count < self.ceiling)
        corrects = (u < 0) & (self.count > 0)
        self.spike = fires.astype(np.int64) - corrects.astype(np.int64)
        self.count = self.count + self.spike
        self.potential = u - self.threshold * self.spike
        return self.threshold * self.spike


class MultiThresholdIF:
    """Sends the power of two of theta that is nearest to u, with its sign (METHODS 2).

    lambda_k = theta / 2^k; +lambda_k for 3/4 lambda_k <= u, the largest such; for
    u < -3/4 lambda_k -lambda_k, the largest that leaves the sum sent >= 0. What
    METHODS leaves open: where the nearest would take back more than was sent, the
    largest that does not. A spike is counted in units of the smallest size.
    """

    def __init__(self, threshold, sizes=8):
        self.least = threshold / 2.0 ** (sizes - 1)
        self.sizes, self.potential, self.sent = sizes, 0.0, 0.0

    def step(self, current):
        """One time step; returns z_t."""
        u = self.potential + current
        z = np.zeros_like(u)
        for k in range(self.sizes):  # from the largest size on
            size = self.least * 2.0 ** (self.sizes - 1 - k)
            free = z == 0
            z = np.where(free & (u >= 0.75 * size), size, z)
            back = (u < -0.75 * size) & (self.sent - size >= 0)
            z = np.where(free & back, -size, z)
        self.spike = (z / self.least).astype(np.int64)
        self.potential, self.sent = u - z, self.sent + z
        return z


class DifferentialIF:
    """Corrects what it has sent, by powers of two of the step s (not in METHODS).

    Sizes 2^k s, k = 0, ... n - 1, n the bits of p. The largest of those with
    u >= 3/4 2^k s that leaves the sum sent <= p s; else minus the largest of those with
    u < -3/4 2^k s that leaves it >= 0. For k = 0: u >= s/2, and u < -s/2.
    """

    def __init__(self, step, levels):
        self.step_size, self.levels = step, levels
        self.potential, self.sent = 0.0, 0

    def step(self, current):
        """One time step; returns z_t."""
        s, u = self.step_size, self.potential + current
        count = np.zeros(np.shape(u), np.int64)
        for k in reversed(range(len(f"{self.levels:b}"))):
            size, bound = 2**k, s / 2 if k == 0 else 3 * 2**k * s / 4
            free = count == 0
            adds = free & (u >= bound) & (self.sent + size <= self.levels)
            takes = free & (u < -bound) & (self.sent - size >= 0)
            count = count + size * adds - size * takes
        self.spike, self.sent = count, self.sent + count
        self.potential = u - s * count
        return s * count


class BitSerialIF:
    """Integrates all T steps, then fires bit by bit (METHODS 2; 002 eq. 8).

    Thresholds theta2 / 2^t and offset theta2 / 2^(T+1), theta2 = 2^b s: at T = b these
    are s 2^(T-t) and s/2, and the spikes are the bits of the activation. What METHODS
    leaves open: at T > b all bits on are more than p s, at which the activation is
    clipped; so is the neuron.
    """

    most = np.inf  # the potential of the highest level

    def __init__(self, theta2, initial):
        self.theta2, self.potential = theta2, initial

    def integrate(self, current):
        self.potential = self.potential + current

    def fire(self, t):
        """The spike of step t; returns what it stands for."""
        if t == 1:
            self.potential = np.minimum(self.potential, self.most)
        weight = self.theta2 / 2.0**t
        self.spike = (self.potential >= weight).astype(np.int64)
        self.potential = self.potential - weight * self.spike
        return weight * self.spike


class TemporalDifference:
    """y_t = F(x_1..x_t) - F(x_1..x_{t-1}), from 0 on (METHODS 2; 004 alg. 2).

    F is f of the decoded signal so far, ``sum / n``, encoded again: times ``n``. In a
    rate n is t; otherwise it is what the sum of a whole run is divided by. The y_t add
    up to n f of the decoded signal.
    """

    def __init__(self, node, n=None):
        # Max pooling commutes with the factor n, which then need not be rounded.
        self.node, self.n = node, 1 if node.kind == "max_pool" else n
        self.t, self.totals, self.sent = 0, None, 0.0

    def step(self, *signals):
        """One time step of the function's arguments."""
        self.t += 1
        before = self.totals or [0.0] * len(signals)
        self.totals = [a + b for a, b in zip(before, signals, strict=True)]
        previous = self.sent
        n = self.n or self.t
        decoded = [total / n for total in self.totals]
        self.sent = n * FUNCTIONS[self.node.kind](self.node.params, *decoded)
        return self.sent - previous


# --- Simulation ----------------------------------------------------------------------


@dataclass(frozen=True)
class Trace:
    """What a simulation did; every array has the time axis in front.

    ``spikes`` (-1, 0, 1; with sizes in units of the smallest) and ``potentials`` (after
    each step's reset) of the activation nodes, ``outputs`` of every node: the signal of
    each step.
    """

    spikes: Signals
    potentials: Signals
    outputs: Signals
    running: Signals

    def decoded(self, name: str) -> Array:
        """The value decoded from steps 1..t, for every t."""
        return self.running[name]

    def last_spikes(self, among: Iterable[str]) -> list:
        """For each sample the step of the last spike of the named neurons; 0: none."""
        active = sum(
            np.abs(z).reshape(*z.shape[:2], -1).sum(-1)
            for z in (self.spikes[name] for name in among)
        )
        return [np.max(np.nonzero(a)[0], initial=-1) + 1 for a in active.T]


def _collect(steps):
    """From (signals, spikes, potentials) of each step to their histories by name."""
    return [
        {name: [step[name] for step in part] for name in part[0]}
        for part in zip(*steps, strict=True)
    ]


def _trace(signals, spikes, potentials, divisor, unit=1.0):
    """Stack the histories; decode by sum over t / divisor(t)."""
    running = {}
    for name, x in signals.items():
        sums = np.cumsum(x, axis=0)
        running[name] = np.stack([y / divisor(t) for t, y in enumerate(sums, start=1)])
    return Trace(
        {name: np.stack(z) for name, z in spikes.items()},
        {name: np.stack(u) / unit for name, u in potentials.items()},
        {name: np.stack(x) / unit for name, x in signals.items()},
        running,
    )


def _affine(node, arguments, on):
    """f(x_t) while constants are on, else only the linear part f(x_t) - f(0)."""
    if node.kind in NONLINEAR:
        raise ValueError(
            f"{node.name}: {node.kind} does not commute with the sum over time; "
            "expected only before the first activation"
        )
    f = FUNCTIONS[node.kind]
    y = f(node.params, *arguments)
    return y if on else y - f(node.params, *map(np.zeros_like, arguments))


def _differences(nodes, analog, n=None):
    return {
        node.name: TemporalDifference(node, n)
        for node in nodes
        if node.kind in NONLINEAR - {"activation", "relu"} and node.name not in analog
    }


def _steps(
    nodes, inputs, neurons, is_on=lambda t: True, n=None, frames=False
) -> Iterator[tuple]:
    """Yield (signals, spikes, potentials) for t = 1, 2, ... (METHODS 2: zero delay).

    What is static, and every constant part, enters in full at each step that is on.
    With ``frames`` inputs are (batch, time, ...): each step has its own.
    """
    first = {k: x[:, 0] for k, x in inputs.items()} if frames else inputs
    analog = evaluate(_static(nodes), first)
    cells = neurons | _differences(nodes, analog, n)
    for t in count(1):
        if frames:
            now = {k: x[:, t - 1] for k, x in inputs.items()}
            analog = evaluate(_static(nodes), now)
        signals: Signals = {}
        for node in nodes:
            arguments = [signals[name] for name in node.inputs]
            if node.name in analog:
                signals[node.name] = analog[node.name] * is_on(t)
            elif node.name in cells:
                signals[node.name] = cells[node.name].step(*arguments)
            else:
                signals[node.name] = _affine(node, arguments, is_on(t))
        spikes = {name: neuron.spike for name, neuron in neurons.items()}
        yield signals, spikes, {name: n.potential for name, n in neurons.items()}


def _start(initial):
    """The initial potential as a share of the threshold."""
    shares = {"half": 0.5, "zero": 0.0}
    if initial not in shares:
        raise ValueError(f"initial must be one of {tuple(shares)}, got {initial!r}")
    return shares[initial]


def _if_threshold(node):
    """theta = p s (000 eq. 6)."""
    return node.params["levels"] * np.asarray(node.params["step"], float)


def _simulate_if(nodes, inputs, timesteps, initial, active=None, frames=False):
    """IF neurons with given initial potentials and activity, by node name."""
    active = active or {}
    neurons = {
        node.name: IF(
            _if_threshold(node), initial[node.name], active.get(node.name, True)
        )
        for node in _activations(nodes)
    }
    steps = islice(_steps(nodes, inputs, neurons, frames=frames), timesteps)
    return _trace(*_collect(steps), divisor=lambda t: t)


def _half_thresholds(nodes, share=0.5):
    return {node.name: share * _if_threshold(node) for node in _activations(nodes)}


def _signed_neurons(nodes, phase, initial):
    """theta_l = P s_l for every layer, with its own ceiling p_l (METHODS 2)."""
    neurons = {}
    for node in _activations(nodes):
        threshold = phase * np.asarray(node.params["step"], float)
        start = _start(initial) * threshold
        neurons[node.name] = SignedIF(threshold, start, node.params["levels"])
    return neurons


def _differential_neurons(nodes, phase):
    return {
        node.name: DifferentialIF(
            phase * np.asarray(node.params["step"], float), node.params["levels"]
        )
        for node in _activations(nodes)
    }


def _phase(nodes, phase):
    """P, by default the one number of levels that all layers share."""
    if phase is not None:
        return phase
    levels = {node.params["levels"] for node in _activations(nodes)}
    if len(levels) != 1:
        raise ValueError(f"phase is needed where levels differ: {sorted(levels)}")
    return levels.pop()


def _simulate_bit_serial(nodes, inputs, timesteps, initial):
    """Layer by layer, for nothing fires before all T input steps are in (METHODS 2).

    METHODS has all that is static, and every affine map's constant part, enter divided
    by T at each of T steps. Here the signals are T times as large (and so are theta2
    and the offset), so that no 1/T is rounded: seven rounded sevenths of 1/2 fall short
    of 1/2, and break a tie. A spike carries its weight theta2 / 2^t in the signal;
    decoding is the plain sum. The trace is in METHODS' units.
    """
    analog = evaluate(_static(nodes), inputs)
    differences = _differences(nodes, analog, timesteps)
    signals: dict[str, list[Array]] = {}
    spikes: dict[str, list[Array]] = {}
    potentials: dict[str, list[Array]] = {}
    for node in nodes:
        name = node.name
        arguments = list(zip(*(signals[i] for i in node.inputs), strict=True))
        if name in analog:
            signals[name] = [analog[name]] * timesteps
        elif node.kind == "activation":
            neuron = _bit_serial_neuron(node, timesteps, initial)
            for (current,) in arguments:
                neuron.integrate(current)
            signals[name], spikes[name], potentials[name] = [], [], []
            for t in range(1, timesteps + 1):
                signals[name].append(neuron.fire(t))
                spikes[name].append(neuron.spike)
                potentials[name].append(neuron.potential)
        elif name in differences:
            signals[name] = [differences[name].step(*xs) for xs in arguments]
        else:
            signals[name] = [_affine(node, xs, on=True) for xs in arguments]
    return _trace(
        signals, spikes, potentials, divisor=lambda t: timesteps, unit=timesteps
    )


def _bit_serial_neuron(node, timesteps, initial):
    levels = node.params["levels"]
    b = int(levels).bit_length()
    theta2 = timesteps * 2**b * np.asarray(node.params["step"], float)
    neuron = BitSerialIF(theta2, _start(initial) * theta2 / 2.0**timesteps)
    if levels / 2**b < 1 - 2.0**-timesteps:  # its clip p s is less than all bits on
        neuron.most = theta2 * levels / 2**b + theta2 / 2.0 ** (timesteps + 1)
    return neuron


def simulate(
    nodes: list[Node],
    inputs: Mapping[str, Array],
    timesteps: int,
    neuron: str = "if",
    phase: int | None = None,
    initial: str = "half",
    frames: bool = False,
) -> Trace:
    """Run the converted network for t = 1..T (METHODS 2).

    ``neuron`` and how a signal decodes after t steps:
      "if"          mean over the t steps
      "signed"      sum / P: a spike is worth theta_l = P s_l, a count one step s_l
      "bit_serial"  sum, of spikes worth s 2^(b-t) and of 1/T of what is static
      "multi_threshold"  mean over the t steps; spikes in units of theta / 2^7
      "differential"  sum / P, P = 1 by default; spikes in units of P s
    ``phase`` is P, for "signed" and "differential"; ``initial`` "zero" leaves out the
    pre-charge;
    ``frames``, for "if", are inputs (batch, time, ...), one for each step.
    """
    if phase is not None and neuron not in ("signed", "differential"):
        raise ValueError(f"neuron {neuron!r} has an input that stays on: no phase")
    if neuron == "if":
        start = _half_thresholds(nodes, _start(initial))
        return _simulate_if(nodes, inputs, timesteps, start, frames=frames)
    if neuron == "signed":
        P = _phase(nodes, phase)
        neurons = _signed_neurons(nodes, P, initial)
        steps = islice(_steps(nodes, inputs, neurons, lambda t: t <= P, P), timesteps)
        return _trace(*_collect(steps), divisor=lambda t: P)
    if neuron == "bit_serial":
        return _simulate_bit_serial(nodes, inputs, timesteps, initial)
    if neuron == "multi_threshold":
        neurons = {
            node.name: MultiThresholdIF(_if_threshold(node))
            for node in _activations(nodes)
        }
        steps = islice(_steps(nodes, inputs, neurons, frames=frames), timesteps)
        return _trace(*_collect(steps), divisor=lambda t: t)
    if neuron == "differential":
        P = phase or 1
        run = _steps(
            nodes, inputs, _differential_neurons(nodes, P), lambda t: t <= P, P
        )
        return _trace(*_collect(islice(run, timesteps)), divisor=lambda t: P)
    raise ValueError(f"no reference of neurons {neuron!r}")


def settle(
    nodes: list[Node],
    inputs: Mapping[str, Array],
    phase: int | None = None,
    max_steps: int = 1000,
    neuron: str = "signed",
) -> tuple[Trace, int]:
    """Run signed or differential neurons to quiescence; the trace, number of steps.

    One step without a spike after the input phase is enough, and is the last of the
    trace: in it nothing is injected and nothing spikes, so every current is 0 and every
    potential and count stays, and the next step decides as this one did, for ever.
    """
    if neuron == "differential":
        P = phase or 1
        neurons = _differential_neurons(nodes, P)
    else:
        P = _phase(nodes, phase)
        neurons = _signed_neurons(nodes, P, "half")
    steps = []
    run = _steps(nodes, inputs, neurons, lambda t: t <= P, P)
    for t, step in enumerate(islice(run, max_steps), start=1):
        steps.append(step)
        _, spikes, _ = step
        if t > P and not any(z.any() for z in spikes.values()):
            return _trace(*_collect(steps), divisor=lambda t: P), t
    raise RuntimeError(f"still spiking after {max_steps} steps")


# --- Baselines -----------------------------------------------------------------------


def simulate_srp(nodes, inputs, timesteps, extra) -> Trace:
    """SRP (METHODS, Baselines): the second of two runs of the IF network.

    Only neurons whose potential ends > 0 after ``extra`` steps may fire in it.
    """
    start = _half_thresholds(nodes)
    first = _simulate_if(nodes, inputs, extra, start)
    active = {name: u[-1] > 0 for name, u in first.potentials.items()}
    return _simulate_if(nodes, inputs, timesteps, start, active)


def simulate_cos(nodes, inputs, timesteps, extra, tiny=2.0**-20) -> Trace:
    """Offset spikes (METHODS, Baselines): IF with corrected initial potentials.

    Layer by layer: each looks at ``extra`` steps driven by the layers corrected so far.
    """
    start = _half_thresholds(nodes)
    for node in _activations(nodes):
        run = _simulate_if(nodes, inputs, extra, start)
        fired = run.spikes[node.name] > 0
        after = run.potentials[node.name]
        shift = _offset(fired, after, _if_threshold(node), tiny)
        start[node.name] = start[node.name] + shift
    return _simulate_if(nodes, inputs, timesteps, start)


def _offset(fired, after, threshold, tiny):
    """What moves an initial potential so that exactly one spike goes or comes.

    A neuron that was never silent can have no spike more, and is left as it is.
    """
    before = after + threshold * fired
    weakest_fired = np.where(fired, before, np.inf).min(0)
    strongest_silent = np.where(fired, -np.inf, before).max(0)
    down = np.maximum(threshold, weakest_fired - threshold + tiny)
    up = np.maximum(threshold, threshold + tiny - strongest_silent)
    one_too_many = (after[-1] < 0) & fired.any(0)
    one_too_few = (after[-1] >= threshold) & ~fired.all(0)
    return np.where(one_too_many, -down, np.where(one_too_few, up, 0.0))


def simulate_noisy_lif(
    nodes: list[Node],
    inputs: Mapping[str, Array],
    timesteps: int,
    stage: int,
    alpha: float,
    beta: float,
    noise: Callable[[str, int, tuple[int, ...]], Array],
) -> Trace:
    """Noisy LIF (METHODS 2; 003 eq. 1-10): V_th = 1, lambda = 1/2, reset to 0.

    stage 2:  h_t = n_t + I_t
    stage 3:  h_t = N(lambda V_{t-1}) + n'_t + I_t
    and  z_t = [h_t > 1],  V_t = h_t (1 - z_t),  V_0 = 0. ``noise(name, t, shape)`` is
    n_t itself (mean beta) in stage 2, n'_t itself (mean 0) in stage 3. Every step is a
    full pass of the T = 1 network, so every other node, max pooling too, applies as it
    is to the step's own spikes; decoding is the mean.
    """
    if stage not in (2, 3):
        raise ValueError(f"stage must be 2 or 3, got {stage!r}")
    steps, potentials = [], {}
    for t in range(1, timesteps + 1):
        signals, spikes, previous = {}, {}, potentials
        potentials = {}
        for node in nodes:
            arguments = [signals[name] for name in node.inputs]
            if node.kind == "input":
                signals[node.name] = np.asarray(inputs[node.name], float)
            elif node.kind == "activation":
                (current,) = arguments
                n = noise(node.name, t, current.shape)
                if stage == 3:
                    V = previous.get(node.name, np.zeros_like(current))
                    n = n + normalised_potential(0.5 * V, alpha, beta)
                z = noisy_spike(current, n)
                signals[node.name], spikes[node.name] = z, z.astype(np.int64)
                potentials[node.name] = (current + n) * (1 - z)
            else:
                signals[node.name] = FUNCTIONS[node.kind](node.params, *arguments)
        steps.append((signals, spikes, potentials))
    return _trace(*_collect(steps), divisor=lambda t: t)
