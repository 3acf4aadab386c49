"""Settings of all tests: the backend comes from KERAS_BACKEND."""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras
import pytest


@pytest.fixture(autouse=True)
def fresh_keras():
    """Every test starts from the same seed and forgets its graphs."""
    keras.utils.set_random_seed(0)
    yield
    keras.backend.clear_session()


def pytest_collection_finish():
    """Spares the imported modules the collections that every test ends with."""
    gc.collect()
    gc.freeze()
