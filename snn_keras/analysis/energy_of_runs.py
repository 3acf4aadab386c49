"""The energy of a run, from its operations and what each costs in silicon."""

import dataclasses
from collections.abc import Mapping

import numpy as np
from keras import tree

from snn_keras.analysis.operations import OperationCounter
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.spikes import steps_of_runs
from snn_keras.figures import Figures
from snn_keras.inputs import batches, check_data
from snn_keras.simulate.model import SpikingModel
from snn_keras.text import table
from snn_keras.typing import Inputs

SIDES = ("spiking", "source")
KINDS = ("multiply", "add", "shift", "compare")

# Picojoules an operation at 45 nm. "32 bit" and "8 bit": Datta et al. 2024, table 4.
# "float32": M. Horowitz, Computing's energy problem, 2014 (multiply-accumulate 4.6,
# accumulate 0.9); it has no comparison and no shift, which are taken as an addition's
# and as that of table 4.
CONSTANTS = {
    "32 bit": {"multiply": 3.1, "add": 0.1, "shift": 0.13, "compare": 0.08},
    "8 bit": {"multiply": 0.2, "add": 0.03, "shift": 0.024, "compare": 0.03},
    "float32": {"multiply": 3.7, "add": 0.9, "shift": 0.13, "compare": 0.9},
}


@dataclasses.dataclass(frozen=True)
class Operations(Figures):
    """Operations of a run and what they cost: means over samples.

    Attributes:
        multiply, add, shift, compare: How many of each kind.
        energy: What all of them cost, in picojoules.
    """

    multiply: float
    add: float
    shift: float
    compare: float
    energy: float


@dataclasses.dataclass(frozen=True)
class LayerEnergy(Figures):
    """What a layer costs in a run: means over samples.

    Attributes:
        spiking: `Operations` of the layer in the spiking network.
        source: `Operations` of the layer in the source network.
        spikes: Spikes that it sends; 0 where it is no layer of neurons.
        neurons: Number of its neurons; 0 where it is no layer of neurons.
    """

    spiking: Operations
    source: Operations
    spikes: float
    neurons: int


@dataclasses.dataclass(frozen=True)
class Energy(Figures):
    """What `energy` counts: means over samples. Print it, or take `as_dict()`.

    Attributes:
        spiking: `Operations` of the spiking network.
        source: `Operations` of the source network.
        ratio: Energy of the spiking network over the source's.
        steps: Steps of a run, extra ones among them.
        layers: A `LayerEnergy` by the name of each layer that is counted.
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
    r"""Counts the operations of a run, and what they cost, beside the source network.

    * **Synapses.** A spike is one addition at every weight that it reaches, whatever
      the weight's value; a spike that carries a size is a shift beside it. Weights on
      zero padding are not counted, nor are constants that are added (biases).
    * **Linear operations without weights** hand a spike on, once to every output that
      depends on the element where it is: average pooling folds into the weights behind
      it. So do batch normalization and other scalings of channels; a constant factor of
      0 hands nothing on. A spike that reaches a neuron past all weights (a shortcut)
      is one addition there.
    * **Numbers** take a multiplication and an addition at every weight: once a run for
      what does not change (all before the first neuron), at every step behind a
      temporal difference.
    * **Neurons** take, at every step and for every spike, what their cell's
      `operations` says; extra steps of SRP and COS are counted as steps, their spikes
      are not.
    * **The source network**: a multiplication and an addition at every weight, a
      comparison at every activation.

    Both sides have the same synapses. They follow from a layer's linear form: Keras's
    layers have one, and `snn_keras.linear.form` gives one to yours. Any other layer
    that a rule calls linear (`snn_keras.rule`) is tried out, and taken as one matrix:
    with a weight wherever an output depends on an input, whatever the values of its
    trainable weights.

    Not counted, on either side: reading and writing memory, moving spikes, random
    numbers, and functions without weights other than linear ones (max pooling, softmax,
    products of signals, ...); of attention, the projections are counted. Other layers
    with weights are refused.

    Args:
        snn: A `SpikingModel`.
        x: Inputs, in any form that `predict` takes; all batches of a dataset are read.
        batch_size: Samples a batch.
        constants: "32 bit", "8 bit", "float32", or `{"multiply": ..., "add": ...,
            "shift": ..., "compare": ...}` in picojoules.

    Returns:
        An `Energy`.

    Raises:
        ValueError: if `x` or `constants` do not fit, or it cannot be told what a layer
            multiplies and adds.

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
            total = totals.setdefault(name, _nothing(found))
            total["spikes"] += float(np.sum(found.get("spikes", 0.0)))
            for side, figures in _operations(found, steps, cells.get(name)).items():
                for kind, value in figures.items():
                    each = np.broadcast_to(value, steps.shape)
                    total[side][kind] += float(np.sum(each))
    layers = {name: _mean(total, samples, costs) for name, total in totals.items()}
    return _whole(layers, float(all_steps / samples), costs)


def at_costs(found: Energy, constants: str | Mapping[str, float]) -> Energy:
    """What `energy` found, at other costs: nothing is counted anew."""
    costs = costs_of(constants)
    layers = {}
    for name, layer in found.layers.items():
        spiking, source = (
            _priced(side.as_dict(), costs) for side in (layer.spiking, layer.source)
        )
        layers[name] = dataclasses.replace(layer, spiking=spiking, source=source)
    return _whole(layers, found.steps, costs)


def costs_of(constants: str | Mapping[str, float]) -> dict[str, float]:
    """Picojoules by operation, from the name of a set or from a dict."""
    costs = CONSTANTS.get(constants) if isinstance(constants, str) else constants
    if not isinstance(costs, dict) or set(costs) != set(KINDS):
        raise ValueError(
            f"constants must be one of {sorted(CONSTANTS)}, or a dict with the keys "
            f"{sorted(KINDS)}. Received: {constants!r}"
        )
    return dict(costs)


def _operations(found, steps, cell):
    """Operations of a layer by side and kind, of each sample."""
    macs = found.get("multiply_accumulate", 0.0)
    shift = found.get("shift", 0.0)
    spiking = {"add": found["add"] + macs, "multiply": macs, "shift": shift}
    source = dict.fromkeys(("add", "multiply"), found.get("source", 0.0))
    if cell is not None:
        updates = steps * found["neurons"]
        for kind, value in cell.operations(updates, found["spikes"]).items():
            spiking[kind] = spiking.get(kind, 0.0) + value
        source["compare"] = float(found["neurons"])
    return {"spiking": spiking, "source": source}


def _nothing(found):
    """A layer's totals before the first batch."""
    sides = {side: dict.fromkeys(KINDS, 0.0) for side in SIDES}
    return {**sides, "spikes": 0.0, "neurons": found.get("neurons", 0)}


def _mean(total, samples, costs):
    """A `LayerEnergy` from a layer's totals."""
    spiking, source = (
        _priced({kind: value / samples for kind, value in total[side].items()}, costs)
        for side in SIDES
    )
    return LayerEnergy(spiking, source, total["spikes"] / samples, total["neurons"])


def _whole(layers, steps, costs):
    """An `Energy` from those of the layers."""
    spiking, source = (
        _sum([getattr(layer, side) for layer in layers.values()], costs)
        for side in SIDES
    )
    ratio = spiking.energy / source.energy
    return Energy(spiking, source, ratio, steps, layers, costs)


def _sum(operations, costs):
    counts = {kind: sum(getattr(x, kind) for x in operations) for kind in KINDS}
    return _priced(counts, costs)


def _priced(counts, costs):
    """`Operations` of these numbers, at these costs."""
    counts = {kind: counts[kind] for kind in KINDS}
    spent = sum(costs[kind] * count for kind, count in counts.items())
    return Operations(**counts, energy=spent)
