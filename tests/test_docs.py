"""Every block of Python in the docs runs, in order, page by page."""

import pathlib
import re
import shutil

import keras
import numpy as np
import pytest

DOCS = pathlib.Path(__file__).parent.parent / "docs"
PAGES = [
    *sorted(DOCS.glob("*.md")),
    *sorted(DOCS.glob("tutorials/*.md")),
    DOCS.parent / "CONTRIBUTING.md",
]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
OUTPUT = re.compile(r"^```text\n(.*?)^```", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"[-+]?\d[\d.,]*(e[-+]?\d+)?")
WITH_CODE = [page for page in PAGES if BLOCK.search(page.read_text())]

# What the pages train takes longer when it runs eagerly.
pytestmark = pytest.mark.compiled


def _marks(page):
    # Tutorials train.
    return pytest.mark.slow if page.parent.name == "tutorials" else ()


@pytest.mark.parametrize(
    "page", [pytest.param(p, marks=_marks(p), id=p.stem) for p in WITH_CODE]
)
def test_blocks_run(page, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = page.read_text()
    if "to_c(" in text and shutil.which("cc") is None:
        pytest.skip("there is no C compiler. Remedy: one named cc, such as gcc's")
    names = {}
    for block in BLOCK.finditer(text):
        line = text[: block.start()].count("\n") + 1
        exec(compile("\n" * line + block.group(1), str(page), "exec"), names)
    printed = lines_of(capsys.readouterr().out)
    assert printed
    # What is shown as output is what is printed, but for its numbers.
    shown = lines_of("\n".join(OUTPUT.findall(text)))
    assert shown <= printed, sorted(shown - printed)


def lines_of(output):
    """Its lines, without what differs between machines: numbers, and widths."""
    lines = NUMBER.sub("#", output).replace("-", " ").splitlines()
    return {" ".join(line.split()) for line in lines if line.strip()}


def test_the_readme_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    names = {"model": _classifier()}
    for part in ("calib", "train", "test", "held_out"):
        names[f"x_{part}"] = rng.uniform(size=(32, 8, 8, 1)).astype("float32")
        names[f"y_{part}"] = rng.integers(0, 3, 32)
    text = (DOCS.parent / "README.md").read_text()
    for block in BLOCK.finditer(text):
        exec(compile(block.group(1), "README.md", "exec"), names)
    assert "becomes" in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {
        "net.tflite",
        "net.nir",
        "report.html",
    }


def _classifier():
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(3)(x))


def test_there_are_pages_with_code():
    stems = {page.stem for page in WITH_CODE}
    assert {"export", "1_convert", "5_your_own", "CONTRIBUTING"} <= stems
