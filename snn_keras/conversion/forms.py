"""The forms of a step of a plan; a form says what is built for a node.

A rule chooses the form, the builder builds it, and a plan prints `str(form)`.
"""

import dataclasses

from snn_keras.neurons import SpikingCell


@dataclasses.dataclass(frozen=True)
class Dropped:
    """Nothing is built: the operation does nothing in inference."""

    def __str__(self):
        return "dropped"


@dataclasses.dataclass(frozen=True)
class Once:
    """The operation runs once.

    Attributes:
        is_decoded: Whether it runs after time, on decoded signals.
    """

    is_decoded: bool = False

    def __str__(self):
        return "once, decoded" if self.is_decoded else "once"


@dataclasses.dataclass(frozen=True)
class EachFrame:
    """The operation runs on the input of each step, before the first neuron."""

    def __str__(self):
        return "each frame"


@dataclasses.dataclass(frozen=True)
class EveryStep:
    """The operation runs at every step, on the input of that step.

    Attributes:
        is_affine: Whether it adds a constant, which the coding presents as it presents
            the input.
    """

    is_affine: bool = False

    def __str__(self):
        return "every step"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The operation runs on the signal so far, and the change of its output is sent.

    Attributes:
        homogeneous: Whether f(c x) = c f(x) for c > 0.
        bilinear: Whether it is a product of two signals, computed from what changes.
    """

    homogeneous: bool = False
    bilinear: bool = False

    def __str__(self):
        return "temporal difference"


@dataclasses.dataclass(frozen=True)
class Fire:
    """The activation becomes a layer of spiking neurons.

    Attributes:
        cell: Their cell.
        one_pass: Whether all steps are computed in one pass, from the total current.
    """

    cell: SpikingCell
    one_pass: bool = False

    def __str__(self):
        return type(self.cell).__name__ + (", one pass" if self.one_pass else "")


@dataclasses.dataclass(frozen=True)
class Refused:
    """Nothing is built: the node cannot be converted."""

    def __str__(self):
        return "refused"


Form = Dropped | Once | EachFrame | EveryStep | Difference | Fire | Refused
