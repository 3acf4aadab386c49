"""Converts the model that ships and runs it on real test images.

    python -m apps.demo

Needs no network: Fashion-MNIST networks and the 10,000 test images lie in
saved_models/. Prints the accuracy of the source network and, from one run, of the
spiking network at each time step; writes the plot and the figures, and a report of
some of the images: demo/report.html. It takes the first 2,000 images, --samples=0 all.
"""

import importlib.util
import pathlib

from absl import app, flags

import snn_keras
from snn_keras import analysis

from . import data
from .evaluate import evaluate, print_accuracy
from .sources import load_model

FLAGS = flags.FLAGS

MODELS = {
    "with noise adaptor": "fashion_mnist_adaptor.keras",
    "without noise": "fashion_mnist_plain.keras",
}


CLASSES = (
    *("T-shirt/top", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)


def define_flags():
    """Flags of this program."""
    flags.DEFINE_integer("timesteps", 16, "Time steps of the run.")
    flags.DEFINE_integer("samples", 2000, "Use the first N images only; 0 for all.")
    flags.DEFINE_integer("batch_size", 100, "Images a batch.", lower_bound=1)
    flags.DEFINE_bool("compare", False, "Run the network without noise too.")
    flags.DEFINE_integer(
        "report_samples", 500, "Images of the report; 0 for none.", lower_bound=0
    )
    flags.DEFINE_string("output", "demo", "Directory for all that is written.")


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    test = data.shipped_test_images().take(FLAGS.samples)
    images = data.preprocess(test.images)
    output = pathlib.Path(FLAGS.output)
    results = {}
    networks = {}
    for label, file in list(MODELS.items())[: None if FLAGS.compare else 1]:
        model = load_model(data.SHIPPED / file)
        snn = snn_keras.convert(model, FLAGS.timesteps)
        networks[label] = model, snn
        print(f"converting {file}, {label}")
        print(snn_keras.plan(model, FLAGS.timesteps), flush=True)
        results[label], _ = evaluate(model, snn, images, test.labels, FLAGS.batch_size)
        steps = sorted({1, 2, 4, 8, *range(1, FLAGS.timesteps + 1)})
        print_accuracy(
            label, results[label], [t for t in steps if t <= FLAGS.timesteps]
        )
    data.write_json(output / "accuracy.json", results)
    print(f"\nwrote {output / 'accuracy.json'}")
    if importlib.util.find_spec("matplotlib") is None:
        print("no picture, no report: they need pip install matplotlib")
        return
    write_plot(output / "accuracy.png", results)
    print(f"wrote {output / 'accuracy.png'}")
    if FLAGS.report_samples:
        write_report(
            output / "report.html", *networks["with noise adaptor"], images, test.labels
        )
        print(f"wrote {output / 'report.html'}")


def write_report(path, model, snn, images, labels):
    """Writes the report of a conversion, on the first images."""
    analysis.report(
        model,
        snn,
        images[: FLAGS.report_samples],
        labels[: FLAGS.report_samples],
        path,
        samples=100,
        batch_size=FLAGS.batch_size,
        title="Fashion-MNIST, with noise adaptor",
        class_names=CLASSES,
        overwrite=True,
    )


def write_plot(path, results):
    """Draws the accuracies of `evaluate` by label, without a display."""
    import matplotlib

    matplotlib.use("Agg")
    ax = analysis.plot_accuracy_over_time(
        {label: figures["snn"] for label, figures in results.items()},
        {label: figures["ann"] for label, figures in results.items()},
    )
    images = next(iter(results.values()))["samples"]
    ax.set_title(f"Fashion-MNIST, {images:,} test images, integrate-and-fire neurons")
    temporary = path.with_name(f".{path.stem}.partial.png")
    ax.figure.savefig(temporary, dpi=150)
    temporary.replace(path)


if __name__ == "__main__":
    define_flags()
    app.run(main)
