"""`energy`: counts the work of a run, and prices it."""

import dataclasses

import numpy as np
from keras import tree

from snn_keras.analysis.costing.hardware import Hardware
from snn_keras.analysis.costing.opponents import bits_of, levels_of
from snn_keras.analysis.costing.pricing import against
from snn_keras.analysis.costing.published_hardware import hardware_of
from snn_keras.analysis.costing.result import Energy, LayerEnergy
from snn_keras.analysis.costing.spiking import layer_work
from snn_keras.analysis.costing.work import LayerWork
from snn_keras.analysis.operations import OperationCounter
from snn_keras.analysis.recording import neurons_of
from snn_keras.analysis.spikes import steps_of_runs
from snn_keras.inputs import batches, check_count, check_data
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs


def energy(
    snn: SpikingModel,
    x: Inputs,
    batch_size: int = 32,
    hardware: str | Hardware = "45 nm",
    levels: int | None = None,
) -> Energy:
    r"""Counts operations and memory of a run, and of the same network without spikes.

    **Operations**

    * A spike costs one addition at every weight that it reaches, whatever the weight's
      value; a spike that carries a size costs a shift besides. Weights on zero padding
      are not counted.
    * Linear operations without weights hand a spike on, once to every output that
      depends on the spike's element: average pooling folds into later weights. So do
      batch normalization and other scalings of channels; a constant factor of 0 hands
      nothing on. A spike that reaches a neuron without meeting a weight (a shortcut)
      costs one addition there.
    * Numbers cost a multiplication and an addition at every weight: once per run if
      they do not change (everything before the first neuron), at every step after a
      temporal difference.
    * In a product of two signals, a spike costs one addition at every element of the
      other signal that it meets, and one to the sum of its own; a pair of elements of
      which one is a number costs a multiplication and an addition at every step.
    * Neurons cost, for steps and spikes, what their cell's `operations` says. Extra
      steps of SRP and COS count as steps; their spikes do not count.

    **Memory**

    * A spike is written once as an event, the neuron's address and what the spike
      carries, and read by every layer that it reaches. At each synapse a weight is
      read, and a potential is read and written.
    * With bit maps, every neuron has a place at every step, which is written once and
      read at every synapse, spike or not. Where there is a spike, a weight is read;
      sums stay in registers.
    * A neuron reads and writes its potential and reads its constant current (its bias,
      or what comes from the input) at every step, bit-serial neurons once a run; what
      else it remembers, its cell's `accesses` says.
    * A multiplication reads its weight and its number.
    * Words lie in the first level of memory that holds all of the layer's.

    **The opponents** are the same network without spikes, as `Energy` describes them.
    An activation reads its bias, is compared and written; a quantized one is also
    multiplied and shifted, from the scale of the sums to its own. Which activations are
    0 is read off the spikes: those of neurons that are silent in the run. With
    `input_frames`, the opponent runs for every frame, whose elements are numbers.

    Both networks have the same synapses. They follow from a layer's linear form:
    Keras's layers have one, and `snn_keras.linear.form` registers one for yours. Any
    other layer whose rule is linear (`snn_keras.rule`) is tried out, and counted as
    one matrix, with a weight wherever an output depends on an input, whatever the
    values of its trainable weights.

    Not counted for any of them: control, communication between cores, leakage, random
    numbers, and other nonlinear functions without weights (max pooling, softmax, ...).
    Of attention, the projections and both products are counted. Other layers with
    weights raise an error.

    Args:
        snn: A `SpikingModel`.
        x: Inputs, of any kind that `predict` accepts; all batches of a dataset are
            read.
        batch_size: Samples per batch.
        hardware: A key of `HARDWARE`, or a `Hardware`.
        levels: Levels above 0 of the opponents' activations; by default, as many as a
            run of the neurons tells apart: T of integrate-and-fire neurons.

    Returns:
        An `Energy`.

    Raises:
        ValueError: if an argument does not fit, or if the operations of a layer cannot
            be determined.

    Source: of the operations, Datta et al. 2024, section A.4; of the memory of spikes,
    Lemaire et al., "An Analytical Estimation of Spiking Neural Networks Energy
    Efficiency", 2022; of the bits of the opponent, Yan et al., "Reconsidering the
    Energy Efficiency of Spiking Neural Networks", 2024. `docs/energy.md` has the rest.
    """
    price = hardware_of(hardware)
    return count(snn, x, batch_size, levels).priced(price)


@dataclasses.dataclass(frozen=True)
class Counted:
    """The work of runs, means over samples, which can be priced on any hardware.

    Attributes:
        layers: `{name: LayerWork}`.
        steps: Steps of a run, including extra steps.
        bits: As of `Energy`.
    """

    layers: dict[str, LayerWork]
    steps: float
    bits: int

    def priced(self, hardware: str | Hardware) -> Energy:
        """The energy on a hardware."""
        price = hardware_of(hardware)
        works = list(self.layers.values())
        rate = rate_of(works, self.steps)
        spiking, opponents = against(works, price, rate)
        layers = {name: _layer(work, price) for name, work in self.layers.items()}
        return Energy(
            spiking, opponents, rate, self.steps, self.bits, layers, price.name
        )


def count(
    snn: SpikingModel, x: Inputs, batch_size: int = 32, levels: int | None = None
) -> Counted:
    """Counts the work of runs; arguments are those of `energy`."""
    own = levels_by_layer(snn, levels)
    cells = {name: layer.cell for name, layer in neurons_of(snn).items()}
    counter = OperationCounter(snn)
    x = check_data(x, snn.program.graph)
    samples = len(tree.flatten(x)[0])
    totals: dict[str, LayerWork] = {}
    all_steps = 0.0
    for part in batches(x, batch_size):
        runs = len(tree.flatten(part)[0])
        steps = steps_of_runs(snn, part, runs).astype("float64") + snn.extra_steps
        all_steps += steps.sum()
        for name, found in counter.of_batch(part, steps, own).items():
            work = layer_work(found, steps, cells.get(name)).each(np.sum)
            totals[name] = totals[name] + work if name in totals else work
    layers = {
        name: work.each(lambda total: float(total / samples))
        for name, work in totals.items()
    }
    return Counted(layers, float(all_steps / samples), bits_of(max(own.values())))


def levels_by_layer(snn: SpikingModel, levels: int | None = None) -> dict[str, int]:
    """The levels of the activations that each layer of neurons stands for."""
    if levels is not None:
        levels = check_count("levels", levels)
    return {
        name: levels or levels_of(layer.cell, snn.coding)
        for name, layer in neurons_of(snn).items()
    }


def rate_of(works: list[LayerWork], steps: float) -> float:
    """Spikes per neuron and step."""
    neurons = sum(work.neurons for work in works)
    return sum(work.spikes for work in works) / (neurons * steps)


def _layer(work, hardware):
    """The `LayerEnergy` of a layer's work."""
    rate = work.arrivals / work.places if work.places else None
    spiking, opponents = against([work], hardware, rate)
    return LayerEnergy(spiking, opponents, rate, work.spikes, work.neurons)
