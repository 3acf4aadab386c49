"""What the site does beside MkDocs: first page, notebooks, formulas as MathML."""

import functools
import html
import pathlib
import re
import sys

from latex2mathml.converter import convert
from mkdocs.structure.files import File

sys.path.append(str(pathlib.Path(__file__).parent))
import notebooks

README = pathlib.Path(__file__).parents[2] / "README.md"
# As pymdownx.arithmatex leaves formulas in a page, in a line and by themselves.
FORMULAS = {
    "inline": r'<span class="arithmatex">\\\((.*?)\\\)</span>',
    "block": r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>',
}
# The dash that mkdocstrings puts before the text of a result that has no name.
NAMELESS = re.compile(r'(<li class="doc-section-item field-body">\s*)\u2013\s')


def on_files(files, config):
    """Adds the README as the first page, its links seen from docs/."""
    text = README.read_text().replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown, page, config, files):
    """Says at the head of a tutorial that there is a notebook of it."""
    source = pathlib.PurePath(page.file.src_uri)
    if source.parent.name != "tutorials":
        return markdown
    title, rest = markdown.split("\n", 1)
    # HTML, for MkDocs would look for the file among the pages.
    link = f'<a href="{source.stem}.ipynb" download>This page as a notebook.</a>'
    return f"{title}\n\n{link}\n{rest}"


def on_post_build(config):
    """Writes the notebooks beside the pages of the tutorials."""
    notebooks.write_all(pathlib.Path(config["site_dir"]) / "tutorials")


def on_page_content(content, page, config, files):
    """Renders formulas, so that reading a page takes no script and no network."""
    content = NAMELESS.sub(r"\1", content)
    for display, formula in FORMULAS.items():
        render = functools.partial(_mathml, display=display)
        content = re.sub(formula, render, content, flags=re.DOTALL)
    return content


def _mathml(formula, display):
    rendered = convert(html.unescape(formula[1]).strip(), display=display)
    return rendered if display == "inline" else f'<div class="formula">{rendered}</div>'
