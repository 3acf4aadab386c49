"""The result of `energy`."""

import dataclasses
import math

from snn_keras.analysis.costing.opponents import FAIR
from snn_keras.figures import Figures
from snn_keras.text import table
from snn_keras.typing import Array

# The columns of memory that are printed, and the words that go into each.
COLUMNS = {
    "weights": ("weights", "constants"),
    "potentials": ("potentials", "sums"),
    "spikes": ("spikes", "bit maps"),
    "numbers": ("numbers", "activations", "summed"),
}


@dataclasses.dataclass(frozen=True)
class Access(Figures):
    """Words of memory that are read and written: means over samples.

    Attributes:
        reads, writes: Number of words.
        bits: Number of bits of all these words.
        energy: What they cost, in picojoules.
        level: The level of memory that holds them; those of all layers in a sum.
    """

    reads: float
    writes: float
    bits: float
    energy: float
    level: str


@dataclasses.dataclass(frozen=True)
class Cost(Figures):
    """Operations and memory, and their energy: means over samples.

    Attributes:
        multiply, add, shift, compare: Number of operations of each kind.
        operations: What they cost, in picojoules.
        memory: `{words: Access}`. The words are `"weights"`; `"constants"`: biases, and
            currents of the input; `"potentials"` at the neurons' steps, and `"sums"`:
            potentials to which arriving events are added; `"spikes"` as events, or
            `"bit maps"`; `"numbers"` that meet weights in the spiking network;
            `"activations"` in a network without spikes, and `"summed"`, those that
            pools and shortcuts read.
        energy: What operations and memory cost together, in picojoules.
    """

    multiply: float
    add: float
    shift: float
    compare: float
    operations: float
    memory: dict[str, Access]
    energy: float


@dataclasses.dataclass(frozen=True)
class Versus(Figures):
    """The spiking network's energy over an opponent's, by spike rate.

    Attributes:
        ratio: At the spike rate that was measured; None if the opponent costs nothing.
        silent: Without spikes; None as `ratio`.
        crossing: The spike rate at which both cost the same, if all spikes become rarer
            or more frequent alike; 0 where the spiking network costs more even without
            spikes; None where there are no spikes.
    """

    ratio: float | None
    silent: float | None
    crossing: float | None

    def at(self, share: Array) -> Array:
        """The ratio if there were so many times the spikes; NaN where it has none."""
        if self.ratio is None or self.silent is None:
            return share * math.nan
        return self.silent + (self.ratio - self.silent) * share


@dataclasses.dataclass(frozen=True)
class Opponent(Figures):
    """A network without spikes, and the spiking network beside it.

    Attributes:
        cost: Its `Cost`.
        with_memory: `Versus`, of operations and memory.
        without_memory: `Versus`, of operations alone.
    """

    cost: Cost
    with_memory: Versus
    without_memory: Versus

    @property
    def ratio(self) -> float | None:
        """`with_memory.ratio`."""
        return self.with_memory.ratio

    @property
    def crossing(self) -> float | None:
        """`with_memory.crossing`."""
        return self.with_memory.crossing


@dataclasses.dataclass(frozen=True)
class LayerEnergy(Figures):
    """What a layer costs in a run: means over samples.

    Attributes:
        spiking: `Cost` of the layer in the spiking network.
        opponents: `{name: Opponent}`, of this layer alone, as of `Energy`.
        rate: Spikes that arrive, per place and step; None where none can.
        spikes: Number of spikes that it sends; 0 if it is no layer of neurons.
        neurons: Number of its neurons; 0 if it is no layer of neurons.
    """

    spiking: Cost
    opponents: dict[str, Opponent]
    rate: float | None
    spikes: float
    neurons: int


@dataclasses.dataclass(frozen=True)
class Energy(Figures):
    """The result of `energy`: means over samples. Print it, or use `as_dict()`.

    Attributes:
        spiking: `Cost` of the spiking network.
        opponents: `{name: Opponent}`: the same network without spikes. `"float"`: in
            float32. `"quantized"`: with whole numbers, activations of as many bits as
            their levels need. `"zeros skipped"`: the same, which neither reads a weight
            nor multiplies where the activation is 0.
        rate: Spikes per neuron and step.
        steps: Steps of a run, including extra steps.
        bits: Bits of the activations of the quantized opponents, the most of any layer.
        layers: `{name: LayerEnergy}` for each layer that is counted.
        hardware: The name of the hardware.
    """

    spiking: Cost
    opponents: dict[str, Opponent]
    rate: float
    steps: float
    bits: int
    layers: dict[str, LayerEnergy]
    hardware: str

    @property
    def fairest(self) -> str:
        """The quantized opponent that costs least."""
        return min(FAIR, key=lambda name: self.opponents[name].cost.energy)

    @property
    def ratio(self) -> float:
        """Energy of the spiking network divided by that of the fairest opponent."""
        return self.spiking.energy / self.opponents[self.fairest].cost.energy

    def __str__(self):
        header = ("layer", "operations", *COLUMNS, "in all", *self.opponents)
        rows = [_row(name, layer) for name, layer in self.layers.items()]
        return "\n".join(
            [
                f"energy of an inference, nJ, on {self.hardware}; {self.steps:g} "
                "steps, means over samples",
                table([(*header, "spike rate"), *rows, _row("whole network", self)]),
                *(self._verdict(name) for name in self.opponents),
            ]
        )

    def _verdict(self, name):
        found = self.opponents[name]
        about = f", {self.bits} bits" if name == "quantized" else ""
        parts = [
            f"{x.ratio:.3f}, {where(x.crossing)}"
            for x in (found.with_memory, found.without_memory)
        ]
        return f"over {name}{about}: {parts[0]} (without memory: {parts[1]})"


def where(crossing: float | None) -> str:
    """At which spike rates the spiking network costs less, in words."""
    if crossing is None:
        return "without spikes"
    if crossing <= 0:
        return "more at every spike rate"
    if crossing >= 1:
        return "less at every spike rate"
    return f"equal at a spike rate of {crossing:.2%}"


def _row(name, figures):
    spiking = figures.spiking
    parts = [spiking.operations]
    for words in COLUMNS.values():
        parts.append(
            sum(spiking.memory[w].energy for w in words if w in spiking.memory)
        )
    parts += [spiking.energy, *(x.cost.energy for x in figures.opponents.values())]
    share = "" if figures.rate is None else f"{figures.rate:.2%}"
    return (name, *(f"{x / 1e3:,.3f}" for x in parts), share)
