"""How the exports see a spiking network: one call of an operation after another."""

import dataclasses

from keras import layers, tree

from snn_keras import neurons
from snn_keras.errors import ConversionError
from snn_keras.graph import Tensor


class Refusal(Exception):
    """A layer has no form in an export: why, and what to do about it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation: what a rule gets to see.

    Attributes:
        name: The name of the layer of the spiking network.
        layer: That layer.
        operation: The Keras layer or operation that it applies.
        args, kwargs: Its arguments, with a `Signal` where a tensor goes.
        shape: Shape of what it makes, without batch and time.
        is_last: Whether nothing reads it but the caller.
    """

    name: str
    layer: object
    operation: object
    args: tuple
    kwargs: dict
    shape: tuple
    is_last: bool

    @property
    def signals(self):
        """The signals among the arguments, flat."""
        leaves = tree.flatten((self.args, self.kwargs))
        return [x for x in leaves if hasattr(x, "factor")]

    @property
    def signal(self):
        """The only one."""
        (signal,) = self.signals
        return signal


class Rules:
    """What each operation is in an export, by its class alone.

    Args:
        form: What messages call it, such as "NIR form".
    """

    def __init__(self, form):
        self.form = form
        self._rules = {}

    def __call__(self, *types):
        """Registers a function `(writer, call) -> signal` for operations."""

        def register(function):
            self._rules.update(dict.fromkeys(types, function))
            return function

        return register

    def check(self, graph, name, remedy):
        """Raises a ConversionError that names every layer without a rule."""
        offenders = [
            f"- '{node.name}' ({type(inner(node.operation)).__name__})"
            for node in graph.nodes
            if not self._has(inner(node.operation))
        ]
        if offenders:
            raise ConversionError(
                f"'{name}' has layers with no {self.form}:\n"
                + "\n".join(offenders)
                + f"\nRemedy: {remedy}"
            )

    def apply(self, writer, call):
        """The signal that the rule of a call gives."""
        try:
            return self._rules[type(call.operation)](writer, call)
        except Refusal as refusal:
            raise ConversionError(
                f"'{call.name}' ({type(call.operation).__name__}) has no {self.form}: "
                f"{refusal}"
            ) from refusal

    def _has(self, operation):
        if isinstance(operation, layers.Activation):
            return is_left_out(operation)
        return type(operation) in self._rules


def is_left_out(operation) -> bool:
    """Whether it is softmax or sigmoid, which files leave to those who read them."""
    names = {type(operation).__name__.lower()}
    names.add(getattr(getattr(operation, "activation", None), "__name__", ""))
    return bool(names & {"softmax", "sigmoid"})


def static_shape(name, x):
    """The shape of a tensor, without the batch."""
    if None in x.shape[1:]:
        raise ConversionError(
            f"'{name}' has the shape {x.shape}, and an exported network is made for "
            "one size. Remedy: keras.Input with every size given."
        )
    return tuple(x.shape[1:])


def inner(layer):
    """The operation that a layer of a spiking network applies."""
    return layer.operation if isinstance(layer, neurons.PerStep) else layer


def call_of(node, signals, timed, is_last) -> Call:
    """A node's call, with what wraps operations over time laid open.

    Args:
        node: A node of a spiking network's graph.
        signals: A signal for every tensor so far.
        timed: The nodes that run at every step.
        is_last: Whether nothing reads its output.
    """
    layer = node.operation
    args, kwargs = tree.map_structure(
        lambda x: signals[x] if isinstance(x, Tensor) else x,
        (node.args, node.kwargs),
    )
    if isinstance(layer, neurons.PerStep):
        args, kwargs = layer.arguments_of([signals[x] for x in node.inputs])
    has_time = node in timed and not isinstance(layer, neurons.Readout)
    shape = tuple(node.output.shape[2 if has_time else 1 :])
    return Call(node.name, layer, inner(layer), tuple(args), kwargs, shape, is_last)
