"""Functions of the backends beyond Keras's public API, a module for each backend.

`backend` is an instance of the class `Backend` in the module of Keras's present
backend. To add a backend, add a module with Keras's name for it, and the name to
`KNOWN`.
"""

import importlib

import keras

from snn_keras.backend.base import Backend as Backend

KNOWN = ("tensorflow", "jax", "torch")


def of_name(name: str) -> Backend:
    """The `Backend` for Keras's backend of this name.

    Raises:
        ImportError: if snn_keras does not support it.
    """
    if name not in KNOWN:
        raise ImportError(
            f"snn_keras runs on the backends {', '.join(KNOWN)} of Keras. Received: "
            f"{name!r}. Remedy: KERAS_BACKEND=tensorflow, jax or torch, set before "
            "Keras is imported."
        )
    return importlib.import_module(f"snn_keras.backend.{name}").Backend()


backend = of_name(keras.backend.backend())
