"""Counts the additions and multiplications of a spiking network from its spikes."""

import dataclasses
import functools
import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from keras import layers, tree

from snn_keras.analysis import events
from snn_keras.analysis.arriving import (
    Signal,
    arriving,
    entering,
    nonzero,
    sums,
    times_of,
)
from snn_keras.analysis.linear import Kind, kind_of
from snn_keras.analysis.products import multiplied
from snn_keras.analysis.recording import Neurons, Recorder
from snn_keras.analysis.synapses import synapses
from snn_keras.graph import Node, run_nodes
from snn_keras.linear.nodes import at_a_step, unwrapped
from snn_keras.simulate import Monitored
from snn_keras.simulate.model import SpikingModel
from snn_keras.time import Neurons as NeuronLayer
from snn_keras.time import Present, Readout, TemporalDifference
from snn_keras.typing import Array

# Figures of a layer that do not add up over its calls.
OF_LAYER = {
    *("weights", "addresses", "payload", "is_analog"),
    *("levels", "sum_levels", "times"),
}


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

    def of_batch(
        self, x: Array, steps: np.ndarray, levels: Mapping[str, int]
    ) -> dict[str, dict]:
        """The operations of each layer on a batch; see `of_runs`.

        Args:
            x: Arrays, in the structure of the model's inputs.
            steps: Number of steps of each sample's run.
            levels: As for `of_runs`.
        """
        _, spikes = self.predict_on_batch(x)
        return self.of_runs(x, spikes, steps, levels)

    def of_runs(
        self,
        x: Array,
        spikes: dict[str, np.ndarray],
        steps: np.ndarray,
        levels: Mapping[str, int],
    ) -> dict[str, dict]:
        """The operations of each layer in runs whose spikes are known.

        Args:
            x: Arrays, in the structure of the model's inputs.
            spikes: `{layer of neurons: (runs, ...)}`, the number of spikes that each
                neuron sends in a run.
            steps: Number of steps of each run, `(runs,)`.
            levels: `{layer of neurons: levels above 0 of the source's activations}`.

        Returns:
            `{name: figures}`. Of every layer that is counted: "add" `(runs,)`, the
            additions for spikes; "arrivals" `(runs,)`, the spikes that arrive;
            "places", the neurons from which they may, "addresses", those of a single
            call, and "synapses", those that these meet; "payload", the bits that each
            carries; "outputs", the number of its potentials; "passes", those of the
            source, where there is more than one.

            Of a layer with weights: "weights", their number; "shift" `(runs,)`;
            "multiply_accumulate" `(runs,)`; "numbers", the elements that are numbers,
            and "times" `(runs,)`, at how many steps; "source", the multiplications in a
            pass of the source, "nonzero" `(runs,)`, those of all passes whose
            activation is not 0 (its neuron fires), "inputs", its elements; "levels" and
            "sum_levels", as of `Signal`; "sums", the elements that are sums of
            activations, by pools and shortcuts, and "summed", the number of these.

            Of a layer of neurons: "spikes" `(runs,)`, those that it sends; "neurons"
            and "channels", their numbers; "is_analog", as of `Signal`; "levels".

        Raises:
            ValueError: if the cost of an operation cannot be determined.
        """
        found, values = {}, {}
        graph = self.model.program.graph
        steps = np.asarray(steps)
        for tensor, array in zip(
            tree.flatten(graph.inputs), tree.flatten(x), strict=True
        ):
            values[tensor] = self.given(array, len(steps))

        def call(node, values):
            figures, outputs = self._node(node, values, spikes, steps, levels)
            if figures:
                name = getattr(node.operation, "name", node.name)
                before = found.setdefault(name, {})
                for key, value in figures.items():
                    both = np.maximum if key in OF_LAYER else operator.add
                    before[key] = both(before.get(key, 0), value)
            return outputs

        run_nodes(graph.nodes, values, call)
        if self.model.program.has_frames:
            for figures in found.values():
                figures["passes"] = steps
        return found

    def _node(self, node, values, spikes, steps, levels):
        """A node's operations, and the signals of its outputs."""
        operation = node.operation
        signals = [values[x] for x in node.inputs]
        if isinstance(operation, NeuronLayer):
            sent = np.asarray(spikes[operation.name])
            return _fire(signals[0], sent, operation, levels[operation.name])
        if isinstance(operation, Present):
            return {}, dataclasses.replace(signals[0], is_static=False)
        if isinstance(operation, Readout):
            (signal,) = signals
            figures = arriving(signals, math.prod(signal.shape))
            figures["add"] = figures["arrivals"]
            return figures, self.numbers(steps, signal.shape, is_static=True)
        inner, places = at_a_step(node, [signal.shape for signal in signals])
        placed = [signals[i] for i in places]
        return self._operate(inner, placed, steps, type(operation))

    def _operate(self, node, signals, steps, wrapper):
        """`_node` for a node that does the same at every step."""
        is_static = all(signal.is_static for signal in signals)
        inner, lead = unwrapped(node)
        kind = self.once(kind_of, inner)
        # Of other functions the inputs are the sums so far, which are numbers.
        is_difference = issubclass(wrapper, TemporalDifference)
        if is_difference and kind is not Kind.MULTIPLIES:
            signals = [self.numbers(steps, s.shape, is_static=False) for s in signals]
        if kind is Kind.HANDS_ON and not is_difference:
            return {}, self._hand_on(inner, lead, signals)
        figures = {}
        if kind is Kind.WEIGHS:
            figures = self.weigh(inner, lead, signals, steps)
        elif kind is Kind.MULTIPLIES:
            figures = multiplied(inner, signals, steps, self._passes(steps))
        is_counted = kind in (Kind.WEIGHS, Kind.MULTIPLIES)
        is_analog = not is_counted or any(s.numbers[0].any() for s in signals)
        shapes = [y.shape[1:] for y in node.outputs]
        outputs = [self.numbers(steps, x, is_static, is_analog) for x in shapes]
        return figures, outputs

    def given(self, array: np.ndarray, runs: int) -> Signal:
        """The signal of an input of the network."""
        own = 2 if self.model.program.has_frames else 1
        return self.numbers(np.ones(runs), array.shape[own:], is_static=own == 1)

    def numbers(
        self,
        steps: np.ndarray,
        shape: tuple[int, ...],
        is_static: bool,
        is_analog: bool = True,
    ) -> Signal:
        """A signal of numbers only, without spikes."""
        spikes = np.zeros((len(steps), *shape), "float32")
        numbers = np.ones((3, *shape), "float32")
        numbers[2] = 0
        return Signal(spikes, numbers, is_static, is_analog)

    def weigh(
        self,
        node: Node,
        lead: tuple[int, ...],
        signals: list[Signal],
        steps: np.ndarray,
    ) -> dict:
        """The figures of a layer with weights, under the names of `of_runs`.

        Args:
            node: The node at a single step, without wrappers.
            lead: The lengths of the axes along which wrappers repeat it.
            signals: Its inputs.
            steps: Number of steps of each run.
        """
        found = self.once(synapses, node)
        inside = found.inside * math.prod(lead)
        add, shift = np.zeros(len(steps)), np.zeros(len(steps))
        numbers, reached = np.full(2, inside), 0.0
        passes = self._passes(steps)
        used = inside * passes
        for fan_out, signal in zip(found.fan_out, signals, strict=True):
            weights = np.broadcast_to(fan_out, signal.shape).ravel()
            add += signal.spikes.reshape(len(steps), -1).astype("float64") @ weights
            if signal.sized is not None:
                sized = signal.sized.reshape(len(steps), -1).astype("float64")
                shift += sized @ weights
            flat = signal.numbers.reshape(3, -1).astype("float64")
            numbers += flat[:2] @ weights
            reached += flat[2] @ weights
            used = used + nonzero(signal, passes) @ weights
        outputs = sum(math.prod(y.shape[1:]) for y in node.outputs) * math.prod(lead)
        times = times_of(signals, steps)
        return {
            **arriving(signals, outputs),
            **entering(signals, times),
            "synapses": reached,
            "add": add,
            "shift": shift,
            "weights": found.weights,
            "multiply_accumulate": numbers[0] * times,
            "source": numbers[1],
            "nonzero": used,
        }

    def _passes(self, steps):
        """The number of passes of the source network, `(runs,)`."""
        return steps if self.model.program.has_frames else np.ones_like(steps)

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
        if is_static:  # there are only numbers
            marks = at_each(functools.partial(events.marked, node), numbers)
            shapes = [y.shape[1:] for y in marks]
            counts = [np.zeros((len(spikes[0]), *s), "float32") for s in shapes]
            if any(x.any() for x in spikes):
                counts = at_each(self.once(events.way, node), spikes)
        else:
            way = self.once(events.way, node)
            counts, marks = at_each(way, spikes), at_each(way, numbers)
            for mark in marks:
                mark[:2] = mark[:2] != 0
        sized = [None] * len(counts)
        if any(signal.sized is not None for signal in signals):
            sent = [
                np.zeros_like(x.spikes) if x.sized is None else x.sized for x in signals
            ]
            sized = at_each(self.once(events.way, node), sent)
        joined = {
            name: max(getattr(signal, name) for signal in signals)
            for name in ("is_analog", "levels", "payload")
        }
        return [
            Signal(count, mark, is_static, sized=size, **joined)
            for count, mark, size in zip(counts, marks, sized, strict=True)
        ]

    def once(self, function: Callable, node: Node) -> Any:
        """`function(node)`, computed once for each layer and input shape."""
        given = (*node.args, *node.kwargs.values())
        is_plain = isinstance(node.operation, layers.Layer) and len(given) == 1
        shapes = tuple(x.shape[1:] for x in node.inputs)
        key = (function, id(node.operation) if is_plain else node.name, shapes)
        if key not in self._found:
            self._found[key] = function(node)
        return self._found[key]


def _fire(signal, spikes, layer, levels):
    """The operations of neurons for spikes that met no weight, and their output."""
    shape, cell = spikes.shape[1:], layer.cell
    figures = {
        **arriving([signal], math.prod(shape)),
        "add": sums(signal.spikes),
        "spikes": sums(spikes),
        "neurons": math.prod(shape),
        "channels": shape[-1],
        "is_analog": signal.is_analog,
        "levels": levels,
    }
    numbers = np.zeros((3, *shape), "float32")
    numbers[1:] = 1
    spikes = spikes.astype("float32")
    sized = spikes if cell.has_sizes else None
    return figures, Signal(
        spikes, numbers, False, False, levels, cell.payload_bits, sized
    )
