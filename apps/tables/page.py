"""The page that shows what the papers print beside our rows, and all rows."""

import pathlib
import textwrap

from ..notes import filled
from . import claims
from .papers import PAPERS, Ours, Picture, Theirs
from .rows import TABLES

NOTES = pathlib.Path(__file__).with_name("notes.md")

LOST = """\
## What few steps cost

A source network with T levels in each activation, its thresholds as they are, is the
spiking network of T steps without error in time: both round to T levels, and the
spiking one loses the rest to the order in which its spikes arrive (Huang et al. 2024,
eq. 7 and 8).
"""


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
            f"### {table.title}, {images} test images",
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
        papers="\n".join(_papers(metrics)),
        lost="\n".join(_lost(metrics)),
        missing="\n".join(_open(metrics)),
    )


def _papers(metrics):
    """Each paper: its tables, theirs and ours, its figures, and its claims."""
    for name, paper in PAPERS.items():
        yield from (f"## {paper.title}", "", f"Its claims are on {paper.claimed_on}.")
        for table in paper.tables:
            yield from ("", f"### {table.title}", "")
            if isinstance(table, Picture):
                yield f"![{table.title}](results/{table.file})"
                words = table.note
            else:
                yield from _beside(paper, table, metrics)
                words = f"{table.note} {_unmeasured(table, metrics)}".strip()
            yield from ("", *textwrap.wrap(words, 88, break_on_hyphens=False))
        yield from ("", "### What it claims", "", *_claims(name, metrics), "")


def _on(paper, name):
    """A table's data set and network; whether the paper's claims are on the data."""
    table = TABLES[name]
    return table.title + ("" if table.dataset in paper.datasets else " *(ours)*")


def _beside(paper, table, metrics):
    """A paper's table: its lines, and those of our rows that have figures."""
    names = table.columns or [f"T = {t}" for t in table.timesteps]
    costs = ["spikes", "energy"] if table.with_costs else []
    header = ["method", "on", "source", *names, "+ steps", *costs]
    yield _line(header)
    yield _line(["---"] * len(header))
    for line in table.lines:
        if isinstance(line, Theirs):
            cells = ["" if x is None else f"*{x:.2f}*" for x in (line.ann, *line.snn)]
            texts = [f"*{line.text}*", f"*{line.network}*"]
            yield _line([*texts, *cells, "", *("" for _ in costs)])
        elif found := metrics.get((line.table, line.key)):
            seeds = f", {found['seeds']} seeds" if found["seeds"] > 1 else ""
            reached = dict(zip(found["timesteps"], _accuracies(found), strict=True))
            yield _line(
                [
                    line.row.method,
                    _on(paper, line.table) + seeds,
                    percent(found["ann"]),
                    *(reached.get(t, "") for t in table.timesteps),
                    str(found["extra_steps"] or ""),
                    *(_costs(found) if costs else ()),
                ]
            )


def _unmeasured(table, metrics):
    """The rows of a paper's table that have no figures."""
    lines = [line for line in table.lines if isinstance(line, Ours)]
    keys = [(line.table, line.key) for line in lines]
    names = ["_".join(key) for key in keys if key not in metrics]
    return f"No figures yet: {', '.join(map('`{}`'.format, names))}." if names else ""


def _claims(name, metrics):
    """What a paper claims, and whether it is so here."""
    yield _line(["claim", "on", "here", "figures"])
    yield _line(["---"] * 4)
    for claim, table, answer, text in claims.answers(metrics):
        if claim.paper == name:
            yield _line([claim.text, _on(PAPERS[name], table), answer, text])


def _lost(metrics):
    """What few steps cost, where it is measured."""
    lines = list(_rounded(metrics))
    return [LOST, *lines] if lines else []


def _rounded(metrics):
    """Source networks with T levels beside spiking ones with T steps."""
    for name, table in TABLES.items():
        found = [(r, metrics.get((name, r.key), {})) for r in table.rows if r.rounds]
        found = [(row, figures) for row, figures in found if figures.get("at_t_levels")]
        if not found:
            continue
        header = [table.title, "source", *(f"T = {t}" for t in table.timesteps)]
        yield from (_line(header), _line(["---"] * len(header)))
        for row, figures in found:
            spiking = dict(zip(figures["timesteps"], figures["snn"], strict=True))
            for text, reached in (
                ("source, T levels", figures["at_t_levels"]),
                ("spiking, T steps", spiking),
            ):
                cells = [percent(reached[t]) for t in table.timesteps]
                method = row.method.removesuffix(", integrate-and-fire")
                yield _line([f"{method}: {text}", percent(figures["ann"]), *cells])
        yield ""


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
                *_costs(found),
            ]
        )


def _costs(found):
    """Spikes and energy of a run of four steps."""
    energy = f"{found['energy_at_4']:.3f}" if "energy_at_4" in found else ""
    return f"{found['spikes_at_4']:,.0f}", energy


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
