"""The metrics of NeuroBench, under its names, without PyTorch."""

import dataclasses
import math

import numpy as np
from keras import ops, tree

from snn_keras.analysis.linear import known_form
from snn_keras.analysis.operations import OperationCounter, Signal
from snn_keras.analysis.recording import Neurons, Recorder, Recorders, neurons_of
from snn_keras.analysis.spikes import steps_of_runs
from snn_keras.analysis.synapses import synapses
from snn_keras.figures import Figures
from snn_keras.graph import Node
from snn_keras.inputs import batches, check_data
from snn_keras.linear import Separable
from snn_keras.simulate import Monitored
from snn_keras.simulate.activity import LayerActivity
from snn_keras.simulate.model import SpikingModel
from snn_keras.text import table
from snn_keras.time import Neurons as NeuronLayer
from snn_keras.typing import Inputs, Shape


@dataclasses.dataclass(frozen=True)
class NeuroBench(Figures):
    """The result of `neurobench`. Print it, or use `as_dict()`.

    Attributes:
        footprint: Bytes of all parameters.
        connection_sparsity: Share of weights that are 0.
        activation_sparsity: Share of outputs of neurons, over all steps, that are 0.
        synaptic_operations: `{"Effective_MACs": ..., "Effective_ACs": ..., "Dense":
            ...}`, means over samples: products of numbers, and of spikes, that are not
            0 with weights that are not 0; and all products.
        membrane_updates: How often a potential changes, the mean over samples.
    """

    footprint: int
    connection_sparsity: float
    activation_sparsity: float
    synaptic_operations: dict[str, float]
    membrane_updates: float

    def __str__(self):
        operations = {
            f"synaptic operations, {name}": f"{value:,.1f}"
            for name, value in self.synaptic_operations.items()
        }
        rows = {
            "footprint, bytes": f"{self.footprint:,}",
            "connection sparsity": f"{self.connection_sparsity:.4f}",
            "activation sparsity": f"{self.activation_sparsity:.4f}",
            **operations,
            "membrane updates": f"{self.membrane_updates:,.1f}",
        }
        return table([("metric", "value"), *rows.items()])


def neurobench(snn: SpikingModel, x: Inputs, batch_size: int = 32) -> NeuroBench:
    r"""The complexity metrics of NeuroBench's algorithm track.

    As NeuroBench counts them: biases, pooling and normalization are no synaptic
    operations; an operation is effective if neither factor is 0; it is an accumulation
    if what meets the weights is -1, 0 and 1, else a multiply-accumulate. A spike counts
    as one whatever its threshold, unless it carries a size. Of layers that are no
    connections in NeuroBench (any but dense and convolutional ones), all weights count
    as not 0.

    Where a spiking network of this package does less than NeuroBench's program would,
    the lower number is given: what comes before the first neuron is computed once a
    run, not at every step; spikes pass average pooling as spikes. `docs/energy.md` has
    the comparison with NeuroBench's own program.

    Args:
        snn: A `SpikingModel`.
        x: Inputs, of any kind that `predict` accepts.
        batch_size: Samples per batch.

    Returns:
        A `NeuroBench`.

    Raises:
        ValueError: if `x` does not fit, or if the operations of a layer cannot be
            determined.

    Source: J. Yik et al., "The NeuroBench framework for benchmarking neuromorphic
    computing algorithms and systems", 2025.
    """
    layers = neurons_of(snn)
    counter = _Effective(snn)
    monitor = Recorders({"spikes": Recorder(Neurons()), "updates": _Updates()})
    monitored = Monitored(snn, monitor)
    x = check_data(x, snn.program.graph)
    samples = len(tree.flatten(x)[0])
    totals = dict.fromkeys(("macs", "acs", "dense", "spikes", "places", "updates"), 0.0)
    for part in batches(x, batch_size):
        runs = len(tree.flatten(part)[0])
        steps = steps_of_runs(snn, part, runs).astype("float64")
        _, seen = monitored.predict_on_batch(part)
        spikes = {name: values["spikes"] for name, values in seen.items()}
        levels = dict.fromkeys(layers, 1)
        for found in counter.of_runs(part, spikes, steps, levels).values():
            for name in ("macs", "acs", "dense"):
                totals[name] += float(np.sum(found.get(name, 0.0)))
        for name, sent in spikes.items():
            totals["spikes"] += float(sent.sum())
            totals["places"] += float(sent[0].size * steps.sum())
            totals["updates"] += float(np.sum(seen[name]["updates"]["changes"]))
    names = {"Effective_MACs": "macs", "Effective_ACs": "acs", "Dense": "dense"}
    kernels = list(counter.kernels.values())
    weights = sum(kernel.size for kernel in kernels)
    zeros = sum(int((kernel == 0).sum()) for kernel in kernels)
    return NeuroBench(
        footprint=sum(math.prod(w.shape) * _size(w.dtype) for w in snn.weights),
        connection_sparsity=zeros / weights if weights else 0.0,
        activation_sparsity=1 - totals["spikes"] / totals["places"],
        synaptic_operations={k: totals[v] / samples for k, v in names.items()},
        membrane_updates=totals["updates"] / samples,
    )


class _Effective(OperationCounter):
    """Counts operations whose factors are not 0.

    Elements that are numbers have in `Signal.spikes` how often they are not 0.
    """

    def __init__(self, snn: SpikingModel) -> None:
        super().__init__(snn)
        self.kernels: dict[tuple[int, int], np.ndarray] = {}

    def given(self, array: np.ndarray, runs: int) -> Signal:
        """What is -1, 0 and 1 counts as spikes."""
        signal = super().given(array, runs)
        counts = (np.asarray(array) != 0).astype("float32")
        if self.model.program.has_frames:
            counts = counts.sum(axis=1)
        numbers = signal.numbers
        if np.isin(array, (-1, 0, 1)).all():
            numbers = 1 - numbers
        return dataclasses.replace(signal, spikes=counts, numbers=numbers)

    def numbers(
        self,
        steps: np.ndarray,
        shape: tuple[int, ...],
        is_static: bool,
        is_analog: bool = True,
    ) -> Signal:
        """What is computed between neurons is taken as never 0."""
        signal = super().numbers(steps, shape, is_static, is_analog)
        times = np.ones(len(steps)) if is_static else np.asarray(steps)
        counts = signal.spikes + times.reshape(-1, *[1] * len(shape))
        return dataclasses.replace(signal, spikes=counts.astype("float32"))

    def weigh(
        self,
        node: Node,
        lead: tuple[int, ...],
        signals: list[Signal],
        steps: np.ndarray,
    ) -> dict:
        figures = super().weigh(node, lead, signals, steps)
        found, times = self.once(synapses, node), figures["times"]
        form = self.once(known_form, node)
        self._keep(node.operation, form)
        inside = found.inside * math.prod(lead) * times
        macs, acs, dense = inside, 0.0, inside
        for fan_out, signal in zip(found.fan_out, signals, strict=True):
            weights = np.broadcast_to(fan_out, signal.shape).ravel()
            numbers, places = signal.numbers[0], signal.numbers[2] != 0
            elements = np.maximum(numbers, places).ravel().astype("float64")
            dense = dense + elements @ weights * times
            mask = np.ones_like(numbers) if signal.sized is not None else numbers
            macs = macs + _products(form, lead, weights, signal.spikes * mask)
            acs = acs + _products(form, lead, weights, signal.spikes * (1 - mask))
        return {**figures, "macs": macs, "acs": acs, "dense": dense}

    def _keep(self, operation, form):
        """Keeps the kernels of a layer, each once."""
        parts = [form]
        if isinstance(form, Separable):
            parts = [form.depthwise, form.pointwise]
        own = [w for w in getattr(operation, "weights", ()) if len(w.shape) > 1]
        kernels = [x.kernel for x in parts if hasattr(x, "kernel")]
        for i, kernel in enumerate(kernels or map(ops.convert_to_numpy, own)):
            self.kernels[id(operation), i] = kernel


def _products(form, lead, weights, counts):
    """The products of counts of elements with weights that are not 0, for each run."""
    runs = len(counts)
    if not hasattr(form, "kernel"):
        return counts.reshape(runs, -1).astype("float64") @ weights
    ones = dataclasses.replace(form, kernel=form.kernel != 0, bias=None)
    folded = counts.astype("float64").reshape(-1, *counts.shape[1 + len(lead) :])
    return ones.apply(folded).reshape(runs, -1).sum(axis=1)


class _Updates:
    """Monitor: how often potentials change; at the first step, all of them do."""

    def initial_state(self, layer: NeuronLayer, shape: Shape) -> dict:
        zeros = ops.zeros(shape, layer.cell.state_dtype)
        return {"last": zeros, "changes": ops.zeros(shape[:1], "int32")}

    def update(self, layer: NeuronLayer, state: dict, seen: LayerActivity) -> dict:
        potentials = seen.potentials()
        last = ops.expand_dims(state["last"], 1)
        before = ops.concatenate([last, potentials[:, :-1]], axis=1)
        step = seen.start + ops.arange(ops.shape(potentials)[1])
        first = ops.reshape(step == 0, (1, -1, *[1] * (len(potentials.shape) - 2)))
        changed = ops.logical_or(potentials != before, first)
        axes = tuple(range(1, len(potentials.shape)))
        more = ops.sum(ops.cast(changed, "int32"), axis=axes)
        return {"last": potentials[:, -1], "changes": state["changes"] + more}


def _size(dtype):
    """Bytes of an element."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
