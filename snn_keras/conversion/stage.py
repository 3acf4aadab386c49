"""The stages of a run of a spiking network: before, during and after time."""

import enum


class Stage(enum.Enum):
    """When a tensor is computed. A plan prints the values.

    BEFORE: once, before the time steps; it is the same at every step.
    DURING: at every time step; it has a time axis, and the network's coding decodes it.
    AFTER: once, after the time steps, from decoded signals.
    """

    BEFORE = "once"
    DURING = "over time"
    AFTER = "decoded"

    @property
    def has_time(self) -> bool:
        """Whether the tensor has a time axis."""
        return self is Stage.DURING
