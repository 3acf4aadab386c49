"""The calls of a spiking network's operations, and the rules that export them."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import keras
from keras import activations, layers

from snn_keras import time
from snn_keras._keras import operation_types
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Node, Tensor, comes_with_keras
from snn_keras.linear import NoForm, form_of
from snn_keras.linear.nodes import at_a_step
from snn_keras.linear.registry import base_of, has_form
from snn_keras.neurons.cell import SpikingCell

QUANTIZED = "a quantized activation in its place, such as snn_keras.layers.LSQReLU"
LEFT_OUT = (layers.Softmax, *operation_types("Softmax", "Sigmoid"))


class NotExported(NoForm):
    """A layer cannot be exported; the message gives the reason and the remedy."""


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of an operation, as an export rule receives it.

    Attributes:
        layer: The layer of the spiking network.
        node: The `snn_keras.graph.Node` of its operation at each step, without time.
        is_last: Whether it is an output that nothing else reads.
        tensors: The exported tensors for the node's arguments.
    """

    layer: object
    node: Node
    is_last: bool
    tensors: tuple = ()

    @property
    def name(self) -> str:
        """The name of the layer of the spiking network."""
        return self.node.name

    @property
    def operation(self) -> keras.Operation:
        """The Keras layer or operation that the layer applies."""
        return self.node.operation

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the output, without batch and time."""
        return tuple(self.node.output.shape[1:])

    @property
    def tensor(self) -> Any:
        """The only tensor among the arguments."""
        (tensor,) = self.tensors
        return tensor

    @functools.cached_property
    def form(self) -> Any:
        """The linear form of the operation, or None."""
        return form_of(self.node)


class Rules:
    """The rules of an export, registered for classes of operations or linear forms.

    Args:
        form: The name in messages of what a rule returns, such as "NIR form".
        layers: Names of layers with a rule, which messages propose as a remedy.
        remedies: Other remedies for classes without a rule, pairs `(class, text)`.
    """

    def __init__(
        self, form: str, layers: Sequence[str], remedies: Sequence[tuple] = ()
    ) -> None:
        self.form = form
        self.layers = layers
        self._remedies = remedies
        self._rules = {}

    def __call__(self, *types) -> Callable[[Callable], Callable]:
        """Registers `(writer, call) -> tensor` for classes of operations or forms."""

        def register(function):
            self._rules.update(dict.fromkeys(types, function))
            return function

        return register

    @property
    def remedy(self) -> str:
        """The remedy for a layer without a rule."""
        return (
            f"Remedy: in its place one of {', '.join(self.layers)}; for a linear layer "
            "of your own, a form by snn_keras.linear.form."
        )

    def check(self, graph: Graph, name: str) -> None:
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
            lines.append(self.remedy)
        if lines:
            raise ConversionError(
                f"'{name}' has layers with no {self.form}:\n" + "\n".join(lines)
            )

    def apply(self, writer: Any, call: Call) -> Any:
        """Applies the rule of a call, and returns its result."""
        with self.naming(call.node.describe()):
            found = self._rules.get(type(call.operation))
            found = found or self._rules.get(type(call.form))
            if found is None:
                kind = type(call.form).__name__
                raise NotExported(f"its linear form, {kind}, has none. {self.remedy}")
            return found(writer, call)

    @contextlib.contextmanager
    def naming(self, place: str) -> Iterator[None]:
        """Context manager: turns a `NoForm` into a ConversionError, with `place`."""
        try:
            yield
        except NoForm as reason:
            raise ConversionError(f"{place} has no {self.form}: {reason}") from reason

    def _reason(self, operation):
        """The reason why an operation has no rule, and a special remedy if known.

        Returns:
            A text, which may be empty; None if the operation has a rule.
        """
        mode = getattr(operation, "quantization_mode", None)
        if mode is not None:
            return (
                f"Keras quantized it to {mode!r}. Remedy: convert the model as it was "
                "before model.quantize(), whose weights the export rounds itself."
            )
        if isinstance(operation, layers.Activation) and not is_left_out(operation):
            return f"it is a curve, and exports know levels. Remedy: {QUANTIZED}."
        if type(operation) in self._rules or has_form(operation):
            return None
        for kind, remedy in self._remedies:
            if isinstance(operation, kind):
                return f"Remedy: {remedy}."
        known = {*self._rules, base_of(operation)}
        base = next((k for k in type(operation).__mro__ if k in known), None)
        if base is not None:
            where = "keras.layers" if comes_with_keras(base) else "snn_keras.neurons"
            return (
                f"its class is derived from {base.__name__} and may compute something "
                f"else. Remedy: {where}.{base.__name__}, with the same weights, in its "
                "place."
            )
        return ""


class CellForms:
    """The forms of spiking cells in an export, registered by exact class.

    Args:
        remedy: The remedy for cells without a form.
    """

    def __init__(self, remedy: str) -> None:
        self._remedy = remedy
        self._forms = {}

    def __call__(self, *types) -> Callable[[Callable], Callable]:
        """Registers the form that `of` returns for cells of these types."""

        def register(form):
            self._forms.update(dict.fromkeys(types, form))
            return form

        return register

    def has(self, kind: type) -> bool:
        """Whether cells of this class have a form."""
        return kind in self._forms

    def of(self, cell: SpikingCell) -> Any:
        """The form of a cell; raises a `NotExported` if its class has none."""
        if not self.has(type(cell)):
            raise NotExported(
                f"its neurons are {type(cell).__name__}. Remedy: {self._remedy}."
            )
        return self._forms[type(cell)]


def check_channels_last(form: Any) -> None:
    """Raises a `NotExported` unless a form with windows is channels-last."""
    if form.data_format != "channels_last":
        raise NotExported('it is channels-first. Remedy: data_format="channels_last".')


def is_left_out(operation: keras.Operation) -> bool:
    """Whether it is softmax or sigmoid, which exported files leave to their users."""
    functions = activations.softmax, activations.sigmoid
    function = getattr(operation, "activation", None)
    return type(operation) in LEFT_OUT or any(function is f for f in functions)


def static_shape(name: str, x: Tensor) -> tuple[int, ...]:
    """The shape of a tensor without the batch; raises an error if it is unknown."""
    if None in x.shape[1:]:
        raise ConversionError(
            f"'{name}' has the shape {x.shape}, and an exported network is made for "
            "one size. Remedy: a model whose keras.Input has every size."
        )
    return tuple(x.shape[1:])


def inner(layer: keras.layers.Layer) -> keras.Operation:
    """The operation that a layer of a spiking network applies."""
    return layer.operation if isinstance(layer, time.PerStep) else layer


def call_of(
    node: Node, made: Mapping[Tensor, Any], timed: Iterable[Node], is_last: bool
) -> Call:
    """The `Call` of a node, without the wrapper that runs its operation over time.

    Args:
        node: A node of a spiking network's graph.
        made: The exported tensor for every tensor so far.
        timed: The nodes that run at every step.
        is_last: Whether no node reads its output.
    """
    layer = node.operation
    has_time = node in timed and not isinstance(layer, time.Readout)
    shapes = [x.shape[2 if has_time else 1 :] for x in node.inputs]
    step, numbers = at_a_step(node, shapes)
    for x in step.inputs:
        static_shape(node.name, x)
    return Call(layer, step, is_last, tuple(made[node.inputs[i]] for i in numbers))
