"""Adds layers and functions of Keras to the model, named after the file's nodes."""

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import tree

from snn_keras._keras import maker_of
from snn_keras.graph import Names


class Maker:
    """Adds what stands for one node.

    Args:
        name: The node's name.
        names: The names that are in use in the model.
    """

    def __init__(self, name: str, names: Names) -> None:
        self._name = legal(name)
        self._names = names

    def named(self, suffix: str = "") -> str:
        """A unique name."""
        return self._names.unique(f"{self._name}_{suffix}" if suffix else self._name)

    def layer(
        self,
        kind: type,
        inputs: Any,
        *args,
        weights: list | None = None,
        suffix: str = "",
        **settings,
    ) -> keras.KerasTensor:
        """Calls a new layer with these weights, and returns its output."""
        layer = kind(*args, name=self.named(suffix), **settings)
        output = layer(inputs)
        if weights is not None:
            layer.set_weights([np.asarray(w, "float32") for w in weights])
        return output

    def function(self, function: Callable, *args, suffix: str = "", **kwargs) -> Any:
        """Calls a function of `keras.ops`, and returns its output."""
        output = function(*args, **kwargs)
        maker_of(tree.flatten(output)[0]).name = self.named(suffix)
        return output


def legal(name: str) -> str:
    """A name that Keras and its backends allow."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-") or "node"
