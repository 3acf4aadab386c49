"""Reads files that others made: a clear error, and no more memory than a file may take.

Every reader of the package asks these functions before it reads: whether a file unpacks
to more than it has room for, and whether it points to other files.
"""

import contextlib
import json
import os
import pathlib
import stat
import zipfile
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.files import read
from snn_keras.records import checked

# What a file may unpack to, in bytes: so much, or so many times its size.
LEAST_ROOM = 2**30
EXPANSION = 8

LONGEST_REASON = 500  # characters; Keras puts whole configurations into its errors


def room_of(*paths: str | os.PathLike) -> int:
    """The number of bytes that files may unpack to, together."""
    return max(LEAST_ROOM, EXPANSION * sum(map(os.path.getsize, paths)))


def check_room(room: int, needed: float) -> None:
    """Raises a ValueError if something needs more bytes than there is room for."""
    if needed > room:
        raise ValueError(
            f"it would take {needed:,.0f} bytes, and a file of its size may take "
            f"{room:,}"
        )


@contextlib.contextmanager
def reading(
    path: str | os.PathLike, what: str, remedy: str, error: type = ValueError
) -> Iterator[None]:
    """Context manager: whatever reading a file raises becomes an error that names it.

    Args:
        path: The file.
        what: What it should be, such as "a NIR file".
        remedy: What to do.
        error: The class of the error. A `ConversionError` stays what it is.
    """
    try:
        yield
    except (ConversionError, FileNotFoundError):
        raise
    except Exception as reason:  # readers of damaged files raise anything
        raise error(
            f"cannot read {path} as {what}: {_short(reason)}. Remedy: {remedy}"
        ) from reason


def _short(reason):
    """What an error says, on one line."""
    text = " ".join(str(reason).split()) or type(reason).__name__
    text = text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]} ..."
    return text.rstrip(".")


def read_json(path: str | os.PathLike, kind: Any, what: str, remedy: str) -> Any:
    """Reads a JSON file, and checks what it holds.

    Args:
        path: The file.
        kind: The type of its content, as `records.checked` takes it.
        what: What it should be, such as "the figures of a row".
        remedy: What to do if it is something else.

    Raises:
        FileNotFoundError: if it does not exist.
        ValueError: if it is damaged, or holds something else.
    """
    content = read(path, remedy)
    with reading(path, what, remedy):
        return checked(json.loads(content), kind)


def check_zip(path: str | os.PathLike) -> None:
    """Checks the members of a ZIP file before any is read.

    Raises:
        ValueError: if one lies outside of the archive's folder, or if together they
            are too large.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    for member in members:
        place = pathlib.PurePosixPath(member.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if place.is_absolute() or ".." in place.parts or is_link:
            raise ValueError(f"its member '{member.filename}' lies outside of it")
    check_room(room_of(path), sum(member.file_size for member in members))


def array_of(file: Any, name: str) -> np.ndarray:
    """An array of an .npz file that NumPy has opened.

    Raises:
        ValueError: if what has this name is no array.
        KeyError: if nothing has.
    """
    found = file[name]
    if not isinstance(found, np.ndarray):
        raise ValueError(f"its member '{name}' is no array")
    return found


def check_hdf5(file: str | os.PathLike | BinaryIO, room: int) -> None:
    """Checks the groups and arrays of an HDF5 file before any array is read.

    Args:
        file: The file.
        room: The number of bytes that all arrays may take.

    Raises:
        ValueError: if one points to another file or to itself, or if together they are
            too large.
    """
    import h5py

    with h5py.File(file, "r") as opened:
        needed, waiting, seen = 0, [opened], set()
        while waiting:
            group = waiting.pop()
            if hash(group) in seen:
                raise ValueError(f"its group '{group.name}' stands in two places")
            seen.add(hash(group))
            for name in group:
                place = f"{group.name.rstrip('/')}/{name}"
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"'{place}' points to another place")
                child = group[name]
                if isinstance(child, h5py.Group):
                    waiting.append(child)
                elif isinstance(child, h5py.Dataset):
                    if child.external or child.is_virtual:
                        raise ValueError(f"'{place}' points to another file")
                    needed += (child.size or 0) * child.dtype.itemsize
                    check_room(room, needed)
