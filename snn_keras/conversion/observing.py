"""Runs a float network on data, and samples what its activations receive."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from snn_keras.backend import backend
from snn_keras.conversion.building import memories_of
from snn_keras.graph import Graph
from snn_keras.inputs import batches, open_size
from snn_keras.typing import Array, Inputs

# The number of a layer's pre-activations that are kept.
SAMPLED_VALUES = 100_000
# What a batch may take: some of its largest tensors exist at once.
BATCH_BYTES = 2**26
MOST_SAMPLES = 64
# From so many batches on the network is compiled.
COMPILED_BATCHES = 4


@dataclasses.dataclass
class Sample:
    """A random sample of what one activation receives, and its extremes.

    Attributes:
        axis: The axis that has a step for each channel, or None.
        floor: The least value of the quantized activation: 0, or None for the
            smallest pre-activation if that is below 0.
        values: `(count, channels)`, the values that were kept; 1 channel without an
            axis.
        highest: The largest value of each channel, or 0.
        lowest: The smallest value of all, or 0.
    """

    axis: int | None
    floor: float | None = 0.0
    parts: list = dataclasses.field(default_factory=list)
    highest: np.ndarray | float = 0.0
    lowest: float = 0.0

    @property
    def values(self) -> np.ndarray:
        return np.concatenate(self.parts)

    def of_batch(self, v: Array, draws: Array) -> tuple[Array, Array, Array]:
        """What `add` takes of a batch: tensors, so that it can be compiled.

        Args:
            v: What the activation receives.
            draws: Random integers >= 0: of more positions than these, so many are
                kept, over all channels.
        """
        if self.axis is None:
            v = ops.reshape(v, (-1, 1))
        else:
            v = ops.moveaxis(v, self.axis, -1)
            v = ops.reshape(v, (-1, v.shape[-1]))
        highest = ops.max(v, axis=0)
        lowest = ops.min(v) if self.floor is None else ops.zeros((), v.dtype)
        count = max(1, draws.shape[0] // v.shape[1])
        if v.shape[0] is None or v.shape[0] > count:
            v = ops.take(v, ops.mod(draws[:count], ops.shape(v)[0]), axis=0)
        return v, highest, lowest

    def add(self, values: Array, highest: Array, lowest: Array) -> None:
        """Adds what `of_batch` found."""
        self.parts.append(ops.convert_to_numpy(values).astype("float32"))
        self.highest = np.maximum(self.highest, ops.convert_to_numpy(highest))
        self.lowest = min(self.lowest, float(lowest))


class _Watched:
    """A network with ReLUs where its quantized activations are, as a function."""

    def __init__(
        self,
        graph: Graph,
        samples: Mapping[str, Sample],
        ceilings: Mapping[str, float | None],
    ) -> None:
        self.graph, self.samples, self.ceilings = graph, samples, ceilings

    def __call__(self, inputs: Any, draws: Array) -> dict[str, tuple]:
        """What `Sample.add` takes, for each activation."""
        found = {}

        def call(node, values):
            name = node.operation.name
            if name not in self.samples:
                return node.call(node.operation, values, training=False)
            v = values[node.inputs[0]]
            # An activation that is used several times has one sample.
            found.setdefault(name, []).append(self.samples[name].of_batch(v, draws))
            if name not in self.ceilings:
                return v
            ceiling = self.ceilings[name]
            return ops.clip(v, 0, float("inf") if ceiling is None else ceiling)

        self.graph.run(inputs, call)
        return found


def observe(
    model: keras.Model,
    graph: Graph,
    data: Inputs,
    samples: Mapping[str, Sample],
    ceilings: Mapping[str, float | None],
    batch_size: int | None,
) -> None:
    """Runs the network, adding to the sample of each activation.

    Args:
        model: The network with quantized activations.
        graph: Its graph.
        data: Inputs, a structure of arrays.
        samples: `{name: Sample}`. These activations are not quantized: they pass on
            what they receive, or are ReLUs.
        ceilings: `{name: value}` at which each ReLU saturates; None if it does not.
        batch_size: Samples a batch; None chooses it by the memory that they need.
    """
    batch_size = batch_size or _batch_size(graph, open_size(data, graph))
    count = len(tree.flatten(data)[0])
    quota = max(1, SAMPLED_VALUES * batch_size // count)
    states = [state for layer in model.layers for state in memories_of(layer)]
    before = [ops.copy(state) for state in states]
    watched = _Watched(graph, samples, ceilings)
    pays = count >= COMPILED_BATCHES * batch_size and not states
    run = backend.compiled(watched, model.variables, by_xla=False) if pays else watched
    rng = np.random.default_rng(0)
    for batch in batches(data, batch_size):
        draws = ops.convert_to_tensor(rng.integers(0, 2**31, quota), "int32")
        # A batch that is smaller would be compiled anew.
        is_whole = len(tree.flatten(batch)[0]) == batch_size
        found = (run if is_whole else watched)(graph.cast(batch), draws)
        for name, uses in found.items():
            for use in uses:
                samples[name].add(*use)
    for state, value in zip(states, before, strict=True):
        state.assign(value)


def _batch_size(graph, size):
    """How many samples a batch has, for tensors of this graph.

    What its shapes leave open counts as `size`, the most that it may be.
    """
    shapes = [x.shape[1:] for node in graph.nodes for x in node.outputs]
    largest = max(4 * math.prod(n or size for n in shape) for shape in shapes)
    return max(1, min(MOST_SAMPLES, BATCH_BYTES // largest))
