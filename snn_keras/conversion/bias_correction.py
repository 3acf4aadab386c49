"""Corrects biases and initial potentials to remove a network's mean error."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from snn_keras.conversion.probe import SourceProbe
from snn_keras.graph import Graph
from snn_keras.inputs import CALIBRATION_SAMPLES, batches, check_data
from snn_keras.simulate import Monitored
from snn_keras.simulate.activity import LayerActivity
from snn_keras.simulate.model import SpikingModel
from snn_keras.time import BiasCorrection, Neurons
from snn_keras.time.spiking import Neurons as NeuronLayer
from snn_keras.typing import Inputs, Shape

_ROUNDS = 20
_RATE = 0.5


def correct_biases(
    ann: keras.Model,
    graph: Graph,
    snn: SpikingModel,
    data: Inputs,
    batch_size: int = 32,
    rounds: int = _ROUNDS,
    rate: float = _RATE,
) -> None:
    r"""Corrects biases and initial potentials of a spiking network by its mean errors.

    $$e_c(t) = mean(a_c - \theta z_c(t)) \qquad
    b_c \leftarrow b_c + \eta \, \overline{e_c(t \ge 2)} \qquad
    u_{0,c} \leftarrow u_{0,c} + \eta \, (e_c(1) - \overline{e_c(t \ge 2)})$$

    over samples and positions, for each channel c, with $a$ the source's
    activation; with one step alone, $b_c \leftarrow b_c + \eta \, e_c(1)$. The first
    step has an error of its own, because neurons err most there, and no later step
    takes back a spike that was sent too many.

    All layers are corrected at once, in several rounds, because a correction changes
    what later layers receive. The errors need not shrink in every round. The
    corrections of the round (or none) whose outputs on `data` have the least mean
    square distance from the source's are kept.

    Args:
        ann: The source model, float or quantized.
        graph: Its graph in normal form.
        snn: The spiking model, built with `bias_correction`.
        data: Inputs to measure on; a few hundred are enough.
        batch_size: Samples measured at a time.
        rounds: Number of rounds.
        rate: The share $\eta$ of an error that one round corrects.

    Correcting a layer's mean error is usual in conversion without training. Treating
    the first step apart, repeating, and choosing the best round are ours.
    """
    corrections = Corrections(ann, graph, snn, data, batch_size)
    least: Any = None
    best: Any = None
    for done in range(rounds + 1):
        distance, errors = corrections.measure()
        if best is None or distance < least:
            least, best = distance, corrections.get()
        if done < rounds:
            corrections.add(errors, rate)
    corrections.set(best)


class Corrections:
    """The corrections of a spiking network, and the errors that remain with them.

    Args:
        ann, graph, snn, data, batch_size: As for `correct_biases`.
    """

    def __init__(
        self,
        ann: keras.Model,
        graph: Graph,
        snn: SpikingModel,
        data: Inputs,
        batch_size: int,
    ) -> None:
        self.data = check_data(data, graph, CALIBRATION_SAMPLES)
        self.batch_size = batch_size
        names = [layer.name for layer in snn.layers if isinstance(layer, Neurons)]
        self.layers = {
            layer.neurons: layer
            for layer in snn.layers
            if isinstance(layer, BiasCorrection)
        }
        self.spiking = Monitored(snn, _FirstAndRest(snn.timesteps))
        source = SourceProbe(ann, graph, names)
        self.outputs, self.activations = _measure(source, self.data, batch_size)

    def measure(self) -> tuple[float, dict[str, tuple]]:
        """The distance of the outputs from the source's, and the mean errors.

        Returns:
            The mean square distance, and `{layer: (first, rest)}`, the errors in the
            first step and in all others, each of shape `(channels,)`.
        """
        outputs, sent = _measure(self.spiking, self.data, self.batch_size)
        pairs = zip(outputs, self.outputs, strict=True)
        distance = sum(np.square(a - b, dtype="float64").mean() for a, b in pairs)
        return distance, {
            name: tuple(self.activations[name] - x for x in sent[name])
            for name in self.layers
        }

    def add(self, errors: Mapping[str, tuple], rate: float) -> None:
        """Corrects by a share of `errors`."""
        for name, layer in self.layers.items():
            first, rest = (rate * x for x in errors[name])
            layer.bias.assign_add(rest)
            layer.initial.assign_add(first - rest)

    def get(self) -> dict[str, list]:
        """A copy of the corrections, `{layer: [bias, initial potential]}`."""
        return {name: layer.get_weights() for name, layer in self.layers.items()}

    def set(self, values: Mapping[str, list]) -> None:
        """Restores corrections that `get` returned."""
        for name, layer in self.layers.items():
            layer.set_weights(values[name])


class _FirstAndRest:
    """Monitor: each channel's mean output in the first step, and in all others.

    Args:
        timesteps: Steps of a run. If there is only one, both means are of that step.
    """

    def __init__(self, timesteps: int) -> None:
        self.timesteps = timesteps

    def initial_state(self, layer: NeuronLayer, shape: Shape) -> list:
        ends = shape[0], shape[-1]
        return [ops.zeros(ends, layer.cell.state_dtype) for _ in range(2)]

    def update(self, layer: NeuronLayer, state: list, seen: LayerActivity) -> list:
        first, rest = state
        outputs = ops.cast(seen.outputs, first.dtype)
        positions = tuple(range(2, len(outputs.shape) - 1))
        means = ops.mean(outputs, axis=positions) if positions else outputs
        at_first = means[:, 0] * ops.cast(ops.equal(seen.start, 0), means.dtype)
        others = ops.sum(means, axis=1) - at_first
        if self.timesteps == 1:
            others = at_first
        return [first + at_first, rest + others / max(self.timesteps - 1, 1)]


def _measure(probe, data, batch_size):
    """A probe's outputs on `data`, and channel means of everything else it returns.

    Returns:
        `(outputs, means)`: a list of arrays, and a structure of arrays of shape
        `(channels,)`.
    """
    outputs, means, count = [], None, 0
    for batch in batches(data, batch_size):
        y, signals = probe.predict_on_batch(batch)
        size = len(tree.flatten(batch)[0])
        part = tree.map_structure(lambda x, n=size: n * _channel_mean(x), signals)
        means = part if means is None else tree.map_structure(np.add, means, part)
        outputs.append(tree.flatten(y))
        count += size
    joined = [np.concatenate(parts) for parts in zip(*outputs, strict=True)]
    return joined, tree.map_structure(lambda x: (x / count).astype("float32"), means)


def _channel_mean(signal):
    return signal.reshape(-1, signal.shape[-1]).mean(axis=0, dtype="float64")
