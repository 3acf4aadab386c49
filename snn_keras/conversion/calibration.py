"""Sets the steps of quantized activations from a float network's activations."""

import dataclasses
from collections.abc import Mapping, Set

import keras
import numpy as np

from snn_keras import graph as graph_lib
from snn_keras.conversion.observing import Sample, observe
from snn_keras.text import listed
from snn_keras.typing import Inputs
from snn_keras.warning import warn

# A noisy spike has no levels; its threshold is calibrated as if it had this many.
NOISY_SPIKE_LEVELS = 16
# The thresholds among which calibration by squared error chooses.
CANDIDATES = 99


def calibrate(
    model: keras.Model,
    data: Inputs,
    ceilings: Mapping[str, float | None],
    wrapped: Mapping[str, tuple],
    calibration: str,
    batch_size: int | None,
    signed: Set[str] = frozenset(),
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
        signed: Names of those that have levels of either sign, half of them below 0,
            if what they receive is ever below 0.
    """
    graph = graph_lib.trace(model)
    # Another activation function than ReLU may be negative; it is shifted by its
    # smallest value.
    layers = {n.operation.name: n.operation for n in graph.nodes}
    samples = {
        name: Sample(layer.axis, 0.0 if name in ceilings else None)
        for name, layer in layers.items()
        if name in ceilings or name in wrapped
    }
    observe(model, graph, data, samples, ceilings, batch_size)
    silent = []
    for name, sample in samples.items():
        layer = layers[name]
        levels = layer.levels if layer.has_size else NOISY_SPIKE_LEVELS
        rule, lowest = RULES[calibration], sample.lowest
        if name in signed and lowest < 0:
            half = (levels + 1) // 2  # 0 is then level 8 of 15: a single bit
            share = _thresholds(_sizes(sample), rule, half, None) / half
            theta, lowest = levels * share, -half * share
        else:
            theta = _thresholds(sample, rule, levels, ceilings.get(name))
        fires = theta > 0
        if not np.all(fires):
            silent.append(_described(name, fires))
            theta = np.where(fires, theta, levels)
        _set(layer, theta, lowest, *wrapped.get(name, (None, None)))
    if silent:
        are, steps = (
            ("is", "its step is") if len(silent) == 1 else ("are", "their steps are")
        )
        warn(
            f"{listed(silent)} {are} silent on the calibration data; {steps} set to 1. "
            "Calibrate on more data."
        )


def _sizes(sample):
    """The sample of the absolute values."""
    sizes = np.abs(sample.values)
    highest = np.maximum(sizes.max(axis=0), np.maximum(sample.highest, 0.0))
    return dataclasses.replace(sample, parts=[sizes], highest=highest, lowest=0.0)


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


def _thresholds(sample, rule, levels, ceiling):
    """The threshold of a layer, or those of its channels."""
    values = sample.values - sample.lowest
    highest = np.minimum(sample.highest - sample.lowest, _top(ceiling))
    thetas = [rule(values[:, c], levels, top) for c, top in enumerate(highest)]
    thetas = np.where(np.greater(thetas, 0), np.minimum(thetas, highest), highest)
    return np.asarray(thetas[0] if sample.axis is None else thetas, "float32")


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
