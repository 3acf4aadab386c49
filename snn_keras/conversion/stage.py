"""Where in a run of the spiking network a tensor of the source network stands."""

import enum


class Stage(enum.Enum):
    """When a tensor is computed. The values are how a plan prints them.

    BEFORE: before time: once, the same at every step.
    DURING: it has a time axis, and decodes as the network's coding says.
    AFTER: after time: once, from what was read out.
    """

    BEFORE = "once"
    DURING = "over time"
    AFTER = "decoded"

    @property
    def has_time(self) -> bool:
        """Whether the tensor has a time axis."""
        return self is Stage.DURING
