"""The page that shows the figures of all rows, and a picture for each table."""

import pathlib

from snn_keras import files

from ..notes import filled
from . import claims
from .rows import TABLES

NOTES = pathlib.Path(__file__).with_name("notes.md")


# Of trainings: figure, what it is, and its line.
EPOCHS = (
    ("val_accuracy", "source network, test images", "--"),
    ("snn_accuracy_4", "spiking network, T = 4, images held out", "-"),
)


def page(metrics, counted_images):
    """The text of docs/results.md, from `{(table, row.key): figures}`."""
    lines = []
    for name, table in TABLES.items():
        rows = [row for row in table.rows if (name, row.key) in metrics]
        if not rows:
            continue
        figures = [metrics[name, row.key] for row in rows]
        images = " or ".join(sorted({f"{f['samples']:,}" for f in figures}))
        lines += [
            f"## {table.title}, {images} test images",
            "",
            f"{table.network}.",
            "",
            f"![Accuracy over time steps](results/{name}.png)",
            "",
            *_sources(rows, figures),
            "",
            *_methods(table, rows, figures),
            "",
        ]
    return filled(
        NOTES,
        images=str(counted_images),
        tables="\n".join(lines),
        claims="\n".join(_claims(metrics)),
        missing="\n".join(_open(metrics)),
    )


def _claims(metrics):
    """What the papers claim, and whether it is so here."""
    yield _line(["claim", "table", "here", "figures"])
    yield _line(["---"] * 4)
    for claim, title, answer, text in claims.answers(metrics):
        yield _line([claim.text, title, answer, text])


def _open(metrics):
    """The rows that have no figures."""
    for name, table in TABLES.items():
        rows = [row for row in table.rows if (name, row.key) not in metrics]
        if rows:
            names = ", ".join(f"`{name}_{row.key}`" for row in rows)
            yield f"* {table.title}: {names}"


def _sources(rows, figures):
    """The source networks, and what trained them; of several seeds, with --seed=N.

    The epoch whose network is kept, of the first seed, where the training says it.
    """
    header = ["source network", "seeds", "accuracy", "epoch kept", "trained by"]
    yield _line(header)
    yield _line(["---"] * len(header))
    pairs = list(zip(rows, figures, strict=True))
    for source in dict.fromkeys(row.source for row in rows):
        found = [figure for row, figure in pairs if row.source == source]
        most = max(found, key=lambda figure: figure["seeds"])
        trained = f"`{found[0]['trained']}`"
        kept = str(found[0].get("kept_epoch", ""))
        yield _line([source, str(most["seeds"]), percent(most["ann"]), kept, trained])


def _methods(table, rows, figures):
    names = [f"T = {t}" for t in table.timesteps]
    header = ["method", "seeds", "source", *names, "+ steps", "spikes", "energy"]
    yield _line(header)
    yield _line(["---"] * len(header))
    for row, found in zip(rows, figures, strict=True):
        cells = dict(zip(found["timesteps"], _accuracies(found), strict=True))
        yield _line(
            [
                row.method,
                str(found["seeds"]),
                percent(found["ann"]),
                *(cells.get(t, "") for t in table.timesteps),
                str(found["extra_steps"] or ""),
                f"{found['spikes_at_4']:,.0f}",
                f"{found['energy_at_4']:.3f}" if "energy_at_4" in found else "",
            ]
        )
        if paper := table.papers.get(row.key):
            cells = [paper.ann, *(paper.snn.get(t) for t in table.timesteps)]
            cells = ["" if x is None else f"*{x:.2f}*" for x in cells]
            yield _line([f"*{paper.text}*", "", *cells, "", "", ""])


def _accuracies(found):
    """Those at all T, with the standard deviation of several seeds."""
    means = [percent(x) for x in found["snn"]]
    if "spread" not in found:
        return means
    spreads = [percent(x) for x in found["spread"]]
    return [f"{m} ± {s}" for m, s in zip(means, spreads, strict=True)]


def percent(share):
    """A share as a percentage, without the sign."""
    return f"{100 * share:.2f}"


def _line(cells):
    return "| " + " | ".join(cells) + " |"


STYLES = {"srp": ":", "cos": "-.", "signed": "--", "bit_serial": (0, (1, 1))}


def _figure():
    """A figure and its axes, drawn without a screen."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.subplots(figsize=(10, 5), layout="constrained")


def _write(fig, ax, path):
    """Writes a figure of accuracies."""
    import matplotlib.pyplot as plt

    ax.grid(alpha=0.3)
    ax.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    with files.written_whole(path) as partial:
        fig.savefig(partial, dpi=130, format="png")
    plt.close(fig)


def draw(name, metrics, path):
    """Draws accuracy against time steps of all rows of a table, and the sources'."""
    table = TABLES[name]
    fig, ax = _figure()
    sources = list(dict.fromkeys(row.source for row in table.rows))
    for row in table.rows:
        found = metrics.get((name, row.key))
        if found is None:
            continue
        place = sources.index(row.source)
        ax.plot(
            found["timesteps"],
            [100 * x for x in found["snn"]],
            color=f"C{place}",
            linestyle=STYLES.get(row.neuron, "-"),
            marker="osD^v<>P"[place % 8],
            markersize=3.5,
            label=row.method,
        )
    ax.set_xscale("log", base=2)
    ax.set_xticks(table.timesteps, [str(t) for t in table.timesteps])
    ax.set(xlabel="time steps T", ylabel="test accuracy (%)")
    ax.set_title(f"{table.title}, {table.network}", fontsize=10)
    _write(fig, ax, path)


def draw_epochs(histories, path):
    """Draws the accuracy of trainings after every epoch.

    Args:
        histories: `{name: {figure: [value of every epoch]}}`.
        path: Where the picture goes.
    """
    fig, ax = _figure()
    for place, (name, history) in enumerate(histories.items()):
        for figure, label, line in EPOCHS:
            values = [100 * x for x in history[figure]]
            epochs = range(1, len(values) + 1)
            ax.plot(epochs, values, f"C{place}{line}", label=f"{name}: {label}")
    ax.set(xlabel="epochs", ylabel="accuracy (%)")
    _write(fig, ax, path)
