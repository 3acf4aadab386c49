"""Runs the tutorials, and keeps the pictures that they draw: docs/tutorials/*.png."""

import contextlib
import pathlib
import re
import shutil
import tempfile

TUTORIALS = pathlib.Path(__file__).parents[1] / "tutorials"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\((\w+\.png)\)")


def main():
    for page in sorted(TUTORIALS.glob("*.md")):
        text = page.read_text()
        if not PICTURE.search(text):
            continue
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            names = {}
            for code in BLOCK.findall(text):
                exec(compile(code, str(page), "exec"), names)
            for name in PICTURE.findall(text):
                shutil.copy(name, TUTORIALS)
                print("wrote", TUTORIALS / name)


if __name__ == "__main__":
    main()
