"""The sections of a report on spikes, energy and single neurons."""

import numpy as np

from snn_keras.analysis.energy_of_runs import KINDS
from snn_keras.analysis.plots import plot_energy, plot_spike_rates
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

SOURCES = {
    "32 bit": "Datta et al. 2024, table 4, 32-bit numbers at 45 nm",
    "float32": "M. Horowitz, Computing's energy problem, 2014, floating point at "
    "45 nm; a comparison as an addition, a shift as in table 4 of Datta et al. 2024",
}
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
    """The section on operations and energy of both networks."""
    found = figures.energy
    first = next(iter(found.values()))
    sides = {"source": "source", "spiking": "spiking network"}
    operations = [
        (
            label,
            *(number(getattr(getattr(first, side), kind), "{:,.0f}") for kind in KINDS),
        )
        for side, label in sides.items()
    ]
    prices = [
        (
            name,
            *(number(getattr(e, side).energy / 1e3, "{:,.1f}") for side in sides),
            number(e.ratio, "{:.3f}"),
        )
        for name, e in found.items()
    ]
    constants = [
        (name, *(number(e.constants[k], "{:g}") for k in KINDS))
        for name, e in found.items()
    ]
    origins = [element("li", f"{name}: {SOURCES[name]}.") for name in found]
    layers = [
        (
            name,
            *(
                number(getattr(e.layers[name], side).energy / 1e3, "{:,.2f}")
                for e in found.values()
                for side in sides
            ),
        )
        for name in first.layers
    ]
    by_layer = [f"{label}, {name}" for name in found for label in sides.values()]
    alt = "Energy of the source and of the spiking network, by kind of operation"
    caption = "Energy of an inference, by kind of operation."
    picture = drawn(lambda ax: plot_energy(found, ax), alt, 2 * len(found))
    return section(
        "energy",
        "Operations and energy",
        element(
            "p",
            "A spike is an addition at every weight that it reaches; memory and the "
            f"moving of spikes are not counted. Means over {figures.inspected:,} "
            "samples.",
        ),
        element(
            "div",
            figure(picture, caption),
            element(
                "div",
                table("Operations of an inference", ("network", *KINDS), operations),
                table(
                    "Energy of an inference, nJ",
                    ("constants", *sides.values(), "ratio"),
                    prices,
                ),
            ),
            class_="pair",
        ),
        element(
            "div",
            element(
                "div",
                table("Picojoules an operation", ("constants", *KINDS), constants),
                element("ul", origins),
            ),
            table("Energy by layer, nJ", ("layer", *by_layer), layers),
            class_="pair",
        ),
    )


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
