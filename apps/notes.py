"""Pages whose words are Markdown beside the program, and whose figures it fills in."""

import pathlib
import re


def filled(path: str | pathlib.Path, **figures: str) -> str:
    """The text of a file, with `{name}` replaced by the figures of that name."""
    text = pathlib.Path(path).read_text(encoding="utf-8")
    return re.sub(r"\{(\w+)\}", lambda found: figures[found[1]], text)
