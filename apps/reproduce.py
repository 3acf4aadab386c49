"""Makes one row of docs/results.md from nothing: trains its networks, evaluates it.

    python -m apps.reproduce --row=digits_adaptor_if
    python -m apps.reproduce --row=cifar10_bits_bit_serial --data_dir=...

or `make reproduce ROW=... DATA_DIR=... SEED=...`. Networks and figures go to --output.
What stands there already is not trained or measured again, and what was interrupted
goes on.
In the end the new figures are printed beside those of docs/results/.
"""

import json
import pathlib
import subprocess
import sys

from absl import app, flags, logging

from apps.results import write_row
from apps.tables import trainings
from apps.tables.rows import TABLES, named, of_seed

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string("row", None, "The row: TABLE_SOURCE_NEURON.", required=True)
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_integer(
        "seed", 0, "Seed of the source network; what it starts from is of seed 0."
    )
    flags.DEFINE_string("output", "runs/reproduced", "Where all of it goes.")
    flags.DEFINE_list(
        "change", [], "Flags of `apps.train` to be given otherwise: --change=--epochs=1"
    )
    flags.DEFINE_integer("samples", 0, "Evaluate the first N only; 0 for all.")


def train(table, source, folder):
    """Trains a source network, and those that it starts from, where they are not."""
    *before, last = trainings.chain(table, source)
    for name, seed in [*((name, 0) for name in before), (last, FLAGS.seed)]:
        file = of_seed(f"{table}_{name}", seed)
        if (folder / f"{file}.json").exists():
            logging.info("%s is there", file)
            continue
        arguments = trainings.command(table, name, folder, seed) + FLAGS.change
        if FLAGS.data_dir:
            arguments.append(f"--data_dir={FLAGS.data_dir}")
        logging.info("python -m apps.train %s", " ".join(arguments))
        subprocess.run([sys.executable, "-m", "apps.train", *arguments], check=True)
    return folder / f"{file}.keras"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    known = named()
    if FLAGS.row not in known:
        raise app.UsageError(f"--row: no row {FLAGS.row!r}. The rows: {sorted(known)}")
    table, row = known[FLAGS.row]
    folder = pathlib.Path(FLAGS.output)
    path = train(table, row.source, folder)
    name = f"{of_seed(FLAGS.row, FLAGS.seed)}.json"
    file = folder / "results" / name
    write_row(file, table, row, path, FLAGS.data_dir, FLAGS.samples)
    figures = json.loads(file.read_text())
    kept = pathlib.Path("docs/results") / name
    shown = {"here": figures}
    if kept.exists():
        shown["docs/results"] = json.loads(kept.read_text())
    print(f"\n{TABLES[table].title}, {TABLES[table].network}: {row.method}")
    for where, found in shown.items():
        steps = zip(found["timesteps"], found["snn"], strict=True)
        cells = [f"T = {t}: {accuracy:.2%}" for t, accuracy in steps]
        print(f"{where}: source {found['ann']:.2%}; {', '.join(cells)}")


if __name__ == "__main__":
    define_flags()
    app.run(main)
