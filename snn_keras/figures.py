"""The base class of results that consist of named figures."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Figures:
    """Base of frozen dataclasses of figures, which may contain one another."""

    def __getitem__(self, name: str) -> Any:
        """An attribute by its name, as of the dict that `as_dict` gives."""
        if name not in {field.name for field in dataclasses.fields(self)}:
            raise KeyError(name)
        return getattr(self, name)

    def as_dict(self) -> dict:
        """The attributes by name, as nested plain values, ready for JSON."""
        return {
            field.name: _plain(getattr(self, field.name))
            for field in dataclasses.fields(self)
        }


def _plain(value):
    if isinstance(value, Figures):
        return value.as_dict()
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return value
