"""Files are written whole, and what is read of JSON is what it should be."""

import dataclasses
import errno
from typing import Any, TypedDict

import pytest

from snn_keras import files
from snn_keras.records import checked


@dataclasses.dataclass
class Point:
    """A record."""

    x: float
    names: tuple[str, ...] = ()


class Entry(TypedDict):
    """A record of which more may be known."""

    point: Point
    count: int | None


def test_plain_values_become_what_a_type_says():
    found = checked({"point": {"x": 1, "names": ["a"]}, "count": None, "z": 2}, Entry)
    assert found == {"point": Point(1, ("a",)), "count": None, "z": 2}
    assert checked({"a": [1, 2]}, dict[str, list[float]]) == {"a": [1, 2]}
    assert checked([1, "a"], tuple[int, str]) == (1, "a")
    assert checked({"a": object}, Any) == {"a": object}


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (True, int, "its content should be int, and is True"),
        (1.5, int, r"should be int, and is 1\.5"),
        ("1", int | None, r"should be int \| None, and is '1'"),
        ([1, "a"], list[int], r"its content\[1\] should be int, and is 'a'"),
        ([1], tuple[int, str], "should be tuple"),
        ({"y": 1}, Point, r"has no \['x'\] and has \['y'\], which is unknown"),
        ({"point": {"x": "a"}, "count": 1}, Entry, r"\['point'\]\['x'\] should be"),
        ([], Entry, r"should have entries, and is \[\]"),
    ],
)
def test_other_values_are_refused_with_their_place(value, kind, message):
    with pytest.raises(ValueError, match=message):
        checked(value, kind)


def test_a_folder_goes_on_from_what_a_kill_left(tmp_path):
    """Killed while it was written, or between the two renames."""
    (tmp_path / ".net.partial").mkdir()
    (tmp_path / ".net.before").mkdir()
    (tmp_path / ".net.before" / "old").write_text("old")
    with (
        pytest.raises(OSError, match="cannot write"),
        files.folder_written_whole(tmp_path / "net"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert [p.name for p in tmp_path.iterdir()] == ["net"]
    assert (tmp_path / "net" / "old").read_text() == "old"
    with files.folder_written_whole(tmp_path / "net") as folder:
        (folder / "new").write_text("new")
    assert [p.name for p in tmp_path.rglob("*")] == ["net", "new"]


def test_an_error_behind_that_of_the_disk_names_the_file(tmp_path):
    with (
        pytest.raises(OSError, match=r"cannot write .*net\.h5.*Remedy: room"),
        files.written_whole(tmp_path / "net.h5") as partial,
    ):
        partial.write_text("half")
        try:
            raise OSError(errno.EFBIG, "File too large")
        except OSError as error:
            raise RuntimeError("unable to flush") from error
    assert not list(tmp_path.iterdir())


def test_other_errors_stay_what_they_are(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"^wrong$"),
        files.written_whole(tmp_path / "x"),
    ):
        raise RuntimeError("wrong")
