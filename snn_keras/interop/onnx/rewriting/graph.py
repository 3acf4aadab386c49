"""The nodes of a file as patterns are looked for in them."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np

from snn_keras.interop.onnx.folding import Folder
from snn_keras.interop.onnx.nodes import Node, needed, readers


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """A layer that several nodes make up.

    Attributes:
        op: The operator that it is.
        last: The last of the nodes.
        x: The name of its input.
        arrays: Its constants by what they are, in the operator's order.
        settings: The operator's attributes.
    """

    op: str
    last: Node
    x: str
    arrays: dict
    settings: dict


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """Nodes and constants.

    Attributes:
        nodes: The nodes in running order.
        constants: Arrays by name.
        outputs: The names of the outputs.
        folder: Computes nodes whose inputs are known.
    """

    nodes: list
    constants: dict
    outputs: set
    folder: Folder

    @functools.cached_property
    def makers(self) -> dict:
        """The node that gives each tensor."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @functools.cached_property
    def readers(self) -> dict:
        """The nodes that read each tensor."""
        return readers(self.nodes)

    def maker(self, name: str, *ops: str) -> Node | None:
        """The node that gives a tensor, if it is of one of these operators."""
        found = self.makers.get(name)
        return found if found is not None and found.op in ops else None

    def only_reader(self, name: str) -> Node | None:
        """The node that alone reads a tensor; None if it is read elsewhere."""
        found = self.readers.get(name, [])
        return found[0] if len(found) == 1 and name not in self.outputs else None

    def operands(self, node: Node) -> tuple[str | None, np.ndarray | None]:
        """The signal and the constant of a node that has one of each; else None."""
        given = [name for name in node.inputs if name not in self.constants]
        fixed = [self.constants[n] for n in node.inputs if n in self.constants]
        if len(given) == len(fixed) == 1:
            return given[0], fixed[0]
        return None, None

    def number(self, name: str) -> float | None:
        """A constant that is one number; else None."""
        found = self.constants.get(name)
        return None if found is None or found.size != 1 else float(found.item())

    def with_layers(self, find: Callable[["Graph", Node], "Layer | None"]) -> "Graph":
        """The graph with one node for each layer that is written as several.

        Args:
            find: Gives the `Layer` that a node is part of, or None.
        """
        new, constants = {}, dict(self.constants)
        for node in self.nodes:
            layer = find(self, node)
            if layer is not None:
                arrays = {f"{node.name}:{k}": v for k, v in layer.arrays.items()}
                constants |= arrays
                inputs = (layer.x, *arrays)
                new[layer.last] = Node(
                    node.name, layer.op, inputs, layer.last.outputs, layer.settings
                )
        return dataclasses.replace(self, constants=constants).replaced(new)

    def replaced(self, new: dict) -> "Graph":
        """The graph with nodes replaced, without what nothing reads any more.

        Args:
            new: The node that stands for each node that is replaced.
        """
        nodes = needed([new.get(node, node) for node in self.nodes], list(self.outputs))
        return dataclasses.replace(self, nodes=nodes)
