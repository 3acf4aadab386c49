"""Keeps finished runs of a comparison in a file, for one that goes on later."""

import hashlib
import json
import os
import pathlib
from typing import Any

import keras
import numpy as np
from keras import tree

from snn_keras.files import check_target, written_whole


class Memory:
    """Figures of finished runs by name, in a JSON file or only here.

    Args:
        path: The file; None keeps nothing beyond the process.
        fingerprint: What was compared, as `fingerprint` returns it.

    Raises:
        ValueError: if the file holds figures of something else.
    """

    def __init__(self, path: str | os.PathLike | None, fingerprint: str) -> None:
        self._path = None if path is None else check_target(path, overwrite=True)
        self._content: dict[str, Any] = {"compared": fingerprint, "runs": {}}
        if self._path is not None and self._path.exists():
            self._content = _read(self._path, fingerprint)

    def get(self, name: str) -> Any:
        """The figures of a run, or None."""
        return self._content["runs"].get(name)

    def add(self, name: str, figures: Any) -> None:
        """Adds the figures of a run, and writes them."""
        self._content["runs"][name] = figures
        if self._path is not None:
            with written_whole(self._path) as partial:
                partial.write_text(json.dumps(self._content, indent=1))


def _read(path: pathlib.Path, fingerprint):
    try:
        content = json.loads(path.read_text())
        compared = content["compared"]
        content["runs"].items()
    except (ValueError, LookupError, AttributeError, TypeError) as error:
        raise ValueError(
            f"path: {path} does not hold the runs of a comparison. Remedy: another path"
        ) from error
    if compared != fingerprint:
        raise ValueError(
            f"path: {path} holds runs of another network, of other data, or with other "
            "arguments. Remedy: another path; or delete the file, and all runs begin "
            "anew."
        )
    return content


def fingerprint(model: keras.Model, arrays: Any, arguments: Any) -> str:
    """A hash of a model, of arrays, and of arguments that are plain values."""
    digest = hashlib.sha256()
    layers = [(type(layer).__name__, _config(layer)) for layer in model.layers]
    said = [keras.backend.backend(), layers, arguments]
    digest.update(json.dumps(said, default=str).encode())
    for values in [*model.get_weights(), *tree.flatten(arrays)]:
        values = np.ascontiguousarray(values)
        digest.update(f"{values.dtype} {values.shape}".encode())
        is_plain = values.dtype.kind in "fiub"
        digest.update(values.tobytes() if is_plain else repr(values.tolist()).encode())
    return digest.hexdigest()


def _config(layer):
    """A layer's arguments but for its name, which counts layers of a process."""
    try:
        config = layer.get_config()
    except NotImplementedError:  # Keras cannot save it
        return None
    return {name: value for name, value in config.items() if name != "name"}
