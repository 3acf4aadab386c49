"""What a killed run may leave behind: whole files, and remnants that have a name."""

import csv
import json
import re
import zipfile

import numpy as np

# Temporary files, and those that a run which goes on reads.
REMNANT = re.compile(r"\..+\.(partial|before)(\..+)?$")
UNFINISHED = re.compile(r"(\..+\.(backup\.npz|kept\.keras)|.+\.unfinished\.json)$")


def finals(folder):
    """The files that are no remnants."""
    found = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder).parts
        if path.is_file() and not any(REMNANT.match(part) for part in inner):
            found.append(path)
    return found


def remnants(folder):
    """What a finished run may not leave behind."""
    return [
        path.name
        for path in folder.rglob("*")
        if REMNANT.match(path.name) or UNFINISHED.match(path.name)
    ]


def check(folder):
    """Reads every file that is there; a corrupt one raises an error.

    Hidden files that are neither remnants nor known are an error, too.
    """
    for path in finals(folder):
        if path.name.startswith(".") and not UNFINISHED.match(path.name):
            raise AssertionError(f"{path} is unknown")
        READERS.get(path.suffix, lambda path: path.read_bytes())(path)


def _keras(path):
    import snn_keras

    assert snn_keras.load_model(path).weights


def _npz(path):
    with np.load(path) as file:
        assert [file[name] for name in file.files]


def _csv(path):
    with open(path) as file:
        rows = list(csv.reader(file))
    assert rows and len({len(row) for row in rows}) == 1, rows


def _html(path):
    assert path.read_text().endswith("</html>\n")


def _png(path):
    import matplotlib.image

    assert matplotlib.image.imread(path).size


def _tflite(path):
    from snn_keras import export

    assert export.TFLiteNetwork(path).timesteps


def _nir(path):
    from snn_keras import export

    assert export.from_nir(path).weights


def _zip(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None


READERS = {
    ".keras": _keras,
    ".npz": _npz,
    ".json": lambda path: json.loads(path.read_text()),
    ".csv": _csv,
    ".html": _html,
    ".png": _png,
    ".tflite": _tflite,
    ".nir": _nir,
}


def without_times(value):
    """Nested lists and dicts without what a clock says, and without folders."""
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in ("seconds", "command")}
        return {k: without_times(v) for k, v in kept.items()}
    if isinstance(value, list):
        return [without_times(x) for x in value]
    return value
