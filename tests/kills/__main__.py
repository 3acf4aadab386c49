"""Kills all jobs, fills their disk, and prints what came of it."""

import argparse
import pathlib
import tempfile

from tests.kills.jobs import JOBS
from tests.kills.killing import full, killed
from tests.kills.server import Server


def main():
    """Prints a line for each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200, help="of all jobs together")
    parser.add_argument("--full", type=int, default=4, help="full disks of each job")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", nargs="*", default=list(JOBS), choices=list(JOBS))
    given = parser.parse_args()
    server, total = Server(), 0
    for number, job in enumerate(given.jobs):
        share = given.kills // len(given.jobs) + (
            number < given.kills % len(given.jobs)
        )
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            found = killed(server, job, folder, share, given.seed)
            print(
                f"{job}: {found.kills} kills, {found.remnants} of them with temporary "
                f"files left; {found.runs} runs that went on to the same end; no "
                f"corrupt file; {found.seconds:.0f} s",
                flush=True,
            )
            refused = full(server, job, folder, given.full, given.seed)
            print(
                f"{job}: {given.full} full disks, {refused} errors that say so; no "
                "corrupt file",
                flush=True,
            )
        total += found.kills
    server.close()
    print(f"{total} kills")


if __name__ == "__main__":
    main()
