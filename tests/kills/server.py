"""Runs jobs in processes that may be killed, without importing anything anew.

The server imports all that jobs need and computes nothing, so that it may be forked.
"""

import multiprocessing
import os
import pathlib
import resource
import select
import signal
import sys
import time
import traceback


def serve(pipe):
    """Forks a process for each task that comes through a pipe."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import matplotlib.pyplot  # noqa: F401
    import sklearn.datasets  # noqa: F401

    import apps.compare
    import apps.report
    import apps.results
    import apps.train  # noqa: F401
    from snn_keras import export, interop  # noqa: F401

    pipe.send("ready")
    while True:
        pipe.send(_forked(*pipe.recv()))


def _forked(task, job, folder, seconds, size):
    """Does a task in a process of its own, and kills that after some seconds.

    Returns:
        `(how it ended, what it printed or returned, seconds)`; "killed", "done" or
        "failed".
    """
    began = time.monotonic()
    source, sink = os.pipe()  # a file could not be written on a full disk
    child = os.fork()
    if child == 0:
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        os._exit(_child(task, job, pathlib.Path(folder), size))
    os.close(sink)
    printed, ended = bytearray(), os.pidfd_open(child)
    is_open, ready = True, False
    while not ready:
        left = None if seconds is None else began + seconds - time.monotonic()
        if left is not None and left <= 0:
            os.kill(child, signal.SIGKILL)
            break
        found, _, _ = select.select(
            [ended, *([source] if is_open else [])], [], [], left
        )
        if source in found:
            part = os.read(source, 2**16)
            printed += part
            is_open = bool(part)
        ready = ended in found and source not in found
    _, status = os.waitpid(child, 0)
    os.close(ended)
    os.close(source)
    text = printed.decode(errors="replace")
    how = "done" if status == 0 else "failed"
    return how if ready else "killed", text, time.monotonic() - began


def _child(task, job, folder, size):
    from tests.kills import checking
    from tests.kills.jobs import JOBS

    try:
        if size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        if task == "check":
            checking.check(folder)
        elif task == "result":
            print("RESULT", JOBS[job].result(folder))
        else:
            getattr(JOBS[job], task)(folder)
    except BaseException:
        most = resource.RLIM_INFINITY
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # for what is printed
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


class Server:
    """The process that runs jobs."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other,), daemon=True)
        self._process.start()
        assert self._pipe.recv() == "ready"

    def ask(self, task, job, folder, seconds=None, size=None):
        """Lets a process do a task: "prepare", "run", "check" or "result".

        Args:
            task: What to do.
            job: The name of the job.
            folder: Where its files are.
            seconds: After how many of them the process is killed, or None.
            size: The most bytes that a file may have, or None: a full disk.
        """
        self._pipe.send((task, job, str(folder), seconds, size))
        return self._pipe.recv()

    def must(self, task, job, folder):
        """Lets a process do a task that has to succeed; returns what it printed."""
        how, text, seconds = self.ask(task, job, folder)
        assert how == "done", f"{task} {job}: {how}\n{text[-3000:]}"
        return text, seconds

    def result(self, job, folder):
        """What a job came to."""
        text, _ = self.must("result", job, folder)
        return text.split("RESULT ", 1)[1]

    def close(self):
        """Ends the process."""
        self._process.kill()
        self._process.join()
