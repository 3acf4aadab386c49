"""What is measured, by name."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figures:
    """Base of what is measured: frozen dataclasses, which may hold one another."""

    def as_dict(self) -> dict:
        """The attributes by name, plain values all the way down, ready for JSON."""
        return dataclasses.asdict(self)
