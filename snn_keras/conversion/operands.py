"""Finds the numbers that enter products, so that they can be quantized to spikes."""

import dataclasses
from collections.abc import Iterator

from keras import layers, tree

from snn_keras.conversion.signals import (
    Signal,
    behind,
    feeding,
    is_product,
    multiplies,
    multiplies_inside,
    weighs,
)
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Names, Node, Tensor


def with_operands(graph: Graph, neurons: set[str]) -> tuple[Graph, set[str]]:
    """The graph, with a node in front of every product that would take numbers.

    A product is that of two signals, or of signals and weights between neurons. Its
    operands are spikes where they come from neurons, moved, scaled and added up. The
    others, and both operands of two signals in any case, get a node of their own, an
    identity, to be quantized.

    Args:
        graph: A graph in normal form, whose attention is laid open.
        neurons: Names of the nodes that are, or will be, quantized activations.

    Returns:
        The graph, and the names of the new nodes.

    Raises:
        ConversionError: if a layer multiplies signals inside, and cannot be laid open.
    """
    _check_open(graph)
    names = Names([*graph.input_names, *(node.name for node in graph.nodes)])
    nodes, made, new = [], {}, set()
    found = dict.fromkeys(tree.flatten(graph.inputs), Signal.ONCE)
    products = {node.name for node in graph.nodes if is_product(node)}
    fed = feeding(graph.nodes, neurons | products)
    makers = {y: node for node in graph.nodes for y in node.outputs}
    for node in graph.nodes:
        for x in _operands(node, found, fed):
            if x not in made:
                nodes.append(_identity(x, makers.get(x, node), names))
                made[x] = nodes[-1].output
                new.add(nodes[-1].name)
                found[made[x]] = Signal.SPIKES
        if multiplies(node) and not made.keys().isdisjoint(node.inputs):
            node = _reading(node, made)
        nodes.append(node)
        kind = behind(node, [found[x] for x in node.inputs])
        kind = Signal.SPIKES if node.name in neurons else kind
        found.update(dict.fromkeys(node.outputs, kind))
    return dataclasses.replace(graph, nodes=tuple(nodes)), new


def _operands(node: Node, found: dict, fed: set) -> Iterator[Tensor]:
    """The inputs of a product that are to be quantized."""
    if is_product(node):
        yield from (x for x in node.inputs if found[x] is not Signal.SPIKES)
    elif weighs(node) and not fed.isdisjoint(node.outputs):
        yield from (x for x in node.inputs if found[x] is Signal.NUMBERS)


def _identity(x, maker, names):
    name = names.unique(f"{maker.name}_operand")
    operation = layers.Identity(name=name, dtype=x.dtype)
    y = dataclasses.replace(x, masked=False)
    return Node(name, operation, (x,), {}, (y,), maker.site)


def _reading(node, made):
    """The node, which reads the quantized tensors in place of the others."""
    args, kwargs = tree.map_structure(
        lambda x: made.get(x, x) if isinstance(x, Tensor) else x,
        (node.args, node.kwargs),
    )
    return dataclasses.replace(node, args=args, kwargs=kwargs)


def _check_open(graph):
    """Raises a ConversionError if a layer multiplies signals where none can see it."""
    closed = [node for node in graph.nodes if multiplies_inside(node)]
    if closed:
        told = " ".join(f"{n.describe()}{n.closed and f': {n.closed}'}" for n in closed)
        raise ConversionError(
            f"products=\"spikes\": model '{graph.name}' has layers that multiply "
            f"signals inside, and are not laid open: {told} Remedy: "
            "keras.layers.MultiHeadAttention with attention_mask= in place of Keras's "
            "own masks; or Dense, keras.ops.einsum and softmax; or "
            'products="numbers".'
        )
