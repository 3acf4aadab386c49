"""What the site does beside MkDocs: its first page, and formulas as MathML."""

import html
import pathlib
import re

from latex2mathml.converter import convert
from mkdocs.structure.files import File

README = pathlib.Path(__file__).parents[2] / "README.md"
# As pymdownx.arithmatex leaves formulas in a page, in a line and by themselves.
FORMULAS = (
    ("inline", re.compile(r'<span class="arithmatex">\\\((.*?)\\\)</span>', re.DOTALL)),
    ("block", re.compile(r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>', re.DOTALL)),
)


def on_files(files, config):
    """Adds the README as the first page, its links seen from docs/."""
    text = README.read_text().replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_content(content, page, config, files):
    """Renders formulas, so that reading a page takes no script and no network."""
    for display, formula in FORMULAS:
        content = formula.sub(lambda m: _mathml(m[1], display), content)  # noqa: B023
    return content


def _mathml(latex, display):
    return convert(html.unescape(latex).strip(), display=display)
