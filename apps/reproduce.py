"""Makes rows of docs/results.md from nothing: trains their networks, evaluates them.

    python -m apps.reproduce --row=digits_adaptor_if
    python -m apps.reproduce --row=cifar10_bits_bit_serial --data_dir=...
    python -m apps.reproduce --queue --data_dir=...

or `make reproduce ROW=... DATA_DIR=... SEED=...`. Networks and figures go to --output.
What stands there already is not trained or measured again, and what was interrupted
goes on. With --queue it makes one row of a list (`apps.tables.trainings.QUEUE`) after
the other, and starts from the networks that ship where it can; several processes may
share the list: --queue --share=0/2, --queue --share=1/2. A training that was begun
elsewhere goes on from its backup in saved_models/unfinished/, named as the network is.

In the end the new figures are printed beside those of docs/results/.
"""

import os
import pathlib
import shutil
import subprocess
import sys

from absl import app, flags, logging

from snn_keras import files

from . import data
from .records import Figures
from .results import read, source_file, write_row
from .tables import trainings
from .tables.rows import TABLES, named, of_seed

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string("row", None, "The row: TABLE_SOURCE_NEURON.")
    flags.DEFINE_bool("queue", False, "Make all rows of the queue instead.")
    flags.DEFINE_string(
        "share", "0/1", "Of the queue: the I-th of N shares, --share=I/N; from 0."
    )
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_integer(
        "seed", 0, "Seed of the source network; what it starts from is of seed 0."
    )
    flags.DEFINE_string("output", "runs/reproduced", "Where all of it goes.")
    flags.DEFINE_list(
        "change", [], "Flags of `apps.train` to be given otherwise: --change=--epochs=1"
    )
    flags.DEFINE_integer("samples", 0, "Evaluate the first N only; 0 for all.")
    flags.DEFINE_enum("progress", "bar", ["bar", "line", "none"], "Of trainings.")


def train(table, source, seed, folder, shipped=()):
    """Trains a source network, and those that it starts from, where they are not.

    Args:
        table, source, seed: Which network.
        folder: Where networks go.
        shipped: Folders with networks to start from, which are not trained then.

    Returns:
        The network's file.
    """
    name = of_seed(f"{table}_{source}", seed)
    there = source_file(name, shipped)
    if there:
        return there
    file = folder / f"{name}.keras"
    if file.with_suffix(".json").exists():
        logging.info("%s is there", file)
        return file
    before = trainings.TRAININGS[table][source].start
    start = before and (
        source_file(f"{table}_{before}", shipped)
        or train(table, before, 0, folder, shipped)
    )
    # A training goes on where its settings are the same, on any machine.
    start = start and os.path.relpath(start)
    arguments = trainings.command(table, source, folder, seed, start) + FLAGS.change
    arguments.append(f"--progress={FLAGS.progress}")
    if FLAGS.data_dir:
        arguments.append(f"--data_dir={FLAGS.data_dir}")
    logging.info("python -m apps.train %s", " ".join(arguments))
    subprocess.run(
        [sys.executable, "-m", f"{__package__}.train", *arguments], check=True
    )
    return file


def make(name, seed, folder, shipped=()):
    """Trains and measures one row; returns the file of its figures."""
    table, row = named()[name]
    path = train(table, row.source, seed, folder, shipped)
    file = folder / "results" / f"{of_seed(name, seed)}.json"
    write_row(file, table, row, path, FLAGS.data_dir, FLAGS.samples)
    show(table, row, file)
    return file


def show(table, row, file):
    """Prints a row's figures, beside those of docs/results/."""
    figures = read(file, Figures)
    kept = pathlib.Path("docs/results") / file.name
    shown = {"here": figures}
    if kept.exists():
        shown["docs/results"] = read(kept, Figures)
    print(f"\n{TABLES[table].title}, {TABLES[table].network}: {row.method}")
    for where, found in shown.items():
        steps = zip(found["timesteps"], found["snn"], strict=True)
        cells = [f"T = {t}: {accuracy:.2%}" for t, accuracy in steps]
        print(f"{where}: source {found['ann']:.2%}; {', '.join(cells)}")


def take_up(backups, folder):
    """Copies the backups of unfinished trainings to where they are looked for."""
    folder.mkdir(parents=True, exist_ok=True)
    for backup in backups.glob("*.backup.npz"):
        place = folder / f".{backup.name}"
        if not place.exists():
            with files.written_whole(place) as partial:
                shutil.copy(backup, partial)


def make_queue(folder, share):
    """Makes what is missing of the queue's rows, one after the other.

    Args:
        folder: Where networks and figures go.
        share: `(i, n)`: the i-th of n shares of the source networks, with their rows.
    """
    take_up(data.SHIPPED / "unfinished", folder)
    i, n = share
    sources = [(*_source_of(name), seed) for name, seed in trainings.QUEUE]
    mine = list(dict.fromkeys(sources))[i::n]
    rows = [r for r, s in zip(trainings.QUEUE, sources, strict=True) if s in mine]
    for number, (name, seed) in enumerate(rows, start=1):
        kept = f"{of_seed(name, seed)}.json"
        places = pathlib.Path("docs/results") / kept, folder / "results" / kept
        if any(place.exists() for place in places):
            continue
        logging.info("queue: %s, row %d of %d", kept[:-5], number, len(rows))
        make(name, seed, folder, (data.SHIPPED,))


def _source_of(name):
    """The table and the source network of a row."""
    table, row = named()[name]
    return table, row.source


def share_of(text):
    """The numbers of `--share=I/N`."""
    try:
        i, n = map(int, text.split("/"))
    except ValueError:
        i, n = 0, 0
    if not 0 <= i < n:
        raise app.UsageError(f"--share must be I/N with 0 <= I < N. Received: {text!r}")
    return i, n


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    folder = pathlib.Path(FLAGS.output)
    if FLAGS.queue:
        make_queue(folder, share_of(FLAGS.share))
        return
    if FLAGS["share"].present:
        raise app.UsageError("--share is of the queue. Remedy: --queue beside it.")
    if FLAGS.row not in named():
        raise app.UsageError(
            f"--row: no row {FLAGS.row!r}. The rows: {sorted(named())}"
        )
    make(FLAGS.row, FLAGS.seed, folder)


if __name__ == "__main__":
    define_flags()
    app.run(main)
