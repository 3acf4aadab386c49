"""The rows of docs/results.md: their trainings, and one of them from nothing."""

import itertools
import json
import pathlib

import pytest
from absl import flags
from absl.testing import flagsaver

from apps.tables import claims, trainings
from apps.tables.page import page
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


def row_of(ann=0.9, **reached):
    """Metrics of a row, with accuracies `T1=...`."""
    return {
        "ann": ann,
        "timesteps": [int(t[1:]) for t in reached],
        "snn": list(reached.values()),
    }


def judged(rows):
    """`{claim: (whether it holds, figures)}` on Fashion-MNIST."""
    metrics = {("fashion_mnist", key): figures for key, figures in rows.items()}
    return {c.judge: (holds, text) for c, _, holds, text in claims.answers(metrics)}


@pytest.mark.parametrize(
    "first, last, everywhere, plateau",
    [(0.6, 0.9, True, True), (0.4, 0.9, False, True), (0.6, 0.7, False, False)],
)
def test_claims_of_the_noise_adaptor(first, last, everywhere, plateau):
    rows = {
        "plain_if": row_of(T1=0.5, T3=0.95, T4=0.75),
        "adaptor_if": row_of(T1=first, T3=0.1, T4=last),  # T = 3 is no power of two
        "float_if_mse": row_of(0.92),
    }
    found = judged(rows)
    assert set(found) == {claims.raises_everywhere, claims.raises_plateau}
    assert found[claims.raises_everywhere][0] == everywhere
    assert f"T = 1: {100 * (first - 0.5):+.2f}" in found[claims.raises_everywhere][1]
    assert found[claims.raises_plateau][0] == plateau
    assert "without 75.00, float network 92.00" in found[claims.raises_plateau][1]


@pytest.mark.parametrize(
    "early, late, holds",
    [(0.6, 0.5, True), (0.6, 0.8, False), (0.4, 0.3, False), (0.5, 0.5, False)],
)
def test_the_claim_of_residual_noise(early, late, holds):
    without = row_of(T1=0.5, T4=0.5, T8=0.5)
    rows = {"qcfs_if": without, "nq_if": row_of(T1=early, T4=early, T8=late)}
    assert judged(rows)[claims.helps_most_early][0] == holds


@pytest.mark.parametrize(
    "same, last, holds", [(100, 10, True), (99, 10, False), (100, 11, False)]
)
def test_the_claim_of_signed_neurons(same, last, holds):
    settled = {"same_answer": same, "samples": 100, "input_steps": 2}
    settled |= {"steps_mean": 3.0, "steps_max": last}
    rows = {"plain_signed": {**row_of(T1=0.5), "settled": settled}}
    assert judged(rows)[claims.settles][0] == holds
    assert not judged({"plain_signed": row_of(T1=0.5)})  # not measured yet


@pytest.mark.parametrize("spikes, holds", [(40.0, True), (41.0, False)])
def test_the_claim_of_bit_sparsity(spikes, holds):
    rows = {
        "bits_bit_serial": {**row_of(0.9), "spikes_at_4": 100.0},
        "sparse_bit_serial": {**row_of(0.89), "spikes_at_4": spikes},
    }
    found = judged(rows)[claims.cuts_spikes]
    assert found[0] == holds and "for 1.00 points" in found[1]


@pytest.mark.parametrize("last, holds", [(0.6, True), (0.5, False)])
def test_the_claim_of_training_at_one_step(last, holds):
    rows = {"lif_lif_stage3": row_of(T1=0.5, T2=0.4, T4=last, T5=0.9)}
    assert judged(rows)[claims.gains_with_steps][0] == holds


def test_the_page_answers_the_claims():
    shared = {"samples": 10, "trained": "a command", "extra_steps": 0}
    metrics = {
        ("mnist", key): {**row_of(T1=0.5, T16=reached), **shared, "spikes_at_4": 1.0}
        for key, reached in (("plain_if", 0.5), ("adaptor_if", 0.75))
    }
    text = page(metrics, 500)
    assert "| MNIST | no | T = 1: +0.00, T = 16: +25.00 |" in text


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
