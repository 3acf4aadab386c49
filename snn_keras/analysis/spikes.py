"""Counts the spikes of a run, layer by layer."""

import dataclasses
import math

import numpy as np
from keras import ops, tree

from snn_keras.analysis.recording import Recorder, Recorders, neurons_of
from snn_keras.figures import Figures
from snn_keras.inputs import check_data
from snn_keras.simulate import Monitored
from snn_keras.simulate.activity import LayerActivity
from snn_keras.simulate.model import SpikingModel
from snn_keras.text import table
from snn_keras.time.spiking import Neurons as NeuronLayer
from snn_keras.typing import Array, Inputs


@dataclasses.dataclass(frozen=True)
class LayerSpikes(Figures):
    """Spikes of a layer of neurons in a run: means over samples.

    Attributes:
        spikes: Number of spikes in a run.
        bits: Bits sent for them: several for each where spikes carry a sign and a size.
        neurons: Number of neurons.
        rate: Spikes per neuron and step, in [0, 1].
        sparsity: 1 minus the rate.
        over_time: Number of spikes at each step, `(timesteps,)`; None if a run has no
            fixed number of steps.
    """

    spikes: float
    bits: float
    neurons: int
    rate: float
    sparsity: float
    over_time: tuple[float, ...] | None


@dataclasses.dataclass(frozen=True)
class SpikeStatistics(Figures):
    """The result of `spike_statistics`. Print it, or use `as_dict()`.

    Attributes:
        spikes: Number of spikes in a run, the mean over samples.
        bits: Bits sent for them, likewise.
        neurons: Number of neurons.
        rate: Spikes per neuron and step, in [0, 1].
        sparsity: 1 minus the rate.
        steps: Steps of a run, without extra steps before it; the mean over samples if
            runs end when they settle.
        layers: `{name: LayerSpikes}` for each layer of neurons.
    """

    spikes: float
    bits: float
    neurons: int
    rate: float
    sparsity: float
    steps: float
    layers: dict[str, LayerSpikes]

    def __str__(self):
        header = ("layer", "spikes", "bits", "neurons", "rate", "sparsity")
        rows = [_row(name, layer) for name, layer in self.layers.items()]
        return "\n".join(
            [
                f"spikes of a run; {self.steps:g} steps, means over samples",
                table([header, *rows, _row("whole network", self)]),
            ]
        )


def _row(name, figures):
    return (
        name,
        f"{figures.spikes:,.1f}",
        f"{figures.bits:,.1f}",
        f"{figures.neurons:,}",
        *(f"{share:.2%}" for share in (figures.rate, figures.sparsity)),
    )


def spike_statistics(
    snn: SpikingModel, x: Inputs, batch_size: int | None = None, verbose: int | str = 0
) -> SpikeStatistics:
    r"""Counts the spikes of a run.

    Spikes of both signs count. Extra steps before a run are not counted.

    $$\text{rate} = \frac{\text{spikes}}{\text{neurons} \cdot \text{steps}}, \qquad
    \text{sparsity} = 1 - \text{rate}$$

    Args:
        snn: A `SpikingModel`.
        x: As for `predict`.
        batch_size: As for `predict`.
        verbose: As for `predict`.

    Returns:
        A `SpikeStatistics`.
    """
    layers = neurons_of(snn)
    x = check_data(x, snn.program.graph)
    timesteps = steps = snn.timesteps
    if snn.coding.settles:
        timesteps = None
        steps = float(steps_of_runs(snn, x, batch_size, verbose).mean())
    monitor = Recorders(
        {"spikes": Recorder(_SpikesOfLayer(), timesteps), "neurons": _NeuronsOfLayer()}
    )
    _, recorded = Monitored(snn, monitor).predict(x, batch_size, verbose)
    found = {}
    for name, layer in layers.items():
        counts = recorded[name]["spikes"]
        sums = counts.sum(axis=0, dtype="int64")  # `counts` is (samples, steps)
        samples = len(counts)
        spikes = float(sums.sum() / samples)
        found[name] = LayerSpikes(
            **_rates(spikes, int(recorded[name]["neurons"][0]), steps),
            bits=spikes * layer.cell.bits_per_spike,
            over_time=None if timesteps is None else tuple((sums / samples).tolist()),
        )
    spikes = sum(layer.spikes for layer in found.values())
    neurons = sum(layer.neurons for layer in found.values())
    return SpikeStatistics(
        **_rates(spikes, neurons, steps),
        bits=sum(layer.bits for layer in found.values()),
        steps=steps,
        layers=found,
    )


def steps_of_runs(
    snn: SpikingModel, x: Inputs, batch_size: int | None = None, verbose: int | str = 0
) -> np.ndarray:
    """The number of steps of each sample's run, `(samples,)`, without extra steps.

    If runs end when they settle, at least the steps in which the input is on.
    """
    if snn.coding.settles:
        steps = snn.settling_steps(x, batch_size=batch_size, verbose=verbose)
        return np.maximum(
            steps,
            snn.coding.input_steps,  # type: ignore[arg-type]  # not None if it settles
        )
    return np.full(len(tree.flatten(x)[0]), snn.timesteps)


def _rates(spikes, neurons, steps):
    rate = spikes / (neurons * steps)
    return {"spikes": spikes, "neurons": neurons, "rate": rate, "sparsity": 1 - rate}


class _SpikesOfLayer:
    """Measure: the number of spikes of all neurons of a layer."""

    def shape(self, layer: NeuronLayer, neurons: tuple[int, ...]) -> tuple[int, ...]:
        return ()

    def dtype(self, layer: NeuronLayer, is_sum: bool) -> str:
        return "int32"

    def of(self, layer: NeuronLayer, seen: LayerActivity) -> Array:
        spikes = ops.abs(ops.cast(layer.cell.spikes(seen.outputs), "int32"))
        return ops.sum(spikes, axis=tuple(range(2, len(spikes.shape))))

    def total(self, values: Array, dtype: str) -> Array:
        return ops.sum(values, axis=1)


class _NeuronsOfLayer:
    """Monitor: the number of a layer's neurons, which only a run may determine."""

    def initial_state(self, layer: NeuronLayer, shape: tuple[int, ...]) -> Array:
        batch_size, *neurons = shape
        return ops.full((batch_size,), math.prod(neurons), "int32")

    def update(self, layer: NeuronLayer, state: Array, seen: LayerActivity) -> Array:
        return state
