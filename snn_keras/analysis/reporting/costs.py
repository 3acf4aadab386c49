"""The sections of a report on spikes, energy and single neurons."""

from collections.abc import Mapping

import numpy as np

from snn_keras.analysis.costing import HARDWARE, Energy
from snn_keras.analysis.costing.hardware import KINDS
from snn_keras.analysis.costing.result import where
from snn_keras.analysis.plots import plot_crossing, plot_energy, plot_spike_rates
from snn_keras.analysis.reporting.figures import ReportFigures
from snn_keras.analysis.reporting.html import (
    Html,
    element,
    figure,
    number,
    percent,
    section,
    table,
)
from snn_keras.analysis.reporting.pictures import drawn
from snn_keras.analysis.reporting.sections import some
from snn_keras.analysis.traces import plot_potentials, plot_raster

LANES = 8  # number of neurons whose potentials are drawn


def spikes(figures: ReportFigures) -> Html:
    """The section on spikes and their rates, by layer and by step."""
    found = figures.spikes
    layers = found.layers

    def row(name, layer):
        return (
            name,
            number(layer.spikes, "{:,.1f}"),
            number(layer.neurons),
            percent(layer.rate),
            percent(layer.sparsity),
        )

    rows = [row(name, layer) for name, layer in layers.items()]
    rows.append(row("whole network", found))
    header = ("layer", "spikes a sample", "neurons", "rate", "sparsity")
    alt = "Spikes a neuron and step of every layer, in percent"
    caption = "Spikes a neuron and step, in percent."
    picture = drawn(lambda ax: plot_spike_rates(found, ax), alt, len(layers))
    tables = [
        table("Spikes, a run of one sample", header, rows),
        _spikes_over_time(found),
    ]
    children = [figure(picture, caption), element("div", tables)]
    return section(
        "spikes",
        "Spikes",
        element(
            "p",
            f"Means over {figures.inspected:,} samples. The rate is spikes divided "
            "by neurons and steps, sparsity the rest.",
        ),
        element("div", children, class_="pair"),
    )


def _spikes_over_time(found):
    layers = found.layers
    if any(layer.over_time is None for layer in layers.values()):
        return []
    rows = [
        (
            f"step {t + 1}",
            *(number(layer.over_time[t], "{:,.1f}") for layer in layers.values()),
        )
        for t in some(range(found.steps))
    ]
    return table("Spikes a sample at each step", ("", *layers), rows)


def energy(figures: ReportFigures) -> Html:
    """The section on operations, memory and energy, beside the opponents."""
    found = figures.energy
    origins = [element("li", f"{name}: {HARDWARE[name].source}.") for name in found]
    alt = "Energy of the spiking network and of its opponents, by what it goes into"
    bars = drawn(lambda ax: plot_energy(found, ax), alt, 3 * len(found))
    alt = "Energy over the quantized opponent's by spike rate, with their crossings"
    lines = drawn(lambda ax: plot_crossing(found, ax), alt)
    return section(
        "energy",
        "Operations, memory and energy",
        element("p", f"{verdict(found)} Means over {figures.inspected:,} samples."),
        element(
            "div",
            figure(bars, "Energy of an inference, by what it goes into."),
            figure(
                lines,
                "Energy over that of the quantized network, if all spikes become rarer "
                "or more frequent; dotted, operations alone; dots, as measured.",
            ),
            class_="pair",
        ),
        element("div", _energies(found), element("ul", origins)),
        element("div", _operations(found), _memory(found), class_="pair"),
        _by_layer(found),
    )


def verdict(energies: Mapping[str, Energy]) -> str:
    """A sentence on what the spiking network costs, whether it wins or loses."""
    parts = []
    for name, found in energies.items():
        fair = found.opponents[found.fairest]
        text = f"{found.ratio:.2f} times on {name}, {where(fair.crossing)}"
        parts.append(text)
    first = next(iter(energies.values()))
    return (
        "Beside the same network without spikes, with whole numbers and activations of "
        f"up to {first.bits} bits (zeros skipped where that costs less), the spiking "
        f"network at its spike rate of {first.rate:.2%} costs {'; '.join(parts)}."
    )


def _sides(found):
    """The costs of all networks by name."""
    others = {name: opponent.cost for name, opponent in found.opponents.items()}
    return {"spiking network": found.spiking, **others}


def _energies(found):
    first = next(iter(found.values()))

    def row(name, energy):
        fair = energy.opponents[energy.fairest]
        costs = (number(x.energy / 1e3, "{:,.1f}") for x in _sides(energy).values())
        at = "" if fair.crossing is None else percent(fair.crossing)
        return (name, *costs, number(energy.ratio, "{:.3f}"), at)

    header = ("hardware", *_sides(first), "of the fairest", "equal at")
    rows = [row(name, energy) for name, energy in found.items()]
    return table("Energy of an inference, nJ", header, rows)


def _operations(found):
    sides = _sides(next(iter(found.values())))
    rows = [
        (name, *(number(getattr(cost, kind), "{:,.0f}") for kind in KINDS))
        for name, cost in sides.items()
    ]
    return table("Operations of an inference", ("network", *KINDS), rows)


def _memory(found):
    sides = _sides(next(iter(found.values())))
    words = list(dict.fromkeys(w for cost in sides.values() for w in cost.memory))

    def cell(cost, name):
        if name not in cost.memory:
            return ""
        return number(cost.memory[name].bits / 8192, "{:,.1f}")

    rows = [
        (name, *(cell(cost, word) for word in words)) for name, cost in sides.items()
    ]
    title = "Memory that an inference reads and writes, KiB"
    return table(title, ("network", *words), rows)


def _by_layer(found):
    first = next(iter(found.values()))
    rows = []
    for name, layer in first.layers.items():
        costs = (number(x.energy / 1e3, "{:,.2f}") for x in _sides(layer).values())
        fair = layer.opponents[first.fairest]
        shares = ("" if x is None else percent(x) for x in (layer.rate, fair.crossing))
        rows.append((name, *costs, *shares))
    header = ("layer", *_sides(first), "spike rate", "equal at")
    return table(f"Energy by layer on {first.hardware}, nJ", header, rows)


def neurons(figures: ReportFigures) -> Html:
    """The section on spikes and potentials of single neurons, for one sample."""
    found = figures.traces
    layers = found.layers

    def array(name, key):
        """[neurons, T] -> [T, 1, neurons]"""
        return np.asarray(getattr(layers[name], key)).T[:, None]

    spikes = {name: array(name, "spikes") for name in layers}
    lanes = max(1, LANES // len(layers))
    potentials = {name: array(name, "potentials")[..., :lanes] for name in layers}
    thresholds = {name: layer.thresholds for name, layer in layers.items()}
    known = None if None in thresholds.values() else thresholds

    def plot(ax):
        numbers = {name: layer.neurons for name, layer in layers.items()}
        plot_potentials(potentials, known, spikes, numbers, ax=ax)

    rows = sum(z.shape[-1] for z in spikes.values()) / 4
    lanes = sum(u.shape[-1] for u in potentials.values())
    alt = "Which of the chosen neurons fire at which step"
    raster = drawn(lambda ax: plot_raster(spikes, ax=ax), alt, rows)
    alt = "Membrane potentials of chosen neurons at every step, with their thresholds"
    traces = drawn(plot, alt, 1.4 * lanes)
    listed = [
        (
            name,
            number(len(layer.neurons)),
            number(int(np.count_nonzero(layer.spikes))),
            ", ".join(map(str, layer.neurons)),
        )
        for name, layer in layers.items()
    ]
    header = ("layer", "neurons", "spikes", "their numbers")
    return section(
        "neurons",
        "Single neurons",
        element("p", f"Sample {found.sample}, {found.timesteps} steps."),
        element(
            "div",
            figure(raster, "Spikes: a bar each; a cross where one is taken back."),
            figure(
                traces,
                "Membrane potentials after each step, each on a scale of its own.",
            ),
            class_="pair",
        ),
        table("The neurons shown", header, listed),
    )
