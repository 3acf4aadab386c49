"""Damages files, has them read, and says whether what came of it is allowed."""

import collections
import dataclasses
import pathlib
import shutil
import zlib

import numpy as np

from tests.fuzz.crafted import CANARY, CASES
from tests.fuzz.kinds import KINDS
from tests.fuzz.worker import Result

SECONDS = 30  # that a small file may take
MEGABYTES = 1500  # the room that a small file has, and what reading itself takes


@dataclasses.dataclass
class Tally:
    """What came of the files of one kind."""

    outcomes: collections.Counter = dataclasses.field(
        default_factory=collections.Counter
    )
    slowest: float = 0.0
    most: float = 0.0
    faults: list = dataclasses.field(default_factory=list)

    def add(self, name, result, fault):
        """Counts one file."""
        self.outcomes[result.outcome] += 1
        self.slowest = max(self.slowest, result.seconds)
        self.most = max(self.most, result.megabytes)
        if fault:
            self.faults.append(f"{name}: {fault}")


class Judge:
    """Has files of one kind read.

    Args:
        kind: Its name.
        folder: Where files go.
        ask: `ask(task, kind, place)` makes ("make"), harms (the name of a crafted case)
            or reads ("read") a file.
    """

    def __init__(self, kind, folder, ask):
        self.kind, self.folder, self.ask = kind, pathlib.Path(folder), ask
        self.valid = self.folder / "valid"
        self.file = ask("make", kind, self.valid)
        assert self.file == KINDS[kind].file, self.file
        self.tally = Tally()

    def damaged(self, count, seed=0):
        """Reads files with random damages."""
        content = (self.valid / self.file).read_bytes()
        damages = KINDS[self.kind].damages
        for number in range(count):
            rng = np.random.default_rng([seed, number, zlib.crc32(self.kind.encode())])
            damage = damages[rng.integers(0, len(damages))]
            place = self._copy()
            (place / self.file).write_bytes(damage(content, rng))
            self._read(f"{damage.__name__} {number}", place, may_be_read=True)

    def crafted(self, names=None):
        """Reads files that are made to do harm."""
        for name in CASES.get(self.kind, {}):
            if names is None or name in names:
                place = self._copy()
                made = self.ask(name, self.kind, place)
                assert not isinstance(made, Result), (name, made)
                self._read(name, place, may_be_read=False)

    def _copy(self):
        place = self.folder / "case" / "files"
        shutil.rmtree(place.parent, ignore_errors=True)
        place.parent.mkdir()
        return shutil.copytree(self.valid, place)

    def _read(self, name, place, may_be_read):
        before = _seen(place.parent)
        result = self.ask("read", self.kind, place)
        fault = self._fault(result, may_be_read)
        if _seen(place.parent) != before or pathlib.Path(CANARY).exists():
            fault = f"files were written: {_seen(place.parent) ^ before}"
        self.tally.add(name, result, fault)

    def _fault(self, result, may_be_read):
        """What is not allowed about a result; "" if nothing is."""
        names = {pathlib.Path(self.file).stem, "files"}
        allowed = {"refused", "read"} if may_be_read else {"refused"}
        allowed |= {"crash"} if KINDS[self.kind].may_crash else set()
        if result.outcome not in allowed:
            return f"{result.outcome}: {result.text}"
        if result.outcome == "refused":
            if not any(name in result.text for name in names):
                return f"no file is named: {result.text}"
            if "Remedy" not in result.text:
                return f"no remedy: {result.text}"
        if result.seconds > SECONDS:
            return f"took {result.seconds:.1f} s"
        if result.megabytes > MEGABYTES:
            return f"took {result.megabytes:.0f} MB"
        return ""


def _seen(folder):
    """The files of a folder, with sizes and times of change."""
    return {
        (str(p), p.lstat().st_size, p.lstat().st_mtime_ns)
        for p in folder.rglob("*")
        if not p.is_dir()
    }
