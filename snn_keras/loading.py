"""`load_model`: loads a network from a file that may be anyone's."""

import contextlib
import io
import json
import math
import os
import pathlib
import zipfile

import keras

from snn_keras import files
from snn_keras._keras import WEIGHTS_IN_ZIP, variables_without_values
from snn_keras.untrusted import check_hdf5, check_room, check_zip, reading, room_of

SUFFIXES = (".keras", ".h5", ".hdf5")


def load_model(path: str | os.PathLike) -> keras.Model:
    """Loads a Keras model or a spiking network, as `keras.models.load_model` does.

    What the file says is checked before it is followed: a file may not unpack to more
    than eight times its size, or 1 GiB if that is more, nor describe layers with more
    weights than that; and it may not point to other files. Nothing in the file is
    executed: Python code, as of `Lambda` layers, is refused unless
    `keras.config.enable_unsafe_deserialization()` was called.

    Args:
        path: A `.keras` or `.h5` file.

    Returns:
        The model, not compiled.

    Raises:
        FileNotFoundError: if the file does not exist.
        ValueError: if it is not a model, is damaged or too large, or has code.
    """
    path = pathlib.Path(path)
    remedy = (
        "save the model again, or copy the file again. Import the modules of its own "
        "layers first. Code in a file that you trust: "
        "keras.config.enable_unsafe_deserialization()."
    )
    files.check_file(path, "the path of a .keras or .h5 file.")
    if path.suffix not in SUFFIXES:
        raise ValueError(
            f"{path} is not a Keras model: its name ends in none of {SUFFIXES}. "
            "Remedy: model.save(...) under such a name."
        )
    with reading(path, "a Keras model", remedy):
        _check_content(path)
        _check_weights(path)
        return keras.models.load_model(path, compile=False)


def _check_content(path):
    """Checks what the file unpacks to, and what it points to."""
    if path.suffix != ".keras":
        check_hdf5(path, room_of(path))
        return
    check_zip(path)
    with zipfile.ZipFile(path) as archive:
        if WEIGHTS_IN_ZIP in archive.namelist():
            weights = io.BytesIO(archive.read(WEIGHTS_IN_ZIP))
            check_hdf5(weights, room_of(path))


def _check_weights(path):
    """Checks the sizes of the weights that the file describes, without making them.

    A file of a few bytes may describe layers of any size.
    """
    with variables_without_values() as made, contextlib.suppress(Exception):
        _described(path)
    check_room(
        room_of(path),
        sum(math.prod(map(float, v.shape)) * size_of(v.dtype) for v in made),
    )


def _described(path):
    """The model that a file describes; of a .keras file the weights are not read."""
    if path.suffix != ".keras":
        return keras.models.load_model(path, compile=False)
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    return keras.saving.deserialize_keras_object({**config, "compile_config": None})


def size_of(dtype: str) -> int:
    """Bytes of a number of one of Keras's dtypes."""
    bits = "".join(filter(str.isdigit, dtype.partition("_")[0])) or "8"
    return max(1, int(bits) // 8)
