"""Chooses single neurons for a report, and records them."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from keras import ops, tree

from snn_keras.analysis.recording import Neurons, Recorder, neurons_of, record
from snn_keras.figures import Figures
from snn_keras.simulate import Monitored
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

MOST_LAYERS = 6  # most layers in the plots of single neurons
RASTER = 60  # number of neurons in the raster plot


@dataclasses.dataclass(frozen=True)
class LayerTraces(Figures):
    """The activity of chosen neurons of a layer in a run.

    Attributes:
        neurons: Their flat indices.
        thresholds: Their thresholds, `(neurons,)`; None if these change from step to
            step.
        spikes: `(neurons, timesteps)`, as `record` returns them.
        potentials: `(neurons, timesteps)`, in the unit of the threshold.
    """

    neurons: tuple[int, ...]
    thresholds: tuple[float, ...] | None
    spikes: tuple[tuple[int, ...], ...]
    potentials: tuple[tuple[float, ...], ...]


@dataclasses.dataclass(frozen=True)
class TraceFigures(Figures):
    """The activity of single neurons in a run of one sample.

    Attributes:
        sample: The sample's index.
        timesteps: Steps of the run.
        layers: `{name: LayerTraces}` of the layers that are shown.
    """

    sample: int
    timesteps: int
    layers: dict[str, LayerTraces]


def traces(
    snn: SpikingModel, x: Inputs, neurons: Mapping[str, Sequence[int]] | None = None
) -> TraceFigures:
    """Spikes and potentials of chosen neurons, for the first sample of `x`.

    Args:
        snn: A `SpikingModel`.
        x: Inputs.
        neurons: `{layer: flat indices}`; by default some that fire.

    Returns:
        `TraceFigures`.
    """
    if neurons is not None and not isinstance(neurons, Mapping):
        raise ValueError(
            "neurons must be a dict of layers, {layer: flat indices}. Received: "
            f"neurons={neurons!r}"
        )
    x = tree.map_structure(lambda a: a[:1], x)
    if snn.coding.settles:
        snn = snn.with_timesteps(_settling_steps(snn, x))
    chosen = neurons or _chosen(snn, x)
    what = ("spikes", "potentials")
    found = record(snn, x, list(chosen), what, traces=True, neurons=chosen)
    layers = neurons_of(snn)
    shown = {}
    for name, indices in chosen.items():
        spikes, potentials = (_rows(found[w][name][:, 0].T) for w in what)
        shown[name] = LayerTraces(
            neurons=tuple(int(i) for i in indices),
            thresholds=_thresholds(snn.coding, layers[name].cell, indices),
            spikes=spikes,
            potentials=potentials,
        )
    return TraceFigures(sample=0, timesteps=snn.timesteps, layers=shown)


def _rows(array):
    return tuple(map(tuple, array.tolist()))


def _settling_steps(snn, x):
    steps = snn.settling_steps(x, verbose=0).max()
    return max(int(steps), snn.coding.input_steps)


def _chosen(snn, x):
    """Neurons that fire on `x`, evenly from all layers."""
    names = _spread(list(neurons_of(snn)), MOST_LAYERS)
    monitor = Recorder(Neurons("spikes", dict.fromkeys(names)))
    # Not compiled, because compiling takes longer than a single run of one sample.
    _, counts = Monitored(snn, monitor)(tree.map_structure(ops.convert_to_tensor, x))
    chosen = {}
    for name in names:
        count = ops.convert_to_numpy(counts[name]).ravel()
        fire = np.flatnonzero(count)
        candidates = fire if len(fire) else np.arange(len(count))
        chosen[name] = _spread(candidates.tolist(), RASTER // len(names))
    return chosen


def _spread(items, most):
    """At most `most` of the items, evenly chosen, including the first and the last."""
    if len(items) <= most:
        return items
    return [items[i] for i in np.linspace(0, len(items) - 1, most).astype(int)]


def _thresholds(coding, cell, indices):
    if coding.charges_first:
        return None
    each = np.ravel(cell.theta_value())  # one for all, or one for each channel
    return tuple(each[np.asarray(indices) % len(each)].tolist())
