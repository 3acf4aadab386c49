"""Settings of all tests: the backend comes from KERAS_BACKEND."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
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
