"""Kills jobs at random moments, fills their disk, and looks at what is left."""

import dataclasses
import shutil
import time

import numpy as np

from tests.kills.checking import finals, remnants

KILLS_A_RUN = 5  # before a run may end


@dataclasses.dataclass
class Outcome:
    """What came of killing a job.

    Attributes:
        kills: How often it was killed.
        runs: How many runs were killed, and went on to the same end.
        remnants: How many kills left temporary files behind.
        seconds: How long all of it took.
    """

    kills: int = 0
    runs: int = 0
    remnants: int = 0
    seconds: float = 0.0


def killed(server, job, folder, kills, seed=0):
    """Kills a job `kills` times, some times in each run, and lets every run end.

    Raises:
        AssertionError: if a file is corrupt, if a run does not go on, or comes to
            something else than one that was left alone.
    """
    began, rng, found = time.monotonic(), np.random.default_rng(seed), Outcome()
    expected, usual = alone(server, job, folder / "alone")
    while found.kills < kills:
        place = fresh(server, job, folder / "killed")
        for _ in range(min(KILLS_A_RUN, kills - found.kills)):
            how, text, _ = server.ask(
                "run", job, place, seconds=usual * rng.uniform(0.02, 1)
            )
            assert how != "failed", f"{job} does not go on:\n{text[-3000:]}"
            found.kills += how == "killed"
            found.remnants += any(p.name.startswith(".") for p in place.rglob("*"))
            server.must("check", job, place)
            if how == "done":
                break
        server.must("run", job, place)
        assert server.result(job, place) == expected, f"{job} ended otherwise"
        assert not remnants(place), remnants(place)
        found.runs += 1
    found.seconds = time.monotonic() - began
    return found


def full(server, job, folder, times, seed=0):
    """Runs a job with a disk on which files end early, then with a good one.

    Returns:
        How often it ended with an error.
    """
    rng, refused = np.random.default_rng(seed), 0
    expected, _ = alone(server, job, folder / "alone")
    largest = max(path.stat().st_size for path in finals(folder / "alone"))
    for _ in range(times):
        place = fresh(server, job, folder / "full")
        size = int(largest ** rng.uniform(0.3, 1))
        how, text, _ = server.ask("run", job, place, size=size)
        assert how in ("failed", "done"), text
        if how == "failed":
            assert "cannot write" in text and "Remedy" in text, text[-3000:]
            refused += 1
        server.must("check", job, place)
        assert not [p for p in place.rglob("*") if ".partial" in p.name]
        server.must("run", job, place)
        assert server.result(job, place) == expected, f"{job} ended otherwise"
    return refused


def fresh(server, job, place):
    """A folder in which a job may start."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    server.must("prepare", job, place)
    return place


def alone(server, job, place):
    """What a job comes to that is left alone, and how long it takes."""
    fresh(server, job, place)
    _, seconds = server.must("run", job, place)
    server.must("check", job, place)
    return server.result(job, place), seconds
