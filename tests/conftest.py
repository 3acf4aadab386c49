"""Settings of all tests: the backend comes from KERAS_BACKEND."""

import collections
import gc
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import numpy as np
import pytest

from apps.evaluate import allow_float64


@pytest.fixture(autouse=True)
def fresh_keras():
    """Every test starts from the same seed and forgets its graphs."""
    keras.utils.set_random_seed(0)
    yield
    keras.utils.clear_session(free_memory=False)


@pytest.fixture(autouse=True, scope="module")
def free_memory():
    """Collects garbage once a module: after every test, it took a third of all time."""
    yield
    gc.collect()


def pytest_addoption(parser):
    """`pytest --compiled`, `pytest --files=100`."""
    text = "compile every test's networks as users' are: see compile_less"
    parser.addoption("--compiled", action="store_true", help=text)
    text = "damaged files of each kind: see tests/test_fuzz.py"
    parser.addoption("--files", type=int, default=200, help=text)


@pytest.fixture(autouse=True)
def compile_less(request, monkeypatch):
    """A test is compiled as users' networks are for the first of its parameters alone.

    For the others, networks run eagerly on TensorFlow: to compile takes nearly all the
    time of a test of a tiny network, and its memory. JAX compiles single operations,
    too, and gains nothing. Tests that are marked `compiled` or `slow` are always
    compiled, and so are all by `pytest --compiled` (`make test-compiled`).
    """
    everything = request.config.getoption("--compiled")
    gains = keras.backend.backend() == "tensorflow" and not everything
    if gains and _may_compile_less(request.node):
        eager = keras.Model.run_eagerly.getter(lambda model: True)
        monkeypatch.setattr(keras.Model, "run_eagerly", eager)


@pytest.fixture(autouse=True)
def read_without_gradients(monkeypatch):
    """NumPy reads PyTorch's tensors that have a gradient, as it reads all others."""
    if keras.backend.backend() == "torch":
        import torch

        def read(tensor, dtype=None, copy=None):
            return np.asarray(tensor.detach().cpu().numpy(), dtype)

        monkeypatch.setattr(torch.Tensor, "__array__", read)


# Modules of what every backend computes; others are of graphs, files and programs.
LAWS = (pathlib.Path(__file__).parent / "laws.txt").read_text().split()
# Laws of numbers themselves: on JAX in full.
ON_JAX = ("corrected_neurons", "layers", "ops", "spike_for_spike")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks tests by what the backend can run, and how fast."""
    if keras.backend.backend() == "torch":
        eager = pytest.mark.skip(reason="PyTorch compiles nothing here")
        for item in items:
            if "xla" in item.name:
                item.add_marker(eager)
    if keras.backend.backend() == "jax":
        _mark_slow_on_jax(items)


def _mark_slow_on_jax(items):
    """A quick run has the first parameters of laws; of other modules, the first test.

    A slow run has all the rest. JAX compiles nearly every operation of every tiny
    network, which takes three times as long as TensorFlow takes without.
    """
    seen = set()
    for item in items:
        name = item.path.stem.removeprefix("test_")
        parameters = getattr(item, "callspec", None)
        is_first = parameters is None or not any(parameters.indices.values())
        is_quick = is_first if name in LAWS else name not in seen
        if not (is_quick or name in ON_JAX):
            item.add_marker(pytest.mark.slow)
        elif not item.get_closest_marker("slow"):
            seen.add(name)


def _may_compile_less(test):
    """Whether other parameters of the same test are compiled."""
    if any(map(test.get_closest_marker, ("compiled", "slow"))):
        return False
    parameters = getattr(test, "callspec", None)
    return parameters is not None and any(parameters.indices.values())


@pytest.fixture
def policy():
    """Sets the dtype policy for one test; every backend computes in float64 too."""
    before = keras.config.floatx(), keras.config.dtype_policy()
    allow_float64(True)
    yield keras.config.set_dtype_policy
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])
    allow_float64(False)


@pytest.fixture
def float64(policy):
    """Layers and inputs in float64, where rounding breaks no tie."""
    policy("float64")
    keras.config.set_floatx("float64")


def pytest_collection_finish():
    """Spares the imported modules the collections that every test ends with."""
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    """What tests of many networks counted, of all of them together."""
    found = collections.defaultdict(collections.Counter)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", "") == "call":
                for kind, counts in report.user_properties:
                    found[kind].update(counts)
    for kind, counts in found.items():
        for name in sorted(counts):
            terminalreporter.write_line(f"{kind}: {name}: {counts[name]:,}")
