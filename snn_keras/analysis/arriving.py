"""Signals that arrive at a layer, as what their elements cost there."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Signal:
    """A signal, described by what its elements cost at the next weights.

    Attributes:
        spikes: `(batch, ...)`: the number of spikes that arrive at each element in a
            run and have not been added up yet.
        numbers: `(3, ...)`: 1 where the element is a number at every step, in the
            spiking network and in the source network, else 0; and how many neurons'
            spikes may arrive there: more than one behind a pool or a sum.
        is_static: Whether these numbers are the same at all steps.
        is_analog: Whether numbers have gone into it, beside weights and spikes.
        levels: The most levels above 0 that the source's activations in it have; 0
            where there are none.
        payload: Bits that a spike carries besides its address.
        sized: As `spikes`, of those alone that carry a size, for which the weight is
            shifted; None where there are none.
    """

    spikes: np.ndarray
    numbers: np.ndarray
    is_static: bool
    is_analog: bool = True
    levels: int = 0
    payload: int = 0
    sized: np.ndarray | None = None

    @property
    def neurons(self) -> np.ndarray:
        """The number of neurons whose spikes may arrive at each element."""
        return self.numbers[2]

    @property
    def sum_levels(self) -> int:
        """The most levels above 0 of an element that is a sum of activations."""
        return self.levels * int(max(1, self.neurons.max(initial=0)))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape without the batch."""
        return self.numbers.shape[1:]


def arriving(signals: list[Signal], outputs: int) -> dict[str, Any]:
    """Figures of the spikes that arrive at a layer with so many potentials."""
    places = sum(float(signal.neurons.sum()) for signal in signals)
    return {
        "arrivals": sum(sums(signal.spikes) for signal in signals),
        "places": places,
        "addresses": places,
        "synapses": places,
        "payload": max(signal.payload for signal in signals),
        "outputs": outputs,
    }


def entering(signals: list[Signal], times: np.ndarray) -> dict[str, Any]:
    """Figures of the numbers and activations that a layer multiplies."""
    return {
        "times": times,
        "numbers": sum(float(signal.numbers[0].sum()) for signal in signals),
        "inputs": sum(float(signal.numbers[1].sum()) for signal in signals),
        "levels": max(signal.levels for signal in signals),
        "sum_levels": max(signal.sum_levels for signal in signals),
        "summed": sum(float(s.neurons[s.neurons > 1].sum()) for s in signals),
        "sums": sum(float((s.neurons > 1).sum()) for s in signals),
    }


def nonzero(signal: Signal, passes: np.ndarray) -> np.ndarray:
    """In how many passes the source's elements are not 0, `(runs, elements)`.

    An activation is 0 where its neuron is silent; where frames are passes, where it is
    silent in the frame. Other numbers are not 0.
    """
    flat = signal.numbers.reshape(3, -1).astype("float64")
    fires = signal.spikes.reshape(len(passes), -1).astype("float64")
    return np.minimum(fires + passes[:, None] * flat[0], passes[:, None]) * flat[1]


def sums(maps: np.ndarray) -> np.ndarray:
    """The exact sum of each row."""
    return maps.reshape(len(maps), -1).sum(axis=1, dtype="float64")


def times_of(signals: list[Signal], steps: np.ndarray) -> np.ndarray:
    """At how many steps the numbers among signals are multiplied, `(runs,)`."""
    is_static = all(signal.is_static for signal in signals)
    return np.ones_like(steps) if is_static else steps
