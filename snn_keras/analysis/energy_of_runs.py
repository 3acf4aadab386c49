"""The energy of a run, from its operations and the energy of each in hardware."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from keras import tree

from snn_keras.analysis.operations import OperationCounter
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.spikes import steps_of_runs
from snn_keras.figures import Figures
from snn_keras.inputs import batches, check_data
from snn_keras.neurons import SpikingCell
from snn_keras.simulate.model import SpikingModel
from snn_keras.text import table
from snn_keras.typing import Inputs

SIDES = ("spiking", "source")
KINDS = ("multiply", "add", "shift", "compare")

# Picojoules per operation at 45 nm. "32 bit" and "8 bit": Datta et al. 2024, table 4.
# "float32": M. Horowitz, Computing's energy problem, 2014 (multiply-accumulate 4.6,
# accumulate 0.9). It gives no comparison, taken to be an addition here, and no shift,
# taken from table 4.
CONSTANTS = {
    "32 bit": {"multiply": 3.1, "add": 0.1, "shift": 0.13, "compare": 0.08},
    "8 bit": {"multiply": 0.2, "add": 0.03, "shift": 0.024, "compare": 0.03},
    "float32": {"multiply": 3.7, "add": 0.9, "shift": 0.13, "compare": 0.9},
}


@dataclasses.dataclass(frozen=True)
class Operations(Figures):
    """Operations of a run and their energy: means over samples.

    Attributes:
        multiply, add, shift, compare: Number of operations of each kind.
        energy: The energy of all of them, in picojoules.
    """

    multiply: float
    add: float
    shift: float
    compare: float
    energy: float


@dataclasses.dataclass(frozen=True)
class LayerEnergy(Figures):
    """The operations of a layer in a run: means over samples.

    Attributes:
        spiking: `Operations` of the layer in the spiking network.
        source: `Operations` of the layer in the source network.
        spikes: Number of spikes that it sends; 0 if it is no layer of neurons.
        neurons: Number of its neurons; 0 if it is no layer of neurons.
    """

    spiking: Operations
    source: Operations
    spikes: float
    neurons: int


@dataclasses.dataclass(frozen=True)
class Energy(Figures):
    """The result of `energy`: means over samples. Print it, or use `as_dict()`.

    Attributes:
        spiking: `Operations` of the spiking network.
        source: `Operations` of the source network.
        ratio: Energy of the spiking network divided by the source's.
        steps: Steps of a run, including extra steps.
        layers: `{name: LayerEnergy}` for each layer that is counted.
        constants: Picojoules by kind of operation.
    """

    spiking: Operations
    source: Operations
    ratio: float
    steps: float
    layers: dict[str, LayerEnergy]
    constants: dict[str, float]

    def __str__(self):
        rows = [_row(name, x.spiking, x.source) for name, x in self.layers.items()]
        whole = _row("whole network", self.spiking, self.source)
        return "\n".join(
            [
                "operations and energy of the spiking network, energy of the source; "
                f"{self.steps:g} steps, means over samples",
                table([("layer", *KINDS, "energy, nJ", "source, nJ"), *rows, whole]),
                f"energy over the source's: {self.ratio:.3f}",
            ]
        )


def _row(name, spiking, source):
    return (
        name,
        *(f"{getattr(spiking, kind):,.1f}" for kind in KINDS),
        *(f"{side.energy / 1e3:,.3f}" for side in (spiking, source)),
    )


def energy(
    snn: SpikingModel,
    x: Inputs,
    batch_size: int = 32,
    constants: str | Mapping[str, float] = "32 bit",
) -> Energy:
    r"""Counts the operations and the energy of a run, and those of the source network.

    * **Synapses.** A spike costs one addition at every weight that it reaches, whatever
      the weight's value; a spike that carries a size costs a shift besides. Weights on
      zero padding are not counted, nor are biases.
    * **Linear operations without weights** hand a spike on, once to every output that
      depends on the spike's element: average pooling folds into later weights. So do
      batch normalization and other scalings of channels; a constant factor of 0 hands
      nothing on. A spike that reaches a neuron without meeting a weight (a shortcut)
      costs one addition there.
    * **Numbers** cost a multiplication and an addition at every weight: once per run if
      they do not change (everything before the first neuron), at every step after a
      temporal difference.
    * **Neurons** cost, for steps and spikes, what their cell's `operations` says. Extra
      steps of SRP and COS count as steps; their spikes do not count.
    * **The source network** costs a multiplication and an addition at every weight, and
      a comparison at every activation; with `input_frames`, once for every frame, whose
      elements count as numbers.

    Both networks have the same synapses. They follow from a layer's linear form:
    Keras's layers have one, and `snn_keras.linear.form` registers one for yours. Any
    other layer whose rule is linear (`snn_keras.rule`) is tried out, and counted as
    one matrix, with a weight wherever an output depends on an input, whatever the
    values of its trainable weights.

    Not counted for either network: reading and writing memory, moving spikes, random
    numbers, and nonlinear functions without weights (max pooling, softmax, products of
    signals, ...). Of attention, the projections are counted. Other layers with weights
    raise an error.

    Args:
        snn: A `SpikingModel`.
        x: Inputs, of any kind that `predict` accepts; all batches of a dataset are
            read.
        batch_size: Samples per batch.
        constants: "32 bit", "8 bit", "float32", or `{"multiply": ..., "add": ...,
            "shift": ..., "compare": ...}` in picojoules.

    Returns:
        An `Energy`.

    Raises:
        ValueError: if `x` or `constants` do not fit, or if the operations of a layer
            cannot be determined.

    Source: Datta et al. 2024, section A.4 and table 4.
    """
    costs = costs_of(constants)
    cells = {name: layer.cell for name, layer in neurons_of(snn).items()}
    counter = OperationCounter(snn)
    x = check_data(x, snn.program.graph)
    samples = len(tree.flatten(x)[0])
    totals, all_steps = {}, 0.0
    for part in batches(x, batch_size):
        count = len(tree.flatten(part)[0])
        steps = steps_of_runs(snn, part, count).astype("float64") + snn.extra_steps
        all_steps += steps.sum()
        for name, found in counter.of_batch(part, steps).items():
            total = totals.setdefault(name, _zero_totals(found))
            total["spikes"] += float(np.sum(found.get("spikes", 0.0)))
            for side, figures in operations_of(found, steps, cells.get(name)).items():
                for kind, values in figures.items():
                    total[side][kind] += float(np.sum(values))
    layers = {name: _mean(total, samples, costs) for name, total in totals.items()}
    return _whole(layers, float(all_steps / samples), costs)


def at_costs(found: Energy, constants: str | Mapping[str, float]) -> Energy:
    """A result of `energy` with other constants; nothing is counted again."""
    costs = costs_of(constants)
    layers = {}
    for name, layer in found.layers.items():
        spiking, source = (
            priced(side.as_dict(), costs) for side in (layer.spiking, layer.source)
        )
        layers[name] = dataclasses.replace(layer, spiking=spiking, source=source)
    return _whole(layers, found.steps, costs)


def costs_of(constants: str | Mapping[str, float]) -> dict[str, float]:
    """Picojoules by kind of operation, from the name of a set or from a dict."""
    costs = CONSTANTS.get(constants) if isinstance(constants, str) else constants
    if not isinstance(costs, dict) or set(costs) != set(KINDS):
        raise ValueError(
            f"constants must be one of {sorted(CONSTANTS)}, or a dict with the keys "
            f"{sorted(KINDS)}. Received: {constants!r}"
        )
    return dict(costs)


def operations_of(
    found: Mapping[str, Any], steps: np.ndarray, cell: SpikingCell | None
) -> dict[str, dict[str, np.ndarray]]:
    """The operations of a layer in each run, `{side: {kind: (runs,)}}`.

    Args:
        found: What `OperationCounter.of_runs` returned for the layer.
        steps: Number of steps of each run, `(runs,)`.
        cell: The layer's cell; None if it is no layer of neurons.
    """
    macs = found.get("multiply_accumulate", 0.0)
    shift = found.get("shift", 0.0)
    spiking = {"add": found["add"] + macs, "multiply": macs, "shift": shift}
    passes = found.get("passes", 1)  # of the source network
    source = dict.fromkeys(("add", "multiply"), passes * found.get("source", 0.0))
    if cell is not None:
        updates = steps * found["neurons"]
        for kind, value in cell.operations(updates, found["spikes"]).items():
            spiking[kind] = spiking.get(kind, 0.0) + value
        source["compare"] = passes * float(found["neurons"])
    return {
        side: {kind: np.broadcast_to(n, steps.shape) for kind, n in counts.items()}
        for side, counts in (("spiking", spiking), ("source", source))
    }


def _zero_totals(found):
    """A layer's totals before the first batch."""
    sides = {side: dict.fromkeys(KINDS, 0.0) for side in SIDES}
    return {**sides, "spikes": 0.0, "neurons": found.get("neurons", 0)}


def _mean(total, samples, costs):
    """A `LayerEnergy` from a layer's totals."""
    spiking, source = (
        priced({kind: value / samples for kind, value in total[side].items()}, costs)
        for side in SIDES
    )
    return LayerEnergy(spiking, source, total["spikes"] / samples, total["neurons"])


def _whole(layers, steps, costs):
    """An `Energy` from the `LayerEnergy` of all layers."""
    spiking, source = (
        _sum([getattr(layer, side) for layer in layers.values()], costs)
        for side in SIDES
    )
    ratio = spiking.energy / source.energy
    return Energy(spiking, source, ratio, steps, layers, costs)


def _sum(operations, costs):
    counts = {kind: sum(getattr(x, kind) for x in operations) for kind in KINDS}
    return priced(counts, costs)


def priced(counts: Mapping[str, float], costs: Mapping[str, float]) -> Operations:
    """`Operations` with these counts, at these picojoules each."""
    counts = {kind: counts[kind] for kind in KINDS}
    spent = sum(costs[kind] * count for kind, count in counts.items())
    return Operations(**counts, energy=spent)
