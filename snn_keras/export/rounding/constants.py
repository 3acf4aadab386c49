"""Constants of operations, which become integers once their unit is solved."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from snn_keras.export.rounding.units import ScaledTensor, Unit

# A function that records a difference by rounding: `note(layer, text)`.
Note = Callable[[str, str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """Real numbers that are rounded to integers in the unit of a tensor.

    Attributes:
        layer: The layer to which they belong, for notes on rounding.
        what: A word for the numbers, for notes on rounding.
        real: The numbers.
        tensor: The `ScaledTensor` in whose unit they are expressed.
    """

    layer: str
    what: str
    real: np.ndarray
    tensor: ScaledTensor

    @property
    def unit(self) -> Unit | None:
        """The unit that must be solved first; None if the scale is known."""
        return self.tensor.unit

    def integers(self, note: Note) -> np.ndarray:
        """The integers."""
        return nearest(self.layer, self.what, self.real / self.tensor.scale, note)


@dataclasses.dataclass(frozen=True, eq=False)
class Threshold(Constant):
    """A threshold: a positive multiple of `parts`."""

    parts: int = 1

    def integers(self, note: Note) -> np.ndarray:
        """The integers."""
        parts = self.real / self.tensor.scale / self.parts
        whole = nearest(self.layer, self.what, parts, note)
        return np.maximum(whole, 1) * self.parts


@dataclasses.dataclass(frozen=True, eq=False)
class Derived:
    """A value that depends on the integers of a constant: `function(integers)`."""

    function: Callable[[np.ndarray], Any]
    constant: Constant

    @property
    def unit(self) -> Unit | None:
        """The unit of the constant."""
        return self.constant.unit

    def integers(self, note: Note) -> Any:
        """The value of the function."""
        return self.function(self.constant.integers(note))


def nearest(layer: str, what: str, real: np.ndarray, note: Note) -> np.ndarray:
    """The nearest integers; records a note if rounding changes the numbers."""
    rounded = np.floor(np.asarray(real) + 0.5)
    lost = np.abs(rounded - real)
    if np.any(lost > 1e-9 * np.abs(real)):  # more than the rounding of a quotient
        most = np.max(np.abs(real))
        note(layer, f"{what} of up to {most:.4g} rounded by up to {np.max(lost):.2g}")
    return rounded.astype(np.int64)
