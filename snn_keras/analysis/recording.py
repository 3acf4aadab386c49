"""Monitors that record the activity of neurons, step by step or as sums over time."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops

from snn_keras.simulate import Monitored, SpikingModel
from snn_keras.simulate.activity import LayerActivity
from snn_keras.time import Neurons as NeuronLayer
from snn_keras.typing import Array, Inputs, Shape

# Functions of a cell and of a `LayerActivity`, which return `(batch, steps, ...)`.
MEASURES = {
    "spikes": lambda cell, seen: cell.spikes(seen.outputs),
    "potentials": lambda cell, seen: seen.potentials(),
    "currents": lambda cell, seen: seen.currents,
}


def record(
    snn: SpikingModel,
    x: Inputs,
    layers: Sequence[str] | None = None,
    what: str | Sequence[str] = "spikes",
    traces: bool = False,
    neurons: Sequence[int] | Mapping[str, Sequence[int]] | None = None,
    batch_size: int | None = None,
    verbose: int | str = 0,
) -> dict:
    r"""Records the activity of chosen neurons in a run.

    The network runs as in `predict`, in the same chunks. Extra steps before a run
    (SRP, COS) are not recorded.

    Args:
        snn: A `SpikingModel`.
        x: As for `predict`.
        batch_size: As for `predict`.
        verbose: As for `predict`.
        layers: Names of layers of neurons; all of them by default.
        what: `"spikes"` $z_t$: 1, 0, or -1 for a negative spike of a signed neuron;
            `"potentials"` $u_t$ after each step, after the reset (for bit-serial
            neurons, after each bit); or `"currents"` $I_t$, all of it at step 1 if all
            steps are computed in one pass. Potentials and currents are in the unit of
            the threshold. A list of these records all of them in one run.
        traces: Whether to keep every step. If not, memory does not grow with T.
        neurons: Flat indices, in the layer's shape without batch and time, of the
            neurons to keep, for all layers or as `{layer: indices}`; layers that the
            dict does not name keep all.

    Returns:
        `{layer: NumPy array}`. With `traces`, the shape is `(timesteps, batch, ...)`.
        Otherwise it is `(batch, ...)`: the number of spikes of both signs, or the mean
        potential or current over the steps. `...` is the layer's shape or, with
        `neurons`, their number. If `what` is a list, `{what: {layer: array}}`.

    Raises:
        ValueError: if a layer or a neuron does not exist; or if the network runs until
            it settles, and more than the number of spikes is to be recorded.
    """
    chosen = _chosen(snn, layers, neurons)
    wanted = [what] if isinstance(what, str) else list(what)
    timesteps = snn.timesteps if traces else None
    recorders = {w: Recorder(Neurons(w, chosen), timesteps) for w in wanted}
    if snn.coding.settles and (traces or wanted != ["spikes"]):
        raise ValueError(
            "a network that runs until it settles has no fixed number of steps. "
            f"Received: what={what!r}, traces={traces!r}. Remedy: "
            "record(snn.with_timesteps(T), ...)."
        )
    _, recorded = Monitored(snn, Recorders(recorders)).predict(x, batch_size, verbose)

    def finished(what, values):
        if traces:
            return np.moveaxis(values, 1, 0)
        # Divided here, because compiled code divides only approximately.
        return values if what == "spikes" else values / snn.timesteps

    found = {
        w: {name: finished(w, values[w]) for name, values in recorded.items()}
        for w in wanted
    }
    return found[what] if isinstance(what, str) else found


def neurons_of(snn: SpikingModel) -> dict:
    """The layers of neurons of a spiking network by name, in running order.

    Raises:
        ValueError: if it is not a spiking network.
    """
    if not isinstance(snn, SpikingModel):
        raise ValueError(
            "analysis needs a spiking network, as snn_keras.convert makes it. "
            f"Received: {snn!r}"
        )
    return {x.name: x for x in snn.layers if isinstance(x, NeuronLayer)}


class Recorder:
    """Monitor: records a measure of each layer, step by step or as a sum over time.

    Args:
        measure: An object with the methods of `Neurons`: `of(layer, seen)` returns the
            values `(batch, steps, *shape)` to record; `seen` is a
            `snn_keras.simulate.activity.LayerActivity`.
        timesteps: Number of steps to record; None records the sum over time.
    """

    def __init__(self, measure: Any, timesteps: int | None = None) -> None:
        self.measure = measure
        self.timesteps = timesteps

    def initial_state(self, layer: NeuronLayer, shape: Shape) -> Array:
        batch_size, *neurons = shape
        kept = self.measure.shape(layer, tuple(neurons))
        if kept is None:
            return None
        is_sum = self.timesteps is None
        steps = () if is_sum else (self.timesteps,)
        dtype = self.measure.dtype(layer, is_sum)
        return ops.zeros((batch_size, *steps, *kept), dtype)

    def update(self, layer: NeuronLayer, state: Array, seen: LayerActivity) -> Array:
        if state is None:
            return None
        values = self.measure.of(layer, seen)
        if self.timesteps is None:
            return state + self.measure.total(values, state.dtype)
        values = ops.cast(values, state.dtype)
        first = (0, seen.start) + (0,) * (len(state.shape) - 2)
        return ops.slice_update(state, first, values)


class Recorders:
    """Monitor: several recorders of the same layers.

    Args:
        recorders: `{name: Recorder}`.
    """

    def __init__(self, recorders: Mapping[str, Any]) -> None:
        self.recorders = recorders

    def initial_state(self, layer: NeuronLayer, shape: Shape) -> dict | None:
        states = {k: r.initial_state(layer, shape) for k, r in self._all()}
        return None if None in states.values() else states

    def update(
        self, layer: NeuronLayer, state: dict | None, seen: LayerActivity
    ) -> dict | None:
        if state is None:
            return None
        return {k: r.update(layer, state[k], seen) for k, r in self._all()}

    def _all(self):
        return self.recorders.items()


class Neurons:
    """Measure: spikes, potentials or currents of chosen neurons.

    Args:
        what: A key of `MEASURES`.
        chosen: `{layer: flat indices, or None for all}`; None for all layers.
    """

    def __init__(
        self,
        what: str = "spikes",
        chosen: Mapping[str, Sequence[int] | None] | None = None,
    ) -> None:
        if what not in MEASURES:
            raise ValueError(
                f"what must be one of {sorted(MEASURES)}. Received: what={what!r}"
            )
        self.what = what
        self.chosen = chosen

    def shape(
        self, layer: NeuronLayer, neurons: tuple[int, ...]
    ) -> tuple[int, ...] | None:
        """The shape of one step's values; None for a layer that is not recorded."""
        if self.chosen is None:
            return neurons
        if layer.name not in self.chosen:
            return None
        indices = self.chosen[layer.name]
        if indices is None:
            return neurons
        if all(isinstance(size, int) for size in neurons):
            _indices(
                layer, indices, neurons
            )  # checks them, now that the shape is known
        return (len(indices),)

    def dtype(self, layer: NeuronLayer, is_sum: bool) -> str:
        """The dtype of single steps, or of their sum."""
        if self.what == "spikes":
            is_small = not is_sum and layer.cell.most_spikes <= 127
            return "int8" if is_small else "int32"
        return layer.cell.state_dtype

    def of(self, layer: NeuronLayer, seen: LayerActivity) -> Array:
        """The values of all steps of a pass, `(batch, steps, ...)`."""
        values = MEASURES[self.what](layer.cell, seen)
        indices = (self.chosen or {}).get(layer.name)
        if indices is None:
            return values
        batch, steps = ops.shape(values)[:2]
        return ops.take(ops.reshape(values, (batch, steps, -1)), indices, axis=2)

    def total(self, values: Array, dtype: str) -> Array:
        """The sum over these steps; spikes of both signs count as 1."""
        values = ops.cast(values, dtype)
        return ops.sum(ops.abs(values) if self.what == "spikes" else values, axis=1)


def _chosen(snn, layers, neurons):
    """The neurons that the arguments of `record` choose, `{layer: indices or None}`."""
    known = neurons_of(snn)
    names = list(known) if layers is None else _names(layers)
    by_layer = isinstance(neurons, Mapping)
    unknown = [n for n in [*names, *(neurons if by_layer else ())] if n not in known]
    if unknown or not names:
        raise ValueError(
            f"layers: '{snn.name}' has the layers of neurons {list(known)}. Received: "
            f"{unknown or names}"
        )
    wanted = {name: neurons.get(name) if by_layer else neurons for name in names}
    return {
        name: _indices(known[name], of, known[name].cell.state_shape)
        for name, of in wanted.items()
    }


def _names(layers):
    return [layers] if isinstance(layers, str) else list(layers)


def _indices(layer, neurons, shape):
    """Flat indices as an array; raises a ValueError if a neuron does not exist."""
    if neurons is None:
        return None
    count = math.inf if None in shape else math.prod(shape)
    indices = np.asarray(neurons)
    whole = indices.ndim == 1 and indices.size and indices.dtype.kind in "iu"
    if not whole or indices.min() < 0 or indices.max() >= count:
        raise ValueError(
            f"neurons: '{layer.name}' has the neurons 0 to {count - 1}, and a list of "
            f"one or more is wanted. Received: {neurons!r}"
        )
    return indices.astype("int32")
