"""Writes files either completely or not at all."""

import contextlib
import os
import pathlib
from collections.abc import Iterator


def check_target(path: str | os.PathLike, overwrite: bool) -> pathlib.Path:
    """Returns `path`, if a file may be written there.

    Raises:
        FileExistsError: if the file exists, unless `overwrite`.
        FileNotFoundError: if its folder does not exist.
    """
    path = pathlib.Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {path}: there is no folder {path.parent}. Remedy: make it."
        )
    if path.is_dir() or (path.exists() and not overwrite):
        remedy = "another path" if path.is_dir() else "overwrite=True, or another path"
        raise FileExistsError(f"{path} exists. Remedy: {remedy}.")
    return path


@contextlib.contextmanager
def written_whole(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Context manager: a temporary path that becomes `path` if all goes well.

    Raises:
        OSError: if the file cannot be written; an existing file then stays.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise OSError(
            error.errno,
            f"cannot write {path}: {error.strerror or error}. What was there before "
            "is as it was. Remedy: room and permission to write there",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


def read(path: str | os.PathLike, remedy: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: if it does not exist.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}. Remedy: {remedy}")
    return path.read_bytes()
