"""Checks plain values, such as those of JSON files, against types."""

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

# JSON has one kind of number.
_NUMBERS = {float: (int, float), int: (int,)}


def checked(value: Any, kind: Any, place: str = "its content") -> Any:
    """Returns `value` as an instance of the type `kind`.

    Args:
        value: Lists, dicts, strings, numbers, booleans and None.
        kind: `Any`, a plain type, a union; `list[...]`, `tuple[...]`, `dict[str, ...]`;
            a dataclass, which is made of a dict; or a `TypedDict`, which may hold more
            than it names.
        place: What the value is, for messages.

    Returns:
        The same, with tuples and dataclasses where `kind` has them.

    Raises:
        ValueError: if it is something else; the message says where.
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if dataclasses.is_dataclass(kind):
        return _dataclass(value, kind, place)
    if typing.is_typeddict(kind):
        return _typed_dict(value, kind, place)
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, kind, parts, place)
    if origin in (list, Sequence) and isinstance(value, list):
        return [_at(x, parts[0], place, i) for i, x in enumerate(value)]
    if origin is tuple and isinstance(value, list):
        if parts[-1] is Ellipsis:
            parts = (parts[0],) * len(value)
        if len(parts) == len(value):
            pairs = zip(value, parts, strict=True)
            return tuple(_at(x, part, place, i) for i, (x, part) in enumerate(pairs))
    if origin in (dict, Mapping) and isinstance(value, dict):
        return {name: _at(x, parts[1], place, name) for name, x in value.items()}
    if origin is None and _is_plain(value, kind):
        return value
    raise ValueError(f"{place} should be {_name(kind)}, and is {_shown(value)}")


def _at(value, kind, place, index):
    return checked(value, kind, f"{place}[{index!r}]")


def _is_plain(value, kind):
    if kind is None or kind is types.NoneType:
        return value is None
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, _NUMBERS.get(kind, (kind,)))


def _one_of(value, kind, parts, place):
    for part in parts:
        try:
            return checked(value, part, place)
        except ValueError:
            continue
    raise ValueError(f"{place} should be {_name(kind)}, and is {_shown(value)}")


def _dataclass(value, kind, place):
    given = _entries(value, place)
    known = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    optional = {
        name
        for name, field in fields.items()
        if (field.default, field.default_factory) != (dataclasses.MISSING,) * 2
    }
    _check_names(given, set(fields), set(fields) - optional, place)
    return kind(**{name: _at(x, known[name], place, name) for name, x in given.items()})


def _typed_dict(value, kind, place):
    given = _entries(value, place)
    known = typing.get_type_hints(kind)
    _check_names(given, set(given), kind.__required_keys__, place)
    found = {n: _at(given[n], k, place, n) for n, k in known.items() if n in given}
    return {**given, **found}


def _entries(value, place):
    if not isinstance(value, dict):
        raise ValueError(f"{place} should have entries, and is {_shown(value)}")
    return value


def _check_names(given, known, required, place):
    missing, unknown = sorted(required - set(given)), sorted(set(given) - known)
    if missing or unknown:
        says = [f"has no {missing}"] if missing else []
        says += [f"has {unknown}, which is unknown"] if unknown else []
        raise ValueError(f"{place} {' and '.join(says)}")


def _name(kind):
    return kind.__name__ if isinstance(kind, type) and not _parts(kind) else str(kind)


def _parts(kind):
    return typing.get_args(kind)


def _shown(value):
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]} ..."
