"""Plots of the results of analysis, readable without colour."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from snn_keras.analysis.costing import Energy
from snn_keras.analysis.costing.opponents import FAIR
from snn_keras.analysis.costing.result import COLUMNS
from snn_keras.analysis.disagreement import Disagreements
from snn_keras.analysis.layer_errors import Mismatch
from snn_keras.analysis.spikes import SpikeStatistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Pairs of fill and hatch, the lightest first.
FILLS = (
    {"facecolor": "#dbe7f3", "hatch": ""},
    {"facecolor": "#8fb3d9", "hatch": "////"},
    {"facecolor": "#3b6fa8", "hatch": "xxxx"},
    {"facecolor": "#f2c14e", "hatch": "...."},
)
MOST_CLASSES = 12  # most rows and columns of a readable matrix


def plot_mismatch(mismatch: Mismatch, ax: "Axes | None" = None) -> "Axes":
    """Draws the shares of neurons that are off by whole steps, one bar per layer.

    Neurons that send too little are on the left, those that send too much on the
    right. The share of the others is printed next to the layer's name.

    Args:
        mismatch: The result of `analysis.mismatch`.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.
    """
    layers = mismatch.layers
    ax = new_axes(ax, rows=len(layers))
    sides = ((-1, ("-1", "-2", "below")), (1, ("+1", "+2", "above")))
    reached = [0.1]
    for row, figures in enumerate(layers.values()):
        for sign, names in sides:
            start = 0.0
            for name, fill, size in zip(names, FILLS, ("1", "2", "more"), strict=False):
                share = 100 * figures.off[name]
                label = f"off by {size}" if (row, sign) == (0, 1) else None
                _bar(ax, row, sign * share, sign * start, label=label, **fill)
                start += share
        reached.append(max(100 * sum(figures.off[k] for k in s) for _, s in sides))
    ax.axvline(0, color="black", linewidth=1)
    most = 1.08 * max(reached)
    ax.set(xlim=(-most, most), xlabel="share of neurons (%): too little | too much")
    ax.xaxis.set_major_formatter(lambda x, _: f"{abs(x):g}")
    names = [f"{k}\n{v.off['0']:.1%} right" for k, v in layers.items()]
    _rows(ax, names)
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=3)
    return ax


def plot_spike_rates(statistics: SpikeStatistics, ax: "Axes | None" = None) -> "Axes":
    """Draws the spike rate of every layer, per neuron and step, in percent.

    Args:
        statistics: The result of `analysis.spike_statistics`.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.
    """
    layers = statistics.layers
    ax = new_axes(ax, rows=len(layers))
    bars = [*layers.values(), statistics]
    for row, figures in enumerate(bars):
        share = 100 * figures.rate
        _bar(ax, row, share, 0, **FILLS[figures is statistics])
        ax.annotate(
            f"{share:.1f}",
            (share, row),
            (4, 0),
            textcoords="offset points",
            va="center",
        )
    ax.margins(x=0.15)
    ax.set(xlabel="spikes a neuron and step (%)")
    _rows(ax, [*layers, "whole network"])
    return ax


def plot_energy(energies: Mapping[str, Energy], ax: "Axes | None" = None) -> "Axes":
    """Draws the energy of a run and of its opponents, by what it goes into.

    Args:
        energies: `{name: result of analysis.energy}`, such as one for each hardware.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.
    """
    bars = [
        (f"{side}\n{name}", cost, found)
        for name, found in energies.items()
        for side, cost in _sides(found).items()
    ]
    ax = new_axes(ax, rows=len(bars))
    most = max(cost.energy for _, cost, _ in bars)
    unit, size = ("µJ", 1e6) if most >= 1e6 else ("nJ", 1e3)
    for row, (_, cost, found) in enumerate(bars):
        start = 0.0
        for (kind, part), fill in zip(_parts(cost).items(), FILLS, strict=True):
            label = None if row else kind
            _bar(ax, row, part / size, start, label=label, **fill)
            start += part / size
        text = f"{cost.energy / size:.3g}"
        if cost is not found.spiking:
            text += f" ({found.spiking.energy / cost.energy:.2f} of it with spikes)"
        ax.annotate(text, (start, row), (4, 0), textcoords="offset points", va="center")
    ax.set(xlabel=f"energy of an inference ({unit})", xlim=(0, 1.75 * most / size))
    _rows(ax, [name for name, *_ in bars])
    ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=4)
    return ax


def _sides(found):
    """The costs of the spiking network and of its quantized opponents."""
    return {"spiking": found.spiking, **{k: found.opponents[k].cost for k in FAIR}}


def _parts(cost):
    """The energy of a cost by what it goes into, under the names of the legend."""
    by_column = {
        column: sum(cost.memory[w].energy for w in words if w in cost.memory)
        for column, words in COLUMNS.items()
    }
    signals = by_column["spikes"] + by_column["numbers"]
    states = by_column["potentials"]
    return {
        "operations": cost.operations,
        "weights": by_column["weights"],
        "potentials": states,
        "spikes, activations": signals,
    }


def plot_crossing(energies: Mapping[str, Energy], ax: "Axes | None" = None) -> "Axes":
    """Draws energy over the fairest opponent's against the spike rate.

    All spikes become rarer or more frequent alike. Dots are what was measured, rings
    where both cost the same; dotted lines are operations alone, without memory.

    Args:
        energies: `{name: result of analysis.energy}`, of networks that spike.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.
    """
    ax = new_axes(ax, rows=8)
    for name, found in energies.items():
        opponent = found.opponents[found.fairest]
        shares, colour = np.linspace(0, 2, 41), None
        for versus, style in (
            (opponent.with_memory, "-"),
            (opponent.without_memory, ":"),
        ):
            label = f"{name} (over {found.fairest})" if style == "-" else None
            ratios = versus.at(shares)
            rates = 100 * shares * found.rate
            (line,) = ax.plot(rates, ratios, style, label=label, color=colour)
            colour = line.get_color()
            ax.plot(100 * found.rate, versus.at(1.0), "o", color=colour, markersize=4)
            if versus.crossing and versus.crossing <= 2 * found.rate:
                at = 100 * versus.crossing
                ax.plot(at, 1, "o", color=colour, markersize=9, fillstyle="none")
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set(xlabel="spikes a neuron and step (%)", ylabel="energy over the opponent's")
    ax.set(xlim=0, yscale="log")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)
    return ax


def plot_confusion_of_disagreements(
    disagreements: Disagreements,
    class_names: Sequence[str] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws a matrix of the answers of both networks where these differ.

    If there are too many classes, the most frequent are drawn.

    Args:
        disagreements: The result of `analysis.disagreements`, for classes or sides.
        class_names: Names of the classes, in order; their numbers by default.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ValueError: if the answers are numbers.
    """
    pairs = disagreements.pairs
    if pairs is None:
        raise ValueError(
            "numbers have no confusion matrix. Received: disagreements with "
            f"answer={disagreements.answer!r}. Remedy: those of classes or sides."
        )
    classes, left_out = _most_frequent(pairs)
    ax = new_axes(ax, rows=max(6, len(classes)))
    title = f"{disagreements.count:,} of {disagreements.answers:,} answers differ"
    ax.set_title(title + (f", {left_out} not drawn" if left_out else ""), fontsize=10)
    if not classes:
        ax.set_axis_off()
        return ax
    matrix = np.zeros((len(classes), len(classes)), int)
    place = {name: i for i, name in enumerate(classes)}
    for pair in pairs:
        if pair.source in place and pair.spiking in place:
            matrix[place[pair.source], place[pair.spiking]] = pair.count
    ax.imshow(matrix, cmap="Blues", vmin=0, vmax=max(1, matrix.max()))
    for (i, j), count in np.ndenumerate(matrix):
        text = str(count) if count else ("-" if i == j else "")
        dark = count > 0.6 * matrix.max()
        color = "white" if dark else "black"
        ax.text(j, i, text, ha="center", va="center", color=color)
    names = [str(c if class_names is None else class_names[c]) for c in classes]
    at = np.arange(len(classes))
    turned = {"rotation": 60, "ha": "right"} if max(map(len, names)) > 3 else {}
    ax.set_xticks(at, names, **turned)  # type: ignore[arg-type]  # keywords by name
    ax.set_yticks(at, names)
    ax.set(xlabel="answer of the spiking network", ylabel="answer of the source")
    return ax


def new_axes(ax: "Axes | None", rows: float, width: float = 7) -> "Axes":
    """`ax`, or new axes with room for `rows` rows."""
    if ax is not None:
        return ax
    import matplotlib.pyplot as plt

    size = (width, height_of(rows))
    return plt.subplots(figsize=size, layout="constrained")[1]


def height_of(rows: float) -> float:
    """The height, in inches, of a plot with `rows` rows."""
    return 1.4 + 0.42 * max(rows, 3)


def whole_steps(ax: "Axes") -> None:
    """Puts the ticks of the time axis at whole steps."""
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _bar(ax, row, width, start, **style):
    edge = 0.7 if width else 0
    style = {"height": 0.62, "edgecolor": "black", "linewidth": edge, **style}
    ax.barh(row, width, left=start, **style)


def _rows(ax, names):
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    ax.grid(axis="x", alpha=0.3)
    ax.set_axisbelow(True)


def _most_frequent(pairs):
    """The classes to draw, in order, and the number of disagreements of the others."""
    count = {}
    for pair in pairs:
        for name in (pair.source, pair.spiking):
            count[name] = count.get(name, 0) + pair.count
    classes = sorted(sorted(count, key=lambda c: -count[c])[:MOST_CLASSES])
    out = (p.count for p in pairs if not {p.source, p.spiking} <= set(classes))
    return classes, sum(out)
