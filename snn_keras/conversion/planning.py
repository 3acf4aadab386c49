"""Planning: decides what each layer becomes, before anything is built."""

import dataclasses
from collections.abc import Mapping, Sequence

import keras
import numpy as np
from keras import tree

from snn_keras import neurons as neurons_lib
from snn_keras.coding import SETTLE, Coding, Rate
from snn_keras.conversion import forms, frames, normalize, signals
from snn_keras.conversion.composite.closed import closed_layers
from snn_keras.conversion.rules import Refusal, Step, neurons_of, rule_for
from snn_keras.conversion.samples import BatchSizes, check_reported_shape
from snn_keras.conversion.stage import Stage
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Node, Tensor
from snn_keras.inputs import check_count
from snn_keras.layers import SourceActivation
from snn_keras.neurons import SpikingCell
from snn_keras.simulate import SpikingModel
from snn_keras.text import listed, table


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What each layer of a source network becomes; `print(plan)` shows a table.

    Attributes:
        graph: The source network's graph in normal form.
        coding: The `snn_keras.coding.Coding` of the spiking network.
        steps: One `Step` for every node, in running order.
        bias_correction: Whether the neurons' currents are corrected on data.
        input_frames: Whether every step has an input of its own.
    """

    graph: Graph
    coding: Coding
    steps: tuple
    bias_correction: bool = False
    input_frames: bool = False

    def rows(self) -> list:
        """The table's rows of strings, one for each node, after a header."""
        header = ("layer", "type", "rule", "becomes", "computed", "takes", "threshold")
        rows = [(*header, "approximates")]
        takes = self.takes()
        for step in self.steps:
            rows.append(
                (
                    step.node.name,
                    type(step.node.operation).__name__,
                    type(step.rule).__name__,
                    str(step.form),
                    step.stage.value,
                    takes.get(step.node.name, ""),
                    "" if step.cell is None else _range(step.cell.threshold),
                    step.approximation,
                )
            )
        return rows

    def __str__(self):
        rows, verdict = table(self.rows()), self.verdict()
        title = f"{self.graph.name}, {self._length()}"
        return "\n".join([title, rows, *self._numbers(), verdict])

    def takes(self) -> dict[str, str]:
        """What layers with weights, and products, between neurons take.

        Returns:
            `{name: "spikes"}` where they add, `{name: "numbers"}` where they multiply.
        """
        nodes = [step.node for step in self.steps]
        neurons = {step.node.name for step in self.steps if step.cell is not None}
        carried = signals.carried(nodes, self.graph.inputs, neurons)
        fed = signals.feeding(nodes, neurons)
        found = {}
        for step in self.steps:
            kinds = {carried[x] for x in step.node.inputs}
            ends = not (step.stage.has_time or fed.intersection(step.node.outputs))
            is_spiking = kinds == {signals.Signal.SPIKES}
            is_between = not kinds <= {signals.Signal.ONCE} and (is_spiking or not ends)
            if is_between and signals.multiplies(step.node):
                inside = signals.multiplies_inside(step.node)
                adds = is_spiking and not inside
                found[step.node.name] = "spikes" if adds else "numbers"
        return found

    def _numbers(self):
        """A sentence, if any, that says which layers multiply numbers."""
        named = [name for name, what in self.takes().items() if what == "numbers"]
        if named:
            yield (
                f"numbers, not spikes, enter {listed(named)}, and are multiplied; "
                'spikes do with quantize_activations(..., products="spikes")'
            )

    def _length(self):
        length = str(self.coding)
        cells = [step.cell for step in self.steps if step.cell]
        extra = max((cell.extra_steps for cell in cells), default=0)
        if extra:
            length += f" after {extra} extra steps"
        if self.bias_correction:
            length += ", currents corrected on data"
        if self.input_frames:
            length += ", each with a frame of its own"
        return length

    def verdict(self) -> str:
        """A sentence that says whether the conversion is exact."""
        neurons = [step for step in self.steps if step.cell is not None]
        inexact = [step for step in neurons if step.approximation]
        if not inexact:
            return "exact: the decoded output is the source's"
        return (
            f"{len(inexact)} of {len(neurons)} layers of neurons approximate; verify "
            "reports by how much. Exact are bit-serial neurons with as many steps as "
            "bits, and differential or signed ones that settle: "
            'neuron="differential", timesteps="settle"'
        )


class Context:
    """Gives rules the information that planning needs.

    Args:
        graph: The source graph.
        timesteps, neuron, input_steps, fused: As for `convert`.

    Attributes:
        coding: The `snn_keras.coding.Coding` of the spiking network.
        one_pass: Whether neurons compute all steps in one pass.
    """

    def __init__(
        self,
        graph: Graph,
        timesteps: int | str | None,
        neuron: str | SpikingCell | Mapping[str, str | SpikingCell],
        input_steps: int | None,
        fused: bool,
    ) -> None:
        self.graph = graph
        self._templates = {
            node.name: _template(node, neuron) for node in neurons_of(graph)
        }
        self.coding = self._coding(timesteps, input_steps)
        self.one_pass = fused and self.coding.charges_first
        self._before_neuron = set()
        for node in reversed(graph.nodes):
            spikes = node.name in self._templates
            if spikes or self._before_neuron.intersection(node.outputs):
                self._before_neuron.update(node.inputs)

    def spikes(self, node: Node) -> bool:
        """Whether `node` becomes a layer of spiking neurons."""
        return node.name in self._templates

    def feeds_neuron(self, node: Node) -> bool:
        """Whether any output of `node` reaches a spiking neuron."""
        return bool(self._before_neuron.intersection(node.outputs))

    def cell_for(self, node: Node) -> SpikingCell:
        """The spiking cell that the activation of `node` becomes."""
        return self._templates[node.name].adapted_to(node.operation, self.coding)

    def check_bias_correction(self) -> None:
        """Raises a ValueError unless bias correction suits these neurons."""
        coding = self.coding
        is_rate = coding.any_time and coding.is_steady and not coding.repeats_source
        if not is_rate:
            raise ValueError(
                "bias_correction is for neurons that code by a rate and err: if, srp, "
                "cos. Received neurons "
                f"{sorted({type(t).__name__ for t in self.cells()})}"
            )

    def cells(self) -> list[SpikingCell]:
        """The cells of the neurons that were named, without thresholds."""
        return [t for t in self._templates.values() if t is not None]

    def _coding(self, timesteps, input_steps):
        """The coding in which all cells work."""
        cells = self.cells()
        activations = [
            node.operation
            for node in self.graph.nodes
            if self._templates.get(node.name) is not None
            and isinstance(node.operation, SourceActivation)
        ]
        proposed = [cell.coding(1, activations) for cell in cells] or [Rate(1)]
        shared = (c for c in proposed if all(cell.works_in(c) for cell in cells))
        coding = next(shared, None)
        if coding is None:
            raise ConversionError(
                "neuron: bit-serial neurons code a signal by its bits, leaky ones "
                "repeat the source network, signed and differential ones switch the "
                "input off, others code by a rate; a network is of one kind. "
                "Remedy: the same neuron for all layers. Received: "
                f"{ {n: type(t).__name__ for n, t in self._templates.items()} }"
            )
        if input_steps is not None:
            coding = coding.with_input_steps(input_steps)
        if timesteps is None:
            enough = [cell.enough_timesteps(activations) for cell in cells] or [1]
            timesteps = SETTLE if SETTLE in enough else max(enough)
        return coding.with_timesteps(timesteps)


def _template(node, neuron):
    """The cell to adapt to `node`; None if the node is not quantized."""
    if isinstance(neuron, dict):
        neuron = neuron.get(node.name, "auto")
    if neuron == "auto":
        neuron = getattr(node.operation, "neuron", None)
    cell = neurons_lib.by_name[neuron]() if isinstance(neuron, str) else neuron
    if cell is not None and not cell.can_replace(node.operation):
        own = neurons_lib.by_name[node.operation.neuron].__name__
        raise ConversionError(
            f"neuron: {node.describe()} was trained to spike at random, and becomes a "
            f'neuron that does: neuron="auto", {node.operation.neuron!r} or a {own}. '
            f"Received: {neuron!r}"
        )
    return cell


def exact_neuron(graph: Graph) -> str:
    """The neuron that gives a quantized network's answers, where nothing is asked for.

    Bit-serial neurons are exact in as many steps as levels have bits, where all
    activations have as many bits; else differential neurons are, once they rest.
    `"auto"` where an activation names a neuron of another kind, or none is exact.

    Args:
        graph: The source's graph in normal form.
    """
    activations = [node.operation for node in neurons_of(graph)]
    if not all(
        isinstance(x, SourceActivation)
        and x.neuron == SourceActivation.neuron
        and x.is_staircase
        for x in activations
    ):
        return "auto"
    bits = {int(x.levels).bit_length() for x in activations}
    return "bit_serial" if len(bits) == 1 else "differential"


def plan(
    model: keras.Model | Graph,
    timesteps: int | str | None = None,
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell] = "auto",
    *,
    input_steps: int | None = None,
    fused: bool = True,
    bias_correction: bool = False,
    input_frames: bool = False,
) -> Plan:
    """Decides what each layer of `model` becomes, and builds nothing.

    Args:
        model: A functional or Sequential `keras.Model` with quantized
            activations; or its graph in normal form.
        timesteps: As for `snn_keras.convert`.
        neuron: As for `snn_keras.convert`.
        input_steps: As for `snn_keras.convert`.
        fused: As for `snn_keras.convert`.
        bias_correction: As for `snn_keras.convert`.
        input_frames: As for `snn_keras.convert`.

    Returns:
        A `Plan`; printing it shows a table.

    Raises:
        ValueError: if an argument is not valid.
        ConversionError: if layers cannot be converted; the message names all of
            them.
    """
    check_is_source(model)
    check_timesteps(timesteps)
    graph = normalize.normal_form(model)
    check_has_neurons(graph)
    check_neuron(neuron, graph)
    if input_frames:
        frames.check_arguments(timesteps, bias_correction)
    if timesteps is None and neuron == "auto" and input_steps is None:
        neuron = "auto" if bias_correction else exact_neuron(graph)
    context = Context(graph, timesteps, neuron, input_steps, fused)
    if bias_correction:
        context.check_bias_correction()
    if input_frames:
        frames.check_neurons(context)
    first = Stage.EACH_FRAME if input_frames else Stage.BEFORE
    stage = dict.fromkeys(tree.flatten(graph.inputs), first)
    sizes = BatchSizes(stage)
    steps, refusals = [], []
    for node in graph.nodes:
        stages = tuple(stage[x] for x in node.inputs)
        try:
            check_call(node, stages)
            if context.feeds_neuron(node):
                check_reported_shape(node)
            step = rule_for(node.operation).of(node).plan(node, stages, context)
            step = frames.of_each(step)
            if step.stage.has_time:
                sizes.check(node)
            elif step.stage.is_before and not context.one_pass:
                sizes.follow(node)
        except Refusal as refusal:
            refusals.append(f"  {node.describe()}: {refusal}")
            # Planning goes on as if this node had been converted, to find all others.
            step = Step(
                node,
                None,  # type: ignore[arg-type]  # a refused node is never built
                stages,
                Stage.DURING,
                forms.Refused(),
            )
        stage.update(dict.fromkeys(node.outputs, step.stage))
        steps.append(step)
        is_masked = any(_is_masked_end(x, graph) for x in node.outputs)
        if is_masked and not step.stage.is_before:
            refusals.append(
                f"  {node.describe()}: its output has a mask, from "
                f"{_mask_from(node, graph)}, by which losses and metrics weigh it, and "
                "spiking neurons do not pass a mask on. Remedy: keras.ops.copy(output) "
                "as the model's output, which has none, and sample_weight in its place."
            )
    refusals += frames.undecoded(graph, stage)
    if refusals:
        raise ConversionError(
            f"Model '{graph.name}' cannot be converted; {len(refusals)} of its "
            f"{len(graph.nodes)} layers stand in the way:\n" + "\n".join(refusals)
        )
    return Plan(graph, context.coding, tuple(steps), bias_correction, input_frames)


def check_timesteps(timesteps: int | str | None) -> None:
    """Raises a ValueError unless `timesteps` is a valid length of a run, or None."""
    if timesteps is None or (isinstance(timesteps, str) and timesteps == SETTLE):
        return
    if getattr(timesteps, "shape", ()):
        raise ValueError(
            f'timesteps must be an integer >= 1, or "{SETTLE}". Received: an array of '
            f"shape {tuple(timesteps.shape)}. Remedy: for calibration inputs, "
            "convert(model, data=x)."
        )
    check_count("timesteps", timesteps, f', or "{SETTLE}"')


def check_is_source(model: keras.Model | Graph) -> None:
    """Raises a ConversionError if the model is a spiking network already."""
    if isinstance(model, SpikingModel):
        raise ConversionError(
            f"Model '{model.name}' is a spiking network already. Remedy: "
            "snn.with_timesteps(T) for another number of steps; for other neurons, "
            "convert its source again."
        )


def _is_masked_end(tensor, graph):
    """Whether an output of the model carries a mask."""
    return tensor.masked and tensor in set(tree.flatten(graph.outputs))


def _mask_from(node, graph) -> str:
    """Describes the node that created the mask of a node's output."""
    maker = {y: n for n in graph.nodes for y in n.outputs}
    while True:
        before = [maker[x] for x in node.inputs if x.masked and x in maker]
        if not before:
            return node.describe()
        node = before[0]


def check_call(node: Node, stages: Sequence[Stage]) -> None:
    """Raises a `Refusal` if a call uses training mode, or reads a mask over time."""
    if node.kwargs.get("training"):
        raise Refusal(
            "it is called with training=True, and spiking networks run in inference.",
            "call it without.",
        )
    masks = {v for k, v in node.kwargs.items() if "mask" in k and isinstance(v, Tensor)}
    timed = {x for x, stage in zip(node.inputs, stages, strict=True) if stage.has_time}
    # A mask that enters as an input is the same at every step; Keras's own end here.
    handed_on = any(x.masked for x in node.inputs)
    if masks and timed and (handed_on or masks & timed):
        raise Refusal(
            "it reads a mask, and spiking neurons do not pass a mask on.",
            "mask_zero=False, and multiply by the mask where it counts.",
        )


def check_has_neurons(graph: Graph) -> None:
    """Raises a ConversionError if no node becomes a layer of spiking neurons."""
    if neurons_of(graph):
        return
    derived = sorted(
        node.name
        for node in graph.nodes
        if isinstance(node.operation, SourceActivation)
    )
    reason = f"{derived} override what their base class computes. " if derived else ""
    raise ConversionError(
        f"Model '{graph.name}' has no activation that becomes a spiking neuron. "
        f"{reason}{closed_layers(graph.nodes)}Remedy: use snn_keras.layers.LSQReLU or "
        "QCFS as activations, or give a network with ReLUs to "
        "snn_keras.quantize_activations first."
    )


def check_neuron(
    neuron: str | SpikingCell | Mapping[str, str | SpikingCell], graph: Graph
) -> None:
    """Raises an error unless `neuron` is valid for this graph."""
    if isinstance(neuron, dict):
        neurons = [node.name for node in neurons_of(graph)]
        unknown = sorted(set(neuron) - set(neurons), key=str)
        if unknown:
            raise ConversionError(
                f"neuron: no activation of model '{graph.name}' is called "
                f"{unknown}. Its quantized activations are {neurons}."
            )
    check_choices(neuron)


def check_choices(neuron: str | SpikingCell | Mapping[str, str | SpikingCell]) -> None:
    """Raises a ValueError unless each neuron is a known name or a cell."""
    for choice in neuron.values() if isinstance(neuron, Mapping) else [neuron]:
        known = isinstance(choice, str) and choice in {"auto", *neurons_lib.by_name}
        if not known and not isinstance(choice, SpikingCell):
            names = sorted(["auto", *neurons_lib.by_name])
            raise ValueError(
                f"neuron must be one of {names}, a cell of snn_keras.neurons, or a "
                f"dict of these by layer name. Received: neuron={choice!r}"
            )


def _range(threshold):
    low, high = np.min(threshold), np.max(threshold)
    return f"{low:.4g}" if low == high else f"{low:.4g} ... {high:.4g}"
