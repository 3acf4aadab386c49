"""The choice of units, and their coarsening to avoid overflows of 32 bits."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from snn_keras.export.rounding.units import Unit
from snn_keras.graph import Names
from snn_keras.typing import Array

MARGIN = 1.01  # allows for the rounding of thresholds to integers


@dataclasses.dataclass(eq=False)
class Choice:
    """The units that were chosen for the channels of a tensor.

    Attributes:
        numbers: The number of each channel's choice; see `Choices`.
        floor: The least unit of each channel.
        fine: The unit that keeps 7 or 8 bits of the multiplied weights or integers; 0
            if nothing is multiplied or rounded.
        spread: The root of the sum of squares of the numbers that they multiply.
        unit: The chosen units: numbers, or a `Unit` that is solved later.
    """

    numbers: np.ndarray
    floor: Array
    fine: np.ndarray
    spread: np.ndarray
    unit: Array | Unit = 1.0

    @property
    def values(self) -> np.ndarray:
        """The units as a flat array of numbers."""
        unit = self.unit.value if isinstance(self.unit, Unit) else self.unit
        return np.ravel(unit)


class Choices:
    """The chosen units of a network, and how coarse each must be.

    A unit is first chosen as fine as 8 bits allow, before all values in this unit are
    known. If values are then too large for 32 bits, `coarsen` records it, and the
    network is quantized once more with the resulting `floors`. Each channel of each
    choice has a number; 0 means that no unit was chosen.

    Args:
        floors: `{name of the choice: least units}`, from the round before.
    """

    def __init__(self, floors: Mapping[str, np.ndarray] | tuple[()] = ()) -> None:
        self._floors = dict(floors)
        self._names = Names()
        self._choices = {}
        self._count = 1  # 0 means that no unit was chosen
        self._requests = []

    def add(self, name: str, fine: Array, spread: Array) -> Choice:
        """Adds a choice, whose unit the caller sets.

        Args:
            name: The layer for which it is made.
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

    def coarsen(self, origin: np.ndarray, ratio: np.ndarray) -> np.bool_:
        """Requests units that are `ratio` times as coarse, where that is > 1.

        Args:
            origin: The numbers of the choices.
            ratio: Factors that broadcast against `origin`.

        Returns:
            Whether any unit must become coarser.
        """
        numbers, ratio = np.broadcast_arrays(origin, ratio)
        over = (ratio > 1) & (numbers > 0)
        self._requests.append((numbers[over], MARGIN * ratio[over]))
        return over.any()

    def floors(self) -> dict[str, np.ndarray] | None:
        """The floors for the next round; None if no unit must become coarser."""
        excess = self._excess(self._requests)
        if (excess == 1).all():
            return None
        coarser = np.where(excess > 1, excess * self._units(), 0.0)
        return {
            name: np.maximum(coarser[choice.numbers], choice.floor)
            for name, choice in self._choices.items()
        }

    def most_steps(self, origin: np.ndarray, ratio: np.ndarray, steps: int) -> float:
        """The most steps for which units as coarse as necessary are acceptable.

        A coarser unit may lose three bits, or more if the multiplied numbers are so
        small a part of the sum that rounding changes it by at most 1/256.

        Args:
            origin, ratio: As for `coarsen`.
            steps: The number of steps for which `ratio` was computed.
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

    def _excess(self, requests):
        excess = np.ones(self._count)
        for numbers, ratio in requests:
            np.maximum.at(excess, numbers, ratio)
        excess[0] = 1.0
        return excess

    def _units(self):
        return np.concatenate([[1.0], *(c.values for c in self._choices.values())])
