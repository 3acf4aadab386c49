"""The stages of a run of a spiking network: before, during and after time."""

import enum


class Stage(enum.Enum):
    """When a tensor is computed. A plan prints the values.

    BEFORE: once, before the time steps; it is the same at every step.
    EACH_FRAME: at every time step, from the frame that enters at that step.
    DURING: at every time step; it has a time axis, and the network's coding decodes it.
    AFTER: once, after the time steps, from decoded signals.
    """

    BEFORE = "once"
    EACH_FRAME = "each frame"
    DURING = "over time"
    AFTER = "decoded"

    @property
    def is_before(self) -> bool:
        """Whether the tensor depends on no neuron."""
        return self in (Stage.BEFORE, Stage.EACH_FRAME)

    @property
    def has_time(self) -> bool:
        """Whether the tensor is a signal that a coding spreads over time."""
        return self is Stage.DURING
