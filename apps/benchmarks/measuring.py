"""Times cases in turns, in processes of their own."""

import contextlib
import multiprocessing
import statistics
import time

from absl import logging


class Worker:
    """A process of its own that makes cases and times them on demand.

    Args:
        make: Gives `{name: function}`; runs in the process.
        *arguments: Its arguments.
    """

    def __init__(self, make, *arguments):
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, make, arguments), daemon=True
        )
        self._process.start()
        theirs.close()
        self.cases = self._receive()

    def call(self, name):
        """Runs a case; returns the seconds it took, and what it returned."""
        self._pipe.send(name)
        return self._receive()

    def _receive(self):
        try:
            failed, answer = self._pipe.recv()
        except EOFError:
            raise RuntimeError("a process of the benchmark was killed") from None
        if failed:
            raise RuntimeError(f"a process of the benchmark failed: {answer}")
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._pipe.close()
        self._process.join(10)
        self._process.kill()


def _serve(pipe, make, arguments):
    try:
        cases = make(*arguments)
        pipe.send((False, list(cases)))
        while True:
            name = pipe.recv()
            started = time.perf_counter()
            answer = cases[name]()
            pipe.send((False, (time.perf_counter() - started, answer)))
    except EOFError:
        pass
    except Exception as error:
        logging.exception("a case failed")
        with contextlib.suppress(OSError):
            pipe.send((True, f"{type(error).__name__}: {error}"))


def measure(cases, rounds):
    """Times cases in turns, after one run of each that is not counted.

    Args:
        cases: `{name: (worker, case)}`.
        rounds: Times that each is timed.

    Returns:
        `{name: [seconds, ...]}`, and what each case returned at first.
    """
    answers = {name: worker.call(case)[1] for name, (worker, case) in cases.items()}
    seconds = {name: [] for name in cases}
    for i in range(rounds):
        for name, (worker, case) in cases.items():
            seconds[name].append(worker.call(case)[0])
        logging.info("round %d of %d", i + 1, rounds)
    return seconds, answers


def timed(make, rounds):
    """Measures all cases that `make` gives, in a process of their own."""
    with Worker(make) as worker:
        cases = {name: (worker, name) for name in worker.cases}
        return measure(cases, rounds)


def ratio(above, below, scale=1.0):
    """The ratio of two cases within each round: median, smallest and largest."""
    ratios = [a / (scale * b) for a, b in zip(above, below, strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 3),
        "least": round(min(ratios), 3),
        "most": round(max(ratios), 3),
        "milliseconds": round(1e3 * statistics.median(above), 2),
    }
