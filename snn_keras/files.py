"""Writes files either completely or not at all."""

import contextlib
import os
import pathlib
import shutil
from collections.abc import Collection, Iterator


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
        with _writing(path):
            yield partial
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextlib.contextmanager
def _writing(path):
    """Says what could not be written where it fails, and that nothing is lost.

    Writers of HDF5 and ZIP files raise errors of their own behind that of the disk.
    """
    try:
        yield
    except Exception as error:
        reason = _of_disk(error)
        if reason is None:
            raise
        raise OSError(
            reason.errno,
            f"cannot write {path}: {reason.strerror or reason}. What was there before "
            "is as it was. Remedy: room and permission to write there",
        ) from error


def _of_disk(error):
    """The error of the operating system that an error comes from, or None."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def read(path: str | os.PathLike, remedy: str) -> bytes:
    """The content of a file.

    Raises:
        FileNotFoundError: if it does not exist.
    """
    return check_file(path, remedy).read_bytes()


def check_file(path: str | os.PathLike, remedy: str) -> pathlib.Path:
    """Returns `path`, if it is a file: no folder, no device and no pipe.

    Raises:
        FileNotFoundError: if it is not.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}. Remedy: {remedy}")
    return path


def check_folder(
    path: str | os.PathLike, overwrite: bool, written: Collection[str]
) -> pathlib.Path:
    """Returns `path`, if a folder of these files may be written there.

    Args:
        path: The folder.
        overwrite: Whether a folder that holds nothing else may be replaced.
        written: Names of the files, and of what is built of them.

    Raises:
        FileExistsError: if it exists, or holds other files.
        FileNotFoundError: if the folder in which it is to be does not exist.
        PermissionError: if nothing may be written there.
    """
    path = pathlib.Path(path)
    parent = path.absolute().parent
    if not parent.is_dir():
        raise FileNotFoundError(
            f"cannot write {path}: there is no folder {parent}. Remedy: make it."
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PermissionError(
            f"cannot write {path}: nothing may be written in {parent}. Remedy: "
            "another path."
        )
    if path.exists() and not (path.is_dir() and overwrite):
        remedy = "overwrite=True, or another path" if path.is_dir() else "another path"
        raise FileExistsError(f"{path} exists. Remedy: {remedy}.")
    others = {x.name for x in path.iterdir()} - set(written) if path.exists() else ()
    if others:
        raise FileExistsError(
            f"{path} holds other files, such as {sorted(others)[0]}, which would be "
            "lost. Remedy: another path."
        )
    return path


@contextlib.contextmanager
def folder_written_whole(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Context manager: a temporary folder that becomes `path` if all goes well.

    Raises:
        OSError: if it cannot be written; an existing folder then stays.
    """
    path = pathlib.Path(path).absolute()
    partial = path.with_name(f".{path.name}.partial")
    before = path.with_name(f".{path.name}.before")
    if before.exists() and not path.exists():  # killed between two renames
        os.replace(before, path)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with _writing(path):
            partial.mkdir()
            yield partial
            if path.exists():
                os.replace(path, before)
            os.replace(partial, path)
    finally:
        if before.exists() and not path.exists():
            os.replace(before, path)
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
