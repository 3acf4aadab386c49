"""Sets the steps of quantized activations from a float network's activations."""

import dataclasses
import math
from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import ops, tree

from snn_keras import graph as graph_lib
from snn_keras.conversion.building import memories_of
from snn_keras.inputs import batches, open_size
from snn_keras.text import listed
from snn_keras.typing import Inputs
from snn_keras.warning import warn

# A noisy spike has no levels; its threshold is calibrated as if it had this many.
NOISY_SPIKE_LEVELS = 16
# The number of a layer's pre-activations that calibration samples.
SAMPLED_VALUES = 100_000
# The thresholds among which calibration by squared error chooses.
CANDIDATES = 99
# What a batch may take: some of its largest tensors exist at once.
BATCH_BYTES = 2**26
MOST_SAMPLES = 64


def calibrate(
    model: keras.Model,
    data: Inputs,
    ceilings: Mapping[str, float | None],
    wrapped: Mapping[str, tuple],
    calibration: str,
    batch_size: int | None,
) -> None:
    """Sets the step of each quantized activation from float activations.

    Args:
        model: The quantized model.
        data: Inputs, a structure of arrays.
        ceilings: `{name: value}` at which each ReLU saturates; None if it does not.
        wrapped: `{name: (before, after)}`, the affine maps around an activation that
            are set, too.
        calibration: A key of `RULES`.
        batch_size: Samples a batch; None chooses it by the memory that they need.
    """
    graph = graph_lib.trace(model)
    batch_size = batch_size or _batch_size(graph, open_size(data, graph))
    # Another activation function than ReLU may be negative; it is shifted by its
    # smallest value. An activation that is used several times has one sample.
    layers = {n.operation.name: n.operation for n in graph.nodes}
    samples = {
        name: _Sample(layer.axis, 0.0 if name in ceilings else None)
        for name, layer in layers.items()
        if name in ceilings or name in wrapped
    }
    count = len(tree.flatten(data)[0])
    quota = max(1, SAMPLED_VALUES * batch_size // count)

    def call(node, values):
        name = node.operation.name
        if name not in samples:
            return node.call(node.operation, values, training=False)
        v = values[node.inputs[0]]
        samples[name].add(ops.convert_to_numpy(v), quota)
        if name not in ceilings:
            return v
        return ops.clip(v, 0, _top(ceilings[name]))

    states = [state for layer in model.layers for state in memories_of(layer)]
    before = [ops.copy(state) for state in states]
    for batch in batches(data, batch_size):
        graph.run(graph.cast(batch), call)
    for state, value in zip(states, before, strict=True):
        state.assign(value)
    silent = []
    for name, sample in samples.items():
        layer = layers[name]
        levels = layer.levels if layer.has_size else NOISY_SPIKE_LEVELS
        theta = sample.thresholds(RULES[calibration], levels, ceilings.get(name))
        fires = theta > 0
        if not np.all(fires):
            silent.append(_described(name, fires))
            theta = np.where(fires, theta, levels)
        _set(layer, theta, sample.lowest, *wrapped.get(name, (None, None)))
    if silent:
        are, steps = (
            ("is", "its step is") if len(silent) == 1 else ("are", "their steps are")
        )
        warn(
            f"{listed(silent)} {are} silent on the calibration data; {steps} set to 1. "
            "Calibrate on more data."
        )


def _batch_size(graph, size):
    """How many samples a batch has, for tensors of this graph.

    What its shapes leave open counts as `size`, the most that it may be.
    """
    shapes = [x.shape[1:] for node in graph.nodes for x in node.outputs]
    largest = max(4 * math.prod(n or size for n in shape) for shape in shapes)
    return max(1, min(MOST_SAMPLES, BATCH_BYTES // largest))


def _top(ceiling):
    return float("inf") if ceiling is None else ceiling


def _described(name, fires):
    """The name of a silent activation, and how many of its channels are silent."""
    count = f" ({np.sum(~fires)} of {fires.size} channels)" if fires.size > 1 else ""
    return f"'{name}'{count}"


def _set(layer, theta, lowest, before, after):
    """Sets the threshold of an activation, and the affine maps around it."""
    if not layer.has_size:
        before.scale, after.scale = 1.0 / float(theta), float(theta)
        return
    layer.set_threshold(theta)
    if before is not None:
        # The shift is a whole number of steps, so that 0 stays exactly 0.
        step = layer.step_value().astype("float64")
        shift = step * np.round(-lowest / step)
        before.offset, after.offset = shift.tolist(), (-shift).tolist()


@dataclasses.dataclass
class _Sample:
    """A random sample of one layer's pre-activations, and their extremes.

    Attributes:
        axis: The axis that has a step for each channel, or None.
        floor: The least value of the quantized activation: 0, or None for the
            smallest pre-activation if that is below 0.
    """

    axis: int | None
    floor: float | None = 0.0
    parts: list = dataclasses.field(default_factory=list)
    highest: np.ndarray | float = 0.0
    lowest: float = 0.0

    def __post_init__(self):
        self._rng = np.random.default_rng(0)

    def add(self, v: np.ndarray, quota: int) -> None:
        """Keeps up to `quota` of the values, or of the positions, of `v`."""
        channels = 1 if self.axis is None else v.shape[self.axis]
        if self.axis is not None:
            v = np.moveaxis(v, self.axis, -1)
        v = v.reshape(-1, channels)
        self.highest = np.maximum(self.highest, v.max(axis=0))
        if self.floor is None:
            self.lowest = min(self.lowest, float(v.min()))
        quota = max(1, quota // channels)
        if len(v) > quota:
            v = v[self._rng.integers(0, len(v), quota)]
        self.parts.append(np.asarray(v, "float32"))

    def thresholds(
        self, rule: Callable, levels: int, ceiling: float | None
    ) -> np.ndarray:
        """The threshold of the layer, or those of its channels."""
        values = np.concatenate(self.parts) - self.lowest
        highest = np.minimum(self.highest - self.lowest, _top(ceiling))
        thetas = [rule(values[:, c], levels, top) for c, top in enumerate(highest)]
        thetas = np.where(np.greater(thetas, 0), np.minimum(thetas, highest), highest)
        return np.asarray(thetas[0] if self.axis is None else thetas, "float32")


def _by_mse(v, levels, highest):
    """The threshold with the least squared error of the quantized ReLU."""
    v = np.sort(np.clip(v[v > 0], 0, highest).astype("float64"))
    if not len(v):
        return highest
    error = _error_of_values if levels * CANDIDATES > len(v) else _error_of_sums
    candidates = highest * np.linspace(0.02, 1.0, CANDIDATES)
    return min(candidates, key=error(v, levels))


def _error_of_values(v, levels):
    """The squared error for each threshold, value by value."""

    def error(theta):
        step = theta / levels
        a = step * np.floor(np.clip(v / step, 0, levels) + 0.5)
        return np.sum(np.square(a - v))

    return error


def _error_of_sums(v, levels):
    """The same for many sorted values: the sum of those that become one level."""
    sums, level = np.concatenate([[0.0], np.cumsum(v)]), np.arange(levels + 1)
    squares = np.sum(np.square(v))

    def error(theta):
        step = theta / levels
        ends = np.searchsorted(v, step * (level[:-1] + 0.5))
        ends = np.concatenate([[0], ends, [len(v)]])
        a, count = step * level, np.diff(ends)
        return squares - 2 * np.sum(a * np.diff(sums[ends])) + np.sum(a * a * count)

    return error


def _by_max(v, levels, highest):
    return highest


def _by_percentile(v, levels, highest):
    return np.percentile(v, 99.9)


def _by_lsq(v, levels, highest):
    return 2.0 * np.mean(np.abs(v)) * np.sqrt(levels)


RULES = {
    "mse": _by_mse,
    "max": _by_max,
    "percentile": _by_percentile,
    "lsq": _by_lsq,
}
