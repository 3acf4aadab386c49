"""The forms that a step of a plan can have: what is built of a node.

A rule chooses one, the builder builds it, and `str(form)` is how a plan prints it.
"""

import dataclasses

from snn_keras.neurons import SpikingCell


@dataclasses.dataclass(frozen=True)
class Dropped:
    """Nothing: the operation does nothing in inference."""

    def __str__(self):
        return "dropped"


@dataclasses.dataclass(frozen=True)
class Once:
    """The operation runs once.

    Attributes:
        is_decoded: Whether it runs behind time, on what was read out.
    """

    is_decoded: bool = False

    def __str__(self):
        return "once, decoded" if self.is_decoded else "once"


@dataclasses.dataclass(frozen=True)
class EveryStep:
    """The operation runs at every step, on what arrives then.

    Attributes:
        is_affine: Whether it adds a constant part, which enters as the input does.
    """

    is_affine: bool = False

    def __str__(self):
        return "every step"


@dataclasses.dataclass(frozen=True)
class Difference:
    """The operation runs on the signal so far, and what changed is sent.

    Attributes:
        homogeneous: Whether f(c x) = c f(x) for c > 0.
    """

    homogeneous: bool = False

    def __str__(self):
        return "temporal difference"


@dataclasses.dataclass(frozen=True)
class Fire:
    """Spiking neurons.

    Attributes:
        cell: Their cell.
        one_pass: Whether they run in one pass, over sums.
    """

    cell: SpikingCell
    one_pass: bool = False

    def __str__(self):
        return type(self.cell).__name__ + (", one pass" if self.one_pass else "")


@dataclasses.dataclass(frozen=True)
class Refused:
    """Nothing: the conversion is refused."""

    def __str__(self):
        return "refused"


Form = Dropped | Once | EveryStep | Difference | Fire | Refused
