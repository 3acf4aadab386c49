"""Runs the command-line programs in processes of their own."""

import os
import pathlib
import subprocess
import sys

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
    """Runs a program, and returns what it printed."""
    running = start(*arguments, **settings)
    printed, _ = running.communicate()
    assert (running.returncode == 0) == ok, printed
    return printed
