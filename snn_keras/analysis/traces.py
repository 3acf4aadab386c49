"""Plots of single neurons over time, readable without colour."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from snn_keras.analysis.plots import new_axes, whole_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANE = 0.78  # height of a trace; lanes have the distance 1


def plot_raster(
    spikes: Mapping[str, np.ndarray], sample: int = 0, ax: "Axes | None" = None
) -> "Axes":
    """Draws a raster plot: a bar for each spike, a cross for each negative spike.

    Args:
        spikes: `{layer: (timesteps, batch, ...)}`, the result of
            `analysis.record(..., traces=True)`.
        sample: The index of a sample of the batch.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ValueError: if there is no such sample, or no time axis.
    """
    trains = {name: of_sample(z, name, sample) for name, z in spikes.items()}
    neurons = sum(z.shape[1] for z in trains.values())
    ax = new_axes(ax, rows=min(neurons / 3, 24))
    first, middles = 0, []
    for z in trains.values():
        for sign, marker in ((1, "|"), (-1, "x")):
            steps, who = np.nonzero(np.sign(z) == sign)
            ax.plot(
                steps + 1,
                who + first,
                linestyle="",
                marker=marker,
                color="black",
                markersize=max(2.0, min(7.0, 220 / neurons)),
            )
        middles.append(first + (z.shape[1] - 1) / 2)
        first += z.shape[1]
        ax.axhline(first - 0.5, color="grey", linewidth=0.7)
    ax.set_yticks(middles, list(trains))
    ax.tick_params(axis="y", length=0)
    ax.set(
        xlabel="time step",
        ylabel="neurons",
        xlim=(0.5, len(z) + 0.5),
        ylim=(neurons - 0.5, -0.5),
    )
    whole_steps(ax)
    return ax


def plot_potentials(
    potentials: Mapping[str, np.ndarray],
    thresholds: Mapping[str, np.ndarray] | None = None,
    spikes: Mapping[str, np.ndarray] | None = None,
    neurons: Mapping[str, Sequence[int]] | None = None,
    sample: int = 0,
    ax: "Axes | None" = None,
) -> "Axes":
    """Draws potentials over time, each neuron in its own lane and scale.

    Args:
        potentials: `{layer: (timesteps, batch, neurons)}`, the result of
            `analysis.record(..., what="potentials", traces=True, neurons=...)`.
        thresholds: `{layer: (neurons,)}`, drawn as dashed lines, or None.
        spikes: As for `plot_raster`, of the same neurons; drawn as triangles.
        neurons: `{layer: numbers of the neurons}` for the labels.
        sample: The index of a sample of the batch.
        ax: Matplotlib axes to draw on; new ones by default.

    Returns:
        The axes.

    Raises:
        ValueError: if there is no such sample, or no time axis.
    """
    lanes = []
    for name, values in potentials.items():
        u = of_sample(values, name, sample)
        z = None if spikes is None else of_sample(spikes[name], name, sample)
        for i in range(u.shape[1]):
            number = i if neurons is None else neurons[name][i]
            theta = None if thresholds is None else thresholds[name][i]
            fired = None if z is None else z[:, i]
            lanes.append((f"{name}\nneuron {number}", u[:, i], theta, fired))
    ax = new_axes(ax, rows=len(lanes))
    for row, (_, u, theta, fired) in enumerate(lanes):
        _lane(ax, row, u, theta, fired)
    ax.set_yticks(range(len(lanes)), [label for label, *_ in lanes])
    ax.set(
        xlabel="time step",
        xlim=(0.5, len(lanes[0][1]) + 0.5),
        ylim=(len(lanes) - 0.45, -0.65),
    )
    whole_steps(ax)
    handles, labels = ax.get_legend_handles_labels()
    ax.legend(
        handles,
        labels,
        frameon=False,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(labels),
    )
    return ax


def of_sample(values: np.ndarray, name: str, sample: int) -> np.ndarray:
    """One sample's values `(timesteps, neurons)`, from `(timesteps, batch, ...)`."""
    values = np.asarray(values)
    if values.ndim < 2 or not 0 <= sample < values.shape[1]:
        raise ValueError(
            f"'{name}': sample {sample} of traces (timesteps, batch, ...) is wanted. "
            f"Received shape {values.shape}. Remedy: analysis.record(..., traces=True)."
        )
    return values[:, sample].reshape(len(values), -1)


def _lane(ax, row, u, theta, fired):
    """Draws one neuron, scaled so that potentials, 0 and threshold fill the lane."""
    range_of = [*u, 0.0] if theta is None else [*u, 0.0, theta]
    low, high = min(range_of), max(range_of)

    def place(value):
        share = (np.asarray(value) - low) / ((high - low) or 1.0)
        return row + LANE / 2 - LANE * share

    steps = np.arange(1, len(u) + 1)
    label = None if row else "potential"
    ax.plot(steps, place(u), color="#1f4e8c", marker=".", linewidth=1.2, label=label)
    if theta is not None:
        label = None if row else "threshold"
        ax.axhline(
            place(theta), color="black", linestyle="--", linewidth=0.8, label=label
        )
    if fired is None:
        return
    for sign, marker, label in ((1, "^", "spike"), (-1, "v", "taken back")):
        at = steps[np.sign(fired) == sign]
        if len(at) or (sign == 1 and not row):
            heights = np.full(len(at), row - LANE / 2 - 0.06)
            style = {"color": "#b3261e", "marker": marker, "markersize": 4}
            known = ax.get_legend_handles_labels()[1]
            label = None if label in known else label
            ax.plot(at, heights, linestyle="", label=label, **style)
