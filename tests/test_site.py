"""The documentation's site: all that is public is in it, and it builds."""

import importlib
import importlib.util
import inspect
import json
import os
import pathlib
import re
import subprocess
import sys

import pytest

import snn_keras

DOCS = pathlib.Path(__file__).parents[1] / "docs"
CONFIG = DOCS / "site" / "mkdocs.yml"
PUBLIC = [
    *(
        "layers",
        "neurons",
        "coding",
        "time",
        "ops",
        "rules",
        "linear",
        "callbacks",
        "regularizers",
    ),
    *("analysis", "export", "interop", "applications", "errors"),
]
DIRECTIVE = re.compile(r"^::: (\S+)\n((?: {4}.*\n)*)", re.MULTILINE)
HEADING = re.compile(r"^ +heading: (\S+)$", re.MULTILINE)


def names_of(module):
    """The classes and functions of ours that a module shows."""
    return {
        f"{module.__name__}.{name}"
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith("snn_keras")
    }


def described(page):
    """The names that a page of the reference describes, as it calls them."""
    found = set()
    for path, options in DIRECTIVE.findall(page.read_text()):
        heading = HEADING.search(options)
        found.add(heading[1] if heading else path)
    return found


def test_every_public_name_of_the_package_is_in_the_reference():
    assert names_of(snn_keras) <= described(DOCS / "api" / "snn_keras.md")


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_of_a_module_is_in_the_reference(name):
    module = importlib.import_module(f"snn_keras.{name}")
    assert names_of(module) == described(DOCS / "api" / f"{name}.md")


def test_what_the_reference_names_exists():
    for page in sorted((DOCS / "api").glob("*.md")):
        for path, _ in DIRECTIVE.findall(page.read_text()):
            module, name = path.rsplit(".", 1)
            assert hasattr(importlib.import_module(module), name), path


def test_every_page_is_in_the_navigation():
    pages = {
        str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md") if page.is_file()
    }
    navigation = CONFIG.read_text().split("\nnav:\n")[1]
    listed = re.findall(r"(\S+\.md)$", navigation, re.MULTILINE)
    assert sorted(listed) == sorted({*pages, "index.md"})


def test_notebooks_have_the_code_and_the_outputs_of_the_tutorials(tmp_path):
    done = subprocess.run(
        [sys.executable, DOCS / "site" / "notebooks.py", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )
    files = [pathlib.Path(line) for line in done.stdout.splitlines()]
    pages = sorted(DOCS.glob("tutorials/*.md"))
    assert [file.stem for file in files] == [page.stem for page in pages]
    for file, page in zip(files, pages, strict=True):
        made = json.loads(file.read_text())
        cells = {"code": [], "markdown": [], "text": []}
        for cell in made["cells"]:
            cells[cell["cell_type"]].append("".join(cell["source"]))
            for shown in cell.get("outputs", ()):
                cells["text"].append("".join(shown["text"]).rstrip())
        text = page.read_text()
        # test_docs.py runs these blocks, in this order.
        for kind, language in (("code", "python"), ("text", "text")):
            blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.S | re.M)
            assert cells[kind] == [block.rstrip() for block in blocks]
        assert made["nbformat"] == 4 and "```python" not in "".join(cells["markdown"])


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path):
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed. Remedy: make docs, which installs it.")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet"]
    result = subprocess.run(
        [*command, "--config-file", str(CONFIG), "--site-dir", str(tmp_path / "site")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert (result.returncode, result.stderr) == (0, "")
    reference = (tmp_path / "site" / "api" / "layers.html").read_text()
    assert "<math" in reference and "arithmatex" not in reference
    tutorials = tmp_path / "site" / "tutorials"
    pages = {page.stem for page in tutorials.glob("*.html")}
    assert pages == {page.stem for page in tutorials.glob("*.ipynb")} and pages
    assert "1_convert.ipynb" in (tutorials / "1_convert.html").read_text()
    pages = [page.read_text() for page in (tmp_path / "site").rglob("*.html")]
    loaded = [
        re.findall(r'(?:src|rel="stylesheet" href)="(http\S+)"', p) for p in pages
    ]
    assert not any(loaded)  # nothing is fetched when a page is read
