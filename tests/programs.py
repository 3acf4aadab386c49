"""Runs the command-line programs in processes of their own."""

import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

import keras
import pytest

from apps import data

ROOT = pathlib.Path(data.__file__).parent.parent
once = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="programs run in processes of their own; once is enough",
)


def start(*arguments, backend="tensorflow", **settings):
    """Starts a program."""
    given = settings.pop("env", {})
    return subprocess.Popen(
        [sys.executable, "-m", "apps", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "KERAS_BACKEND": backend, **given},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **settings,
    )


def program(*arguments, ok=True, **settings):
    """Runs a program, and returns what it printed.

    Without settings it is forked from a process that has imported what programs
    import, which takes five seconds of a processor.
    """
    if settings or "forkserver" not in multiprocessing.get_all_start_methods():
        running = start(*arguments, **settings)
        printed, _ = running.communicate()
        code = running.returncode
    else:
        code, printed = _forked(*map(str, arguments))
    assert (code == 0) == ok, printed
    return printed


def _forked(*arguments):
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.imported"])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "printed.txt"
        running = context.Process(target=_run, args=(arguments, path))
        running.start()
        running.join()
        return running.exitcode, path.read_text()


def _run(arguments, path):
    with path.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(ROOT)
    sys.argv = ["apps", *arguments]
    runpy.run_module("apps", run_name="__main__")
