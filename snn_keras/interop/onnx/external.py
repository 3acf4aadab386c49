"""Loads constants that a file keeps in other files beside it."""

import pathlib
from collections.abc import Iterator
from typing import Any

from snn_keras.errors import ConversionError
from snn_keras.interop.onnx.package import package
from snn_keras.untrusted import check_room, room_of


def load_external(model: Any, folder: pathlib.Path | None, name: str) -> None:
    """Loads the constants that stand in files of the same folder, or below it.

    Args:
        model: A `ModelProto`, which receives them.
        folder: The folder of its file; None if there is none.
        name: The model's name, for messages.

    Raises:
        ConversionError: if a file is missing, too short, or not in the folder.
    """
    onnx = package()
    tensors = [t for t in tensors_of(model) if t.data_location == t.EXTERNAL]
    if not tensors:
        return
    if folder is None:
        raise ConversionError(
            f"'{name}' keeps {len(tensors)} constants in other files, which bytes have "
            f"not beside them: '{tensors[0].name}' first. Remedy: give the file's path."
        )
    sizes = [_check(tensor, folder.resolve(), name) for tensor in tensors]
    # Many constants may be of one part of one file.
    check_room(room_of(*{path for path, _ in sizes}), sum(size for _, size in sizes))
    for tensor in tensors:
        onnx.external_data_helper.load_external_data_for_tensor(tensor, str(folder))
        tensor.data_location = tensor.DEFAULT
        del tensor.external_data[:]


def tensors_of(model: Any) -> Iterator:
    """All constants of a `ModelProto`."""
    yield from model.graph.initializer
    nodes = [*model.graph.node, *(n for f in model.functions for n in f.node)]
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _check(tensor, folder, name):
    """Checks that what a tensor names is in the folder and long enough.

    Returns:
        The file, and the number of bytes that are read of it.
    """
    info = {entry.key: entry.value for entry in tensor.external_data}
    location = info.get("location", "")
    path = (folder / location).resolve()
    if not location or not path.is_relative_to(folder):
        raise ConversionError(
            f"'{name}' keeps constant '{tensor.name}' in '{location}', which is not in "
            "the folder of the file. Remedy: do not trust it, or save it again with "
            "its data beside it."
        )
    if not path.is_file():
        raise ConversionError(
            f"'{name}' keeps constant '{tensor.name}' in '{location}', and there is no "
            f"such file in {folder}. Remedy: put it there."
        )
    there = path.stat().st_size
    try:
        begin = int(info.get("offset", 0))
        size = int(info.get("length", there - begin))
    except ValueError:
        begin = size = -1
    if min(begin, size) < 0 or begin + size > there:
        raise ConversionError(
            f"'{name}' reads constant '{tensor.name}' from '{location}' up to byte "
            f"{begin + size}, and the file has {there}. Remedy: export it again."
        )
    return path, size
