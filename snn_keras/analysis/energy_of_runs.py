"""The energy of a run, from its operations and what each costs in silicon."""

from collections.abc import Mapping

import numpy as np
from keras import tree

from snn_keras.analysis.operations import OperationCounter
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.spikes import steps_of_runs
from snn_keras.inputs import batches, check_data
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

SIDES = ("spiking", "source")

# Picojoules an operation at 45 nm. "32 bit" and "8 bit": Datta et al. 2024, table 4.
# "float32": M. Horowitz, Computing's energy problem, 2014 (multiply-accumulate 4.6,
# accumulate 0.9); it has no comparison and no shift, which are taken as an addition's
# and as that of table 4.
CONSTANTS = {
    "32 bit": {"multiply": 3.1, "add": 0.1, "shift": 0.13, "compare": 0.08},
    "8 bit": {"multiply": 0.2, "add": 0.03, "shift": 0.024, "compare": 0.03},
    "float32": {"multiply": 3.7, "add": 0.9, "shift": 0.13, "compare": 0.9},
}


def energy(
    snn: SpikingModel,
    x: Inputs,
    batch_size: int = 32,
    constants: str | Mapping[str, float] = "32 bit",
) -> dict:
    r"""Counts the operations of a run, and what they cost, beside the source network.

    * **Synapses.** A spike is one addition at every weight that it reaches, whatever
      the weight's value. Weights on zero padding are not counted, nor are constants
      that are added (biases).
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
        Means over the samples: `{"spiking": {"multiply": ..., "add": ..., "shift":
        ..., "compare": ..., "energy": picojoules}, "source": the same, "ratio":
        spiking over source, "steps": ..., "layers": {name: {"spiking": ...,
        "source": ..., "spikes": ..., "neurons": ...}}, "constants": ...}`.

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
    means = {name: _mean(total, samples) for name, total in totals.items()}
    whole = {
        side: {
            kind: sum(layer[side][kind] for layer in means.values()) for kind in costs
        }
        for side in SIDES
    }
    counted = {**whole, "steps": float(all_steps / samples), "layers": means}
    return _priced(counted, costs)


def at_costs(found: dict, constants: str | Mapping[str, float]) -> dict:
    """What `energy` found, at other costs: nothing is counted anew."""
    return _priced(found, costs_of(constants))


def costs_of(constants: str | Mapping[str, float]) -> dict[str, float]:
    """Picojoules by operation, from the name of a set or from a dict."""
    kinds = set(CONSTANTS["32 bit"])
    costs = CONSTANTS.get(constants) if isinstance(constants, str) else constants
    if not isinstance(costs, dict) or set(costs) != kinds:
        raise ValueError(
            f"constants must be one of {sorted(CONSTANTS)}, or a dict with the keys "
            f"{sorted(kinds)}. Received: {constants!r}"
        )
    return dict(costs)


def _operations(found, steps, cell):
    """Operations of a layer by side and kind, of each sample."""
    macs = found.get("multiply_accumulate", 0.0)
    spiking = {"add": found["add"] + macs, "multiply": macs}
    source = dict.fromkeys(("add", "multiply"), found.get("source", 0.0))
    if cell is not None:
        updates = steps * found["neurons"]
        for kind, value in cell.operations(updates, found["spikes"]).items():
            spiking[kind] = spiking.get(kind, 0.0) + value
        source["compare"] = float(found["neurons"])
    return {"spiking": spiking, "source": source}


def _nothing(found):
    """A layer's totals before the first batch."""
    sides = {side: dict.fromkeys(CONSTANTS["32 bit"], 0.0) for side in SIDES}
    return {**sides, "spikes": 0.0, "neurons": found.get("neurons", 0)}


def _mean(total, samples):
    sides = {
        side: {kind: value / samples for kind, value in total[side].items()}
        for side in SIDES
    }
    return {**total, **sides, "spikes": total["spikes"] / samples}


def _priced(found, costs):
    """What was counted, with its energy at these costs."""

    def priced(figures):
        sides = {}
        for side in SIDES:
            spent = sum(costs[kind] * figures[side][kind] for kind in costs)
            sides[side] = {**figures[side], "energy": spent}
        return {**figures, **sides}

    whole = priced(found)
    return {
        **whole,
        "ratio": whole["spiking"]["energy"] / whole["source"]["energy"],
        "layers": {name: priced(layer) for name, layer in found["layers"].items()},
        "constants": costs,
    }
