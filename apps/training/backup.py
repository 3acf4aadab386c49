"""All that a training needs to go on, in one file that is whole or not there."""

import itertools
import json
import pathlib
from typing import Any, TypedDict

import keras
import numpy as np
from keras import ops

from snn_keras import files
from snn_keras.records import checked
from snn_keras.untrusted import array_of, check_zip, reading

_ABOUT = "about"


class About(TypedDict):
    """What the file says beside the values of the variables."""

    settings: dict[str, Any]
    epoch: int
    history: dict[str, list[float]]
    count: int


class Backup(keras.callbacks.Callback):
    """Writes weights, optimizer, seeds and history after every epoch.

    The file is written beside and renamed: killed at any moment, a run finds the one
    of the last whole epoch.

    Args:
        path: Where to keep it.
        settings: A dict that says what is trained and how. A backup of other settings
            is refused.
        defaults: The settings that a backup had which does not name them, as one of an
            earlier version.
        writes: Whether to write at all: one of several processes does.

    Attributes:
        history: `{name: [value of every epoch]}`, of earlier runs too.
    """

    def __init__(self, path, settings, defaults=None, writes=True):
        super().__init__()
        self.path = pathlib.Path(path)
        self.settings = settings
        self.defaults = defaults or {}
        self.writes = writes
        self.history = {}
        self.epoch = 0

    def restore(self, model) -> int:
        """Sets `model`, built and compiled, as it was; returns the epochs it had.

        Raises:
            ValueError: if the backup is of another model, of other settings, or
                damaged. It stays as it is.
        """
        if not self.path.exists():
            return 0
        start_anew = f"remove {self.path} to start from the beginning"
        with reading(self.path, "the backup of a training", f"{start_anew}."):
            check_zip(self.path)
            with open(self.path, "rb") as opened, np.load(opened) as file:
                about = checked(json.loads(str(array_of(file, _ABOUT))), About)
                values = [array_of(file, f"{i}") for i in range(about["count"])]
        made = {**self.defaults, **about["settings"]}
        if made != self.settings:
            changes = [
                f"--{name}: {made.get(name)!r} -> {value!r}"
                for name, value in self.settings.items()
                if made.get(name) != value
            ]
            raise ValueError(
                f"{self.path} is the backup of a training with other settings: "
                f"{'; '.join(changes)}. Remedy: {start_anew}, or give the same "
                "settings."
            )
        model.optimizer.build(model.trainable_variables)
        variables = state_of(model)
        shapes = itertools.zip_longest(
            [tuple(v.shape) for v in variables], [v.shape for v in values]
        )
        for i, (expected, received) in enumerate(shapes):
            if expected != received:
                raise ValueError(
                    f"{self.path} is the backup of another network: variable {i} has "
                    f"the shape {received}, that of '{model.name}' {expected}. "
                    f"Remedy: {start_anew}."
                )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        self.history, self.epoch = about["history"], about["epoch"]
        return self.epoch

    def on_epoch_end(self, epoch, logs=None):
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(float(value))
        self.epoch = epoch + 1
        if self.writes:
            self.write()

    def write(self):
        """Writes the file; the one before stays where that fails."""
        variables = state_of(self.model)
        about = {
            "settings": self.settings,
            "epoch": self.epoch,
            "history": self.history,
            "count": len(variables),
        }
        arrays = {f"{i}": ops.convert_to_numpy(v) for i, v in enumerate(variables)}
        with files.written_whole(self.path) as partial, open(partial, "wb") as file:
            np.savez(file, **{_ABOUT: np.array(json.dumps(about))}, **arrays)


def state_of(model):
    """All variables that a training changes, in an order that is always the same."""
    return [*model.variables, *model.optimizer.variables]
