"""The base class of results that consist of named figures."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Figures:
    """Base of frozen dataclasses of figures, which may contain one another."""

    def as_dict(self) -> dict:
        """The attributes by name, as nested plain values, ready for JSON."""
        return dataclasses.asdict(self)
