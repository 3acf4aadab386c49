"""Traces the `call` of a layer into a functional model."""

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence

import keras
from keras import layers, ops, tree

from snn_keras._keras import calls_of, copy_of, layers_inside, unrecorded
from snn_keras.conversion.composite.closed import StaysClosed
from snn_keras.conversion.composite.parts import tell_all
from snn_keras.conversion.composite.same_calls import described
from snn_keras.graph import Node


@dataclasses.dataclass(frozen=True)
class Traced:
    """What a layer computes.

    Attributes:
        model: A functional model; its inputs are the layer's, and then its weights.
        places: Which of the layer's outputs, in a flat list, the model gives; others
            are no tensors of the graph, but constants or None.
        weights: The variables and the constants that the layer itself holds.
        batch: The batch size of the trace, which no other axis has.
    """

    model: keras.Model
    places: list
    weights: list
    batch: int


def traced(node: Node) -> Traced:
    """Traces the layer that a node calls.

    Raises:
        StaysClosed: if the layer does not do the same in inference and in training,
            or has a state.
        Exception: any other, if it cannot be traced.
    """
    found, again = (_traced(node, training) for training in (False, True))
    if described(found.model, False) != described(again.model, True):
        raise StaysClosed("it does not compute the same in training as in inference.")
    return found


def _traced(node, training):
    """What the layer computes in training or in inference."""
    layer, batch = node.operation, _unusual_size(node)
    inside = layers_inside(layer)
    inputs = {
        x: keras.Input(batch_shape=(batch, *x.shape[1:]), dtype=x.dtype)
        for x in node.inputs
    }
    stand_in, weights, symbols = _with_symbols(layer)
    captured = []

    def compute_output_spec(*args, **kwargs):
        captured.append(stand_in.call(*args, **kwargs))
        return keras.KerasTensor(())  # nothing reads it

    vars(stand_in)["compute_output_spec"] = compute_output_spec
    before = {part: _looks(part) for part in (stand_in, *inside)}
    with unrecorded(inside), tell_all(inside, training), _hidden(layer.variables):
        node.call(stand_in, inputs, training=training)
        outputs = dict(enumerate(tree.flatten(captured[0])))
        outputs = {i: y for i, y in outputs.items() if isinstance(y, keras.KerasTensor)}
        model = keras.Model([*inputs.values(), *symbols], list(outputs.values()))
    for part, look in before.items():
        if training and look != _looks(part):  # the first call may prepare something
            whose = "" if part is stand_in else f" of its layer '{part.name}'"
            raise StaysClosed(f"a call changes attributes{whose}.")
    for operation, *_ in calls_of(model):
        if not isinstance(operation, layers.Layer):  # Keras has numbered it
            operation.name = operation.name.rstrip("_0123456789")
    return Traced(model, list(outputs), weights, batch)


def _unusual_size(node):
    """A batch size that no other axis has, so that it is found again."""
    tensors = [*node.inputs, *node.outputs, *node.operation.variables]
    sizes = {size for x in tensors for size in x.shape}
    return next(n for n in range(97, 98 + len(sizes)) if n not in sizes)


@contextlib.contextmanager
def _hidden(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Within it, variables of floats read as NaN, which shows in what is computed.

    Raises:
        StaysClosed: if a variable was changed, or a random number was drawn.
    """
    given = [(v, _poisoned(v)) for v in variables]
    with keras.StatelessScope(state_mapping=given) as scope:
        before = dict(scope.state_mapping)
        yield
    after = scope.state_mapping
    if after.keys() != before.keys() or any(after[k] is not before[k] for k in before):
        raise StaysClosed("it has a state, or draws random numbers.")


def _poisoned(variable):
    value = ops.ones_like(variable.value)
    return value * float("nan") if "float" in variable.dtype else value


def _with_symbols(layer):
    """A copy of a layer in which symbols stand for its own variables and constants.

    Returns:
        The copy, the variables, and the symbols.
    """
    symbols, found = {}, []

    def symbol(x):
        if not isinstance(x, keras.Variable) and not ops.is_tensor(x):
            return x
        if id(x) not in symbols:
            dtype = keras.backend.standardize_dtype(x.dtype)
            if isinstance(x, keras.Variable) and layer.autocast and "float" in dtype:
                dtype = layer.compute_dtype
            symbols[id(x)] = keras.Input(batch_shape=tuple(x.shape), dtype=dtype)
            found.append(x)
        return symbols[id(x)]

    stand_in = copy_of(layer)
    vars(stand_in).update({k: symbol(v) for k, v in vars(stand_in).items()})
    return stand_in, found, list(symbols.values())


def _looks(layer):
    """The attributes of a layer, as far as a call may change them."""
    names = ("_called", "built", "_inbound_nodes", "_outbound_nodes")
    return {k: _look(v) for k, v in vars(layer).items() if k not in names}


def _look(value):
    if isinstance(value, (list, tuple, set, frozenset)):
        return [id(x) for x in value]
    if isinstance(value, dict):
        return {k: id(v) for k, v in value.items()}
    is_plain = isinstance(value, (int, float, str, bool, type(None)))
    return value if is_plain else id(value)
