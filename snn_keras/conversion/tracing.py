"""Traces the `call` of a layer into a functional model."""

import dataclasses
import functools
from typing import Any

import keras
import numpy as np
from keras import layers, ops, tree

from snn_keras._keras import calls_of
from snn_keras.graph import Node, comes_with_keras

# The batch size of a trace. Nothing else has this size, so it is found again.
BATCH = 7919


class NotOneGraph(Exception):
    """The reason why the calls of a layer are not one graph."""


@dataclasses.dataclass
class Traced:
    """What a layer computes.

    Attributes:
        model: A functional model whose inputs are the layer's and `symbols`.
        variables: The variables and the constants of the layer itself.
        symbols: KerasTensors in their place.
        calls: The calls inside, as of `snn_keras._keras.calls_of`.
    """

    model: keras.Model
    variables: list
    symbols: list
    calls: list


def traced(node: Node) -> Traced:
    """Traces the layer that a node calls.

    Raises:
        NotOneGraph: if the layer does not do the same in inference and in training,
            or has a state.
        Exception: any other, if it cannot be traced.
    """
    found, again = (_traced(node, training) for training in (False, True))
    if _written(found, False) != _written(again, True):
        raise NotOneGraph("it does not do the same at every call.")
    return found


def _traced(node, training):
    """What the layer computes in training or in inference."""
    layer = node.operation
    inputs = {
        x: keras.Input(batch_shape=(BATCH, *x.shape[1:]), dtype=x.dtype)
        for x in node.inputs
    }
    stand_in, variables, symbols = _with_symbols(layer)
    captured = []

    def compute_output_spec(*args, **kwargs):
        captured.append(stand_in.call(*args, **kwargs))
        return tree.map_structure(
            lambda y: keras.KerasTensor(y.shape, y.dtype), captured[-1]
        )

    vars(stand_in)["compute_output_spec"] = compute_output_spec
    before = _looks(stand_in)
    inside = [part for part in layer._flatten_layers() if part is not layer]
    older = [part for part in inside if _has_older_spec(part)]
    for part in older:
        vars(part)["compute_output_spec"] = functools.partial(
            keras.Operation.compute_output_spec, part
        )
    looks = [_looks(part) for part in inside]
    recorded = [(len(x._inbound_nodes), len(x._outbound_nodes)) for x in inside]
    poison = [(v, _poisoned(v)) for v in layer.variables]
    try:
        with keras.StatelessScope(state_mapping=poison) as scope:
            given = dict(scope.state_mapping)
            node.call(stand_in, inputs, training=training)
        if not _same_state(scope.state_mapping, given):
            raise NotOneGraph("it has a state, or draws random numbers.")
        changed = _looks(stand_in) != before or [_looks(p) for p in inside] != looks
        if changed and training:  # the first call may have prepared something
            raise NotOneGraph("it changes its attributes.")
        (outputs,) = captured
        model = keras.Model([*inputs.values(), *symbols], outputs)
        calls = list(calls_of(model))
        for operation, *_ in calls:
            if not isinstance(operation, layers.Layer):  # Keras has numbered it
                operation.name = operation.name.rstrip("_0123456789")
        return Traced(model, variables, symbols, calls)
    finally:
        for part in older:
            del vars(part)["compute_output_spec"]
        for part, (ins, outs) in zip(inside, recorded, strict=True):
            del part._inbound_nodes[ins:], part._outbound_nodes[outs:]


def _has_older_spec(layer):
    """Whether a layer has a call of its own, and its outputs' shapes from a base."""
    kinds = type(layer).__mro__
    call, spec = (
        next(i for i, kind in enumerate(kinds) if name in vars(kind))
        for name in ("call", "compute_output_spec")
    )
    is_own = not comes_with_keras(type(layer))
    return is_own and call < spec and kinds[spec] is not layers.Layer


def _with_symbols(layer):
    """A stand-in for a layer, with symbols in place of its own variables."""
    stand_in = object.__new__(type(layer))
    vars(stand_in).update(vars(layer), _inbound_nodes=[], _outbound_nodes=[])
    variables, symbols, known = [], [], {}
    for name, value in vars(layer).items():
        if isinstance(value, keras.Variable) or ops.is_tensor(value):
            if id(value) not in known:
                is_variable = isinstance(value, keras.Variable)
                dtype = keras.backend.standardize_dtype(value.dtype)
                if is_variable and layer.autocast and "float" in dtype:
                    dtype = layer.compute_dtype
                shape = tuple(value.shape)
                known[id(value)] = keras.Input(batch_shape=shape, dtype=dtype)
                variables.append(value)
                symbols.append(known[id(value)])
            vars(stand_in)[name] = known[id(value)]
    return stand_in, variables, symbols


def _poisoned(variable):
    """A value that shows in whatever is computed with it, if it is a float."""
    value = ops.ones_like(variable.value)
    return value * float("nan") if "float" in variable.dtype else value


def _same_state(after, before):
    return after.keys() == before.keys() and all(
        after[key] is before[key] for key in before
    )


def _looks(layer):
    """The attributes of a layer, as far as a call may change them."""
    names = ("_called", "built", "_inbound_nodes", "_outbound_nodes")
    kept = {k: v for k, v in vars(layer).items() if k not in names}
    found = {}
    for name, value in kept.items():
        if isinstance(value, (list, tuple, set, frozenset)):
            found[name] = [id(x) for x in value]
        elif isinstance(value, dict):
            found[name] = {k: id(v) for k, v in value.items()}
        elif isinstance(value, (int, float, str, bool, type(None))):
            found[name] = value
        else:
            found[name] = id(value)
    return found


def _written(trace, training):
    """The calls of a trace, in a form that can be compared.

    Raises:
        NotOneGraph: if a constant is computed from weights, or a layer inside is not
            called in the mode of the whole.
    """
    numbers = {id(x): i for i, x in enumerate(trace.model.inputs)}

    def written(x: Any) -> Any:
        if id(x) in numbers:
            return f"tensor {numbers[id(x)]}"
        if isinstance(x, keras.Variable):
            raise NotOneGraph("it reads a weight of a layer inside.")
        if hasattr(x, "shape"):
            array = np.asarray(ops.convert_to_numpy(x))
            if (
                array.dtype.kind not in "biu"
                and np.isnan(array.astype("float64")).any()
            ):
                raise NotOneGraph("it computes a constant from weights.")
            return str(array.dtype), array.shape, array.tobytes()
        return x if isinstance(x, (int, float, str, bool, type(None))) else repr(x)

    found = []
    for operation, args, kwargs, outputs in trace.calls:
        kwargs = dict(kwargs)
        if kwargs.pop("training", training) not in (training, None):
            raise NotOneGraph("a layer inside is always in one mode.")
        is_layer = isinstance(operation, layers.Layer)
        what = id(operation) if is_layer else (type(operation), _settings(operation))
        given = [written(x) for x in tree.flatten((args, kwargs))]
        structure = repr(tree.map_structure(lambda x: 0, (args, kwargs)))
        found.append((what, given, structure))
        for y in tree.flatten(outputs):
            numbers[id(y)] = len(numbers)
    return found, [numbers[id(y)] for y in tree.flatten(trace.model.outputs)]


def _settings(operation):
    """The settings of an operation that is no layer."""
    return repr(
        {
            name: value
            for name, value in vars(operation).items()
            if name != "name" and not name.startswith("_")
        }
    )
