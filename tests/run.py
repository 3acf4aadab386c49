"""Runs the tests in three workers, each replaced once it has grown.

    KERAS_BACKEND=jax python -m tests.run -m "not slow"
    python -m tests.run --parts=8 -m slow

Arguments are options of pytest; with --parts, every module is run in so many parts,
each like a module of its own. XLA never gives the memory of compiled programs back, so
a process that runs many tests grows and grows. Here a worker runs one module after the
other, until it has held more than `LIMIT`; then a new one takes its place. Programs
that tests start are processes of their own and not counted.
"""

import argparse
import contextlib
import dataclasses
import io
import multiprocessing
import pathlib
import queue
import resource
import sys
from concurrent import futures

import pytest

WORKERS = 3  # two processors are then busy while a test waits for a program
LIMIT = 1.5  # GiB
ROOT = pathlib.Path(__file__).parent.parent
# These take longest, and begin first.
LONG = ("docs", "apps", "train", "spiking_model", "tables", "layers", "interop_sweep")
OUTCOMES = ("passed", "failed", "skipped")


@dataclasses.dataclass
class Result:
    """What became of one module.

    Attributes:
        module: Its path.
        ok: Whether no test failed.
        counts: Number of tests by outcome.
        peak: The most memory that its worker had held, in GiB; 0 for a lost worker.
        seconds: Processor time, without that of programs, which are forked elsewhere.
        printed: What pytest wrote.
    """

    module: str
    ok: bool
    counts: dict
    peak: float
    seconds: float
    printed: str


class Tally:
    """Plugin of pytest: counts outcomes; fixtures that break off count as failed.

    Args:
        part: Index i and number n: of the tests, every n-th is run, from the i-th,
            counted from 0.
    """

    def __init__(self, part):
        self.part = part
        self.counts = dict.fromkeys(OUTCOMES, 0)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        i, n = self.part
        items[:] = items[i::n]

    def pytest_runtest_logreport(self, report):
        if report.when == "call" or not report.passed:
            self.counts[report.outcome] += 1

    def pytest_collectreport(self, report):
        if not report.passed:
            self.counts[report.outcome] += 1


def modules() -> list:
    """Paths of all test modules, the longest first; and of the package's doctests."""
    first = [f"tests/test_{name}.py" for name in LONG]
    files = sorted(ROOT.glob("tests/test_*.py"), key=lambda f: -f.stat().st_size)
    others = [str(file.relative_to(ROOT)) for file in files]
    return [*first, *(file for file in others if file not in first), "snn_keras"]


def run_module(module, part, arguments) -> Result:
    """Runs one module, or one part of it, in this process."""
    tally, printed, before = Tally(part), io.StringIO(), processor_time()
    with contextlib.redirect_stdout(printed):
        code = pytest.main(["-q", module, *arguments], plugins=[tally])
    ok = code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)
    if not ok and not tally.counts["failed"]:  # pytest itself broke off
        tally.counts["failed"] = 1
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = most / 2 ** (30 if sys.platform == "darwin" else 20)
    seconds = processor_time() - before
    return Result(module, ok, tally.counts, peak, seconds, printed.getvalue())


def processor_time() -> float:
    """Seconds of a processor that this process and those that it ran have used."""
    users = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in users)


def run_modules(waiting) -> list:
    """Runs the modules of a queue in one worker after the other."""
    results, worker = [], None
    with contextlib.suppress(queue.Empty):
        while True:
            run = waiting.get_nowait()
            worker = worker or new_worker()
            try:
                result = worker.submit(run_module, *run).result()
            except futures.process.BrokenProcessPool:
                text = "its process ended before its tests did: a crash, or no memory\n"
                result = Result(run[0], False, {"failed": 1}, 0.0, 0.0, text)
            results.append(result)
            head = f"\n{result.module}: {result.seconds:.1f} s of a processor\n"
            print(head + result.printed, end="", flush=True)
            if result.peak > LIMIT or result.peak == 0:
                worker.shutdown()
                worker = None
    if worker:
        worker.shutdown()
    return results


def new_worker() -> futures.Executor:
    """A process that has what tests import, and has run nothing yet.

    It is forked from one that imported it and did nothing else: imports take five
    seconds of a processor, and a backend starts its threads with its first operation.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        context = multiprocessing.get_context("spawn")
    else:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.imported"])
    return futures.ProcessPoolExecutor(1, mp_context=context)


def main(arguments) -> int:
    """Runs all modules; returns 0 where tests passed and none failed."""
    own = argparse.ArgumentParser(allow_abbrev=False)
    own.add_argument("--parts", type=int, default=1)
    given, arguments = own.parse_known_args(arguments)
    waiting = queue.SimpleQueue()
    for module in modules():
        for i in range(given.parts):
            waiting.put((module, (i, given.parts), arguments))
    with futures.ThreadPoolExecutor(WORKERS) as lanes:
        running = [lanes.submit(run_modules, waiting) for _ in range(WORKERS)]
    results = [result for lane in running for result in lane.result()]
    used = sum(result.seconds for result in results)
    failed = sorted({result.module for result in results if not result.ok})
    for module in failed:
        print(f"failed: {module}")
    peak = max(result.peak for result in results)
    print(f"\npeak of a worker: {peak:.2f} GiB; ", end="")
    print(f"processor time: {used:.0f} s")
    counts = {x: sum(r.counts.get(x, 0) for r in results) for x in OUTCOMES}
    print(", ".join(f"{number} {outcome}" for outcome, number in counts.items()))
    return 0 if counts["passed"] and not failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
