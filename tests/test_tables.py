"""The rows of docs/results.md: their trainings, and one of them from nothing."""

import functools
import itertools
import json
import pathlib
import re

import keras
import numpy as np
import pytest
from absl import flags
from absl.testing import flagsaver

import snn_keras
from apps import data, errors, results
from apps.evaluate import allow_float64, in_float64, settle, with_levels
from apps.tables import claims, packing, trainings
from apps.tables.page import page
from apps.tables.papers import PAPERS, Ours, Picture
from apps.tables.rows import TABLES, corrected, named
from apps.train import stages
from apps.training import flags as training_flags
from apps.training import recipes, uses
from snn_keras.layers import QCFS, LSQReLU
from tests.programs import once, program
from tests.tiny import make_tiny


@pytest.fixture(scope="module", autouse=True)
def defined():
    """The flags of `apps.train`."""
    if "recipe" not in flags.FLAGS:
        training_flags.define()


SOURCES = [(t, source) for t, found in trainings.TRAININGS.items() for source in found]


@pytest.mark.parametrize("table, source", SOURCES)
def test_trainings_are_commands(table, source):
    *_, last = chain = trainings.chain(table, source)
    assert last == source
    for earlier, later in itertools.pairwise(chain):
        command = trainings.command(table, later, pathlib.Path("runs"), seed=2)
        assert f"--init=runs/{table}_{earlier}.keras" in command
    for seed, suffix in ((0, ""), (2, "_seed2")):
        with flagsaver.flagsaver():
            command = trainings.command(table, source, pathlib.Path("runs"), seed)
            assert flags.FLAGS(["train", *command]) == ["train"]
            assert flags.FLAGS.output == f"runs/{table}_{source}{suffix}.keras"
            assert flags.FLAGS.seed == seed
            assert flags.FLAGS.dataset == TABLES[table].dataset
            if flags.FLAGS.recipe:
                recipes.apply(flags.FLAGS, flags.FLAGS.recipe)
            *_, last = stages(pathlib.Path("m.keras"))
            uses.check(last)


def test_no_training_overrides_its_recipe():
    """What all trainings of a table share is as the recipe of one has it."""
    for table, source in SOURCES:
        with flagsaver.flagsaver():
            flags.FLAGS(
                ["train", *trainings.command(table, source, pathlib.Path("runs"))]
            )
            recipe = recipes.RECIPES.get(flags.FLAGS.recipe, {})
            for name in recipe:
                if f"--{name}" in trainings.SHARED[table]:
                    assert flags.FLAGS[name].value == recipe[name]


def test_every_row_has_a_training():
    for table, row in named().values():
        assert row.source in trainings.TRAININGS[table]


def test_rows_have_names_of_their_own():
    for table in TABLES.values():
        assert len({row.key for row in table.rows}) == len(table.rows)


@pytest.mark.parametrize("paper", PAPERS.values(), ids=PAPERS)
def test_a_paper_is_beside_rows_of_ours(paper):
    for table in paper.tables:
        if isinstance(table, Picture):
            continue
        assert any(isinstance(line, Ours) for line in table.lines)
        for line in table.lines:
            if isinstance(line, Ours):
                assert line.row in TABLES[line.table].rows
                assert all(t <= (line.row.last or t) for t in table.timesteps)
            else:
                assert len(line.snn) == len(table.timesteps)


def test_our_own_data_is_marked():
    """A claim is about its paper's data; on other data the answer is ours."""
    shared = {"trained": "c", "extra_steps": 0, "spikes_at_4": 1.0, "seeds": 1}
    rows = {"plain_if": 0.5, "adaptor_if": 0.75}
    metrics = {
        (table, key): {**row_of(T1=0.25, T16=reached), **shared}
        for table in ("cifar10", "mnist")
        for key, reached in rows.items()
    }
    text = page(metrics, 500)
    assert "| MNIST *(ours)* | undecided |" in text
    assert "| CIFAR-10, ResNet-20 | undecided |" in text
    (theirs,) = re.findall(r"\| \*without\* .*", text)
    li = " ".join(text.split("## Huang")[0].split())
    assert "No figures yet: `cifar10_resnet18_plain_if`, " in li
    assert "`cifar10_plain_if`" not in li
    assert theirs.startswith(
        "| *without* | *CIFAR-10, ResNet-18* | *95.50* | *91.62* |"
    )


def row_of(ann=0.9, **reached):
    """Metrics of a row, with accuracies `T1=...`."""
    return {
        "samples": 10000,
        "ann": ann,
        "timesteps": [int(t[1:]) for t in reached],
        "snn": list(reached.values()),
    }


def apart(*shares, samples=10000):
    """The standard error, in points, of a difference of rows that saw other images."""
    return 100 * sum(share * (1 - share) / samples for share in shares) ** 0.5


def judged(rows, judge):
    """What is answered on Fashion-MNIST, and the figures to it."""
    metrics = {("fashion_mnist", key): figures for key, figures in rows.items()}
    (found,) = (f for c, _, *f in claims.answers(metrics) if c.judge is judge)
    return found


def test_claims_are_about_rows_of_a_table():
    for claim in claims.CLAIMS:
        tables = [{row.key for row in table.rows} for table in TABLES.values()]
        assert any(set(claim.rows) <= keys for keys in tables)
        assert claim.paper in PAPERS


@pytest.mark.parametrize(
    "first, third, last, everywhere, plateau",
    [
        (0.6, 0.96, 0.9, "yes", "yes"),
        (0.4, 0.96, 0.9, "no", "yes"),
        (0.6, 0.9, 0.9, "no", "yes"),  # every T counts, not powers of two alone
        (0.6, 0.96, 0.7, "no", "no"),
        (0.6, 0.96, 0.754, "undecided", "undecided"),
    ],
)
def test_claims_of_the_noise_adaptor(first, third, last, everywhere, plateau):
    rows = {
        "plain_if": row_of(T1=0.5, T3=0.93, T4=0.75),
        "adaptor_if": row_of(T1=first, T3=third, T4=last),
        "float_if_mse": row_of(0.92),
    }
    answer, text = judged(rows, claims.raises_everywhere)
    assert answer == everywhere
    errors = [apart(first, 0.5), apart(last, 0.75)]
    assert text == (
        f"T = 1: {100 * (first - 0.5):+.2f} ± {errors[0]:.2f}, "
        f"T = 4: {100 * last - 75:+.2f} ± {errors[1]:.2f}"
    )
    answer, text = judged(rows, claims.raises_plateau)
    assert answer == plateau
    gained = f"{100 * last - 75:+.2f} ± {errors[1]:.2f}"
    assert f"without 75.00 ({gained}), float network 92.00" in text


@pytest.mark.parametrize(
    "early, late, answer",
    [
        (0.6, 0.5, "yes"),
        (0.6, 0.8, "no"),
        (0.4, 0.3, "no"),
        (0.505, 0.5, "undecided"),
        (0.6, 0.595, "undecided"),
        (0.6, 0.65, "no"),
    ],
)
def test_the_claim_of_residual_noise(early, late, answer):
    without = row_of(T1=0.5, T3=0.5, T4=0.5, T8=0.5)
    noisy = row_of(T1=early, T3=early, T4=early, T8=late)
    rows = {"qcfs_if": without, "nq_if": noisy}
    assert judged(rows, claims.helps_most_early)[0] == answer


@pytest.mark.parametrize(
    "same, last, answer", [(100, 10, "yes"), (99, 10, "no"), (100, 11, "no")]
)
def test_the_claim_of_signed_neurons(same, last, answer):
    settled = {"same_answer": same, "samples": 100, "off_by_more_than_1e-4": 7}
    settled |= {"input_steps": 2, "steps_mean": 3.0, "steps_max": last}
    rows = {"plain_signed": {**row_of(T1=0.5), "settled": settled}}
    found, text = judged(rows, claims.settles)
    assert found == answer and "outputs differ by more than 1e-4 on 7; the" in text
    assert "float64" not in text


def test_a_network_settles_in_float64(policy):
    """Also where JAX has no float64 until it is asked for it."""
    allow_float64(False)
    rng = np.random.default_rng(0)
    activations = (LSQReLU(3, initial_step=0.3) for _ in range(2))
    layers = [(keras.layers.Dense(8), activation) for activation in activations]
    model = keras.Sequential(
        [keras.Input((6,)), *itertools.chain(*layers), keras.layers.Dense(5)]
    )
    x = rng.random((40, 6))
    wide = in_float64(model)
    assert wide.predict(x, verbose=0).dtype == "float64"
    figures, differ = settle(wide, x, 20)
    assert figures["same_answer"] == 40 and figures["off_by_more_than_1e-4"] == 0
    assert figures["largest_difference"] < 1e-12 and not differ.any()


@pytest.mark.parametrize("same, answer", [(7, "yes"), (6, "no")])
def test_where_rounding_breaks_ties_float64_answers(same, answer):
    """The claim is about real numbers; what float32 does is said beside it."""
    settled = {"same_answer": 98, "samples": 100, "off_by_more_than_1e-4": 7}
    settled |= {"input_steps": 2, "steps_mean": 3.0, "steps_max": 4}
    table, row = named()["fashion_mnist_plain_signed"]
    figures = {**row_of(T1=0.5), "settled": settled}
    assert "settled_in_float64" in results.missing_of(table, row, figures)
    wide = settled | {"same_answer": same, "samples": 7}
    figures["settled_in_float64"] = wide
    assert "settled_in_float64" not in results.missing_of(table, row, figures)
    found, text = judged({"plain_signed": figures}, claims.settles)
    assert found == answer and text.startswith("98 of 100 answers are")
    assert f"those that differ, in float64: {same} of 7 answers" in text


def test_what_was_not_measured_is_not_judged():
    metrics = {("fashion_mnist", "plain_signed"): row_of(T1=0.5)}
    assert not list(claims.answers(metrics))


@pytest.mark.parametrize(
    "spikes, accuracy, answer",
    [(40.0, 0.895, "yes"), (41.0, 0.895, "no"), (0.0, 0.1, "no")],
)
def test_the_claim_of_bit_sparsity(spikes, accuracy, answer):
    rows = {
        "bits_bit_serial": {**row_of(0.9), "spikes_at_4": 100.0},
        "sparse_bit_serial": {**row_of(accuracy), "spikes_at_4": spikes},
    }
    found, text = judged(rows, claims.cuts_spikes)
    assert found == answer and f"{100 * (accuracy - 0.9):+.2f} points" in text


@pytest.mark.parametrize(
    "last, answer", [(0.6, "yes"), (0.4, "no"), (0.5007, "undecided")]
)
def test_the_claim_of_training_at_one_step(last, answer):
    rows = {"lif_noisy_lif_stage3": row_of(T1=0.5, T2=0.4, T5=0.9, T8=last)}
    assert judged(rows, claims.gains_with_steps)[0] == answer


def test_the_page_answers_the_claims():
    shared = {"trained": "a command", "extra_steps": 0, "spikes_at_4": 1.0, "seeds": 1}
    metrics = {
        ("mnist", key): {**row_of(T1=0.25, T16=reached), **shared}
        for key, reached in (("plain_if", 0.5), ("adaptor_if", 0.75))
    }
    found = f"T = 1: +0.00 ± {apart(0.25, 0.25):.2f}, "
    found += f"T = 16: +25.00 ± {apart(0.5, 0.75):.2f}"
    assert f"| MNIST *(ours)* | undecided | {found} |" in page(metrics, 500)


def run_of(**changes):
    """Metrics as they lie in a file."""
    row = {"dataset": "mnist", "source": "plain", "method": "LSQ p = 2", "neuron": "if"}
    row |= {"trained": "c", "spikes_at_4": 1.0, "extra_steps": 0}
    return {**row, **row_of(T1=0.5, T4=0.75), **changes}


def test_seeds_are_one_row(tmp_path):
    runs = [
        run_of(spikes_at_4=100.0, energy_at_4=0.5, extra_steps=0),
        run_of(snn=[0.625, 0.75], ann=0.8, spikes_at_4=50.0, energy_at_4=0.25),
    ]
    for name, run in zip(("mnist_plain_if", "mnist_plain_if_seed2"), runs, strict=True):
        (tmp_path / f"{name}.json").write_text(json.dumps(run))
    metrics = results.known_metrics(tmp_path)
    (found,) = metrics.values()
    assert found["seeds"] == 2 and found["snn"] == [0.5625, 0.75]
    assert found["ann"] == pytest.approx(0.85)
    assert found["spikes_at_4"] == 75 and found["energy_at_4"] == 0.375
    assert found["spread"] == pytest.approx([0.125 / 2**0.5, 0])
    assert found["right"] == {}
    line = "| 2 | 85.00 | 56.25 ± 8.84 |  | 75.00 ± 0.00 |"
    assert line in page(metrics, 500)
    one_seed = {**found, "seeds": 1, "ann": 0.9}
    for other in ("plain_srp", "plain_signed"):  # the rows of one source network
        metrics["mnist", other] = one_seed
    text = page(metrics, 500)
    assert "| plain | 2 | 85.00 |  | `c` |" in text and text.count("`c`") == 1


@pytest.mark.parametrize(
    "same, last, answer", [(7, 4, "yes"), (6, 4, "no"), (7, 11, "no")]
)
def test_all_seeds_must_settle(same, last, answer):
    first = {"same_answer": 100, "samples": 100, "off_by_more_than_1e-4": 2}
    first |= {"input_steps": 2, "steps_mean": 3.0, "steps_max": 4}
    second = first | {"same_answer": 95, "steps_mean": 3.5, "steps_max": last}
    wide = second | {"same_answer": same, "samples": 7, "off_by_more_than_1e-4": 0}
    runs = [run_of(settled=first), run_of(settled=second, settled_in_float64=wide)]
    rows = {"plain_signed": results.mean_of(runs)}
    assert rows["plain_signed"]["settled"]["steps_mean"] == 3.25
    found, text = judged(rows, claims.settles)
    assert found == answer and text.startswith("195 of 200 answers are")
    assert "1e-4 on 4;" in text and f"{last} at most (P = 2)" in text
    assert f"in float64: {same} of 7 answers" in text


def test_seeds_of_other_images_are_not_mixed():
    with pytest.raises(ValueError, match=r"samples.*10000, 9.*--again"):
        results.mean_of([run_of(), run_of(samples=9)])


def test_answers_are_text_in_metrics():
    right = np.random.default_rng(0).random(103) < 0.5
    text = packing.packed(right)
    assert isinstance(text, str) and len(text) == 20
    np.testing.assert_array_equal(packing.unpacked(text, 103), right)


def answered(*, gained, lost, samples=10000):
    """Metrics at T = 1 and T = 8: the same images right but for some."""
    before = np.zeros(samples, bool)
    before[: samples // 2] = True
    after = before.copy()
    after[:lost] = False
    after[samples - gained :] = True
    row = row_of(T1=before.mean(), T8=after.mean()) | {"samples": samples}
    right = {"1": packing.packed(before), "8": packing.packed(after)}
    return results.mean_of([row | {"right": right}])


@pytest.mark.parametrize(
    "gained, lost, answer",
    [(40, 0, "yes"), (120, 80, "yes"), (520, 480, "undecided"), (80, 120, "no")],
)
def test_answers_to_the_same_images_are_compared_one_by_one(gained, lost, answer):
    """By McNemar: the difference against the root of all that changed."""
    figures = answered(gained=gained, lost=lost)
    assert (
        judged({"lif_noisy_lif_stage3": figures}, claims.gains_with_steps)[0] == answer
    )
    error = np.sqrt(claims.paired_variance([(1, figures, 8), (-1, figures, 1)]))
    changed, difference = gained + lost, gained - lost
    assert error == pytest.approx((changed - difference**2 / 1e4) ** 0.5 / 100)
    assert (abs(difference) / 100 > 2 * error) == (answer != "undecided")
    del figures["right"]  # without, it is within the error of two sets of images
    found, _ = judged({"lif_noisy_lif_stage3": figures}, claims.gains_with_steps)
    assert found == "undecided"


@pytest.mark.parametrize("third, answer", [(0.89, "yes"), (0.83, "undecided")])
def test_seeds_are_paired_within_a_row(third, answer):
    """All gain one point, however far apart they are; or one loses five."""
    runs = [[0.8, 0.81], [0.84, 0.85], [0.88, third]]
    t1, t8 = np.mean(runs, axis=0)
    row = row_of(T1=t1, T8=t8) | {"runs": runs, "samples": 10**9}
    assert judged({"lif_noisy_lif_stage3": row}, claims.gains_with_steps)[0] == answer


def test_a_gain_at_all_steps_must_be_beyond_chance_at_all():
    """The smallest may be certain where a larger one is not."""
    before = row_of(T1=0.9, T8=0.9)
    after = row_of(T1=0.904, T8=0.9042)
    right = np.zeros(10000)
    right[:9000] = 1
    few = right.copy()
    few[9000:9040] = 1  # 40 gained, none lost
    many = np.roll(few, 1000)
    many[100:102] = 1  # 1,042 gained, 1,000 lost
    rows = {
        "plain_if": before | {"right": {1: right, 8: right}},
        "adaptor_if": after | {"right": {1: few, 8: many}},
    }
    assert claims.gain(rows["adaptor_if"], rows["plain_if"], 1).answer == "yes"
    assert judged(rows, claims.raises_everywhere)[0] == "undecided"


def test_only_answers_that_all_seeds_have_are_compared():
    first, second = np.arange(10000) % 2 == 0, np.arange(10000) % 4 == 0
    runs = [
        run_of(right={"1": packing.packed(first), "4": packing.packed(first)}),
        run_of(right={"1": packing.packed(second)}),
    ]
    found = results.mean_of(runs)["right"]
    assert set(found) == {1} and found[1].dtype == "float64"
    np.testing.assert_array_equal(found[1][:4], [1, 0, 0.5, 0])


@pytest.mark.parametrize("spread, answer", [(0.0, "yes"), (0.02, "undecided")])
def test_what_seeds_disagree_on_is_undecided(spread, answer):
    runs = [[0.75 - spread] * 2, [0.75 + spread] * 2]
    without = row_of(T1=0.75, T4=0.75) | {"runs": runs}
    rows = {"plain_if": without, "adaptor_if": row_of(T1=0.77, T4=0.77)}
    assert judged(rows, claims.raises_everywhere)[0] == answer


def test_the_page_that_ships_is_that_of_its_metrics():
    folder = data.SHIPPED.parent / "docs"
    assert (folder / "results.md").read_text() == page(
        results.known_metrics(folder / "results"), results.COUNTED_IMAGES
    )


@pytest.mark.parametrize(
    "trained, samples, kept", [("a", 10, True), ("b", 10, False), ("a", 9, False)]
)
def test_figures_of_two_networks_are_not_mixed(trained, samples, kept):
    known = {"trained": "a", "samples": 10, "snn": [0.5]}
    assert results.usable(known, trained, samples) == (known if kept else {})


def test_commands_name_no_folder_of_this_machine(tmp_path):
    command = (
        "apps.train --data_dir=/a/b --init=/c/runs/x.keras --output=d/runs/y.keras"
    )
    (tmp_path / "y.json").write_text(json.dumps({"command": command, "history": {}}))
    assert results.trained_by(tmp_path / "y.keras") == (
        "apps.train --data_dir=DATA_DIR --init=runs/x.keras --output=runs/y.keras"
    )


def test_biases_are_corrected_for_every_number_of_steps():
    rng = np.random.default_rng(0)
    images = rng.random((40, 6), "float32")
    activation = LSQReLU(3, initial_step=0.25)
    layers = [keras.Input((6,)), activation, keras.layers.Dense(5)]
    model = keras.Sequential(layers)
    model.layers[-1].set_weights([rng.normal(size=(6, 5)), np.zeros(5)])
    labels = model.predict(images, verbose=0).argmax(-1)
    row = corrected("LSQ p = 3", "plain")
    assert row.key == "plain_if_corrected"
    convert = functools.partial(row.convert, model, calibration=images)
    settings = images, labels, 40
    first, last = results.accuracies(row, model, convert, [1, 3], {}, *settings)
    for t, accuracy in zip([1, 3], last["snn"], strict=True):
        snn = snn_keras.convert(model, t, "if", data=images, bias_correction=True)
        right = snn.predict(images, verbose=0).argmax(-1) == labels
        assert accuracy == np.mean(right)
        np.testing.assert_array_equal(
            packing.unpacked(last["right"][str(t)], len(images)), right
        )
    assert last["timesteps"] == [1, 3] and last["snn"][0] < last["snn"][1]
    assert first["timesteps"] == [1] and first["snn"] == last["snn"][:1]
    first["snn"] = [0.5]  # what was kept goes into what follows
    (found,) = results.accuracies(row, model, convert, [1, 3], first, *settings)
    assert found["snn"] == [0.5, last["snn"][1]] and set(found["right"]) == {"1", "3"}


def test_an_interrupted_row_is_incomplete():
    table, row = named()["fashion_mnist_float_if_corrected"]
    figures = {"energy_at_4": 0.5, "timesteps": [1, 2, 4, 5, 8], "snn": [0.5] * 5}
    assert results.missing_of(table, row, figures) == {"snn"}
    figures["timesteps"].append(16)
    assert not results.missing_of(table, row, figures)
    assert results.missing_of(table, row, {}) == {"snn", "energy_at_4"}
    table, row = named()["fashion_mnist_plain_signed"]
    assert results.missing_of(table, row, figures) == {"settled"}
    table, row = named()["fashion_mnist_plain_if"]
    assert results.missing_of(table, row, figures) == {"at_t_levels"}


def test_what_few_steps_cost_is_shown():
    steps = TABLES["mnist"].timesteps
    spiking = row_of(**{f"T{t}": 0.25 for t in steps})
    shared = {"trained": "c", "extra_steps": 0, "spikes_at_4": 1.0, "seeds": 1}
    rounded = {"at_t_levels": dict.fromkeys(steps, 0.5)}
    metrics = {
        ("mnist", "plain_if"): {**spiking, **shared, **rounded},
        ("mnist", "adaptor_if"): {**spiking, **shared},
    }
    text = page(metrics, 500)
    cells = {"source, T levels": "50.00", "spiking, T steps": "25.00"}
    for what, cell in cells.items():
        line = f"| LSQ p = 2: {what} | 90.00 |" + f" {cell} |" * len(steps)
        assert text.count(line) == 1
        assert f"noise adaptor p = 2: {what}" not in text


def test_levels_of_all_seeds_are_one():
    runs = [
        run_of(at_t_levels={"1": 0.5, "4": 0.5}),
        run_of(at_t_levels={"1": 0.75}),
    ]
    assert results.mean_of(runs)["at_t_levels"] == {1: 0.625}
    assert results.mean_of([run_of(), run_of()])["at_t_levels"] == {}


def test_neurons_without_a_ceiling_come_to_no_rest():
    """Theirs are not asked what they settle to."""
    figures = {"energy_at_4": 0.5, "timesteps": [1, 2, 4, 5, 8, 16], "snn": [0.5] * 6}
    table, row = named()["fashion_mnist_plain_signed_ceilingNone"]
    assert not results.missing_of(table, row, figures)
    model = keras.Sequential([keras.Input((6,)), LSQReLU(3, initial_step=0.25)])
    with pytest.raises(ValueError, match="settle"):
        row.convert(model, "settle", None)


@pytest.mark.parametrize("activation", [LSQReLU, QCFS])
def test_levels_change_and_thresholds_stay(activation):
    size = "step" if activation is LSQReLU else "threshold"
    first = activation(4, **{f"initial_{size}": 0.25})
    hidden = keras.layers.Dense(8)
    model = keras.Sequential(
        [keras.Input((6,)), hidden, first, activation(2, **{f"initial_{size}": 0.5})]
    )
    x = np.random.default_rng(0).integers(-8, 9, (50, 6)) / 8
    hidden.set_weights([np.eye(6, 8), np.zeros(8)])
    thresholds = [float(layer.threshold) for layer in model.layers[1:]]
    for levels in (1, 2, 8):
        made = with_levels(model, levels)
        for layer, theta in zip(made.layers[1:], thresholds, strict=True):
            assert layer.levels == levels and float(layer.threshold) == theta
        v = np.pad(x, ((0, 0), (0, 2)))
        for theta in thresholds:
            step = theta / levels
            v = step * np.clip(np.floor(v / step + 0.5), 0, levels)
        np.testing.assert_array_equal(made.predict(x, verbose=0), v)


def test_a_steady_current_loses_nothing_but_levels():
    """Neurons that a steady current reaches send the source's value with T levels."""
    rng = np.random.default_rng(0)
    x = rng.integers(-16, 33, (40, 6)) / 32
    labels = rng.integers(0, 6, 40)
    model = keras.Sequential([keras.Input((6,)), LSQReLU(3, initial_step=0.25)])
    snn = snn_keras.convert(model, 8, "if")
    found = results.at_t_levels(model, [1, 2, 4, 8], x, labels, 40)
    reached = snn.predict_over_time(x, 40, verbose=0).argmax(-1) == labels
    assert found == {str(t): reached[t - 1].mean() for t in (1, 2, 4, 8)}


def test_errors_are_told_layer_by_layer():
    """Under a steady current there is none at T = L, and rounding alone at T = 2."""
    x = np.random.default_rng(0).integers(-16, 33, (40, 6)) / 32
    model = keras.Sequential(
        [keras.Input((6,)), LSQReLU(4, initial_step=0.25, name="first")]
    )
    found = errors.errors(model, x)
    assert set(found) == {str(t) for t in errors.TIMESTEPS}
    assert found["4"] == {"first": {"rms": 0.0, "shares": {"0": 1.0}}}
    coarse = with_levels(model, 2).predict(x, verbose=0)
    off = (coarse - model.predict(x, verbose=0)) / 0.25
    np.testing.assert_allclose(
        found["2"]["first"]["rms"], np.sqrt(np.mean(off**2)) / 4, rtol=1e-6
    )
    for t, layers in found.items():
        assert sum(layers["first"]["shares"].values()) == pytest.approx(1), t


def test_an_interrupted_row_goes_on(tmp_path, monkeypatch):
    """Its metrics come to be where all are there, or stay as they were."""
    table, row = named()["fashion_mnist_plain_if"]
    file = tmp_path / "fashion_mnist_plain_if.json"
    file.write_text('{"old": true}')
    given = []

    def measure(*settings, known):
        given.append(known)
        yield {"energy_at_4": 0.5}
        if len(given) == 1:
            raise KeyboardInterrupt
        yield {"energy_at_4": 0.5, "snn": [0.5]}

    monkeypatch.setattr(results, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        results.write_row(file, table, row, None, None, again=True)
    assert results.read(file) == {"old": True}
    results.write_row(file, table, row, None, None)
    assert given == [{}, {"energy_at_4": 0.5}]
    assert results.read(file) == {"energy_at_4": 0.5, "snn": [0.5]}
    assert [path.name for path in tmp_path.iterdir()] == [file.name]


def test_an_unfinished_row_is_not_shown(tmp_path):
    figures = run_of()
    (tmp_path / "fashion_mnist_plain_if.unfinished.json").write_text(
        json.dumps(figures)
    )
    assert results.known_metrics(tmp_path) == {}
    (tmp_path / "fashion_mnist_plain_if.json").write_text(json.dumps(figures))
    assert set(results.known_metrics(tmp_path)) == {("fashion_mnist", "plain_if")}


@once
@pytest.mark.slow
def test_a_row_from_nothing(tmp_path):
    printed = program(
        *("reproduce", "--row=digits_plain_if", f"--output={tmp_path}"),
        *("--change=--epochs=1,--progress=none", "--samples=50"),
    )
    assert "here: source " in printed and "T = 16: " in printed
    figures = json.loads((tmp_path / "results/digits_plain_if.json").read_text())
    assert figures["samples"] == 50 and len(figures["snn"]) == 16
    assert "--init=" in figures["trained"]


def a_row_of_each_source():
    """Names of rows: the first of each source network of each table."""
    last_first = reversed(named().items())
    found = {(table, row.source): name for name, (table, row) in last_first}
    return sorted(found.values())


SHAPES = {"cifar10": (32, 32, 3), "fashion_mnist": (28, 28, 1), "mnist": (28, 28, 1)}


@pytest.fixture(scope="module")
def tiny_sets(tmp_path_factory):
    """Where all data sets are, of 200 images of noise; and what is made of them."""
    folder = tmp_path_factory.mktemp("sets")
    rng = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        make_tiny(folder, rng.integers(0, 256, (200, *shape), "uint8"), like=name)
    return folder, tmp_path_factory.mktemp("made")


@once
@pytest.mark.slow
@pytest.mark.parametrize("name", a_row_of_each_source())
def test_every_network_is_made_by_its_commands(name, tiny_sets):
    """One epoch of each training, on a few images of noise."""
    folder, made = tiny_sets
    few = "--epochs=1,--warmup_epochs=0,--batch_size=64,--held_out=64,--progress=none"
    printed = program(
        *("reproduce", f"--row={name}", f"--data_dir={folder}", f"--output={made}"),
        *(f"--change={few}", "--samples=4"),
    )
    figures = json.loads((made / f"results/{name}.json").read_text())
    assert "here: source " in printed and figures["samples"] == 4
    table, row = named()[name]
    assert not results.missing_of(table, row, figures)
    assert set(figures["right"]) == set(map(str, results.steps_of(table, row)))
    for source in trainings.chain(table, row.source):
        trained = json.loads((made / f"{table}_{source}.json").read_text())
        assert trained["epochs"] == [1]
        assert (made / f"{table}_{source}.keras").exists()
