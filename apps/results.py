"""Evaluates the methods side by side and writes the tables of docs/results.md.

    python -m apps.results --data_dir=... --models=runs

evaluates every row whose source network is in saved_models/ or --models and that
has no metrics yet, on all test images, writes its metrics beside the others in
docs/results/, and makes the page from all metrics that lie there. --rows picks
rows, --again evaluates them anew.
"""

import dataclasses
import json
import pathlib

from absl import app, flags, logging

import snn_keras
from apps import data
from apps.evaluate import evaluate, load_model, make_neuron
from snn_keras import analysis

FLAGS = flags.FLAGS

TIMESTEPS = (1, 2, 4, 5, 8, 16)
SPIKE_IMAGES = 500


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table.

    Attributes:
        method: What the line is called.
        source: The source network, by the end of its file's name.
        neuron, options: As for `apps.evaluate`.
        levels, calibration, bias_correction: Thresholds from data, for a source
            network of plain ReLUs.
    """

    method: str
    source: str
    neuron: str = "auto"
    options: tuple = ()
    levels: int = 0
    calibration: str = "mse"
    bias_correction: bool = False

    @property
    def key(self):
        """The row's name, for files and flags."""
        words = [self.source, self.neuron, *self.options]
        if self.levels:
            words += [self.calibration, "corrected" * self.bias_correction]
        return "_".join(w.replace("=", "") for w in words if w and w != "auto")

    def convert(self, model, calibration):
        """The row's spiking network, made from its source network."""
        return snn_keras.convert(
            model,
            max(TIMESTEPS),
            make_neuron(self.neuron, self.options),
            data=calibration if self.levels else None,
            levels=self.levels or None,
            calibration=self.calibration,
            bias_correction=self.bias_correction,
        )


ROWS = (
    Row("thresholds from data, max (v0 = 0)", "float", "if", ("initial=0",), 16, "max"),
    Row("thresholds from data, percentile", "float", "if", (), 16, "percentile"),
    Row("thresholds from data, MSE", "float", "if", (), 16),
    Row("the same, biases corrected", "float", "if", (), 16, "mse", True),
    Row("LSQ p = 2, integrate-and-fire", "plain", "if"),
    Row("LSQ p = 2, SRP", "plain", "srp"),
    Row("LSQ p = 2, offset spikes (COS)", "plain", "cos"),
    Row("LSQ p = 2, signed", "plain", "signed"),
    Row("noise adaptor p = 2, integrate-and-fire", "adaptor", "if"),
    Row("noise adaptor p = 2, signed", "adaptor", "signed"),
    Row("QCFS L = 4, integrate-and-fire", "qcfs", "if"),
    Row("NQ L = 4, integrate-and-fire", "nq", "if"),
    Row("LSQ p = 15, bit-serial", "bits", "bit_serial"),
    Row("LSQ p = 15, bit-serial, bit sparsity", "sparse", "bit_serial"),
    Row("noisy LIF, stage 2", "lif", "lif", ("stage=2",)),
    Row("noisy LIF, stage 3", "lif", "lif", ("stage=3",)),
)
DATASETS = {"fashion_mnist": "Fashion-MNIST", "mnist": "MNIST"}
# What the papers print for the same data set and network, by row and T.
PAPERS = {
    ("fashion_mnist", "lif_lif_stage3"): {5: 93.89},
    ("mnist", "lif_lif_stage3"): {5: 99.61},
}


NOTES = """
## What falls short, and why

* **Budgets.** These networks trained for 2 to 20 epochs on two CPU cores, each command
  is in its metrics; the papers train for 100 (MNIST, 003), 200 (Fashion-MNIST, 003)
  and 300 to 400 epochs (000, 001, 002). Noisy LIF trained for 8 epochs on Fashion-MNIST
  and 3 on MNIST, from scratch; it stays below the paper at T = 5.
* **Noise adaptor.** On Fashion-MNIST it helps from T = 4 on and hurts below. On MNIST,
  fine-tuned for 3 epochs, it hurts up to T = 8. We read it so: the mean of the
  activation over its noise is the clipped ReLU, and the network comes to rely on that
  mean, taken by pooling over many equal background pixels; without noise these are all
  rounded to the same side. The source network itself, evaluated without noise, falls
  to 45 %, and the spiking one recovers as its T levels come near the clipped ReLU.
  Exact neurons (signed) reproduce the source's 45 %, as they must.
* **Trained for two levels, run for many steps.** On MNIST plain LSQ falls from 99.3 at
  T = 2 to 98.0 at T = 16: it was trained with the rounding of two levels, and more
  steps round less.
* **SRP and COS** help at T = 1 and 2 on Fashion-MNIST, and hurt on MNIST from T = 2 on.
* **NQ.** Fine-tuned for 6 and 3 epochs it lies below LSQ with p = 2 at every T: with
  L = 4 a threshold is four steps wide, and few steps resolve it badly. Whether the
  noise helps at equal L was not measured here.
* **Thresholds from data.** Without any training for it a network of plain ReLUs needs
  16 steps at least; with thresholds at the largest activation, many more.
* **Bit-serial.** T below its four bits drops bits, and accuracy with them.
"""


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_string("models", "runs", "Where source networks are that do not ship.")
    flags.DEFINE_list("datasets", list(DATASETS), "Data sets to evaluate on.")
    flags.DEFINE_list("rows", [], "Rows to evaluate; all by default.")
    flags.DEFINE_bool("again", False, "Evaluate rows that have metrics anew.")
    flags.DEFINE_integer("samples", 0, "Evaluate the first N only; 0 for all.")
    flags.DEFINE_integer("batch_size", 100, "Images a batch.", lower_bound=1)
    flags.DEFINE_string("metrics", "docs/results", "Directory of the metrics.")
    flags.DEFINE_string("page", "docs/results.md", "The page to write.")


def source_file(dataset, row):
    """The file of a row's source network, or None."""
    name = f"{dataset}_{row.source}.keras"
    for folder in (data.SHIPPED, pathlib.Path(FLAGS.models)):
        if (folder / name).exists():
            return folder / name
    return None


def measure(dataset, row, path):
    """The figures of one row."""
    model = load_model(path)
    test = data.load(dataset, "test", FLAGS.data_dir).take(FLAGS.samples)
    images = data.preprocess(test.images)
    calibration = None
    if row.levels:
        train = data.load(dataset, "train", FLAGS.data_dir)
        calibration = data.preprocess(train.take(1000).images)
    snn = row.convert(model, calibration)
    figures = evaluate(model, snn, images, test.labels, FLAGS.batch_size)
    spikes = analysis.spike_statistics(
        snn.with_timesteps(4), images[:SPIKE_IMAGES], FLAGS.batch_size
    )
    trained = path.with_suffix(".json")
    return {
        "dataset": dataset,
        **dataclasses.asdict(row),
        "trained": json.loads(trained.read_text())["command"],
        **figures,
        "spikes_at_4": spikes["spikes"],
    }


def page(metrics):
    """The text of docs/results.md, from the metrics of all rows."""
    lines = [
        "# Results",
        "",
        "Made by `python -m apps.results --data_dir=DATA_DIR` from the metrics in "
        "`docs/results/`, which name the command that trained each source network.",
        "",
        "Test accuracy in percent, one source network a family, one seed. *+ steps*: "
        "steps that the method spends before the T it reports; its cost is T + these. "
        f"*Spikes*: per image in a run of T = 4, mean of the first {SPIKE_IMAGES} test "
        "images, first T steps only. For bit-serial neurons every column is a run of "
        "its own.",
    ]
    for dataset, title in DATASETS.items():
        rows = [f for (name, _), f in metrics.items() if name == dataset]
        if not rows:
            continue
        images = " or ".join(sorted({f"{f['samples']:,}" for f in rows}))
        lines += ["", f"## {title}, {images} test images", ""]
        names = [f"T = {t}" for t in TIMESTEPS]
        header = ["method", "source", *names, "+ steps", "spikes", "paper"]
        lines += [_line(header), _line(["---"] * len(header))]
        for row in ROWS:
            figures = metrics.get((dataset, row.key))
            if figures is None:
                continue
            paper = PAPERS.get((dataset, row.key), {})
            cells = [
                row.method,
                f"{figures['ann']:.2%}"[:-1],
                *(f"{figures['snn'][t - 1]:.2%}"[:-1] for t in TIMESTEPS),
                str(figures["extra_steps"] or ""),
                f"{figures['spikes_at_4']:,.0f}",
                ", ".join(f"{v} at T = {t}" for t, v in paper.items()),
            ]
            lines.append(_line(cells))
    return "\n".join(lines) + "\n" + NOTES


def _line(cells):
    return "| " + " | ".join(cells) + " |"


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    known = {row.key for row in ROWS}
    unknown = sorted(set(FLAGS.rows) - known)
    if unknown:
        raise app.UsageError(f"--rows: no row {unknown}. The rows: {sorted(known)}")
    folder = pathlib.Path(FLAGS.metrics)
    metrics = {}
    for dataset in DATASETS:
        for row in ROWS:
            file = folder / f"{dataset}_{row.key}.json"
            wanted = dataset in FLAGS.datasets and row.key in (FLAGS.rows or known)
            path = source_file(dataset, row)
            if wanted and path and (FLAGS.again or not file.exists()):
                logging.info("%s: %s", DATASETS[dataset], row.method)
                data.write_json(file, measure(dataset, row, path))
            if file.exists():
                metrics[dataset, row.key] = json.loads(file.read_text())
            elif wanted:
                logging.warning(
                    "%s: %s: no %s_%s.keras in saved_models/ or %s",
                    *(DATASETS[dataset], row.method, dataset, row.source, FLAGS.models),
                )
    data.write_text(pathlib.Path(FLAGS.page), page(metrics))


if __name__ == "__main__":
    define_flags()
    app.run(main)
