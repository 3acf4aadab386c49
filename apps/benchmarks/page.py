"""The page that shows the figures."""

import pathlib
import re

from snn_keras.untrusted import reading

from ..notes import filled
from ..records import REMEDY, Measured, read_measured

NOTES = pathlib.Path(__file__).with_name("notes.md")


def page(folder, parts):
    """The text of the page, from the figures of each backend and machine.

    Args:
        folder: Holds a file of figures for each.
        parts: Names of parts, in order.
    """
    files = sorted(folder.glob("*.json"), reverse=True)
    lines = []
    for part in parts:
        for file in files:
            entry = read_measured(file, dict[str, Measured]).get(part)
            if entry is None:
                continue
            lines += [
                f"## {part.replace('_', ' ').capitalize()}",
                "",
                f"{entry['what']} {entry['rounds']} rounds; {entry['machine']}.",
                "",
            ]
            with reading(file, "figures", REMEDY):
                lines += _table(entry["figures"])
            lines.append("")
            picture = folder / f"{part}.png"
            if picture.exists():
                lines += [f"![{entry['what']}]({folder.name}/{picture.name})", ""]
    measured = set().union(*(read_measured(file) for file in files))
    return without_figures(filled(NOTES, figures="\n".join(lines)), measured)


def _table(figures):
    """The lines of a table: ratios, milliseconds and, where measured, megabytes."""
    columns = {"ms": "milliseconds", "MB": "megabytes"}
    columns = {
        title: key
        for title, key in columns.items()
        if key == "milliseconds" or any(key in x for x in figures.values())
    }
    yield f"| case | ratio | {' | '.join(columns)} |"
    yield "|---" * (2 + len(columns)) + "|"
    for name, figure in figures.items():
        spread = ""
        if "least" in figure:
            spread = f" [{figure['least']:g}, {figure['most']:g}]"
        cells = [figure.get(key, "") for key in columns.values()]
        ratio = f"{figure['ratio']:g}{spread}"
        yield f"| {' | '.join(map(str, [name, ratio, *cells]))} |"


def without_figures(text, measured):
    """Leaves out points that end in "(part above)" where the part has no figures."""
    for point in re.findall(r"^\* .*\n(?:  .*\n)*", text, re.MULTILINE):
        part = re.search(r"\((\w[\w ]*) above\)\n$", point)
        if part and part[1].replace(" ", "_") not in measured:
            text = text.replace(point, "")
    return text
