"""A Keras model's graph as plain data, which can be run and rebuilt.

`trace` reads Keras's own record of a functional model, by `_keras.py`. Nested models
are unpacked, a Sequential model is a chain, and every call of a shared layer is a node
of its own, with its own name.
"""

import dataclasses
import functools
import inspect
import sys
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any

import keras
from keras import ops, tree

from snn_keras._keras import (
    calls_of,
    functional_of,
    has_mask,
    maker_of,
    operation_types,
)

_CAST = operation_types("Cast")


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """An edge of the graph: an input of the graph, or an output of a node.

    Attributes:
        shape, dtype: Its shape and dtype.
        masked: Whether it carries a Keras mask.
    """

    shape: tuple
    dtype: str
    masked: bool = False


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One call of an operation.

    Attributes:
        name: A unique name: the layer's, numbered from the second call on.
        operation: The `keras.layers.Layer` or `keras.Operation` called.
        args, kwargs: Its arguments, with `Tensor`s in place of tensors; `training` only
            if the call sets it to True against the layer's default.
        outputs: A flat tuple of the tensors that it returns.
        unread: The outputs that nothing in the model reads.
        closed: Why the layer was not laid open, of one that might have been.
        site: Identifies the call in the model where it was written. If a submodel is
            used several times, its calls have the same site each time.
    """

    name: str
    operation: Any
    args: tuple
    kwargs: dict
    outputs: tuple
    site: Hashable = None
    unread: tuple = ()
    closed: str = ""

    @property
    def inputs(self) -> list:
        """A flat list of the tensors among the arguments."""
        leaves = tree.flatten((self.args, self.kwargs))
        return [x for x in leaves if isinstance(x, Tensor)]

    @property
    def constants(self) -> list:
        """A flat list of the arrays among the arguments, which no node computes."""
        leaves = tree.flatten((self.args, self.kwargs))
        return [x for x in leaves if not isinstance(x, Tensor) and hasattr(x, "shape")]

    @property
    def output(self) -> Tensor:
        """The only tensor that the operation returns."""
        (output,) = self.outputs
        return output

    def call(
        self, operation: keras.Operation, values: dict, training: bool | None = None
    ) -> Any:
        """Calls `operation` with this node's arguments.

        Args:
            operation: The node's operation, or a replacement.
            values: The value of each tensor.
            training: For layers, True as in `Model.fit` or False as in
                `Model.predict`, which override a layer's default; None while a graph
                is built.
        """
        args, kwargs = fill((self.args, self.kwargs), values)
        if training is not None and isinstance(operation, keras.layers.Layer):
            kwargs["training"] = training
        return operation(*args, **kwargs)

    def describe(self) -> str:
        """Name and type, for messages."""
        return f"'{self.name}' ({type(self.operation).__name__})"


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """The nodes of a model in running order, and its inputs and outputs.

    Attributes:
        name: The model's name.
        inputs, outputs: `Tensor`s in the structure of the model's inputs and
            outputs.
        input_names, output_names: Flat tuples of the names of inputs and outputs.
        nodes: The calls, each after the calls whose outputs it needs.
    """

    name: str
    inputs: Any
    outputs: Any
    input_names: tuple
    nodes: tuple
    output_names: tuple = ()

    def cast(self, inputs: Any, lead: int = 1, own: int = 1) -> Any:
        """Casts tensors to the dtypes and ranks of the model's inputs, as Keras does.

        Args:
            inputs: Tensors in the structure of the model's inputs.
            lead: Number of leading axes: 1 for the batch, 2 for batch and time.
            own: Number of leading axes of the model's inputs.
        """

        def fit(x, expected):
            if x is None:
                return None
            x = ops.convert_to_tensor(x, sparse=False)
            wanted = (None,) * lead + expected.shape[own:]
            for change in _conversions(x, Tensor(wanted, expected.dtype)):
                x = change(x)
            return x

        pairs = zip(tree.flatten(inputs), tree.flatten(self.inputs), strict=True)
        return tree.pack_sequence_as(inputs, [fit(*pair) for pair in pairs])

    def run(self, inputs: Any, call: Callable[[Node, dict], Any] | None = None) -> Any:
        """Runs the graph on `inputs`, in the structure of the model's inputs.

        Args:
            inputs: Values: tensors, KerasTensors, or anything that `call` accepts.
            call: `call(node, values)` returns the node's outputs, given the
                values of its inputs and of all tensors that a later node reads. By
                default it calls the node's operation in inference mode.

        Returns:
            The values of the outputs, in the structure of the model's outputs.
        """
        values = dict(zip(tree.flatten(self.inputs), tree.flatten(inputs), strict=True))
        for node in self.nodes:
            run_nodes([node], values, call)
            for tensor in self._last_read_by[node.name]:
                values.pop(tensor, None)  # its memory serves the next
        return fill(self.outputs, values)

    @functools.cached_property
    def _last_read_by(self) -> dict:
        """The tensors that no later node reads, after each node."""
        kept, found = set(tree.flatten(self.outputs)), {}
        for node in reversed(self.nodes):
            ended = {*node.inputs, *node.outputs} - kept
            kept |= ended
            found[node.name] = ended
        return found


def run_nodes(
    nodes: Iterable[Node], values: dict, call: Callable[[Node, dict], Any] | None = None
) -> None:
    """Runs `nodes` in order, adding each output to `values`."""
    call = call or in_inference
    for node in nodes:
        results = tree.flatten(call(node, values))
        values.update(zip(node.outputs, results, strict=True))


def in_inference(node: Node, values: dict) -> Any:
    """Calls the node's own operation."""
    return node.call(node.operation, values, training=False)


def fill(structure: Any, values: dict) -> Any:
    """Replaces every `Tensor` in `structure` by its value."""
    return tree.map_structure(
        lambda x: values[x] if isinstance(x, Tensor) else x, structure
    )


def trace(model: keras.Model) -> Graph:
    """Reads the graph of a model; that of a subclassed model is one call of it.

    Raises:
        ValueError: if the model is not built, or its graph does not show all that it
            computes.
    """
    check_has_graph(model)
    if not _has_graph(model):
        return _of_one_call(model)
    functional = functional_of(model)
    input_names = tuple(x.name for x in functional.inputs)
    _check_always_given(model, functional)
    names = Names(input_names)
    inputs = tree.map_structure(_tensor, _unwrap(functional.input))
    nodes: list[Node] = []
    outputs = _unwrap(inline(functional, inputs, nodes, names))
    kept, output_names = with_unread(nodes, outputs), tuple(functional.output_names)
    return Graph(model.name, inputs, outputs, input_names, kept, output_names)


def with_unread(nodes: Sequence[Node], outputs: Any) -> tuple[Node, ...]:
    """The nodes of a graph with these outputs, each with what it makes in vain."""
    read = {*tree.flatten(outputs), *(x for node in nodes for x in node.inputs)}
    return tuple(
        dataclasses.replace(
            node, unread=tuple(y for y in node.outputs if y not in read)
        )
        for node in nodes
    )


def _of_one_call(model):
    """The graph of a subclassed model, which has one node, for batches of any size."""
    shape = model.get_build_config()["input_shape"]
    inputs = _symbols(shape, model.input_dtype)
    try:
        outputs = model.compute_output_spec(inputs)
    except Exception as error:  # a model of the user's own may raise anything
        raise ValueError(
            f"Subclassed model '{model.name}' ({type(model).__name__}) cannot be "
            f"called on tensors of the shape {shape} and the type {model.input_dtype}: "
            f"{error}\nRemedy: keras.Model(inputs, model(inputs)), with inputs = "
            "keras.Input(...) of other types."
        ) from error
    inputs, outputs = (tree.map_structure(_tensor, x) for x in (inputs, outputs))
    flat = tuple(tree.flatten(outputs))
    node = Node(model.name, model, (inputs,), {}, flat, (id(model), 0))
    names = Names()
    paths = [path for path, _ in tree.flatten_with_path(inputs)]
    keys = [path[-1] if path and isinstance(path[-1], str) else "x" for path in paths]
    given = tuple(map(names.unique, keys))
    made = tuple(names.unique(model.name) for _ in flat)
    return Graph(model.name, inputs, outputs, given, (node,), made)


def _symbols(shape, dtype):
    """KerasTensors of a structure of shapes, for batches of any size."""
    if isinstance(shape, dict):
        return {key: _symbols(s, dtype) for key, s in shape.items()}
    if any(isinstance(s, (list, tuple)) for s in shape):
        return [_symbols(s, dtype) for s in shape]
    return keras.KerasTensor((None, *shape[1:]), dtype)


def _check_always_given(model, functional):
    """Raises a ValueError if an input may be None."""
    makers = map(maker_of, functional.inputs)
    names = [x.name for x in makers if getattr(x, "optional", False)]
    if names:
        raise ValueError(
            f"Inputs {names} of model '{model.name}' are optional, and what is "
            "computed without them is not in its graph. Remedy: keras.Input without "
            "optional=True; for samples without it, another model."
        )


def check_has_graph(model: keras.Model) -> None:
    """Raises a ValueError unless the model's graph shows all that it computes."""
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
    if isinstance(model, keras.Sequential) and not _has_graph(model):
        raise ValueError(
            f"Sequential model '{model.name}' has no graph: Keras could not build one, "
            "for its first layer takes several tensors, or a layer of the user's own "
            "does not say what shape it gives. Its layers: "
            f"{[(x.name, type(x).__name__) for x in model.layers]}. Remedy: several "
            "inputs by keras.Model(inputs, outputs); compute_output_shape in each "
            "layer that computes with more than keras.ops."
        )
    if not _has_graph(model) and "input_shape" not in (model.get_build_config() or {}):
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) is a subclassed model, and "
            "has not been called on one structure of tensors, so its graph is unknown. "
            "Remedy: call it on some data, or model.build((None, ...)); a model whose "
            "call takes several arguments as keras.Model(inputs, model(*inputs)), with "
            "inputs = [keras.Input(...), ...]."
        )
    methods = [*_COMPUTE_METHODS, *_USER_METHODS]
    if not _has_graph(model):
        methods.remove("call")
    own = _own_computation(model, methods)
    if own:
        raise ValueError(
            f"Model '{model.name}' ({type(model).__name__}) has a {own} of its own, so "
            "that its graph is not all that it does. Remedy: put what it adds into "
            "layers, and build keras.Model(inputs, outputs) with them; "
            "keras.Model(model.inputs, model.outputs) is the graph alone."
        )


def is_graph(operation: Any) -> bool:
    """Whether `operation` is a model whose graph shows all that it computes."""
    return _has_graph(operation) and not _own_computation(operation)


def _has_graph(operation):
    if isinstance(operation, keras.Sequential):
        return operation.built and bool(getattr(operation, "inputs", None))
    return isinstance(operation, keras.Model) and hasattr(operation, "operations")


# Methods that compute a model's outputs, and methods by which users obtain them.
_COMPUTE_METHODS = ("call", "__call__", "predict_step")
_USER_METHODS = (
    *("predict", "predict_on_batch", "make_predict_function"),
    *("test_step", "test_on_batch", "make_test_function", "evaluate"),
)


def _own_computation(model, methods=_COMPUTE_METHODS):
    """The overridden method that may compute something else than the graph, or ""."""
    for name in methods:
        if name in vars(model):
            return name
        for kind in type(model).__mro__:
            if name in vars(kind):
                if not (comes_with_keras(kind) or getattr(kind, "runs_graph", False)):
                    return name
                break
    return ""


def comes_with_keras(thing: Any) -> bool:
    """Whether a class or a function is Keras's own.

    Name and module alone do not decide: `functools.wraps` copies them. It must be the
    object that Keras has under that name.
    """
    module = getattr(thing, "__module__", None) or ""
    found = sys.modules.get(module) if module.split(".")[0] == "keras" else None
    for name in getattr(thing, "__qualname__", "").split("."):
        found = getattr(found, name, None)
    return found is not None and found is thing


# Attributes that a derived class may define and still compute what its base computes.
_HARMLESS = {
    *("__init__", "__doc__", "__module__", "__qualname__", "__annotations__"),
    *("__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"),
    *("__abstractmethods__", "_abc_impl", "__repr__", "__str__", "build"),
    *("build_from_config", "compute_output_shape", "compute_output_spec"),
    *("count_params", "from_config", "get_build_config", "get_config"),
    *("load_own_variables", "save_own_variables"),
}


def computes_as(operation: Any, base: type) -> bool:
    """Whether an operation computes what the class `base` computes.

    True for `base` itself, and for a derived class that overrides only how it is
    constructed, saved and described. A class may allow more overrides, by listing
    their names in `open_to_derived`.
    """
    kind = type(operation)
    if not issubclass(kind, base) or "call" in vars(operation):
        return False
    harmless = _HARMLESS.union(getattr(base, "open_to_derived", ()))
    known = set(base.__mro__)
    derived = [c for c in kind.__mro__[: kind.__mro__.index(base)] if c not in known]
    return not any(
        name not in harmless and hasattr(base, name)
        for c in derived
        for name in vars(c)
    )


def _unwrap(structure):
    """Unpacks a list of one tensor, as models from `.h5` files have it."""
    alone = isinstance(structure, (list, tuple)) and len(structure) == 1
    return structure[0] if alone else structure


def _tensor(x, is_float64=False):
    dtype = keras.backend.standardize_dtype(x.dtype)
    if is_float64 and dtype == "float32":
        dtype = "float64"
    return Tensor(tuple(x.shape), dtype, has_mask(x))


def _computes_in_float64(operation, arguments):
    """Whether a result in float64 may be reported as float32.

    On JAX, Keras's `result_type` of float64 is float32, which operations report.
    """
    if keras.backend.result_type("float64", "float64") == "float64":
        return False
    reads = [x for x in tree.flatten(arguments) if isinstance(x, Tensor)]
    is_cast = isinstance(operation, (keras.layers.Layer, *_CAST))
    return not is_cast and any(x.dtype == "float64" for x in reads)


def inline(
    model: keras.Model, arguments: Any, nodes: list[Node], names: "Names"
) -> Any:
    """Appends the nodes of `model`, called on `arguments`; returns its outputs."""
    values = {
        id(theirs): _as_input(ours, theirs, model, nodes, names)
        for theirs, ours in _inputs_of(model, arguments)
    }
    for place, (operation, args, kwargs, outputs) in enumerate(calls_of(model)):
        args, kwargs = tree.map_structure(
            lambda x: values.get(id(x), x), (args, _explicit(operation, kwargs))
        )
        argument = args[0] if args else next(iter(kwargs.values()), None)
        if is_graph(operation) and not _is_lost(operation, kwargs, argument):
            produced = inline(functional_of(operation), argument, nodes, names)
        else:
            wide = _computes_in_float64(operation, (args, kwargs))
            produced = tree.map_structure(lambda y, w=wide: _tensor(y, w), outputs)
            name, site = names.unique(operation.name), (id(model), place)
            flat = tuple(tree.flatten(produced))
            nodes.append(Node(name, operation, tuple(args), kwargs, flat, site))
        for theirs, ours in zip(
            tree.flatten(outputs), tree.flatten(produced), strict=True
        ):
            values[id(theirs)] = ours
    return tree.map_structure(lambda x: values[id(x)], model.output)


def _explicit(operation, kwargs):
    """Keyword arguments without those that Keras has added.

    `fit` and `predict` set `training`, whatever a call recorded. Only a True that
    differs from the layer's default is kept, because the user must have set it.
    """
    kept = {k: v for k, v in kwargs.items() if "mask" not in k or v is not None}
    if kept.get("training") is not True or _trains_by_default(operation):
        kept.pop("training", None)
    return kept


def _inputs_of(model, arguments):
    """Pairs of a model's inputs and arguments, matched as Keras matches them.

    A dict is matched to a list of inputs by their names; everything else in flat
    order, without surplus arguments at the end.
    """
    inputs = _unwrap(model.input)
    if isinstance(arguments, dict) and not isinstance(inputs, dict):
        return [(x, arguments[x.name]) for x in model.inputs]
    return list(zip(model.inputs, tree.flatten(arguments), strict=False))


def as_input(x: Tensor, wanted: Any, name: str, names: "Names") -> list[Node]:
    """The nodes that convert `x` to the dtype and rank of a nested model's input.

    Keras does so at each call of a model.

    Args:
        x: The argument of the model.
        wanted: The model's input, with a `shape` and a `dtype`.
        name: The model's name.
        names: Names that are in use.
    """
    found = []
    for change in _conversions(x, wanted):
        made = change(keras.KerasTensor(x.shape, x.dtype))
        operation, y = maker_of(made), _tensor(made)
        found.append(Node(names.unique(f"{name}_input"), operation, (x,), {}, (y,)))
        x = y
    return found


def _conversions(x, wanted) -> list:
    """Functions that convert `x` to the dtype and rank of `wanted`."""
    dtype, more = wanted.dtype, len(x.shape) - len(wanted.shape)
    last = (x if more > 0 else wanted).shape[-1:]
    changes = []
    if keras.backend.standardize_dtype(x.dtype) != dtype:
        changes.append(lambda v: ops.cast(v, dtype))
    if more == 1 and last == (1,):
        changes.append(lambda v: ops.squeeze(v, axis=-1))
    elif more == -1 and last == (1,):
        changes.append(lambda v: ops.expand_dims(v, axis=-1))
    return changes


def _as_input(x, wanted, model, nodes, names):
    """`x`, converted to an input of `model`; appends the nodes that convert it."""
    if isinstance(x, Tensor):
        made = as_input(x, wanted, model.name, names)
        nodes.extend(made)
        return made[-1].output if made else x
    if x is not None:  # a constant
        x = ops.convert_to_tensor(x)
        for change in _conversions(x, wanted):
            x = change(x)
    return x


def _is_lost(model, kwargs, argument):
    """Whether unpacking a nested model would lose a mask or `training=True`."""
    masked = any("mask" in name for name in kwargs) and takes_masks(model)
    pairs = _inputs_of(functional_of(model), argument)
    changed = any(getattr(x, "masked", False) and _conversions(x, t) for t, x in pairs)
    return masked or changed or kwargs.get("training")


def takes_masks(model: keras.Model) -> bool:
    """Whether a layer of the model or of its nested models reads a mask."""
    for operation in functional_of(model).operations:
        if is_graph(operation):
            if takes_masks(operation):
                return True
        elif isinstance(operation, keras.layers.Layer) and any(
            "mask" in name for name in inspect.signature(operation.call).parameters
        ):
            return True
    return False


def _trains_by_default(operation):
    if not isinstance(operation, keras.layers.Layer):
        return False
    parameter = inspect.signature(operation.call).parameters.get("training")
    return parameter is not None and parameter.default is True


class Names:
    """Makes names unique, by numbering repeated ones.

    Args:
        taken: Names that are in use.
    """

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def unique(self, name: str) -> str:
        candidate, number = name, 0
        while candidate in self.taken:
            number += 1
            candidate = f"{name}_{number}"
        self.taken.add(candidate)
        return candidate
