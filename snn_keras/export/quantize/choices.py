"""Units that 32 bits ask to be coarser."""

from collections.abc import Callable, Mapping

import numpy as np

from snn_keras.graph import Names
from snn_keras.typing import Array

MARGIN = 1.01  # for the integers that thresholds are rounded to


class Choices:
    """The units of a network, and how coarse each has to be.

    A unit is chosen as fine as 8 bits allow, before all is known that is measured in
    it. What then turns out too large is pressed, and the network is quantized once
    more, with `floors`. Each channel of each choice has a number; 0 is for what nobody
    chose.

    Args:
        floors: The least units of each choice, by its name, from the round before.
    """

    def __init__(self, floors: Mapping[str, np.ndarray] | tuple[()] = ()) -> None:
        self._floors = dict(floors)
        self._names = Names()
        self._numbers = {}
        self._fine: list = [[1.0]]
        self._spread: list = [[0.0]]
        self._values: list = [lambda: [1.0]]
        self._pressed = []

    def add(
        self,
        name: str,
        fine: Array,
        spread: Array,
        value: Callable[[], np.ndarray],
    ) -> tuple[np.ndarray, np.ndarray]:
        """Notes a choice.

        Args:
            name: The layer that it is for.
            fine: For each channel, the unit that leaves 7 bits or 8 of what is
                multiplied; 0 where that is nothing, or is not rounded.
            spread: The root of the sum of the squares of what is multiplied.
            value: A function that gives the units, once they are closed.

        Returns:
            The numbers of the channels, and the least that each unit may be.
        """
        name, shape = self._names.unique(name), np.shape(fine)
        start = sum(map(len, self._fine))
        self._numbers[name] = start + np.arange(np.size(fine)).reshape(shape)
        self._fine.append(np.ravel(fine))
        self._spread.append(np.broadcast_to(spread, shape).ravel())
        self._values.append(value)
        return self._numbers[name], self._floor(name)

    def press(self, origin: np.ndarray, ratio: np.ndarray) -> np.bool_:
        """Units are to be `ratio` times as coarse, where that is > 1.

        Returns:
            Whether any are.
        """
        numbers, ratio = np.broadcast_arrays(origin, ratio)
        over = (ratio > 1) & (numbers > 0)
        self._pressed.append((numbers[over], MARGIN * ratio[over]))
        return over.any()

    def floors(self) -> dict[str, np.ndarray] | None:
        """The floors for the next round; None if nothing is to be coarser."""
        excess = self._excess(self._pressed)
        if (excess == 1).all():
            return None
        pressed = np.where(excess > 1, excess * self._closed(), 0.0)
        return {
            name: np.maximum(pressed[numbers], self._floor(name))
            for name, numbers in self._numbers.items()
        }

    def most_steps(self, origin: np.ndarray, ratio: np.ndarray, steps: int) -> float:
        """The number of steps for which units may be `ratio` times as coarse.

        Three bits may go. More may where what is multiplied is little beside the rest
        of a sum, so that rounding changes it by no more than 1 in 256.

        Args:
            origin, ratio: As for `press`.
            steps: The steps that `ratio` was found with.
        """
        excess = self._excess([np.broadcast_arrays(origin, MARGIN * ratio)])
        over = excess > 1
        fine, spread = map(np.concatenate, (self._fine, self._spread))
        fine = np.where(fine == 0, np.inf, fine)
        few = steps * 8 * fine / (excess * self._closed())
        most = np.maximum(few, 2**24 / np.maximum(spread, 1))
        return np.min(most[over], initial=np.inf)

    def _floor(self, name):
        floor, shape = self._floors.get(name, 0.0), np.shape(self._numbers[name])
        same = np.shape(floor) == shape
        return floor if same else np.full(shape, np.max(floor))

    def _excess(self, pressed):
        excess = np.ones(sum(map(len, self._fine)))
        for numbers, ratio in pressed:
            np.maximum.at(excess, numbers, ratio)
        excess[0] = 1.0
        return excess

    def _closed(self):
        return np.concatenate([np.ravel(value()) for value in self._values])
