"""Rules: how each kind of operation acts on signals.

A rule is found by the operation's class and its bases. The rule registered last
for a class wins, so users add rules, or replace ours, with the same decorator. A
rule decides what is built; the builder builds it.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import keras
from keras import layers, tree

from snn_keras.conversion import forms, samples
from snn_keras.conversion.normalize import innermost, is_relu
from snn_keras.conversion.registry import RULES
from snn_keras.conversion.samples import Refusal as Refusal
from snn_keras.conversion.stage import Stage
from snn_keras.graph import Graph, Node, computes_as
from snn_keras.layers import SourceActivation
from snn_keras.neurons.cell import SpikingCell

if TYPE_CHECKING:
    from snn_keras.conversion.planning import Context


@dataclasses.dataclass(frozen=True)
class Step:
    """What becomes of one node.

    Attributes:
        node: The node of the source graph.
        rule: The rule that decided.
        stages: Stages of the node's input tensors.
        stage: `Stage` of its outputs.
        form: What is built, a form of `snn_keras.conversion.forms`.
        approximation: How the result differs from the node's; "" if it is exact.
    """

    node: Node
    rule: "Rule"
    stages: tuple
    stage: Stage
    form: forms.Form
    approximation: str = ""

    @property
    def cell(self) -> SpikingCell | None:
        """The spiking cell that the node becomes, or None."""
        return getattr(self.form, "cell", None)


class Rule:
    """How a kind of operation acts on signals."""

    def spikes(self, operation: keras.Operation) -> bool:
        """Whether the operation becomes a layer of spiking neurons."""
        return False

    def of(self, node: Node) -> "Rule":
        """The rule that holds with the node's arguments; nearly always this one."""
        return self

    def plan(self, node: Node, stages: tuple, context: "Context") -> Step:
        """Decides what becomes of `node`, or raises a `Refusal`.

        Args:
            node: The node.
            stages: Stages of `node.inputs`.
            context: A `snn_keras.conversion.planning.Context`.
        """
        raise NotImplementedError


def rule(*operation_types) -> Callable[[type], type]:
    """Class decorator: registers a `Rule` for operations of these types.

    For a layer of your own that is linear:

        @snn_keras.rule(MyUpsampling)
        class MyUpsamplingRule(snn_keras.rules.Linear):
            pass
    """

    def register(rule_type):
        for operation_type in operation_types:
            RULES[operation_type] = rule_type()
        return rule_type

    return register


def kinds_with(rule_type: type) -> list[type]:
    """The types of operations for which a rule of exactly this type is registered."""
    return [kind for kind, found in RULES.items() if type(found) is rule_type]


def has_rule(operation_type: type) -> bool:
    """Whether a rule is registered for exactly this type of operation."""
    return operation_type in RULES


def rule_for(operation: keras.Operation) -> Rule:
    """The rule of an operation: that of its class, else that of the nearest base.

    A derived class that computes something else than its base (see
    `snn_keras.graph.computes_as`) does not inherit the base's rule. A wrapper has the
    rule of the layer inside.
    """
    operation = innermost(operation)
    for base in type(operation).__mro__:
        if base in RULES:
            found = RULES[base]
            if not computes_as(operation, base):
                return Opaque()
            # Keras's quantized layers round their inputs, so they are not linear.
            rounds = getattr(operation, "quantization_mode", None) is not None
            return Opaque() if rounds and isinstance(found, Linear) else found
    return Opaque()


def is_quantized(graph: Graph) -> bool:
    """Whether the network has quantized activations."""
    return any(isinstance(rule_for(node.operation), Neuron) for node in graph.nodes)


def neurons_of(graph: Graph) -> list:
    """The nodes that become spiking neurons, in running order.

    In a network with quantized activations, a plain ReLU without one of them before it
    preprocesses the input, and is computed once.
    """
    quantized, behind, found = is_quantized(graph), set(), []
    for node in graph.nodes:
        found_rule = rule_for(node.operation)
        after = not behind.isdisjoint(node.inputs)
        if isinstance(found_rule, Neuron) or after:
            behind.update(node.outputs)
        is_early = isinstance(found_rule, Unquantized) and quantized and not after
        if found_rule.spikes(node.operation) and not is_early:
            found.append(node)
    return found


class Identity(Rule):
    """Rule for operations that do nothing in inference: they are dropped."""

    def plan(self, node: Node, stages: tuple, context: "Context") -> Step:
        if [x.dtype for x in node.inputs] != [y.dtype for y in node.outputs]:
            return Linear().plan(node, stages, context)  # it casts
        if len(node.inputs) > 1:
            return Opaque().plan(node, stages, context)
        return Step(node, self, stages, stages[0], forms.Dropped())


class Opaque(Rule):
    """Rule for any function of each sample.

    Before the first neuron it runs once; after the last one it runs once, on the
    decoded signal. Between neurons, since it may not commute with the mean over time,
    a function of Keras becomes a `TemporalDifference`: exact in total, but it sends
    numbers, not spikes. Other layers may hide a state or mix samples, and are refused.
    """

    homogeneous = False  # whether f(c x) = c f(x) for c > 0

    def plan(self, node: Node, stages: tuple, context: "Context") -> Step:
        if not any(stage.has_time for stage in stages):
            return _once(node, self, stages)
        if not context.feeds_neuron(node):
            return Step(node, self, stages, Stage.AFTER, forms.Once(is_decoded=True))
        if context.coding.repeats_source:
            return Step(node, self, stages, Stage.DURING, forms.EveryStep())
        self.check_between_neurons(node)
        form = self.between_neurons(node)
        note = "" if form.homogeneous else "exact in total; sends numbers, not spikes"
        return Step(node, self, stages, Stage.DURING, form, note)

    def between_neurons(self, node: Node) -> forms.Difference:
        """The form in which the operation runs between neurons."""
        return forms.Difference(homogeneous=self.is_homogeneous(node))

    def is_homogeneous(self, node: Node) -> bool:
        """Whether f(c x) = c f(x) for c > 0, with the node's arguments."""
        return self.homogeneous and not node.constants

    def check_between_neurons(self, node: Node) -> None:
        """Raises a `Refusal` unless the operation can run between neurons."""
        given = tree.flatten((node.args, node.kwargs))
        if not samples.is_built_in(node.operation, given):
            inside = (
                f" What is inside is not known: {node.closed}" if node.closed else ""
            )
            raise Refusal(
                "it is not one of Keras's own functions without a memory, spiking "
                "neurons stand before and behind it, and it may not commute with the "
                f"mean over time.{inside}",
                "register a rule for it with snn_keras.rule: Linear or Affine if it "
                "is that, Difference if it is a function of each sample alone.",
            )
        samples.check_is_signal(node)


class Difference(Opaque):
    """Rule for functions of each sample without a state.

    Between neurons they become a `TemporalDifference`, which is exact in total. Use it
    for layers of your own; set `homogeneous` for f(c x) = c f(x), c > 0.
    """

    def check_between_neurons(self, node: Node) -> None:
        samples.check_is_signal(node)


class Bilinear(Difference):
    """Rule for products of two signals, which are linear in each of them.

    Between neurons they become a `ProductOfChanges`, which is exact in total.
    """

    def between_neurons(self, node: Node) -> forms.Difference:
        return forms.Difference(bilinear=True)


def is_pair(node: Node) -> bool:
    """Whether a node takes two signals of floats, and no constants."""
    floats = ["float" in x.dtype for x in node.inputs]
    return floats == [True, True] and not node.constants


class Linear(Rule):
    """Rule for linear operations: they run at every step, and commute with decoding."""

    def is_linear(self, node: Node) -> bool:
        """Whether the operation is linear, with the node's arguments."""
        return True

    def check(self, node: Node) -> None:
        """Raises a `Refusal` unless the operation can run at every step."""
        if not (self.is_linear(node) and _computes_in_floats(node)):
            raise Refusal("it is not linear with these arguments.")
        samples.check_samples_apart(node)

    def plan(self, node: Node, stages: tuple, context: "Context") -> Step:
        if not any(stage.has_time for stage in stages):
            return _once(node, self, stages)
        if not (self.is_linear(node) and _computes_in_floats(node)):
            return Opaque().plan(node, stages, context)
        try:
            self.check(node)
        except Refusal:
            if context.feeds_neuron(node):
                raise
            return Step(node, self, stages, Stage.AFTER, forms.Once(is_decoded=True))
        if Stage.AFTER in stages:
            return Step(node, self, stages, Stage.AFTER, forms.Once(is_decoded=True))
        return Step(node, self, stages, Stage.DURING, self.over_time(node))

    def over_time(self, node: Node) -> forms.EveryStep:
        """The form in which the operation runs at every step."""
        # Add()([x, constant]) is affine.
        is_layer = isinstance(node.operation, layers.Layer)
        return forms.EveryStep(is_affine=bool(node.constants) and is_layer)


class Affine(Linear):
    """Rule for affine operations; their constant part is on while the input is."""

    def over_time(self, node: Node) -> forms.EveryStep:
        return forms.EveryStep(is_affine=True)


def _computes_in_floats(node):
    return all("float" in x.dtype for x in [*node.inputs, *node.outputs])


def _once(node, rule, stages):
    """The step of a node that runs once, before or after time."""
    stage = Stage.AFTER if Stage.AFTER in stages else Stage.BEFORE
    return Step(node, rule, stages, stage, forms.Once())


# In these dtypes, sums depend on their order so much that levels differ.
_COARSE = ("bfloat16", "float16")


class Neuron(Rule):
    """Rule for quantized activations: they become the neurons that the user chose."""

    def spikes(self, operation: keras.Operation) -> bool:
        return True

    def plan(self, node: Node, stages: tuple, context: "Context") -> Step:
        if not isinstance(node.operation, SourceActivation):
            raise Refusal(
                "it is registered as a neuron, and has no levels and no step.",
                "derive it from snn_keras.layers.SourceActivation.",
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
        stage = Stage.BEFORE if context.one_pass else Stage.DURING
        approximation = cell.approximation(node.operation, context.coding)
        if not approximation and cell.compute_dtype in _COARSE:
            approximation = f"rounds otherwise: it computes in {cell.compute_dtype}"
        form = forms.Fire(cell, context.one_pass)
        return Step(node, self, stages, stage, form, approximation)


class Unquantized(Difference):
    """Rule for plain ReLUs, which must be quantized to become neurons.

    A ReLU with a negative slope or a threshold is treated as any other function.
    """

    def spikes(self, operation: keras.Operation) -> bool:
        return is_relu(operation)

    def plan(self, node: Node, stages: tuple, context: "Context") -> Step:
        if not context.spikes(node):
            return super().plan(node, stages, context)
        raise Refusal(
            "a plain ReLU has no step size and no threshold.",
            "replace it with snn_keras.quantize_activations(model, ...), or give "
            "convert calibration data: convert(model, timesteps, data=x).",
        )
