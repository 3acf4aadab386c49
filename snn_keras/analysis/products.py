"""Counts the operations of a product of two signals."""

import math
from typing import Any

import numpy as np
from keras import ops

from snn_keras.analysis.arriving import (
    Signal,
    arriving,
    entering,
    nonzero,
    sums,
    times_of,
)
from snn_keras.graph import Node


def multiplied(
    node: Node, signals: list[Signal], steps: np.ndarray, passes: np.ndarray
) -> dict[str, Any]:
    """The figures of a product, under the names of `OperationCounter.of_runs`.

    A spike is added to the sum of its own signal, and adds what it meets of the
    other's. A pair of which one is a number is multiplied at every step.

    Args:
        node: The node at a single step, without wrappers.
        signals: Its two inputs.
        steps: Number of steps of each run, `(runs,)`.
        passes: Number of passes of the source network, `(runs,)`.
    """
    pairs = _Pairs(node)
    runs = len(steps)
    spiking = [np.tile(1 - s.numbers[0], (runs, *[1] * len(s.shape))) for s in signals]
    ones = [np.ones_like(x) for x in spiking]
    neurons = [x * s.neurons for x, s in zip(ones, signals, strict=True)]
    fires = [nonzero(s, passes).reshape(runs, *s.shape) for s in signals]
    own = arriving(signals, sum(math.prod(y.shape[1:]) for y in node.outputs))
    times, whole = times_of(signals, steps), pairs(*ones)
    return {
        **own,
        **entering(signals, times),
        "synapses": float(pairs.meeting(neurons, spiking)[0]),
        "add": pairs.meeting([s.spikes for s in signals], spiking) + own["arrivals"],
        "shift": pairs.meeting([s.sized for s in signals], spiking),
        "weights": float(sum(math.prod(signal.shape) for signal in signals)),
        "multiply_accumulate": (whole - pairs(*spiking)) * times,
        "source": float(whole[0]),
        "nonzero": pairs(*fires) / passes,
    }


class _Pairs:
    """The sum over the pairs of elements that a product multiplies, for each run.

    Args:
        node: The product.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        node = self._node
        values = {
            x: ops.convert_to_tensor(value, x.dtype)
            for x, value in zip(node.inputs, (first, second), strict=True)
        }
        return sums(ops.convert_to_numpy(node.call(node.operation, values)))

    def meeting(
        self, counts: list[np.ndarray | None], marks: list[np.ndarray]
    ) -> np.ndarray:
        """What arrives of either signal, at each pair where the other is marked.

        Args:
            counts: What arrives at each element of either signal; None for nothing.
            marks: 1 where an element is to be met, else 0.
        """
        found = np.zeros(len(marks[0]))
        if counts[0] is not None:
            found = found + self(counts[0], marks[1])
        return found if counts[1] is None else found + self(marks[0], counts[1])
