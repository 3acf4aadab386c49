"""What snn_keras needs of a backend beyond Keras's public API: a file for each.

`backend` is that of this process, of the class `Backend` that its file holds. A further
backend is one more file, named as Keras names it, and its name in `KNOWN`.
"""

import importlib

import keras

from snn_keras.backend.base import Backend as Backend

KNOWN = ("tensorflow", "jax", "torch")


def of_name(name) -> Backend:
    """The backend that Keras calls by this name.

    Raises:
        ImportError: if snn_keras does not know it.
    """
    if name not in KNOWN:
        raise ImportError(
            f"snn_keras runs on the backends {', '.join(KNOWN)} of Keras. Received: "
            f"{name!r}. Remedy: KERAS_BACKEND=tensorflow, jax or torch, set before "
            "Keras is imported."
        )
    return importlib.import_module(f"snn_keras.backend.{name}").Backend()


backend = of_name(keras.backend.backend())
