"""The plots of a comparison."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from snn_keras.analysis.comparing.result import Comparison, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^vP*X"


def plot_comparison(comparison: Comparison) -> "Figure":
    """Draws the answers against steps and against energy, side by side.

    Args:
        comparison: The result of `snn_keras.compare`.

    Returns:
        A new figure.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(10, 4.4), sharey=True, layout="constrained"
    )
    plot_over_time(comparison, left)
    plot_against_energy(comparison, right)
    right.set_ylabel("")
    left.get_legend().remove()
    return figure


def plot_over_time(comparison: Comparison, ax: "Axes") -> None:
    """Draws the answers against time steps, a line for each neuron.

    The dashed line is the source.

    Args:
        comparison: The result of `snn_keras.compare`.
        ax: Matplotlib axes to draw on.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    steps = sorted({row.timesteps for row in comparison.rows})
    for rows, style in _lines(comparison):
        ax.plot([row.timesteps for row in rows], _percent(rows), **style)
    ax.set_xscale("log", base=2)
    ax.xaxis.set_major_locator(FixedLocator(steps))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    ax.set_xlabel("time steps T")
    _finish(comparison, ax)


def plot_against_energy(comparison: Comparison, ax: "Axes") -> None:
    """Draws the answers against energy, a line for each neuron.

    The numbers beside the points are time steps. A ring marks what no other network
    beats; the dashed lines are the source.

    Args:
        comparison: The result of `snn_keras.compare`.
        ax: Matplotlib axes to draw on.
    """
    from matplotlib.ticker import LogLocator, NullFormatter

    for rows, style in _lines(comparison):
        points = list(zip(_nanojoules(rows), _percent(rows), strict=True))
        ax.plot(*zip(*points, strict=True), **style)
        for row, point in zip(rows, points, strict=True):
            ax.annotate(
                str(row.timesteps),
                point,
                (5, -9),
                textcoords="offset points",
                fontsize=7,
            )
    best = comparison.unbeaten()
    ax.scatter(
        _nanojoules(best),
        _percent(best),
        s=110,
        facecolors="none",
        edgecolors="black",
        linewidths=0.8,
        label="no other beats",
    )
    energy = comparison.source.energy / 1e3
    ax.axvline(energy, color="black", linestyle="--", linewidth=1)
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(lambda x, _: f"{x:,g}")
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("energy of an inference (nJ)")
    _finish(comparison, ax)


def _lines(comparison: Comparison) -> Iterator[tuple[list[Row], dict]]:
    """The rows of each neuron, and the style of its line."""
    for i, name in enumerate(dict.fromkeys(row.neuron for row in comparison.rows)):
        rows = [row for row in comparison.rows if row.neuron == name]
        marker = MARKERS[i % len(MARKERS)]
        yield rows, {"marker": marker, "label": name, "markersize": 5}


def _percent(rows):
    return [100 * row.quality for row in rows]


def _nanojoules(rows):
    return [row.energy / 1e3 for row in rows]


def _finish(comparison, ax):
    quality = 100 * comparison.source.quality
    ax.axhline(quality, color="black", linestyle="--", linewidth=1, label="source")
    ax.set_ylabel(f"{comparison.measure} (%)")
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8)
