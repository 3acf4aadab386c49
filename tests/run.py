"""Runs the tests in two workers, each replaced once it has grown.

    KERAS_BACKEND=jax python -m tests.run -m "not slow"

Arguments are pytest's. Compiled programs are never given back by XLA, so a process that
runs many tests grows and grows. Here a worker runs one module after another, and a new
one takes over from it once it holds more than `LIMIT`. Programs that tests start count
for themselves.
"""

import contextlib
import json
import os
import pathlib
import queue
import resource
import subprocess
import sys
import threading

WORKERS = 2
LIMIT = 1500 * 2**20  # bytes; a module adds up to 2.3 GB
ROOT = pathlib.Path(__file__).parent.parent
COUNTED = ("passed", "failed", "skipped", "error")
_DONE = "\x1emodule done: "


def modules() -> list:
    """All modules of tests, those with most to do first; and the package's doctests."""
    files = sorted(ROOT.glob("tests/test_*.py"), key=lambda f: -f.stat().st_size)
    return [*(str(f.relative_to(ROOT)) for f in files), "snn_keras"]


class Tally:
    """Plugin of pytest: counts outcomes."""

    def __init__(self):
        self.counts = dict.fromkeys(COUNTED, 0)

    def pytest_runtest_logreport(self, report):
        broken = report.when != "call" and report.failed
        if broken or report.when == "call" or report.skipped:
            self.counts["error" if broken else report.outcome] += 1


def work(arguments):
    """A worker: runs the modules that it reads from its standard input."""
    import psutil
    import pytest

    for line in sys.stdin:
        tally = Tally()
        code = pytest.main(["-q", line.strip(), *arguments], plugins=[tally])
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        found = {
            **tally.counts,
            "code": 0 if code == 5 else int(code),  # 5: no test was chosen
            "held": psutil.Process().memory_info().rss,
            "peak": peak if sys.platform != "darwin" else peak // 1024,
        }
        print(_DONE + json.dumps(found), flush=True)


class Lane(threading.Thread):
    """Feeds modules to workers, one after the other.

    Args:
        waiting: Queue of modules.
        arguments: For pytest.

    Attributes:
        found: What the worker said of each module; of one that broke off, None.
    """

    def __init__(self, waiting, arguments):
        super().__init__()
        self.waiting = waiting
        self.arguments = arguments
        self.worker = None
        self.found = {}

    def run(self):
        with contextlib.suppress(queue.Empty):
            while True:
                module = self.waiting.get_nowait()
                self.found[module] = found = self.run_module(module)
                if found is None or found["held"] > LIMIT:
                    self.stop()
        self.stop()

    def run_module(self, module):
        """What a worker says of a module; its output is printed when it is done."""
        if self.worker is None:
            self.worker = subprocess.Popen(
                [sys.executable, "-m", "tests.run", "--worker", *self.arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.worker.stdin.write(f"{module}\n")
        self.worker.stdin.flush()
        printed = []
        for line in self.worker.stdout:
            if line.startswith(_DONE):
                found = json.loads(line.removeprefix(_DONE))
                print(f"\n{module}\n{''.join(printed)}", end="", flush=True)
                return found
            printed.append(line)
        print(f"\n{module}\n{''.join(printed)}The worker broke off.", flush=True)
        return None

    def stop(self):
        """Ends the worker, if there is one."""
        if self.worker is not None:
            self.worker.stdin.close()
            self.worker.stdout.read()
            self.worker.wait()
            self.worker = None


def main(arguments) -> int:
    """Runs all modules; returns 0 where none failed."""
    waiting = queue.Queue()
    for module in modules():
        waiting.put(module)
    lanes = [Lane(waiting, arguments) for _ in range(WORKERS)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    found = {module: f for lane in lanes for module, f in lane.found.items()}
    broken = sorted(m for m, f in found.items() if f is None or f["code"])
    whole = [f for f in found.values() if f is not None]
    counts = {name: sum(f[name] for f in whole) for name in COUNTED}
    failed = counts["failed"] + counts["error"] + sum(f is None for f in found.values())
    peak = max((f["peak"] for f in whole), default=0)
    backend = os.environ.get("KERAS_BACKEND", "the default")
    print(f"\nbackend {backend}; a worker held {peak / 2**30:.2f} GiB at most")
    if broken:
        print(f"failed: {', '.join(broken)}")
    print(f"{counts['passed']} passed, {failed} failed, {counts['skipped']} skipped")
    return 1 if broken else 0


if __name__ == "__main__":
    is_worker = sys.argv[1:2] == ["--worker"]
    if is_worker:
        work(sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
