"""Counts spikes and operations of one run, up to several numbers of steps."""

import math
from collections.abc import Sequence

import numpy as np
from keras import tree

from snn_keras.analysis.costing.hardware import Hardware
from snn_keras.analysis.costing.opponents import FAIR, FLOAT, OPPONENTS, levels_of
from snn_keras.analysis.costing.pricing import priced
from snn_keras.analysis.costing.spiking import layer_work
from snn_keras.analysis.operations import OperationCounter
from snn_keras.analysis.recording import Neurons, Recorder, neurons_of
from snn_keras.inputs import batches, open_size
from snn_keras.simulate import Monitored, SpikingModel
from snn_keras.typing import Array

KEPT_BYTES = 2**26  # of the spikes of all steps, which are kept batch by batch


def counts(
    snn: SpikingModel, timesteps: Sequence[int], x: Array, hardware: Hardware
) -> tuple[dict, list[dict]]:
    """Operations of the source, and spikes and operations of the spiking network.

    Args:
        snn: A `SpikingModel` whose run has the last of `timesteps`.
        timesteps: Numbers of steps, in increasing order.
        x: Arrays, in the structure of the model's inputs.
        hardware: What energy is priced on.

    Returns:
        `(source, rows)`, means over samples, under the names that `SourceRow` and
        `Row` have for them; `rows` has an entry for each of `timesteps`.
    """
    counter = OperationCounter(snn)
    recorder = Monitored(snn, Recorder(Neurons("spikes"), timesteps[-1]))
    totals: list[dict] = [dict.fromkeys(_KEYS, 0.0) for _ in timesteps]
    for part in batches(x, _samples_at_once(snn, x)):
        _, spikes = recorder.predict_on_batch(part)
        sums = _until(spikes, timesteps)
        for total, t, sent in zip(totals, timesteps, sums, strict=True):
            for key, value in _of_batch(counter, t, part, sent, hardware):
                total[key] += float(np.sum(value))
    cells = {name: layer.cell for name, layer in neurons_of(snn).items()}
    state = sum(_state_bytes(cells[name], z.shape[2:]) for name, z in spikes.items())
    means = [{key: total[key] / _count(x) for key in total} for total in totals]
    source = {
        "additions": means[-1]["source additions"],
        "energy": means[-1][FLOAT],
    }
    rows = [
        {
            "timesteps": t,
            **{key: mean[key] for key in ("spikes", "bits", "additions", "energy")},
            "opponent": min(mean[name] for name in FAIR),
            "state_bytes": state,
        }
        for t, mean in zip(timesteps, means, strict=True)
    ]
    return source, rows


_KEYS = ("spikes", "bits", "additions", "energy", "source additions", *OPPONENTS)


def _of_batch(counter, timesteps, x, spikes, hardware):
    """Pairs of a key of `_KEYS` and its values in runs of so many steps, by layer."""
    snn, count = counter.model, _count(x)
    cells = {name: layer.cell for name, layer in neurons_of(snn).items()}
    coding = snn.coding.with_timesteps(timesteps)
    levels = {name: levels_of(cell, coding) for name, cell in cells.items()}
    steps = np.full(count, timesteps + float(snn.extra_steps))
    for name, found in counter.of_runs(x, spikes, steps, levels).items():
        cell = cells.get(name)
        work = layer_work(found, steps, cell)
        for part in (work.fixed, work.by_spikes):
            cost = priced(part, hardware)
            yield "additions", cost.add
            yield "energy", cost.energy
        for opponent, other in work.opponents.items():
            cost = priced(other, hardware)
            yield opponent, cost.energy
            if opponent == FLOAT:
                yield "source additions", cost.add
        if cell is not None:
            yield "spikes", found["spikes"]
            yield "bits", found["spikes"] * cell.bits_per_spike


def _until(spikes, timesteps):
    """How often each neuron of each layer fires up to each of `timesteps`."""
    numbers, start = dict.fromkeys(spikes, 0), 0
    for end in timesteps:
        for name, z in spikes.items():
            more = np.abs(z[:, start:end].astype("int32")).sum(axis=1)
            numbers[name] = numbers[name] + more
        start = end
        yield dict(numbers)


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


def _count(x):
    return len(tree.flatten(x)[0])
