"""Formats tables and lists as plain text."""

import sys
from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Formats rows of strings as a table; the first row is the header."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join(lines)


def listed(items: Sequence[str], most: int = 10) -> str:
    """Formats items for a sentence, naming at most `most` of them.

    >>> listed(["a", "b", "c", "d"], most=2)
    'a, b and 2 more'
    """
    items = list(items)
    if len(items) > most:
        items, rest = items[:most], f"{len(items) - most} more"
        return f"{', '.join(items)} and {rest}"
    return " and ".join(filter(None, [", ".join(items[:-1]), *items[-1:]]))


def progress(verbose: int | str = "auto") -> int:
    """How progress is shown, as Keras counts: 1, a bar; 2, a line at the end; 0, not.

    `"auto"` is a bar where it can move, on a terminal or in a notebook, and a line in a
    file, which a bar would fill.
    """
    if verbose != "auto":
        return int(verbose)
    return 1 if sys.stdout.isatty() or "ipykernel" in sys.modules else 2


def telling_line(error: Exception) -> str:
    """The line of an error's message that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [x for x in lines if not x.startswith("Exception encountered")]
    found = (telling or lines or [type(error).__name__])[0]
    return found.removeprefix("\x1b[1m").removesuffix("\x1b[0m")
