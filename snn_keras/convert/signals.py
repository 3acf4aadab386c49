"""How a tensor of the source network is carried in the spiking network."""

import enum


class Coding(enum.Enum):
    """What a tensor means over time.

    STATIC: the same at every step; computed once, before time.
    RATE: a time axis; decodes by the mean over time.
    DECODED: read out of a rate; computed once, after time.
    """

    STATIC = "static"
    RATE = "rate"
    DECODED = "decoded"

    @property
    def has_time(self) -> bool:
        """Whether the tensor has a time axis."""
        return self is Coding.RATE
