"""The sections of a report about answers: accuracy, disagreements, mismatch, plan."""

import numpy as np

from snn_keras.analysis.accuracy import plot_accuracy_over_time
from snn_keras.analysis.plots import (
    MOST_CLASSES,
    plot_confusion_of_disagreements,
    plot_mismatch,
)
from snn_keras.analysis.report.html import (
    element,
    figure,
    number,
    percent,
    section,
    table,
)
from snn_keras.analysis.report.pictures import drawn, thumbnails

MOST_ROWS = 17  # of a table over time
ROUNDING = 1e-3  # steps
MOST_FLIPS = 24  # pictures of samples with two answers


def summary(figures):
    """The figures that matter most, side by side."""
    accuracy, energy = figures["accuracy"], figures["energy"]
    entries = []
    if accuracy is not None:
        entries += [
            ("accuracy of the source", percent(accuracy["source"])),
            ("accuracy of the spiking network", percent(accuracy["at_end"])),
        ]
    entries += [
        ("answers that differ", percent(figures["disagreements"]["share"])),
        ("spikes a sample", number(figures["spikes"]["spikes"], "{:,.0f}")),
        *(
            (f"energy, {name} (source: 1)", number(found["ratio"], "{:.2f}"))
            for name, found in energy.items()
        ),
    ]
    return element(
        "dl",
        [
            element("div", element("dt", name), element("dd", value))
            for name, value in entries
        ],
        class_="summary",
    )


def accuracy(figures):
    """Accuracy against time steps, the source as a line."""
    found = figures["accuracy"]
    if found is None:
        text = "There are no labels: accuracy is not known, see the disagreements."
        return section("accuracy", "Accuracy", element("p", text))
    steps, reached = found["timesteps"], found["spiking"]
    rows = [
        ("source", percent(found["source"]), ""),
        *(
            (f"T = {steps[i]}", percent(reached[i]), _points(reached[i], found))
            for i in some(range(len(steps)))
        ),
    ]
    if not steps:
        at_end = found["at_end"]
        rows.append(("spiking, at rest", percent(at_end), _points(at_end, found)))
    header = ("network", "accuracy", "minus the source")
    children = [table(f"Accuracy on {figures['samples']:,} samples", header, rows)]
    if len(steps) > 1:
        children.insert(0, _picture_of_accuracy(figures["network"]["source"], found))
    note = _note_on_steps(figures["network"])
    return section(
        "accuracy",
        "Accuracy",
        element("p", note) if note else [],
        element("div", children, class_="pair"),
    )


def _picture_of_accuracy(name, found):
    def plot(ax):
        plot_accuracy_over_time(
            {name: found["spiking"]},
            {name: found["source"]},
            ax,
            {name: found["timesteps"]},
        )
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    alt = "Accuracy of the spiking network by time steps, and of its source as a line"
    caption = "Accuracy by time steps; dashed, the source network."
    return figure(drawn(plot, alt), caption)


def _points(value, found):
    difference = 100 * (value - found["source"])
    return element("data", f"{difference:+.2f} points", value=repr(difference))


def _note_on_steps(network):
    if network["timesteps"] == "settle":
        return "The network runs until no neuron fires any more: it has one answer."
    if network["extra_steps"]:
        return (
            f"Before the run come {network['extra_steps']} extra steps, which cost as "
            "much as any other."
        )
    if network["neurons"] == ["BitSerialCell"]:
        return (
            "Bit-serial neurons have no answer before their last bit: every number of "
            "steps is a run of its own, with signals of so many bits."
        )
    return ""


def mismatch(figures):
    """Decoded signals beside the source's activations, layer by layer."""
    found = figures["mismatch"]
    title = "Mismatch by layer"
    if found is None:
        text = (
            "The source's neurons send 0 or 1 at random: there is no activation to "
            "compare with."
        )
        return section("mismatch", title, element("p", text))
    layers = found["layers"]

    def plot(ax):
        plot_mismatch(found, ax)

    names = list(next(iter(layers.values()))["off"])
    rows = [
        (
            name,
            number(layer["mean"], "{:+.3f}"),
            number(layer["std"], "{:.3f}"),
            *(percent(layer["off"][key]) for key in names),
            number(layer["own"], "{:.3f}"),
        )
        for name, layer in layers.items()
    ]
    labels = {"below": "less than -2", "above": "more than +2"}
    header = ("layer", "mean", "std", *(labels.get(k, k) for k in names), "own error")
    worst = "No layer adds an error of its own, but for rounding."
    if found["entry"] and layers[found["entry"]]["own"] > ROUNDING:
        worst = f"Most error enters at {found['entry']}: {found['diagnosis']}"
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
            f"quantization steps, {found['samples']:,} samples. ",
            worst,
        ),
        figure(drawn(plot, alt, len(layers)), caption),
        table("Mismatch in quantization steps, share of neurons", header, rows),
    )


def disagreements(figures, x, class_names):
    """Answers that differ, and the samples that they belong to."""
    found = figures["disagreements"]
    text = (
        f"{found['count']:,} of {found['samples']:,} answers differ. "
        if found["count"]
        else f"All {found['samples']:,} answers are the source's."
    )
    if found["count"] and "gained" in found:
        text += (
            f"On {found['gained']:,} of them the spiking network alone is right, on "
            f"{found['lost']:,} the source alone."
        )
    children = [element("p", text)]
    if found["count"]:
        classes = {p[k] for p in found["pairs"] for k in ("source", "spiking")}

        def plot(ax):
            plot_confusion_of_disagreements(found, class_names, ax)

        alt = "Matrix of the answers of both networks, where they differ"
        caption = "How often which answer of the source became which other one."
        rows = [
            (
                _class(pair["source"], class_names),
                _class(pair["spiking"], class_names),
                number(pair["count"]),
            )
            for pair in found["pairs"][:MOST_ROWS]
        ]
        header = ("source", "spiking network", "samples")
        pair = [
            figure(drawn(plot, alt, min(MOST_CLASSES, max(6, len(classes)))), caption),
            table("The most frequent pairs of answers", header, rows),
        ]
        children += [element("div", pair, class_="pair"), _flips(found, x, class_names)]
    return section("disagreements", "Disagreements", children)


def _flips(found, x, class_names):
    """The samples whose answer flips, as pictures where they are images."""
    flips = found["flips"][:MOST_FLIPS]
    images = thumbnails(x, [flip["sample"] for flip in flips])
    if not images:
        return []
    items = []
    for flip in flips:
        source, spiking = (_class(flip[k], class_names) for k in ("source", "spiking"))
        lines = [f"no. {flip['sample']}", f"source: {source}", f"spiking: {spiking}"]
        if "label" in flip:
            lines.append(f"right: {_class(flip['label'], class_names)}")
        text = [element("span", line) for line in lines]
        items.append(element("li", figure(images[flip["sample"]], text)))
    title = f"Samples whose answer flips, {len(flips)} of {found['count']:,}"
    return [element("h3", title), element("ul", items, class_="thumbnails")]


def plan(figures):
    """What each layer of the source became."""
    found = figures["plan"]
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
        element("p", f"{found['verdict']}."),
        table(caption, found["header"], found["rows"]),
    )


def some(items):
    """At most `MOST_ROWS` of them, the last among them; all are in the figures."""
    items = list(items)
    if len(items) <= MOST_ROWS:
        return items
    chosen = np.geomspace(1, len(items), MOST_ROWS).round().astype(int) - 1
    return [items[i] for i in np.unique(chosen)]


def _class(number_of, class_names):
    return str(number_of if class_names is None else class_names[number_of])
