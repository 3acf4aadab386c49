"""The sections of a report on answers: accuracy or error, and disagreements."""

from collections.abc import Sequence

from snn_keras.analysis.accuracy import plot_accuracy_over_time
from snn_keras.analysis.plots import (
    MOST_CLASSES,
    plot_confusion_of_disagreements,
    whole_steps,
)
from snn_keras.analysis.reporting.figures import ReportFigures
from snn_keras.analysis.reporting.html import (
    Html,
    element,
    figure,
    number,
    section,
    table,
)
from snn_keras.analysis.reporting.pictures import drawn, thumbnails
from snn_keras.analysis.reporting.sections import MOST_ROWS, some
from snn_keras.typing import Inputs

MOST_FLIPS = 24  # most samples with different answers that are shown


def accuracy(figures: ReportFigures) -> Html:
    """The section on accuracy, or the error of numbers, against time steps."""
    found = figures.accuracy
    if found is None:
        text = "There are no labels: accuracy is not known, see the disagreements."
        return section("accuracy", "Accuracy", element("p", text))
    measure, title = found.measure, found.measure.capitalize()
    steps, reached = found.timesteps, found.spiking

    def row(name, value):
        return name, number(value, found.form), _difference(value, found)

    rows = [
        ("source", number(found.source, found.form), ""),
        *(row(f"T = {steps[i]}", reached[i]) for i in some(range(len(steps)))),
    ]
    if not steps:
        rows.append(row("spiking, at rest", found.at_end))
    header = ("network", measure, "minus the source")
    children = [table(f"{title} on {figures.samples:,} samples", header, rows)]
    if len(steps) > 1:
        children.insert(0, _picture(figures.network.source, found, title))
    note = " ".join(filter(None, (_note_on_answers(figures), _note_on_steps(figures))))
    return section(
        "accuracy",
        title,
        element("p", note) if note else [],
        element("div", children, class_="pair"),
    )


def _picture(name, found, title):
    def plot(ax):
        if found.measure == "accuracy":
            plot_accuracy_over_time(
                {name: found.spiking},
                {name: found.source},
                ax,
                {name: found.timesteps},
            )
        else:
            _plot_error(name, found, ax)
        ax.legend(frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))

    alt = f"{title} of the spiking network by time steps, and of its source as a line"
    caption = f"{title} by time steps; dashed, the source network."
    return figure(drawn(plot, alt), caption)


def _plot_error(name, found, ax):
    steps, reached = found.timesteps, found.spiking
    label = f"{name}: spiking, T = {steps[-1]}: {reached[-1]:.4g}"
    (line,) = ax.plot(steps, reached, marker="o", label=label)
    label = f"{name}: source network: {found.source:.4g}"
    ax.axhline(found.source, color=line.get_color(), linestyle="--", label=label)
    ax.set(xlabel="time steps T", ylabel=found.measure)
    whole_steps(ax)
    ax.grid(alpha=0.3)


def _difference(value, found):
    if found.measure == "accuracy":
        points = 100 * (value - found.source)
        return element("data", f"{points:+.2f} points", value=repr(points))
    return number(value - found.source, "{:+.4g}")


def _note_on_answers(figures):
    """Says what counts as an answer, unless it is a sample's class."""
    found = figures.disagreements
    several = found.answers // found.samples
    text = {
        "classes": "",
        "sides": "An answer is the side of 1/2 on which an output lies.",
        "numbers": "",
    }[found.answer]
    return f"A sample has {several:,} answers. {text}".strip() if several > 1 else text


def _note_on_steps(figures):
    network = figures.network
    if network.timesteps == "settle":
        return "The network runs until no neuron fires any more: it has one answer."
    if network.extra_steps:
        return (
            f"Before the run come {network.extra_steps} extra steps, which cost as "
            "much as any other."
        )
    if network.neurons == ("BitSerialCell",):
        return (
            "Bit-serial neurons have no answer before their last bit: every number of "
            "steps is a run of its own, with signals of so many bits."
        )
    return ""


def disagreements(
    figures: ReportFigures, x: Inputs, class_names: Sequence[str] | None
) -> Html:
    """The section on answers that differ, and their samples."""
    found = figures.disagreements
    children = [element("p", found.summary())]
    if found.pairs:
        children.append(_pairs(found, class_names))
    elif found.flips and found.flips[0].source is not None:
        children.append(_largest(found.flips))
    if found.count:
        children.append(_flips(found, x, class_names))
    return section("disagreements", "Disagreements", children)


def _pairs(found, class_names):
    """The pairs of different answers, as a matrix and as a table."""
    classes = {k for pair in found.pairs for k in (pair.source, pair.spiking)}

    def plot(ax):
        plot_confusion_of_disagreements(found, class_names, ax)

    alt = "Matrix of the answers of both networks, where they differ"
    caption = "How often which answer of the source became which other one."
    rows = [
        (
            _class(pair.source, class_names),
            _class(pair.spiking, class_names),
            number(pair.count),
        )
        for pair in found.pairs[:MOST_ROWS]
    ]
    header = ("source", "spiking network", "answers")
    pair = [
        figure(drawn(plot, alt, min(MOST_CLASSES, max(6, len(classes)))), caption),
        table("The most frequent pairs of answers", header, rows),
    ]
    return element("div", pair, class_="pair")


def _largest(flips):
    """A table of the numbers that differ most."""
    names = {"source": "source", "spiking": "spiking network", "label": "right"}
    kinds = [k for k in names if getattr(flips[0], k) is not None]
    rows = [
        (str(flip.sample), *(number(getattr(flip, k), "{:.4g}") for k in kinds))
        for flip in flips[:MOST_ROWS]
    ]
    header = ("sample", *(names[k] for k in kinds))
    return table("The largest differences", header, rows)


def _flips(found, x, class_names):
    """The samples with different answers, shown as pictures if they are images."""
    flips = found.flips[:MOST_FLIPS]
    images = thumbnails(x, [flip.sample for flip in flips])
    if not images:
        return []
    items = []
    for flip in flips:
        lines = [f"no. {flip.sample}", *_lines(flip, found, class_names)]
        text = [element("span", line) for line in lines]
        items.append(element("li", figure(images[flip.sample], text)))
    title = f"Samples whose answer flips, {len(flips)} of {len(found.flips):,}"
    return [element("h3", title), element("ul", items, class_="thumbnails")]


def _lines(flip, found, class_names):
    if flip.source is None:
        several = found.answers // found.samples
        return [f"{flip.count:,} of {several:,} differ"]

    def said(value):
        if found.answer == "numbers":
            return f"{value:.4g}"
        return _class(value, class_names)

    names = {"source": "source", "spiking": "spiking", "label": "right"}
    answers = {names[k]: getattr(flip, k) for k in names}
    return [f"{k}: {said(y)}" for k, y in answers.items() if y is not None]


def _class(value, class_names):
    return str(value if class_names is None else class_names[value])
