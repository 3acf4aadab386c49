"""Counts spikes and operations of one run, up to several numbers of steps."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import tree

from snn_keras.analysis.energy_of_runs import KINDS, SIDES, operations_of, priced
from snn_keras.analysis.operations import OperationCounter
from snn_keras.analysis.recording import Neurons, Recorder, neurons_of
from snn_keras.inputs import batches, open_size
from snn_keras.simulate import Monitored, SpikingModel
from snn_keras.typing import Array

KEPT_BYTES = 2**26  # of the spikes of all steps, which are kept batch by batch


def counts(
    snn: SpikingModel, timesteps: Sequence[int], x: Array, costs: Mapping[str, float]
) -> tuple[dict, list[dict]]:
    """Operations of the source, and spikes and operations of the spiking network.

    Args:
        snn: A `SpikingModel` whose run has the last of `timesteps`.
        timesteps: Numbers of steps, in increasing order.
        x: Arrays, in the structure of the model's inputs.
        costs: Picojoules by kind of operation.

    Returns:
        `(source, rows)`, means over samples, under the names that `SourceRow` and
        `Row` have for them; `rows` has an entry for each of `timesteps`.
    """
    cells = {name: layer.cell for name, layer in neurons_of(snn).items()}
    counter = OperationCounter(snn)
    recorder = Monitored(snn, Recorder(Neurons("spikes"), timesteps[-1]))
    totals: dict[Any, np.ndarray] = {k: np.zeros(len(timesteps)) for k in _KEYS}
    for part in batches(x, _samples_at_once(snn, x)):
        _, spikes = recorder.predict_on_batch(part)
        # Every sample counts as a run for each of the numbers of steps.
        sent = {name: _until(z, timesteps) for name, z in spikes.items()}
        steps = np.tile(timesteps, _count(part)) + float(snn.extra_steps)
        runs = tree.map_structure(functools.partial(_repeated, len(steps)), part)
        for name, found in counter.of_runs(runs, sent, steps).items():
            cell = cells.get(name)
            each = operations_of(found, steps, cell)
            values: dict[Any, Any] = {
                (side, kind): each[side][kind] for side in SIDES for kind in each[side]
            }
            if cell is not None:
                values["spikes"] = found["spikes"]
                values["bits"] = found["spikes"] * cell.bits_per_spike
            for key, value in values.items():
                totals[key] += value.reshape(-1, len(timesteps)).sum(axis=0)
    means: dict[Any, np.ndarray] = {
        key: total / _count(x) for key, total in totals.items()
    }
    state = sum(_state_bytes(cells[name], z.shape[2:]) for name, z in spikes.items())
    source = _operations(means, "source", 0, costs)
    rows = [
        {
            "timesteps": t,
            "spikes": float(means["spikes"][i]),
            "bits": float(means["bits"][i]),
            **_operations(means, "spiking", i, costs),
            "state_bytes": state,
        }
        for i, t in enumerate(timesteps)
    ]
    return source, rows


_KEYS = ("spikes", "bits", *((side, kind) for side in SIDES for kind in KINDS))


def _operations(means, side, place, costs):
    found = priced({kind: float(means[side, kind][place]) for kind in KINDS}, costs)
    return {"additions": found.add, "energy": found.energy}


def _until(spikes, timesteps):
    """How often each neuron fires up to each of `timesteps`: `(batch * T's, ...)`."""
    numbers, sums, start = 0, [], 0
    for end in timesteps:
        numbers = numbers + np.abs(spikes[:, start:end].astype("int32")).sum(axis=1)
        sums.append(numbers)
        start = end
    stacked = np.stack(sums, axis=1)
    return stacked.reshape(-1, *stacked.shape[2:])


def _samples_at_once(snn, x):
    """How many samples' spikes are kept at a time."""
    size = open_size(x, snn.program.graph)  # the most that an open axis may have
    shapes = [layer.cell.state_shape for layer in neurons_of(snn).values()]
    neurons = sum(math.prod(n or size for n in shape) for shape in shapes)
    return max(1, KEPT_BYTES // (neurons * snn.timesteps))


def _state_bytes(cell, shape):
    """The size of a cell's state for one sample, in bytes."""
    size = np.dtype(cell.state_dtype).itemsize
    return size * sum(math.prod(s.shape) for s in cell.initial_state((1, *shape)))


def _repeated(count, array):
    """An array of the shape of `count` samples: only shapes are read of it."""
    return np.broadcast_to(array[:1], (count, *array.shape[1:]))


def _count(x):
    return len(tree.flatten(x)[0])
