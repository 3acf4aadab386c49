"""The nodes of a file's graph, with what they read by name."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

from snn_keras.interop.onnx.package import package


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One node of a file.

    Attributes:
        name: Its name, or that of its first output.
        op: What it does: the name of an operator of ONNX.
        inputs: The names of the tensors that it reads; "" for those left out.
        outputs: The names of the tensors that it gives; "" for those left out.
        attributes: Its settings by name.
        proto: What the file says.
    """

    name: str
    op: str
    inputs: tuple
    outputs: tuple
    attributes: dict
    proto: Any = None

    @classmethod
    def of(cls, proto: Any) -> "Node":
        """The node of a `NodeProto`."""
        attributes = {a.name: _value(a) for a in proto.attribute}
        name = proto.name or next(filter(None, proto.output), proto.op_type)
        return cls(
            name,
            proto.op_type,
            tuple(proto.input),
            tuple(proto.output),
            attributes,
            proto,
        )

    def describe(self) -> str:
        """Name and operator, for messages."""
        return f"'{self.name}' ({self.op})"


def _value(attribute):
    value = package().helper.get_attribute_value(attribute)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if attribute.type == attribute.STRINGS:
        return [text.decode(errors="replace") for text in value]
    return (
        list(value) if attribute.type in (attribute.INTS, attribute.FLOATS) else value
    )


def needed(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """The nodes that the outputs depend on, in the same order."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted.intersection(filter(None, node.outputs)):
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def readers(nodes: Sequence[Node]) -> dict:
    """The nodes that read each tensor, once for every input that it is."""
    found = {}
    for node in nodes:
        for name in node.inputs:
            found.setdefault(name, []).append(node)
    return found
