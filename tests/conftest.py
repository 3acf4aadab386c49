"""Settings of all tests: the backend comes from KERAS_BACKEND."""

import collections
import gc
import pathlib

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
    """On TensorFlow, networks of repeated tests run eagerly, others as users' do.

    To compile takes nearly all the time of a test of a tiny network, and its memory.
    JAX compiles single operations, too, and gains nothing. Tests that are marked
    `compiled` or `slow` are always compiled, and so are all by `pytest --compiled`
    (`make test-compiled`).
    """
    everything = request.config.getoption("--compiled")
    gains = keras.backend.backend() == "tensorflow" and not everything
    markers = map(request.node.get_closest_marker, ("repeated", "compiled", "slow"))
    is_repeated, *is_compiled = markers
    if gains and is_repeated and not any(is_compiled):
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
ON_JAX = ("corrected_neurons", "ops", "spike_for_spike")
# What looks into networks sees the same in compiled ones: TensorFlow compiles one.
LOOKING = ("early_exit", "verify")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks tests by what the backend can run, and how fast."""
    if keras.backend.backend() == "torch":
        eager = pytest.mark.skip(reason="PyTorch compiles nothing here")
        for item in items:
            if "xla" in item.name:
                item.add_marker(eager)
    for item in repeated(items):
        item.add_marker(pytest.mark.repeated)
        if keras.backend.backend() == "jax" and module_of(item) not in ON_JAX:
            item.add_marker(pytest.mark.slow)


def repeated(items):
    """Tests that others stand for: first parameters of laws, first tests of modules.

    JAX runs the others with the slow tests: it compiles nearly every operation of every
    tiny network, which takes three times as long as TensorFlow takes without.
    """
    on_tensorflow = keras.backend.backend() == "tensorflow"
    laws = set(LAWS) - set(LOOKING if on_tensorflow else ())
    seen = set()
    for item in items:
        name = module_of(item)
        parameters = getattr(item, "callspec", None)
        is_first = parameters is None or not any(parameters.indices.values())
        if not (is_first if name in laws else name not in seen):
            yield item
        elif not item.get_closest_marker("slow"):
            seen.add(name)


def module_of(item):
    """The name of a test's module."""
    return item.path.stem.removeprefix("test_")


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
