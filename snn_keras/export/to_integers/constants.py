"""Constants of operations: real numbers, until the unit they are held in is solved."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from snn_keras.export.to_integers.units import ScaledTensor, Unit

# Notes what rounding changes: `(layer, text)`.
Note = Callable[[str, str], None]


@dataclasses.dataclass(frozen=True, eq=False)
class Constant:
    """Real numbers that become the nearest integers of a tensor.

    Attributes:
        layer: The layer that they belong to, for what is noted of rounding.
        what: What they are, likewise.
        real: The numbers.
        tensor: The `ScaledTensor` whose integers they are.
    """

    layer: str
    what: str
    real: np.ndarray
    tensor: ScaledTensor

    @property
    def unit(self) -> Unit | None:
        """The unit to solve first; None where the scale is known."""
        return self.tensor.unit

    def integers(self, note: Note) -> np.ndarray:
        """The integers."""
        return nearest(self.layer, self.what, self.real / self.tensor.scale, note)


@dataclasses.dataclass(frozen=True, eq=False)
class Threshold(Constant):
    """A threshold: a multiple of `parts`, and at least one of them."""

    parts: int = 1

    def integers(self, note: Note) -> np.ndarray:
        """The integers."""
        parts = self.real / self.tensor.scale / self.parts
        whole = nearest(self.layer, self.what, parts, note)
        return np.maximum(whole, 1) * self.parts


@dataclasses.dataclass(frozen=True, eq=False)
class Derived:
    """What follows from a constant once that is integers: `function(integers)`."""

    function: Callable[[np.ndarray], Any]
    constant: Constant

    @property
    def unit(self) -> Unit | None:
        """The unit of the constant."""
        return self.constant.unit

    def integers(self, note: Note) -> Any:
        """What the function gives."""
        return self.function(self.constant.integers(note))


def nearest(layer: str, what: str, real: np.ndarray, note: Note) -> np.ndarray:
    """The nearest integers; notes what rounding changes."""
    rounded = np.floor(np.asarray(real) + 0.5)
    lost = np.abs(rounded - real)
    if np.any(lost > 1e-9 * np.abs(real)):  # more than a quotient's own rounding
        most = np.max(np.abs(real))
        note(layer, f"{what} of up to {most:.4g} rounded by up to {np.max(lost):.2g}")
    return rounded.astype(np.int64)
