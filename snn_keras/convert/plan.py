"""Planning: what becomes of every layer, decided before anything is built."""

import dataclasses

import numpy as np
from keras import tree

from snn_keras import neurons as neurons_lib
from snn_keras.convert import normalize
from snn_keras.convert.rules import Form, Refusal, Step, neurons_of, rule_for
from snn_keras.convert.samples import BatchSizes
from snn_keras.convert.signals import Coding
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Tensor
from snn_keras.inputs import check_count
from snn_keras.layers import NoisySpike, QuantizedActivation
from snn_keras.neurons import NoisyLIFCell, SpikingCell, Timing
from snn_keras.simulate.model import check_timesteps
from snn_keras.text import table


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """What each layer of a source network becomes; print it.

    Attributes:
        graph: The source network's graph.
        timing: When things happen in a run.
        steps: One `Step` for every node, in running order.
        bias_correction: Whether the neurons' currents are corrected on data.
    """

    graph: Graph
    timing: Timing
    steps: tuple
    bias_correction: bool = False

    def rows(self) -> list:
        """What becomes of every node, in words; the first row is the header."""
        header = ("layer", "type", "rule", "becomes", "coding", "threshold")
        rows = [(*header, "approximates")]
        for step in self.steps:
            rows.append(
                (
                    step.node.name,
                    type(step.node.operation).__name__,
                    type(step.rule).__name__,
                    step.action,
                    step.coding.value,
                    "" if step.cell is None else _range(step.cell.threshold),
                    step.approximation,
                )
            )
        return rows

    def __str__(self):
        rows, verdict = table(self.rows()), self.verdict()
        return f"{self.graph.name}, {self._length()}\n{rows}\n{verdict}"

    def _length(self):
        timing = self.timing
        length = (
            "runs until it settles"
            if timing.timesteps == "settle"
            else f"{timing.timesteps} time steps"
        )
        extra = max(
            (step.cell.extra_steps for step in self.steps if step.cell), default=0
        )
        if extra:
            length += f" after {extra} extra steps"
        if timing.input_steps is not None:
            length += f", input on for {timing.input_steps}"
        if self.bias_correction:
            length += ", currents corrected on data"
        return length

    def verdict(self) -> str:
        """In words: whether all that is built is exact."""
        neurons = [step for step in self.steps if step.cell is not None]
        inexact = [step for step in neurons if step.approximation]
        if not inexact:
            return "exact: the decoded output is the source's"
        return (
            f"{len(inexact)} of {len(neurons)} layers of neurons approximate; verify "
            "tells by how much. Exact are bit-serial neurons with as many steps as "
            'bits, and signed ones that settle: neuron="signed", timesteps="settle"'
        )


class Context:
    """What rules may ask while planning.

    Args:
        graph: The source graph.
        timesteps, neuron, input_steps, fused: As for `convert`.

    Attributes:
        timing: When things happen in a run.
    """

    def __init__(self, graph: Graph, timesteps, neuron, input_steps, fused):
        self.graph = graph
        self._templates = {
            node.name: _template(node, neuron) for node in neurons_of(graph)
        }
        self.timing = self._make_timing(timesteps, input_steps)
        self.fused = fused and any(t.needs_whole_run for t in self._used())
        self.repeats_source = any(t.repeats_source for t in self._used())
        self._before_neuron = set()
        for node in reversed(graph.nodes):
            spikes = node.name in self._templates
            if spikes or self._before_neuron.intersection(node.outputs):
                self._before_neuron.update(node.inputs)

    def spikes(self, node) -> bool:
        """Whether `node` becomes a layer of spiking neurons."""
        return node.name in self._templates

    def feeds_neuron(self, node) -> bool:
        """Whether any output of `node` reaches a spiking neuron."""
        return bool(self._before_neuron.intersection(node.outputs))

    def cell_for(self, node) -> SpikingCell:
        """The spiking cell that the activation of `node` becomes."""
        return self._templates[node.name].adapted_to(node.operation, self.timing)

    def check_bias_correction(self):
        """Raises a ValueError unless these neurons' errors are biases."""
        exact = self.timing.input_steps is not None
        if exact or any(t.needs_whole_run or t.repeats_source for t in self._used()):
            raise ValueError(
                "bias_correction is for neurons that code by a rate and err: if, srp, "
                "cos. Received neurons "
                f"{sorted({type(t).__name__ for t in self._used()})}"
            )

    def _used(self):
        return [t for t in self._templates.values() if t is not None]

    def _make_timing(self, timesteps, input_steps):
        cells = self._used()
        if len({(c.needs_whole_run, c.repeats_source) for c in cells}) > 1:
            raise ConversionError(
                "neuron: bit-serial neurons code a signal by its bits, noisy LIF "
                "neurons repeat the source network, others code by a rate; a network "
                "is of one kind. Received: "
                f"{ {n: type(t).__name__ for n, t in self._templates.items()} }"
            )
        activations = [
            node.operation
            for node in self.graph.nodes
            if self._templates.get(node.name) is not None
        ]
        wanted = {cell.input_steps(activations) for cell in cells} - {None}
        steps = next(iter(wanted), None)
        if input_steps is not None:
            if steps is None or any(cell.needs_whole_run for cell in cells):
                raise ValueError(
                    "input_steps is for signed neurons, whose input is switched off "
                    f"after so many steps. Received: input_steps={input_steps!r} with "
                    f"neurons {sorted({type(cell).__name__ for cell in cells})}"
                )
            steps = check_count("input_steps", input_steps)
        return Timing(check_timesteps(timesteps, steps), steps)


def _template(node, neuron):
    """The cell to adapt for `node`; None where it is not quantized yet."""
    if isinstance(neuron, dict):
        neuron = neuron.get(node.name, "auto")
    if neuron == "auto":
        neuron = getattr(node.operation, "neuron", None)
    if isinstance(node.operation, NoisySpike) and not (
        neuron == "lif" or isinstance(neuron, NoisyLIFCell)
    ):
        raise ConversionError(
            f"neuron: {node.describe()} was trained as a noisy LIF neuron and becomes "
            f'one: neuron="auto", "lif" or a NoisyLIFCell. Received: {neuron!r}'
        )
    return neurons_lib.by_name[neuron]() if isinstance(neuron, str) else neuron


def plan(
    model,
    timesteps,
    neuron="auto",
    *,
    input_steps=None,
    fused=True,
    bias_correction=False,
) -> Plan:
    """Decides what each layer of `model` becomes, and builds nothing.

    Args:
        model: A functional or Sequential `keras.Model` with quantized
            activations.
        timesteps: As for `snn_keras.convert`.
        neuron: As for `snn_keras.convert`.
        input_steps: As for `snn_keras.convert`.
        fused: As for `snn_keras.convert`.
        bias_correction: As for `snn_keras.convert`.

    Returns:
        A `Plan`; printing it shows a table.

    Raises:
        ValueError: if an argument is not valid.
        ConversionError: if layers cannot be converted; it names them all.
    """
    if timesteps != "settle":
        timesteps = check_timesteps(timesteps)
    try:
        graph = normalize.read(model)
    except ValueError as error:
        raise ConversionError(str(error)) from error
    check_has_neurons(graph)
    check_neuron(neuron, graph)
    context = Context(graph, timesteps, neuron, input_steps, fused)
    if bias_correction:
        context.check_bias_correction()
    coding = dict.fromkeys(tree.flatten(graph.inputs), Coding.STATIC)
    sizes = BatchSizes(coding)
    steps, refusals = [], []
    for node in graph.nodes:
        codings = tuple(coding[x] for x in node.inputs)
        try:
            check_call(node, codings)
            step = rule_for(node.operation).plan(node, codings, context)
            if step.coding.has_time:
                sizes.check(node)
            elif step.coding is Coding.STATIC and not context.fused:
                sizes.follow(node)
        except Refusal as refusal:
            refusals.append(f"  {node.describe()}: {refusal}")
            # Planning goes on as if it could be done, to find the others too.
            step = Step(node, None, codings, Coding.RATE, Form.REFUSED)
        coding.update(dict.fromkeys(node.outputs, step.coding))
        steps.append(step)
        if any(_is_masked_end(x, graph) for x in node.outputs) and (
            step.coding is not Coding.STATIC
        ):
            refusals.append(
                f"  {node.describe()}: its output has a mask, from "
                f"{_mask_from(node, graph)}, by which losses and metrics weigh it, and "
                "spiking neurons do not pass a mask on. Remedy: keras.ops.copy(output) "
                "as the model's output, which has none, and sample_weight in its place."
            )
    if refusals:
        raise ConversionError(
            f"Model '{graph.name}' cannot be converted; {len(refusals)} of its "
            f"{len(graph.nodes)} layers stand in the way:\n" + "\n".join(refusals)
        )
    return Plan(graph, context.timing, tuple(steps), bias_correction)


def _is_masked_end(tensor, graph):
    """Whether an output of the model carries a mask."""
    return tensor.masked and tensor in set(tree.flatten(graph.outputs))


def _mask_from(node, graph) -> str:
    """The node from which the mask of a node's output comes, in words."""
    maker = {y: n for n in graph.nodes for y in n.outputs}
    while True:
        before = [maker[x] for x in node.inputs if x.masked and x in maker]
        if not before:
            return node.describe()
        node = before[0]


def check_call(node, codings) -> None:
    """Raises a `Refusal` where what a call does besides computing would be lost."""
    if node.kwargs.get("training"):
        raise Refusal(
            "it is called with training=True, and spiking networks run in inference.",
            "call it without.",
        )
    masks = any("mask" in k and isinstance(v, Tensor) for k, v in node.kwargs.items())
    if masks and any(coding.has_time for coding in codings):
        raise Refusal(
            "it reads a mask, and spiking neurons do not pass a mask on.",
            "mask_zero=False, and multiply by the mask where it counts.",
        )


def check_has_neurons(graph: Graph) -> None:
    """Raises a ConversionError unless something becomes a spiking neuron."""
    if neurons_of(graph):
        return
    derived = sorted(
        node.name
        for node in graph.nodes
        if isinstance(node.operation, (QuantizedActivation, NoisySpike))
    )
    reason = f"{derived} override what their base class computes. " if derived else ""
    raise ConversionError(
        f"Model '{graph.name}' has no activation that becomes a spiking neuron. "
        f"{reason}Remedy: use snn_keras.layers.LSQReLU or QCFS as activations, or give "
        "a network with ReLUs to snn_keras.quantize_activations first."
    )


def check_neuron(neuron, graph: Graph) -> None:
    """Raises a ValueError unless `neuron` names neurons for this graph."""
    if isinstance(neuron, dict):
        neurons = [node.name for node in neurons_of(graph)]
        unknown = sorted(set(neuron) - set(neurons), key=str)
        if unknown:
            raise ConversionError(
                f"neuron: no activation of model '{graph.name}' is called "
                f"{unknown}. Its quantized activations are {neurons}."
            )
    for choice in neuron.values() if isinstance(neuron, dict) else [neuron]:
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
