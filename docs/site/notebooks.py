"""Notebooks of the tutorials, made from their pages.

    python docs/site/notebooks.py build/notebooks

Text becomes Markdown cells; blocks of Python, code cells; what a page shows as output,
the output of the cell before it. `make docs` writes each beside its page.
"""

import json
import pathlib
import re
import sys

TUTORIALS = pathlib.Path(__file__).parents[1] / "tutorials"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```\n", re.DOTALL | re.MULTILINE)


def notebook(text: str) -> dict:
    """The notebook of a page, in the format that Jupyter calls 4.5."""
    cells, end = [], 0
    for block in BLOCK.finditer(text):
        _add_text(cells, text[end : block.start()])
        kind, content = block.groups()
        if kind == "python":
            cell = {"cell_type": "code", "execution_count": None, "outputs": []}
            cells.append({**cell, "metadata": {}, "source": _lines(content.rstrip())})
        elif cells and cells[-1]["cell_type"] == "code":
            shown = {"output_type": "stream", "name": "stdout", "text": _lines(content)}
            cells[-1]["outputs"].append(shown)
        else:
            _add_text(cells, block[0])
        end = block.end()
    _add_text(cells, text[end:])
    for number, cell in enumerate(cells):
        cell["id"] = f"cell-{number}"
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    about = {"kernelspec": kernel, "language_info": {"name": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": about, "cells": cells}


def _add_text(cells, text):
    if text.strip():
        source = _lines(text.strip())
        cells.append({"cell_type": "markdown", "metadata": {}, "source": source})


def _lines(text):
    return text.splitlines(keepends=True)


def write_all(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes a notebook for each tutorial; returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for page in sorted(TUTORIALS.glob("*.md")):
        file = folder / f"{page.stem}.ipynb"
        file.write_text(json.dumps(notebook(page.read_text()), indent=1) + "\n")
        written.append(file)
    return written


if __name__ == "__main__":
    print(*write_all(pathlib.Path(sys.argv[1])), sep="\n")
