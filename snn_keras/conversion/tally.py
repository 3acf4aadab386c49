"""Accumulates the errors of one layer of neurons for `verify`, batch by batch."""

from collections.abc import Sequence

import numpy as np
from keras import ops

from snn_keras.coding import Coding
from snn_keras.conversion import normalize
from snn_keras.conversion.report import LayerMismatch
from snn_keras.graph import Node
from snn_keras.neurons.cell import SpikingCell

ROUNDING = 1e-4  # in steps: the error that float32 may add to half a step
MOST_NOISE = 0.25  # in steps: larger errors count even if rounding might explain them
# The number of roundings in a layer, and in the sum over a run that settles.
LAYER_ROUNDINGS = 8
SETTLING_ROUNDINGS = 64


class Tally:
    """Accumulates the mismatch of one layer.

    Args:
        node: The activation's node in the source.
        cell: The neurons' cell.
        coding: The network's `snn_keras.coding.Coding`.
        between: Names of the source's layers between the neurons before and these.
        correction: Mean current that bias correction adds on purpose, or 0.
    """

    def __init__(
        self,
        node: Node,
        cell: SpikingCell,
        coding: Coding,
        between: Sequence[str] = (),
        correction: float | np.ndarray = 0.0,
    ) -> None:
        activation = node.operation
        self.step, count = cell.grid(coding)
        self.unit, self.largest = self.step, self.step * count
        self.between, self.correction = tuple(between), correction
        self.ratio, self.leaks = 1.0, cell.leaks
        self.roundings = SETTLING_ROUNDINGS if coding.settles else coding.timesteps
        if normalize.is_relu(activation):
            top = np.inf if activation.max_value is None else activation.max_value
            self.function = lambda current: np.clip(current, 0.0, top)
        else:
            wanted = cell.adapted_to(activation, coding).threshold
            ratios = np.atleast_1d(cell.theta_value() / wanted)
            self.ratio = ratios[np.argmax(np.abs(np.log(ratios)))]
            self.step = activation.step_value().astype("float64")
            self.step = _along(self.step, activation.axis, cell)
            self.function = lambda current: (
                self.step
                * np.clip(np.floor(current / self.step + 0.5), 0, activation.levels)
            )
            if not activation.is_staircase:
                self.function = lambda current: ops.convert_to_numpy(
                    activation(ops.convert_to_tensor(current))
                )
        self.off = {}
        self.sums = np.zeros(12)
        self.before = self.noise = 0.0

    def add(
        self, activation: np.ndarray, current: np.ndarray, decoded: np.ndarray
    ) -> None:
        """Adds some samples.

        Args:
            activation: The source's activation.
            current: Mean current that the neurons received.
            decoded: The neurons' decoded output.
        """
        error = (decoded - activation) / self.step
        expected = self.function(current)
        own = (decoded - expected) / self.step
        noise = min(self._noise(activation, decoded), MOST_NOISE)
        own = np.where(np.abs(own) > noise, own, 0.0)
        saturated = current > self.largest
        silent = (decoded == 0) & (expected > 0)
        # As near to its current as its steps allow: the neuron only rounds.
        away = np.abs(decoded - np.maximum(current, 0.0))
        rounded = away <= self.unit * (0.5 + ROUNDING)
        square = np.square(own)
        scale = np.broadcast_to(self.largest, current.shape)
        scale = np.where(np.isfinite(scale), scale, 1.0)
        reach = np.percentile(current / scale, 99)
        self.sums += (
            error.size,
            *_moments(error),
            np.sum(np.square(activation / self.step)),
            *_moments(own),
            np.sum(saturated),
            np.sum(square, where=saturated),
            np.sum(silent),
            np.sum(square, where=silent),
            np.sum(square, where=rounded),
            reach * error.size,
        )
        sizes, counts = np.unique(np.round(error).astype(int), return_counts=True)
        for size, count in zip(sizes.tolist(), counts.tolist(), strict=True):
            self.off[size] = self.off.get(size, 0) + count

    def add_received(
        self,
        wanted: np.ndarray,
        nudged: np.ndarray,
        current: np.ndarray,
        is_activated: bool,
    ) -> None:
        """Adds the currents of some samples, and those they should have been.

        Args:
            wanted: What the source's activation receives if the activations before it
                are the neurons' decoded outputs; its output if the layer before
                applies it.
            nudged: `wanted` if those outputs change by as much as rounding may.
            current: Mean current that the neurons received.
            is_activated: Whether the layer before applies the activation.
        """
        current = current - self.correction
        noise = self._noise(wanted, current)
        self.noise = max(self.noise, noise)
        low, high = current - noise * self.step, current + noise * self.step
        if is_activated:
            low, high = self.function(low), self.function(high)
        off = np.maximum(wanted - high, low - wanted) - np.abs(nudged - wanted)
        self.before += float(np.sum(np.square(np.maximum(off, 0.0) / self.step)))

    def _noise(self, wanted, received):
        """The difference, in steps, that rounding alone may cause.

        One rounding is at most half a unit in the last place of the largest value.
        """
        sizes = [np.max(np.abs(x / self.step)) for x in (wanted, received)]
        ends = [last_place(x) for x in (wanted, received)]
        units = LAYER_ROUNDINGS * max(ends) + self.roundings * ends[1]
        return units * float(max(sizes))

    def mismatch(self, name: str) -> LayerMismatch:
        """The mismatch over all samples."""
        count, *sums = self.sums.tolist()
        mean, square, signal, own_mean, own_square, *shares = np.asarray(sums) / count
        saturated, by_saturation, silent, by_silence, by_rounding, reach = shares
        before = float(np.sqrt(self.before / count))
        return LayerMismatch(
            name,
            mean=float(mean),
            std=_deviation(mean, square),
            relative=float(np.sqrt(square / signal)) if signal else float(square > 0),
            off={k: n / count for k, n in sorted(self.off.items())},
            own_mean=float(own_mean),
            own_std=_deviation(own_mean, own_square),
            # Less comes from a few neurons that compilers computed differently.
            before_rms=before if before > self.noise else 0.0,
            between=self.between,
            saturated=float(saturated),
            reach=float(reach),
            silent=float(silent),
            by_saturation=_share(by_saturation, own_square),
            by_silence=_share(by_silence, own_square),
            by_rounding=_share(by_rounding, own_square),
            threshold_ratio=float(self.ratio),
            leaks=self.leaks,
        )


def last_place(x: np.ndarray) -> float:
    """The unit in the last place of 1, in the precision of `x`."""
    return float(np.spacing(np.ones((), x.dtype)))


def _along(step, axis, cell):
    """Steps along `axis`, in a shape that broadcasts against `(batch, ...)`."""
    if axis is None:
        return step
    rank = len(cell.state_shape) + 1
    return step.reshape([-1 if i == axis % rank else 1 for i in range(rank)])


def _share(part, whole):
    return float(part / whole) if whole else 0.0


def _moments(x):
    return np.sum(x), np.sum(np.square(x))


def _deviation(mean, square):
    return float(np.sqrt(max(square - mean**2, 0.0)))
