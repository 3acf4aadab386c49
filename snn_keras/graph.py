"""A Keras model's graph as plain data: trace it, run it, rebuild it.

`trace` is the only place that reads Keras's own record of a functional model.
Nested models are laid open, a Sequential model is a chain, and every call of a
shared layer is a node of its own, with a name of its own.
"""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import ops, tree


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """An edge of the graph: what one node produces."""

    shape: tuple
    dtype: str


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation.

    Attributes:
        name: Unique in the graph: the layer's name, numbered from the second
            call on.
        operation: The `keras.layers.Layer` or `keras.Operation` called.
        args, kwargs: Its arguments, with `Tensor`s where tensors go.
        outputs: The tensors it returns, flat.
    """

    name: str
    operation: Any
    args: tuple
    kwargs: dict
    outputs: tuple

    @property
    def inputs(self) -> list:
        """The tensors among the arguments, flat."""
        leaves = tree.flatten((self.args, self.kwargs))
        return [x for x in leaves if isinstance(x, Tensor)]

    @property
    def output(self) -> Tensor:
        """The only tensor that the operation returns."""
        (output,) = self.outputs
        return output

    def call(self, operation, values: dict):
        """Calls `operation` as this node does, on `values` of its tensors."""
        args, kwargs = fill((self.args, self.kwargs), values)
        return operation(*args, **kwargs)

    def describe(self) -> str:
        """Name and type, as messages give them."""
        return f"'{self.name}' ({type(self.operation).__name__})"


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in an order in which they can run, and the ends of the graph.

    Attributes:
        name: The model's name.
        inputs, outputs: `Tensor`s in the structure of the model's inputs and
            outputs.
        input_names: Names of the inputs, flat.
        nodes: The calls, each after all that it needs.
    """

    name: str
    inputs: Any
    outputs: Any
    input_names: tuple
    nodes: tuple

    def cast(self, inputs):
        """Tensors in the dtypes of the model's inputs, as Keras casts them."""
        pairs = zip(tree.flatten(inputs), tree.flatten(self.inputs), strict=True)
        cast = [ops.cast(x, expected.dtype) for x, expected in pairs]
        return tree.pack_sequence_as(inputs, cast)

    def run(self, inputs, call: Callable[[Node, dict], Any] | None = None):
        """Runs the graph on `inputs`, in the structure of the model's inputs.

        Args:
            inputs: Values (tensors, KerasTensors, anything `call` takes).
            call: `call(node, values)` returns the node's outputs, given the
                values of all tensors so far; by default it calls the node's own
                operation.

        Returns:
            The values of the outputs, in the structure of the model's outputs.
        """
        values = dict(zip(tree.flatten(self.inputs), tree.flatten(inputs), strict=True))
        run_nodes(self.nodes, values, call)
        return fill(self.outputs, values)


def run_nodes(nodes, values: dict, call=None) -> None:
    """Runs `nodes` in order, adding each output to `values`."""
    call = call or (lambda node, values: node.call(node.operation, values))
    for node in nodes:
        results = tree.flatten(call(node, values))
        values.update(zip(node.outputs, results, strict=True))


def fill(structure, values: dict):
    """Replaces every `Tensor` in `structure` by its value."""
    return tree.map_structure(
        lambda x: values[x] if isinstance(x, Tensor) else x, structure
    )


def trace(model) -> Graph:
    """Reads the graph of a functional or Sequential model.

    Raises:
        ValueError: if the model is not built, or is a subclass without a graph.
    """
    check_has_graph(model)
    names = Names()
    inputs = tree.map_structure(
        lambda x: Tensor(tuple(x.shape), keras.backend.standardize_dtype(x.dtype)),
        _unwrap(_structure_of_inputs(model)),
    )
    nodes: list[Node] = []
    outputs = _unwrap(_inline(model, inputs, nodes, names))
    input_names = tuple(x.name for x in model.inputs)
    return Graph(model.name, inputs, outputs, input_names, tuple(nodes))


def check_has_graph(model) -> None:
    """Raises a ValueError unless `model` has a graph to read."""
    if not isinstance(model, keras.Model):
        raise ValueError(
            "Expected a keras.Model, functional or Sequential. Received: "
            f"{model!r} of type {type(model).__name__}."
        )
    if isinstance(model, keras.Sequential) and not model.built:
        raise ValueError(
            f"Model '{model.name}' is not built, so its graph is unknown. Remedy: "
            "start it with keras.Input(shape), or call model.build(input_shape)."
        )
    if not is_graph(model):
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) is a subclassed model: "
            "its graph is hidden in Python code. Remedy: rebuild it with the "
            "functional API, inputs = keras.Input(...), "
            "keras.Model(inputs, outputs)."
        )


def is_graph(operation) -> bool:
    """Whether `operation` is a model whose graph can be read."""
    if isinstance(operation, keras.Sequential):
        return operation.built and bool(operation.inputs)
    return isinstance(operation, keras.Model) and hasattr(operation, "operations")


def _unwrap(structure):
    """A single tensor out of its list, as models from `.h5` files hold it."""
    alone = isinstance(structure, (list, tuple)) and len(structure) == 1
    return structure[0] if alone else structure


def _structure_of_inputs(model):
    if isinstance(model, keras.Sequential):
        return model.inputs[0]
    return model.input


def _inline(model, arguments, nodes: list, names: "Names"):
    """Appends the nodes of `model`, called on `arguments`; returns its outputs."""
    values = {
        id(theirs): ours
        for theirs, ours in zip(model.inputs, tree.flatten(arguments), strict=True)
    }
    outputs = model.inputs[0]
    for operation, args, kwargs, outputs in _calls(model):
        args, kwargs = tree.map_structure(
            lambda x: values.get(id(x), x), (args, kwargs)
        )
        # Off is what they are anyway; the rest is for rules to see.
        kwargs = {
            k: v
            for k, v in kwargs.items()
            if k not in ("mask", "training") or not (v is None or v is False)
        }
        if is_graph(operation):
            argument = args[0] if args else next(iter(kwargs.values()))
            produced = _inline(operation, argument, nodes, names)
        else:
            produced = tree.map_structure(
                lambda x: Tensor(
                    tuple(x.shape), keras.backend.standardize_dtype(x.dtype)
                ),
                outputs,
            )
            name = names.unique(operation.name)
            nodes.append(
                Node(
                    name, operation, tuple(args), kwargs, tuple(tree.flatten(produced))
                )
            )
        for theirs, ours in zip(
            tree.flatten(outputs), tree.flatten(produced), strict=True
        ):
            values[id(theirs)] = ours
    if isinstance(model, keras.Sequential):
        return values[id(outputs)]
    return tree.map_structure(lambda x: values[id(x)], model.output)


def _calls(model) -> Iterator[tuple]:
    """Yields `(operation, args, kwargs, outputs)` of a model, in running order."""
    if isinstance(model, keras.Sequential):
        x = model.inputs[0]
        for layer in model.layers:
            output = keras.KerasTensor(*_spec(layer.compute_output_spec(x)))
            yield layer, (x,), {}, output
            x = output
        return
    for depth in sorted(model._nodes_by_depth, reverse=True):
        for node in model._nodes_by_depth[depth]:
            if node.is_input:
                continue
            arguments = node.arguments
            yield node.operation, arguments.args, arguments.kwargs, node.outputs


def _spec(x):
    return x.shape, x.dtype


class Names:
    """Hands out each name once, numbering what comes again.

    Args:
        taken: Names that are in use.
    """

    def __init__(self, taken=()):
        self.taken = set(taken)

    def unique(self, name):
        candidate, number = name, 0
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        self.taken.add(candidate)
        return candidate
