"""Reads a file and checks that it is whole, and that all its operators are known."""

import os
import pathlib
from typing import Any

from snn_keras import files
from snn_keras.errors import ConversionError
from snn_keras.interop.onnx.external import load_external
from snn_keras.interop.onnx.folding import RANDOM
from snn_keras.interop.onnx.operators import TRANSLATIONS
from snn_keras.interop.onnx.package import package
from snn_keras.untrusted import reading

OLDEST_OPSET = 13
# The most nodes that the functions of a file may become where they are called.
MOST_NODES = 1_000_000
AGAIN = "export the network again."
# Operators that give what is known from shapes.
OF_SHAPES = {"Shape", "Size"}
CONTROL_FLOW = {"If", "Loop", "Scan", "SequenceMap"}


def model_of(path_or_bytes: str | os.PathLike | bytes) -> tuple[Any, str]:
    """The `ModelProto` of a file, whole and checked, and a name for it.

    Raises:
        FileNotFoundError: if there is no such file.
        ConversionError: if it is damaged, or is no ONNX file.
    """
    if isinstance(path_or_bytes, (bytes, bytearray, memoryview)):
        content, folder, name = bytes(path_or_bytes), None, "onnx"
    elif isinstance(path_or_bytes, (str, os.PathLike)):
        path = pathlib.Path(path_or_bytes)
        content = files.read(path, "the path of an ONNX file, or its content as bytes.")
        folder, name = path.parent, path.stem
    else:
        raise ValueError(
            "expected the path of an ONNX file, or its content as bytes. Received: "
            f"{type(path_or_bytes).__name__}. Remedy: model.SerializeToString() for "
            "an onnx.ModelProto."
        )
    onnx = package()
    with reading(f"'{name}'", "an ONNX file", AGAIN, ConversionError):
        model = onnx.load_model_from_string(content)
        if not model.HasField("graph") or not model.opset_import:
            raise ValueError("it has no graph, or names no operators")
        load_external(model, folder, name)
        return _checked(model, name), name


def opset_of(model: Any) -> int:
    """The version of ONNX's own operators in a file."""
    found = [x.version for x in model.opset_import if x.domain in ("", "ai.onnx")]
    return max(found, default=0)


def _checked(model, name):
    onnx = package()
    newest, opset = onnx.defs.onnx_opset_version(), opset_of(model)
    if opset > newest:
        raise ConversionError(
            f"'{name}' is of opset {opset}, and this onnx package knows {newest} at "
            "most. Remedy: pip install --upgrade onnx"
        )
    if opset < OLDEST_OPSET:
        raise ConversionError(
            f"'{name}' is of opset {opset}; read are {OLDEST_OPSET} and newer. Remedy: "
            f"onnx.version_converter.convert_version(model, {OLDEST_OPSET}), or export "
            "the network again."
        )
    if model.functions:
        check_functions(model)
        model = onnx.inliner.inline_local_functions(model)
    check_operators(model, name)
    onnx.checker.check_model(model)
    return model


def check_functions(model: Any) -> None:
    """Raises a ValueError if the functions of a file become too many nodes.

    A function that calls another one twice, which calls a third one twice, and so on,
    makes a few lines into any number of nodes.
    """
    functions = {(f.domain, f.name): f for f in model.functions}
    sizes = {}

    def size(nodes):
        return sum(sizes.get((n.domain, n.op_type), 1) for n in nodes)

    waiting = dict(functions)
    while waiting:
        ready = [
            key
            for key, f in waiting.items()
            if not any((n.domain, n.op_type) in waiting for n in f.node)
        ]
        if not ready:
            raise ValueError("its functions call one another in a circle")
        sizes |= {key: size(waiting.pop(key).node) for key in ready}
    count = size(model.graph.node)
    if count > MOST_NODES:
        raise ValueError(
            f"its functions become {count:,} nodes; read are {MOST_NODES:,}"
        )


def check_operators(model: Any, name: str) -> None:
    """Checks that all operators are known.

    Raises:
        ConversionError: if some are not; the message names all.
    """
    unknown = {}
    known = {"", *(x.name for x in model.graph.initializer)}
    for node in model.graph.node:
        is_known = known.issuperset(node.input)
        if is_known or node.op_type in OF_SHAPES:
            known.update(node.output)
        if reason := _reason(node, is_known):
            unknown.setdefault(reason, []).append(node.name or node.op_type)
    if unknown:
        lines = [
            f"- {reason}: {len(names)} nodes, '{names[0]}' first"
            for reason, names in unknown.items()
        ]
        raise ConversionError(
            f"'{name}' has operators that are not read:\n"
            + "\n".join(lines)
            + "\nRemedy: export the network without them. Read are: "
            + ", ".join(sorted({*TRANSLATIONS, *OF_SHAPES}))
            + "; and all that depends on constants and shapes alone."
        )


def _reason(node, is_known):
    """Why a node cannot be read; "" if it can. `is_known`: its inputs are."""
    if node.domain not in ("", "ai.onnx"):
        return f"{node.domain}.{node.op_type}, an operator that is not ONNX's own"
    if node.op_type in CONTROL_FLOW:
        return f"{node.op_type}, which is control flow"
    if node.op_type in RANDOM:
        return f"{node.op_type}, which is random"
    if is_known or node.op_type in TRANSLATIONS or node.op_type in OF_SHAPES:
        return ""
    return node.op_type
