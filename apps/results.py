"""Evaluates the methods side by side and writes the tables of docs/results.md.

    python -m apps.results --data_dir=... --models=runs

evaluates every row whose source network is in saved_models/ or --models and that
has no metrics yet, on all test images, writes its metrics beside the others in
docs/results/, and makes the page and its pictures from all metrics that lie there.
A row has metrics for each seed that a source network was trained with; the page shows
their mean. --rows picks rows, --again evaluates them anew; an interrupted row goes on
where it stopped. `python -m apps.reproduce` trains the source network of a row, too.
"""

import dataclasses
import functools
import pathlib
import re

import numpy as np
from absl import app, flags, logging

from snn_keras import analysis
from snn_keras.untrusted import read_json, reading

from . import data
from .evaluate import (
    accuracy,
    evaluate,
    full_float32,
    in_float64,
    settle,
    with_levels,
)
from .records import Figures, Unfinished, read_trained
from .sources import load_model
from .tables.packing import packed, unpacked
from .tables.page import page
from .tables.pictures import (
    draw,
    draw_epochs,
    draw_error_shares,
    draw_error_sizes,
    draw_spikes,
)
from .tables.rows import TABLES, named, of_seed

FLAGS = flags.FLAGS

WHAT = "the figures of a row"
REMEDY = "remove the file, and the row is measured again."
COUNTED_IMAGES = 500
CALIBRATION_IMAGES = 1000
SEEDS = range(3)
# Trainings whose accuracy is drawn over their epochs.
DRAWN = {
    "QCFS": "cifar10_qcfs_scratch",
    "NQ": "cifar10_nq_scratch",
}


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_string("models", "runs", "Where source networks are that do not ship.")
    flags.DEFINE_list("tables", list(TABLES), "Tables to evaluate rows of.")
    flags.DEFINE_list("rows", [], "Rows to evaluate, such as plain_if; default all.")
    flags.DEFINE_bool("again", False, "Evaluate rows that have metrics anew.")
    flags.DEFINE_integer("samples", 0, "Evaluate the first N only; 0 for all.")
    flags.DEFINE_integer("batch_size", 100, "Images a batch.", lower_bound=1)
    flags.DEFINE_string("metrics", "docs/results", "Directory of the metrics.")
    flags.DEFINE_string("page", "docs/results.md", "The page to write.")


def source_file(name, folders):
    """The file of a source network, or None."""
    files = (pathlib.Path(folder) / f"{name}.keras" for folder in folders)
    return next((file for file in files if file.exists()), None)


def steps_of(table, row):
    """The T that a row is evaluated at."""
    return [t for t in TABLES[table].timesteps if t <= (row.last or t)]


def missing_of(table, row, known):
    """The names of the figures that a row's metrics lack."""
    wanted = {"energy_at_4"}
    wanted |= {"settled"} if row.settles else set()
    wanted |= {"at_t_levels"} if row.rounds else set()
    if rounded_away(known.get("settled")):
        wanted.add("settled_in_float64")
    whole = set(steps_of(table, row)) <= set(known.get("timesteps", []))
    return wanted - set(known) | (set() if whole else {"snn"})


def rounded_away(found):
    """Whether float32 rounded some answers to others, by the figures of `settle`."""
    return bool(found) and found["same_answer"] < found["samples"]


def trained_by(path):
    """The command that trained the network in `path`, without a machine's folders."""
    command = read_trained(path.with_suffix(".json"))["command"]
    command = re.sub(r"--data_dir=\S+", "--data_dir=DATA_DIR", command)
    return re.sub(r"=\S*/(\w+)/([\w.-]+\.keras)", r"=\1/\2", command)


def kept_epoch(path):
    """`{"kept_epoch": number}` of the training of a network, where it says so."""
    about = read_trained(path.with_suffix(".json"))
    return {name: about[name] for name in ("kept_epoch",) if name in about}


def usable(known, trained, samples):
    """Known figures; none where they are of another network or of other images."""
    same = (known.get("trained"), known.get("samples")) == (trained, samples)
    return known if same else {}


def measure(table, row, path, data_dir, samples=0, batch_size=100, known=None):
    """The figures of one row, from its source network in `path`: more each time.

    Args:
        table, row: Which row.
        path: The source network's file.
        data_dir, samples, batch_size: As the flags.
        known: Figures that are there already, and are not measured again.

    Yields:
        The figures so far, after each measurement; last, all of them.
    """
    full_float32()
    trained = trained_by(path)
    dataset = TABLES[table].dataset
    test = data.load(dataset, "test", data_dir).take(samples)
    known = usable(known or {}, trained, len(test.labels))
    missing = missing_of(table, row, known)
    model = load_model(path)
    images = data.preprocess(test.images)
    calibration = None
    if row.levels or row.bias_correction:
        train = data.load(dataset, "train", data_dir)
        calibration = data.preprocess(train.take(CALIBRATION_IMAGES).images)
    figures = {"dataset": dataset, **dataclasses.asdict(row), "trained": trained}
    figures |= {"samples": len(images), **kept_epoch(path), **known}
    convert = functools.partial(row.convert, model, calibration=calibration)
    convert = functools.cache(convert)  # it may measure on calibration images
    if "energy_at_4" in missing:
        figures |= costs(convert(4), images[:COUNTED_IMAGES], batch_size)
        yield figures
    if missing & {"settled", "settled_in_float64"}:
        figures |= settled(model, images, batch_size)
        yield figures
    steps = steps_of(table, row)
    settings = images, test.labels, batch_size
    if "at_t_levels" in missing:
        figures["at_t_levels"] = at_t_levels(model, steps, *settings)
        yield figures
    if "snn" in missing:
        for found in accuracies(row, model, convert, steps, known, *settings):
            figures |= found
            yield figures


def costs(snn, images, batch_size):
    """Spikes of a run of four steps, and its energy over the source's.

    As the papers of these methods compare them: operations alone, of whole numbers of
    32 bits in both networks, every activation of the source multiplied. `energy` itself
    counts memory too, beside a quantized opponent.
    """
    hardware = analysis.HARDWARE["45 nm, 32 bit"]
    found = analysis.energy(snn, images, batch_size, hardware)
    spikes = [layer.spikes for layer in found.layers.values()]
    dense = found.opponents["float"].cost
    prices = hardware.operations
    source = sum(prices[kind][32] * dense[kind] for kind in ("multiply", "add"))
    source += prices["compare"][32] * dense.compare
    ratio = found.spiking.operations / source
    return {"spikes_at_4": sum(spikes), "energy_at_4": ratio}


def settled(model, images, batch_size):
    """What signed neurons come to; what float32 rounds away, in float64 too."""
    figures, differ = settle(model, images, batch_size)
    found = {"settled": figures}
    if rounded_away(figures):
        wide = in_float64(model), images[differ].astype("float64")
        found["settled_in_float64"], _ = settle(*wide, batch_size)
    return found


def at_t_levels(model, timesteps, images, labels, batch_size):
    """Accuracy of the source network with T levels in each activation, `{"T": ...}`.

    It is what spikes would reach if the current of each neuron were steady: a spiking
    network that has less loses the rest to the order in which spikes arrive.
    """
    return {
        str(t): accuracy(with_levels(model, t), images, labels, batch_size)
        for t in timesteps
    }


def accuracies(row, model, convert, timesteps, known, images, labels, batch_size):
    """What `evaluate` says of a row, run after run: more figures each time.

    One run is for all steps; where biases are corrected, there is one for each T, and
    those in `known` are not made again. `right` tells for each of `timesteps` which
    images are answered right, as `packed` writes it.
    """
    if not row.bias_correction:
        found, right = evaluate(
            model, convert(timesteps[-1]), images, labels, batch_size, timesteps
        )
        by_steps = dict(zip(found["timesteps"], right, strict=True))
        yield {**found, "right": {str(t): packed(by_steps[t]) for t in timesteps}}
        return
    figures = {"timesteps": [], "snn": [], "right": {}, "seconds": 0.0}
    figures |= {name: known[name] for name in figures if name in known}
    for t in timesteps:
        if t in figures["timesteps"]:
            continue
        found, right = evaluate(model, convert(t), images, labels, batch_size, [t])
        reached = dict(zip(figures["timesteps"], figures["snn"], strict=True))
        reached = dict(sorted([*reached.items(), (t, found["snn"][-1])]))
        figures = {
            **found,
            "timesteps": list(reached),
            "snn": list(reached.values()),
            "right": {**figures["right"], str(t): packed(right[-1])},
            "seconds": round(figures["seconds"] + found["seconds"], 1),
        }
        yield figures


def known_metrics(folder):
    """The metrics that lie in `folder`, `{(table, row.key): figures}`.

    Those of several seeds are one: see `mean_of`.
    """
    metrics = {}
    for name, (table, row) in named().items():
        files = [folder / f"{of_seed(name, seed)}.json" for seed in SEEDS]
        found = [file for file in files if file.exists()]
        runs = [read(file, Figures) for file in found]
        if runs:
            with reading(found[0], WHAT, REMEDY):
                metrics[table, row.key] = mean_of(runs)
    return metrics


def mean_of(runs):
    """One row's figures from those of its seeds.

    Returns:
        Those of the first, with the mean of the accuracies, the spikes and the energy,
        and what all images of all seeds settle to; `right`, where all have it, is `{T:
        (samples,)}`, the share of the seeds that answer an image right, and
        `at_t_levels` `{T: mean}`. Where there are several, `runs` has the accuracies of
        each, and `spread` their standard deviation at each T.
    """
    first = runs[0]
    for run in runs:
        for figure in ("samples", "timesteps"):
            if run[figure] != first[figure]:
                raise ValueError(
                    f"{run['dataset']}_{run['source']}, {run['method']}: the seeds "
                    f"differ in '{figure}': {first[figure]}, {run[figure]}. Remedy: "
                    "evaluate the row with --again."
                )
    means = {
        figure: np.mean([run[figure] for run in runs], axis=0).tolist()
        for figure in ("ann", "snn", "spikes_at_4", "energy_at_4")
        if all(figure in run for run in runs)
    }
    for figure in ("settled", "settled_in_float64"):
        found = [run[figure] for run in runs if figure in run]
        if found:
            means[figure] = settled_together(found)
    if len(runs) > 1:
        means["runs"] = [run["snn"] for run in runs]
        means["spread"] = np.std(means["runs"], 0, ddof=1).tolist()
    right = in_all("right", runs)
    means["right"] = {
        t: np.mean([unpacked(text, first["samples"]) for text in texts], axis=0)
        for t, texts in right.items()
    }
    rounded = in_all("at_t_levels", runs)
    means["at_t_levels"] = {t: float(np.mean(found)) for t, found in rounded.items()}
    return {**first, **means, "seeds": len(runs)}


def in_all(figure, runs):
    """Of a figure by T, `{T: [value of each run]}` for the T that all runs have."""
    found = [run.get(figure, {}) for run in runs]
    common = [t for t in found[0] if all(t in of for of in found)]
    return {int(t): [of[t] for of in found] for t in common}


def settled_together(found):
    """What the images of several seeds settle to, from the figures of each."""
    every = {figure: [f[figure] for f in found] for figure in found[0]}
    counts = ("samples", "same_answer", "off_by_more_than_1e-4")
    return {
        **{figure: max(values) for figure, values in every.items()},
        **{figure: sum(every[figure]) for figure in counts},
        "steps_mean": float(np.average(every["steps_mean"], weights=every["samples"])),
    }


def text_of_page(folder):
    """The text of the page from the metrics in `folder`."""
    metrics = known_metrics(folder)
    with reading(folder, "the figures of rows", REMEDY):
        return page(metrics, COUNTED_IMAGES)


def write_page(folder, path):
    """Writes the page and its pictures from the metrics in `folder`."""
    metrics = known_metrics(folder)
    text = text_of_page(folder)
    tables = {table for table, _ in metrics}
    for table in tables:
        draw(table, metrics, folder / f"{table}.png")
    if "cifar10" in tables:
        draw_spikes("cifar10", metrics, folder / "spikes.png")
    errors = read(folder / "errors.json")
    if errors:
        draw_error_shares(errors, folder / "error_shares.png")
        draw_error_sizes(errors, folder / "error_sizes.png")
    draw_epochs(
        {
            name: read_trained(data.SHIPPED / f"{source}.json")["history"]
            for name, source in DRAWN.items()
        },
        folder / "epochs.png",
    )
    data.write_text(path, text)


def write_row(file, table, row, path, data_dir, *settings, again=False):
    """Measures what is missing of the metrics of a row, and writes them to `file`.

    What an interrupted measurement found lies beside it, and is not measured again.

    Args:
        file: Where the metrics go.
        table, row, path, data_dir, *settings: As for `measure`.
        again: Measure all of it anew, but for what an interrupted one found.
    """
    unfinished = file.with_suffix(".unfinished.json")
    known = read(unfinished) or ({} if again else read(file))
    for figures in measure(table, row, path, data_dir, *settings, known=known):
        data.write_json(unfinished, figures)
    if unfinished.exists():
        unfinished.replace(file)


def read(file, kind=Unfinished):
    """The metrics in `file`, or none."""
    return read_json(file, kind, WHAT, REMEDY) if file.exists() else {}


def evaluate_row(name, seed, folder):
    """Writes what is missing of the metrics of one row and seed, where it can."""
    table, row = named()[name]
    file = folder / f"{of_seed(name, seed)}.json"
    if not FLAGS.again and not missing_of(table, row, read(file)):
        return
    source = of_seed(f"{table}_{row.source}", seed)
    path = source_file(source, (data.SHIPPED, FLAGS.models))
    if path is None:
        if not seed:
            logging.warning(
                "%s: no %s.keras in saved_models/ or %s", name, source, FLAGS.models
            )
        return
    logging.info("%s, seed %d: %s", name, seed, row.method)
    settings = FLAGS.data_dir, FLAGS.samples, FLAGS.batch_size
    write_row(file, table, row, path, *settings, again=FLAGS.again)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    known = {row.key for _, row in named().values()}
    unknown = sorted(set(FLAGS.rows) - known)
    if unknown:
        raise app.UsageError(f"--rows: no row {unknown}. The rows: {sorted(known)}")
    folder = pathlib.Path(FLAGS.metrics)
    for name, (table, row) in named().items():
        if table in FLAGS.tables and row.key in (FLAGS.rows or known):
            for seed in SEEDS:
                evaluate_row(name, seed, folder)
    write_page(folder, pathlib.Path(FLAGS.page))


if __name__ == "__main__":
    define_flags()
    app.run(main)
