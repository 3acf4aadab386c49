"""Rules: how each kind of operation acts on signals.

A rule is found by the operation's class and its bases; the rule registered last
for a class wins, so users add their own, or override ours, by the same
decorator. A rule decides in `plan` and acts in `build`.
"""

import dataclasses
import enum
from typing import Any

from keras import layers, tree

from snn_keras.convert import samples
from snn_keras.convert.normalize import innermost, is_relu
from snn_keras.convert.samples import Refusal as Refusal
from snn_keras.convert.signals import Coding
from snn_keras.graph import Node, computes_as
from snn_keras.layers import NoisySpike, QuantizedActivation

_RULES: dict[type, "Rule"] = {}


class Form(enum.Enum):
    """What is built of a node. The values are how a plan prints them."""

    ONCE = "once"
    DECODED = "once, decoded"
    EVERY_STEP = "every step"
    DIFFERENCE = "temporal difference"
    NEURONS = "neurons"
    DROPPED = "dropped"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True)
class Step:
    """What becomes of one node.

    Attributes:
        node: The node of the source graph.
        rule: The rule that decided.
        codings: Codings of the node's input tensors.
        coding: Coding of its outputs.
        form: What is built.
        cell: The spiking cell it becomes, or None.
        approximation: In words, what it does otherwise than the node; "" where
            it is exact.
    """

    node: Node
    rule: "Rule"
    codings: tuple
    coding: Coding
    form: Form
    cell: Any = None
    approximation: str = ""

    @property
    def action(self) -> str:
        """In words, what is built."""
        if self.cell is None:
            return self.form.value
        return type(self.cell).__name__ + ("" if self.coding.has_time else ", fused")


class Rule:
    """How a kind of operation acts on signals."""

    def spikes(self, operation) -> bool:
        """Whether the operation becomes a layer of spiking neurons."""
        return False

    def plan(self, node: Node, codings: tuple, context) -> Step:
        """Decides what becomes of `node`, or raises a `Refusal`.

        Args:
            node: The node.
            codings: Codings of `node.inputs`.
            context: A `snn_keras.convert.plan.Context`.
        """
        raise NotImplementedError

    def build(self, step: Step, builder):
        """Builds what `step` says, with a `snn_keras.convert.build.Builder`.

        Returns:
            The node's outputs as KerasTensors.
        """
        raise NotImplementedError


def rule(*operation_types):
    """Class decorator: registers a `Rule` for operations of these types.

    For a layer of your own that is linear:

        @snn_keras.rule(MyUpsampling)
        class MyUpsamplingRule(snn_keras.rules.Linear):
            pass
    """

    def register(rule_type):
        for operation_type in operation_types:
            _RULES[operation_type] = rule_type()
        return rule_type

    return register


def has_rule(operation_type) -> bool:
    """Whether operations of this very type have a rule."""
    return operation_type in _RULES


def rule_for(operation) -> Rule:
    """The rule of an operation: by its class, then by its bases.

    A derived class that computes something else than its base (see
    `snn_keras.graph.computes_as`) does not inherit the rule. What stands inside a
    wrapper follows its own.
    """
    operation = innermost(operation)
    for base in type(operation).__mro__:
        if base in _RULES:
            found = _RULES[base]
            if not computes_as(operation, base):
                return Opaque()
            # Keras's quantized layers round their inputs, and are not linear any more.
            rounds = getattr(operation, "quantization_mode", None) is not None
            return Opaque() if rounds and isinstance(found, Linear) else found
    return Opaque()


def is_quantized(graph) -> bool:
    """Whether the network has quantized activations."""
    return any(isinstance(rule_for(node.operation), Neuron) for node in graph.nodes)


def neurons_of(graph) -> list:
    """The nodes that become spiking neurons, in running order.

    In a network that has quantized activations, a plain ReLU with none of them before
    it prepares the input: it is computed once.
    """
    quantized, behind, found = is_quantized(graph), set(), []
    for node in graph.nodes:
        found_rule = rule_for(node.operation)
        after = not behind.isdisjoint(node.inputs)
        if isinstance(found_rule, Neuron) or after:
            behind.update(node.outputs)
        prepares = isinstance(found_rule, Unquantized) and quantized and not after
        if found_rule.spikes(node.operation) and not prepares:
            found.append(node)
    return found


class Identity(Rule):
    """Does nothing in inference, so it leaves no trace."""

    def plan(self, node, codings, context):
        if [x.dtype for x in node.inputs] != [y.dtype for y in node.outputs]:
            return Linear().plan(node, codings, context)  # it casts
        if len(node.inputs) > 1:
            return Opaque().plan(node, codings, context)
        return Step(node, self, codings, codings[0], Form.DROPPED)

    def build(self, step, builder):
        return builder.tensors[step.node.inputs[0]]


class Opaque(Rule):
    """Any function, of which nothing is known but that it treats samples apart.

    Before the first neuron it runs once; behind the last one it runs once on
    the decoded signal. Between neurons, where it need not commute with the mean
    over time, Keras's own functions become a `TemporalDifference`: exact in
    total, but what they send are numbers, not spikes. Other layers may hide a
    state or a dependence on the batch, and are refused.
    """

    homogeneous = False  # whether f(c x) = c f(x) for c > 0

    def plan(self, node, codings, context):
        if not any(coding.has_time for coding in codings):
            return Step(node, self, codings, _settled(codings), Form.ONCE)
        if not context.feeds_neuron(node):
            return Step(node, self, codings, Coding.DECODED, Form.DECODED)
        if context.repeats_source:
            return Step(node, self, codings, Coding.RATE, Form.EVERY_STEP)
        self.check_between_neurons(node)
        samples.check_companions(node, codings)
        exact = self.is_homogeneous(node)
        note = "" if exact else "exact in total; sends numbers, not spikes"
        return Step(node, self, codings, Coding.RATE, Form.DIFFERENCE, None, note)

    def is_homogeneous(self, node) -> bool:
        """Whether f(c x) = c f(x) for c > 0, with the node's arguments."""
        return self.homogeneous and not node.constants

    def check_between_neurons(self, node):
        """Raises a `Refusal` where a signal over time cannot pass through."""
        given = tree.flatten((node.args, node.kwargs))
        if not samples.is_kerass_own(node.operation, given):
            raise Refusal(
                "it is not one of Keras's own functions without a memory, spiking "
                "neurons stand before and behind it, and it may not commute with the "
                "mean over time.",
                "register a rule for it with snn_keras.rule: Linear or Affine if it "
                "is that, Difference if it is a function of each sample alone.",
            )
        samples.check_is_signal(node)

    def build(self, step, builder):
        if step.form is Form.DIFFERENCE:
            return builder.difference(step.node, self.is_homogeneous(step.node))
        if step.coding.has_time:
            return builder.per_step(step.node)
        inputs = {x: builder.decoded(x) for x in step.node.inputs}
        return step.node.call(builder.own(step.node), inputs)


class Difference(Opaque):
    """A function of each sample alone, without a state: exact in total.

    Between neurons it becomes a `TemporalDifference`. Register your own layers
    with it; set `homogeneous` for functions with f(c x) = c f(x), c > 0.
    """

    def check_between_neurons(self, node):
        samples.check_is_signal(node)


class Linear(Rule):
    """Commutes with decoding: it acts on every step alone."""

    def is_linear(self, node) -> bool:
        """Whether the operation is linear, with the node's arguments."""
        return True

    def check(self, node):
        """Raises a `Refusal` where the operation cannot act on every step alone."""
        if not (self.is_linear(node) and _computes_in_floats(node)):
            raise Refusal("it is not linear with these arguments.")
        samples.check_samples_apart(node)

    def plan(self, node, codings, context):
        if not any(coding.has_time for coding in codings):
            return Step(node, self, codings, _settled(codings), Form.ONCE)
        if not (self.is_linear(node) and _computes_in_floats(node)):
            return Opaque().plan(node, codings, context)
        try:
            self.check(node)
        except Refusal:
            if context.feeds_neuron(node):
                raise
            return Step(node, self, codings, Coding.DECODED, Form.DECODED)
        if Coding.DECODED in codings:
            return Step(node, self, codings, Coding.DECODED, Form.DECODED)
        return Step(node, self, codings, Coding.RATE, Form.EVERY_STEP)

    def build(self, step, builder):
        if step.coding.has_time:
            return self.over_time(step.node, builder)
        inputs = {x: builder.decoded(x) for x in step.node.inputs}
        return step.node.call(builder.own(step.node), inputs)

    def over_time(self, node, builder):
        """Builds the operation on signals with a time axis."""
        if node.constants and isinstance(node.operation, layers.Layer):
            return builder.affine_per_step(node)  # such as Add()([x, constant])
        return builder.per_step(node)


class Affine(Linear):
    """Linear plus a constant part, which is on as long as the input is."""

    def over_time(self, node, builder):
        return builder.affine_per_step(node)


def _computes_in_floats(node):
    return all("float" in x.dtype for x in [*node.inputs, *node.outputs])


def _settled(codings):
    return Coding.DECODED if Coding.DECODED in codings else Coding.STATIC


# Where sums depend on their order so much that levels differ.
_COARSE = ("bfloat16", "float16")


class Neuron(Rule):
    """A quantized activation: becomes the spiking cell its class names."""

    def spikes(self, operation):
        return True

    def plan(self, node, codings, context):
        if not isinstance(node.operation, (QuantizedActivation, NoisySpike)):
            raise Refusal(
                "it is registered as a neuron, and has no levels and no step.",
                "derive it from snn_keras.layers.QuantizedActivation.",
            )
        axis, rank = node.operation.axis, len(node.inputs[0].shape)
        if axis not in (None, -1, rank - 1):
            raise Refusal(
                f"it has a step for each entry of axis {axis}; neurons have their "
                "thresholds along the last axis.",
                "use axis=-1, or one step for the layer (axis=None).",
            )
        try:
            cell = context.cell_for(node)
        except ValueError as error:
            raise Refusal(str(error)) from error
        coding = Coding.STATIC if context.fused else Coding.RATE
        approximation = cell.approximation(node.operation, context.timing)
        if not approximation and cell.compute_dtype in _COARSE:
            approximation = f"rounds otherwise: it computes in {cell.compute_dtype}"
        return Step(node, self, codings, coding, Form.NEURONS, cell, approximation)

    def build(self, step, builder):
        return builder.spiking(step)


class Unquantized(Difference):
    """A ReLU: has a spiking counterpart, once it is quantized.

    With a slope below 0, or a threshold, it is a function like any other.
    """

    def spikes(self, operation):
        return is_relu(operation)

    def plan(self, node, codings, context):
        if not context.spikes(node):
            return super().plan(node, codings, context)
        raise Refusal(
            "a plain ReLU has no step size and no threshold.",
            "replace it with snn_keras.quantize_activations(model, ...), or give "
            "convert calibration data: convert(model, timesteps, data=x).",
        )
