"""How the exports see a spiking network: one call of an operation after another."""

import contextlib
import dataclasses

from keras import activations, layers, tree

from snn_keras import time
from snn_keras.conversion._keras import operation_types
from snn_keras.errors import ConversionError
from snn_keras.graph import Tensor

QUANTIZED = "a quantized activation in its place, such as snn_keras.layers.LSQReLU"
LEFT_OUT = (layers.Softmax, *operation_types("Softmax", "Sigmoid"))


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
        remedies: What helps, for classes that have none: `(class, text)`.
    """

    def __init__(self, form, remedies=()):
        self.form = form
        self._remedies = remedies
        self._rules = {}

    def __call__(self, *types):
        """Registers a function `(writer, call) -> signal` for operations."""

        def register(function):
            self._rules.update(dict.fromkeys(types, function))
            return function

        return register

    def check(self, graph, name):
        """Raises a ConversionError that names every layer without a rule."""
        lines, unknown = [], False
        for node in graph.nodes:
            operation = inner(node.operation)
            reason = self._reason(operation)
            if reason is not None:
                kind = type(operation).__name__
                lines.append(f"- '{node.name}' ({kind})" + (reason and f": {reason}"))
                unknown |= not reason
        if unknown:
            lines.append(f"Remedy: in its place one of {', '.join(self.layers())}.")
        if lines:
            raise ConversionError(
                f"'{name}' has layers with no {self.form}:\n" + "\n".join(lines)
            )

    def apply(self, writer, call):
        """The signal that the rule of a call gives."""
        kind = type(call.operation)
        with self.naming(f"'{call.name}' ({kind.__name__})"):
            return self._rules[kind](writer, call)

    @contextlib.contextmanager
    def naming(self, place):
        """Makes a `Refusal` a ConversionError that names `place`."""
        try:
            yield
        except Refusal as refusal:
            raise ConversionError(f"{place} has no {self.form}: {refusal}") from refusal

    def layers(self):
        """Names of the layers that have a form."""
        return sorted(
            kind.__name__
            for kind in self._rules
            if getattr(layers, kind.__name__, None) is kind
        )

    def _reason(self, operation):
        """Why an operation has no form, and the remedy, if there is one of its own.

        Returns:
            A text, which may be empty; None if it has a form.
        """
        mode = getattr(operation, "quantization_mode", None)
        if mode is not None:
            return (
                f"Keras quantized it to {mode!r}. Remedy: convert the model as it was "
                "before model.quantize(), whose weights the export rounds itself."
            )
        if isinstance(operation, layers.Activation) and not is_left_out(operation):
            return f"it is a curve, and exports know levels. Remedy: {QUANTIZED}."
        if type(operation) in self._rules:
            return None
        for kind, remedy in self._remedies:
            if isinstance(operation, kind):
                return f"Remedy: {remedy}."
        known = [k for k in type(operation).__mro__ if k in self._rules]
        if known:
            base = known[0].__name__
            where = "keras.layers" if base in self.layers() else "snn_keras.neurons"
            return (
                f"its class is derived from {base} and may compute something else. "
                f"Remedy: {where}.{base}, with the same weights, in its place."
            )
        return ""


class CellForms:
    """What each spiking cell is in an export, by its class alone.

    Args:
        remedy: What helps, for cells that have no form.
    """

    def __init__(self, remedy):
        self._remedy = remedy
        self._forms = {}

    def __call__(self, *types):
        """Registers what `of` gives for cells of these types."""

        def register(form):
            self._forms.update(dict.fromkeys(types, form))
            return form

        return register

    def of(self, cell):
        """The form of a cell; a `Refusal` where its class has none."""
        if type(cell) not in self._forms:
            raise Refusal(
                f"its neurons are {type(cell).__name__}. Remedy: {self._remedy}."
            )
        return self._forms[type(cell)]


def check_no_constants(call):
    """Raises a `Refusal` where a constant stands beside the signals."""
    leaves = tree.flatten((call.args, call.kwargs))
    if any(hasattr(x, "shape") and not hasattr(x, "factor") for x in leaves):
        raise Refusal(
            "with a constant beside signals it has none. Remedy: a sum with it as "
            "keras.layers.Rescaling(1.0, offset=constant)."
        )


def is_left_out(operation) -> bool:
    """Whether it is softmax or sigmoid, which files leave to those who read them."""
    functions = activations.softmax, activations.sigmoid
    function = getattr(operation, "activation", None)
    return type(operation) in LEFT_OUT or any(function is f for f in functions)


def static_shape(name, x):
    """The shape of a tensor, without the batch."""
    if None in x.shape[1:]:
        raise ConversionError(
            f"'{name}' has the shape {x.shape}, and an exported network is made for "
            "one size. Remedy: a model whose keras.Input has every size."
        )
    return tuple(x.shape[1:])


def inner(layer):
    """The operation that a layer of a spiking network applies."""
    return layer.operation if isinstance(layer, time.PerStep) else layer


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
    if isinstance(layer, time.PerStep):
        args, kwargs = layer.arguments_of([signals[x] for x in node.inputs])
    has_time = node in timed and not isinstance(layer, time.Readout)
    shape = tuple(node.output.shape[2 if has_time else 1 :])
    return Call(node.name, layer, inner(layer), tuple(args), kwargs, shape, is_last)
