"""Keeps finished runs of a comparison in a file, for one that goes on later."""

import hashlib
import json
import os
from typing import Any, TypedDict

import keras
import numpy as np
from keras import tree

from snn_keras.analysis.comparing.result import Row, SourceRow
from snn_keras.files import check_target, written_whole
from snn_keras.graph import Graph, Tensor
from snn_keras.records import checked
from snn_keras.untrusted import read_json, reading


class Run(TypedDict):
    """The figures of a finished run."""

    source: dict[str, float]
    rows: list[dict[str, Any]]


class Content(TypedDict):
    """What the file holds: what was compared, and the runs by name."""

    compared: str
    runs: dict[str, Run]


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

    def get(self, name: str) -> Run | None:
        """The figures of a run, or None."""
        return self._content["runs"].get(name)

    def add(self, name: str, figures: Run) -> None:
        """Adds the figures of a run, and writes them."""
        self._content["runs"][name] = figures
        if self._path is not None:
            with written_whole(self._path) as partial:
                partial.write_text(json.dumps(self._content, indent=1))


def _read(path, fingerprint):
    remedy = "another path; or delete the file, and all runs begin anew."
    what = "the runs of a comparison"
    content = read_json(path, Content, what, remedy)
    with reading(path, what, remedy):
        for name, run in content["runs"].items():
            checked({**run["source"], "seconds": 0}, SourceRow, f"source of {name}")
            for row in run["rows"]:
                checked({**row, "neuron": ""}, Row, f"a row of {name}")
    if content["compared"] != fingerprint:
        raise ValueError(
            f"path: {path} holds runs of another network, of other data, or with other "
            "arguments. Remedy: another path; or delete the file, and all runs begin "
            "anew."
        )
    return content


def fingerprint(graph: Graph, arrays: Any, arguments: Any) -> str:
    """A hash of what is compared.

    Args:
        graph: The source's graph in normal form.
        arrays: A structure of arrays.
        arguments: Plain values.
    """
    numbers = {x: i for i, x in enumerate(tree.flatten(graph.inputs))}
    for node in graph.nodes:
        numbers |= {x: len(numbers) + i for i, x in enumerate(node.outputs)}

    def plain(value):
        """What JSON knows, in place of what it does not."""
        if isinstance(value, Tensor):
            return ["tensor", numbers[value]]
        if callable(value):
            return getattr(value, "__qualname__", type(value).__name__)
        return _hash(value) if hasattr(value, "shape") else str(value)

    nodes = [
        [type(x.operation).__name__, _config(x.operation), x.args, x.kwargs]
        for x in graph.nodes
    ]
    shapes = [x.shape for x in tree.flatten(graph.inputs)]
    said = [keras.backend.backend(), shapes, nodes, graph.outputs, arguments]
    values = [_hash(x) for x in tree.flatten(arrays)]
    content = json.dumps([said, values], default=plain)
    return hashlib.sha256(content.encode()).hexdigest()


def _hash(values):
    """A hash of an array."""
    values = np.ascontiguousarray(values)
    is_plain = values.dtype.kind in "fiub"
    content = values.tobytes() if is_plain else repr(values.tolist()).encode()
    form = f"{values.dtype} {values.shape} "
    return hashlib.sha256(form.encode() + content).hexdigest()


def _config(operation):
    """An operation's arguments but for its name, which counts those of a process."""
    try:
        config = operation.get_config()
    except (NotImplementedError, ValueError, TypeError):  # Keras cannot save it
        config = {k: v for k, v in vars(operation).items() if not k.startswith("_")}
    return {str(name): value for name, value in config.items() if name != "name"}
