"""The summary of a report, and its sections on mismatch and plan."""

from collections.abc import Sequence

import numpy as np

from snn_keras.analysis.layer_errors import OFF
from snn_keras.analysis.plots import plot_mismatch
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

MOST_ROWS = 17  # most rows of a table over time


def summary(figures: ReportFigures) -> Html:
    """The most important figures, side by side."""
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", number(value, form)))
            for name, value, form in figures.headlines()
        ],
        class_="summary",
    )


def mismatch(figures: ReportFigures) -> Html:
    """The section on errors of decoded signals, layer by layer."""
    found = figures.mismatch
    title = "Mismatch by layer"
    if found is None:
        text = (
            "The source's neurons send 0 or 1 at random: there is no activation to "
            "compare with."
        )
        return section("mismatch", title, element("p", text))
    layers = found.layers

    def plot(ax):
        plot_mismatch(found, ax)

    rows = [
        (
            name,
            number(layer.mean, "{:+.3f}"),
            number(layer.std, "{:.3f}"),
            *(percent(layer.off[key]) for key in OFF),
            number(layer.own, "{:.3f}"),
        )
        for name, layer in layers.items()
    ]
    labels = {"below": "less than -2", "above": "more than +2"}
    header = ("layer", "mean", "std", *(labels.get(k, k) for k in OFF), "own error")
    alt = "Share of neurons of every layer that are off by one, two or more steps"
    caption = (
        "Share of neurons that send too little (left) or too much (right), by how many "
        "quantization steps."
    )
    return section(
        "mismatch",
        title,
        element(
            "p",
            "Decoded output of the spiking neurons minus the source's activation, in "
            f"quantization steps, {found.samples:,} samples. In short: "
            f"{found.diagnosis}",
        ),
        figure(drawn(plot, alt, len(layers)), caption),
        table("Mismatch in quantization steps, share of neurons", header, rows),
    )


def plan(figures: ReportFigures) -> Html:
    """The section on what each layer of the source became."""
    found = figures.plan
    title = "Plan"
    if found is None:
        text = (
            "The source was quantized before it was converted: it has no plan itself."
        )
        return section("plan", title, element("p", text))
    caption = "What each layer of the source becomes"
    return section(
        "plan",
        title,
        element("p", f"{found.verdict}."),
        table(caption, found.header, found.rows),
    )


def some(items: Sequence) -> Sequence:
    """At most `MOST_ROWS` of the items, including the last."""
    items = list(items)
    if len(items) <= MOST_ROWS:
        return items
    chosen = np.geomspace(1, len(items), MOST_ROWS).round().astype(int) - 1
    return [items[i] for i in np.unique(chosen)]
