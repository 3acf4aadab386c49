"""Units that 32 bits ask to be coarser."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from snn_keras.export.to_integers.units import Unit
from snn_keras.graph import Names
from snn_keras.typing import Array

MARGIN = 1.01  # for the integers that thresholds are rounded to


@dataclasses.dataclass(eq=False)
class Choice:
    """A unit that was chosen, for each channel.

    Attributes:
        numbers: The number of each channel among all that were chosen.
        floor: The least that each may be.
        fine: The unit that leaves 7 bits or 8 of what is multiplied; 0 where that is
            nothing, or is not rounded.
        spread: The root of the sum of the squares of what is multiplied.
        unit: What was chosen: numbers, or a `Unit` that is solved later.
    """

    numbers: np.ndarray
    floor: Array
    fine: np.ndarray
    spread: np.ndarray
    unit: Array | Unit = 1.0

    @property
    def values(self) -> np.ndarray:
        """The units as numbers, flat."""
        unit = self.unit.value if isinstance(self.unit, Unit) else self.unit
        return np.ravel(unit)


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
        self._choices = {}
        self._count = 1  # 0 is nobody's
        self._pressed = []

    def add(self, name: str, fine: Array, spread: Array) -> Choice:
        """Notes a choice, whose unit is still to be set.

        Args:
            name: The layer that it is for.
            fine, spread: As in `Choice`, for each channel.
        """
        name, shape = self._names.unique(name), np.shape(fine)
        numbers = self._count + np.arange(np.size(fine)).reshape(shape)
        self._count += np.size(fine)
        spread = np.broadcast_to(spread, shape).ravel()
        floor = self._floor(name, shape)
        choice = Choice(numbers, floor, np.ravel(fine), spread)
        self._choices[name] = choice
        return choice

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
        pressed = np.where(excess > 1, excess * self._units(), 0.0)
        return {
            name: np.maximum(pressed[choice.numbers], choice.floor)
            for name, choice in self._choices.items()
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
        choices = self._choices.values()
        fine = np.concatenate([[1.0], *(c.fine for c in choices)])
        spread = np.concatenate([[0.0], *(c.spread for c in choices)])
        fine = np.where(fine == 0, np.inf, fine)
        few = steps * 8 * fine / (excess * self._units())
        most = np.maximum(few, 2**24 / np.maximum(spread, 1))
        return np.min(most[over], initial=np.inf)

    def _floor(self, name, shape):
        floor = self._floors.get(name, 0.0)
        return floor if np.shape(floor) == shape else np.full(shape, np.max(floor))

    def _excess(self, pressed):
        excess = np.ones(self._count)
        for numbers, ratio in pressed:
            np.maximum.at(excess, numbers, ratio)
        excess[0] = 1.0
        return excess

    def _units(self):
        return np.concatenate([[1.0], *(c.values for c in self._choices.values())])
