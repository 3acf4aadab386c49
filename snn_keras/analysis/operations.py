"""Counts the additions and multiplications of a spiking network from its spikes."""

import dataclasses
import functools
import math

import numpy as np
from keras import layers, tree

from snn_keras.analysis import events
from snn_keras.analysis.linear import Kind, kind_of
from snn_keras.analysis.recording import Neurons, Recorder
from snn_keras.analysis.synapses import synapses
from snn_keras.graph import run_nodes
from snn_keras.linear.nodes import at_a_step, unwrapped
from snn_keras.simulate import Monitored
from snn_keras.simulate.model import SpikingModel
from snn_keras.time import Neurons as NeuronLayer
from snn_keras.time import Present, Readout, TemporalDifference
from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True)
class Signal:
    """A signal, described by what its elements cost at the next weights.

    Attributes:
        spikes: `(batch, ...)`: the number of spikes that arrive at each element in a
            run and have not been added up yet.
        numbers: `(2, ...)`: 1 where the element is a number at every step, in the
            spiking network and in the source network; else 0.
        is_static: Whether these numbers are the same at all steps.
        sized: As `spikes`, of those alone that carry a size, for which the weight is
            shifted; None where there are none.
    """

    spikes: np.ndarray
    numbers: np.ndarray
    is_static: bool
    sized: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape without the batch."""
        return self.numbers.shape[1:]


class OperationCounter(Monitored):
    """Counts the operations of a run, layer by layer.

    A spike costs an addition at every synapse that it reaches. Linear operations
    without weights hand spikes on (average pooling folds into later weights). A number
    costs a multiply-accumulate at every weight that it reaches: once per run if it
    comes from before the first neuron, else at every step. Weights on zero padding
    are not counted.

    Args:
        snn: A `SpikingModel`.
    """

    def __init__(self, snn: SpikingModel) -> None:
        super().__init__(snn, Recorder(Neurons()))
        self.run_eagerly = snn.run_eagerly
        self._found = {}

    def of_batch(self, x: Array, steps: np.ndarray) -> dict[str, dict]:
        """The operations of each layer on a batch; see `of_runs`.

        Args:
            x: Arrays, in the structure of the model's inputs.
            steps: Number of steps of each sample's run.
        """
        _, spikes = self.predict_on_batch(x)
        return self.of_runs(x, spikes, steps)

    def of_runs(
        self, x: Array, spikes: dict[str, np.ndarray], steps: np.ndarray
    ) -> dict[str, dict]:
        """The operations of each layer in runs whose spikes are known.

        Args:
            x: Arrays, in the structure of the model's inputs.
            spikes: `{layer of neurons: (runs, ...)}`, the number of spikes that each
                neuron sends in a run.
            steps: Number of steps of each run, `(runs,)`.

        Returns:
            `{name: {"add": (runs,), "shift": (runs,), "multiply_accumulate":
            (runs,), "source": multiply-accumulates of the source's layer, "spikes":
            (runs,), "neurons": number, "passes": number of passes of the source, 1 if
            there is none}}`; each layer has only the keys that apply.

        Raises:
            ValueError: if the cost of an operation cannot be determined.
        """
        found, values = {}, {}
        graph = self.model.program.graph
        steps = np.asarray(steps)
        for tensor, array in zip(
            tree.flatten(graph.inputs), tree.flatten(x), strict=True
        ):
            own = 2 if self.model.program.has_frames else 1
            values[tensor] = _numbers(len(steps), array.shape[own:], is_static=own == 1)

        def call(node, values):
            figures, outputs = self._node(node, values, spikes, steps)
            if figures:
                name = getattr(node.operation, "name", node.name)
                before = found.setdefault(name, {})
                for key, value in figures.items():
                    before[key] = before.get(key, 0) + value
            return outputs

        run_nodes(graph.nodes, values, call)
        if self.model.program.has_frames:
            for figures in found.values():
                figures["passes"] = steps
        return found

    def _node(self, node, values, spikes, steps):
        """A node's operations, and the signals of its outputs."""
        operation = node.operation
        signals = [values[x] for x in node.inputs]
        if isinstance(operation, NeuronLayer):
            sent = np.asarray(spikes[operation.name])
            return _fire(signals[0], sent, operation.cell.has_sizes)
        if isinstance(operation, Present):
            return {}, dataclasses.replace(signals[0], is_static=False)
        if isinstance(operation, Readout):
            (signal,) = signals
            figures = {"add": _sums(signal.spikes)}
            return figures, _numbers(len(steps), signal.shape, is_static=True)
        inner, places = at_a_step(node, [signal.shape for signal in signals])
        arriving = [signals[i] for i in places]
        return self._operate(inner, arriving, steps, type(operation))

    def _operate(self, node, signals, steps, wrapper):
        """`_node` for a node that does the same at every step."""
        batch = len(steps)
        is_static = all(signal.is_static for signal in signals)
        is_difference = issubclass(wrapper, TemporalDifference)
        if is_difference:  # its inputs are the sums so far, which are numbers
            signals = [_numbers(batch, s.shape, is_static=False) for s in signals]
        inner, lead = unwrapped(node)
        kind = self._once(kind_of, inner)
        if kind is Kind.HANDS_ON and not is_difference:
            return {}, self._hand_on(inner, lead, signals)
        figures = {}
        if kind is Kind.WEIGHS:
            figures = self._weigh(inner, lead, signals, steps)
        shapes = [y.shape[1:] for y in node.outputs]
        return figures, [_numbers(batch, shape, is_static) for shape in shapes]

    def _weigh(self, node, lead, signals, steps):
        """The additions and multiply-accumulates of a layer with weights."""
        found = self._once(synapses, node)
        inside = found.inside * math.prod(lead)
        add, shift = np.zeros(len(steps)), np.zeros(len(steps))
        numbers = np.full(2, inside)
        for fan_out, signal in zip(found.fan_out, signals, strict=True):
            weights = np.broadcast_to(fan_out, signal.shape).ravel()
            add += signal.spikes.reshape(len(steps), -1).astype("float64") @ weights
            if signal.sized is not None:
                sized = signal.sized.reshape(len(steps), -1).astype("float64")
                shift += sized @ weights
            numbers += signal.numbers.reshape(2, -1).astype("float64") @ weights
        is_static = all(signal.is_static for signal in signals)
        times = np.ones_like(steps) if is_static else steps
        return {
            "add": add,
            "shift": shift,
            "multiply_accumulate": numbers[0] * times,
            "source": numbers[1],
        }

    def _hand_on(self, node, lead, signals):
        """The output signals of a linear operation without weights."""

        def at_each(function, maps):
            """Calls `function` on maps whose `lead` axes are folded into the rows."""
            folded = [x.reshape(-1, *x.shape[1 + len(lead) :]) for x in maps]
            rows = (len(maps[0]), *lead)
            return [y.reshape(*rows, *y.shape[1:]) for y in function(folded)]

        spikes = [signal.spikes for signal in signals]
        numbers = [signal.numbers for signal in signals]
        is_static = all(signal.is_static for signal in signals)
        if is_static:  # there are no spikes, only numbers
            marks = at_each(functools.partial(events.marked, node), numbers)
            shapes = [y.shape[1:] for y in marks]
            counts = [np.zeros((len(spikes[0]), *s), "float32") for s in shapes]
        else:
            way = self._once(events.way, node)
            counts, numbers = at_each(way, spikes), at_each(way, numbers)
            marks = [(y != 0).astype("float32") for y in numbers]
        sized = [None] * len(counts)
        if any(signal.sized is not None for signal in signals):
            sent = [
                np.zeros_like(x.spikes) if x.sized is None else x.sized for x in signals
            ]
            sized = at_each(self._once(events.way, node), sent)
        return [
            Signal(count, mark, is_static, size)
            for count, mark, size in zip(counts, marks, sized, strict=True)
        ]

    def _once(self, function, node):
        """`function(node)`, computed once for each layer and input shape."""
        given = (*node.args, *node.kwargs.values())
        is_plain = isinstance(node.operation, layers.Layer) and len(given) == 1
        shapes = tuple(x.shape[1:] for x in node.inputs)
        key = (function, id(node.operation) if is_plain else node.name, shapes)
        if key not in self._found:
            self._found[key] = function(node)
        return self._found[key]


def _fire(signal, spikes, has_sizes):
    """The operations of neurons for spikes that met no weight, and their output."""
    figures = {
        "add": _sums(signal.spikes),
        "spikes": _sums(spikes),
        "neurons": math.prod(spikes.shape[1:]),
    }
    numbers = np.zeros((2, *spikes.shape[1:]), "float32")
    numbers[1] = 1
    spikes = spikes.astype("float32")
    return figures, Signal(spikes, numbers, False, spikes if has_sizes else None)


def _numbers(batch, shape, is_static):
    """A signal of numbers only, without spikes."""
    spikes = np.zeros((batch, *shape), "float32")
    return Signal(spikes, np.ones((2, *shape), "float32"), is_static)


def _sums(maps):
    """The exact sum of each row."""
    return maps.reshape(len(maps), -1).sum(axis=1, dtype="float64")
