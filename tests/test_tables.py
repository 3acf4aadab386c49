"""The rows of docs/results.md: their trainings, and one of them from nothing."""

import itertools
import json
import pathlib

import pytest
from absl import flags
from absl.testing import flagsaver

from apps.tables import trainings
from apps.tables.rows import TABLES, named
from apps.training import flags as training_flags
from tests.programs import once, program


@pytest.fixture(scope="module", autouse=True)
def defined():
    """The flags of `apps.train`."""
    if "recipe" not in flags.FLAGS:
        training_flags.define()


@pytest.mark.parametrize("name", trainings.TRAININGS)
def test_trainings_are_commands(name):
    dataset = next(d for d in TABLES if name.startswith(f"{d}_"))
    source = name.removeprefix(f"{dataset}_")
    *_, last = chain = trainings.chain(dataset, source)
    assert last == source
    for earlier, later in itertools.pairwise(chain):
        command = trainings.command(dataset, later, pathlib.Path("runs"))
        assert f"--init=runs/{dataset}_{earlier}.keras" in command
    with flagsaver.flagsaver():
        command = trainings.command(dataset, source, pathlib.Path("runs"))
        assert flags.FLAGS(["train", *command]) == ["train"]
        assert flags.FLAGS.output == f"runs/{name}.keras"


def test_every_row_has_a_training():
    for dataset, row in named().values():
        assert f"{dataset}_{row.source}" in trainings.TRAININGS


@once
def test_a_row_from_nothing(tmp_path):
    printed = program(
        *("reproduce", "--row=digits_plain_if", f"--output={tmp_path}"),
        *("--change=--epochs=1,--progress=none", "--samples=50"),
    )
    assert "here: source " in printed and "T = 16: " in printed
    figures = json.loads((tmp_path / "results/digits_plain_if.json").read_text())
    assert figures["samples"] == 50 and len(figures["snn"]) == 16
    assert "--init=" in figures["trained"]
