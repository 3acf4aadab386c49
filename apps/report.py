"""Writes all that is known about a conversion to one HTML file.

    python -m apps.report --model=saved_models/fashion_mnist_adaptor.keras \\
        --dataset=fashion_mnist --timesteps=16 --output=report.html

Accuracy at each time step, mismatch of every layer, spikes, operations and energy
beside the source network, single neurons, the images whose answer flips, and the plan.
The file needs no network; all of its figures are in it as JSON too.
"""

from absl import app, flags

import snn_keras
from snn_keras import analysis, neurons

from . import sources
from .evaluate import make_neuron

FLAGS = flags.FLAGS


def define_flags():
    """Flags of this program; a function, so that others can import the rest."""
    sources.define_flags()
    sources.define_calibration_flags()
    flags.adopt_module_key_flags(sources)
    flags.DEFINE_string("output", "report.html", "The file to write.")
    flags.DEFINE_bool("overwrite", False, "Replace the file if it is there.")
    flags.DEFINE_string("title", None, "Its heading; the model's name by default.")
    flags.DEFINE_integer("timesteps", 16, "Time steps of the run.", lower_bound=1)
    flags.DEFINE_enum(
        "neuron", "auto", ["auto", *sorted(neurons.by_name)], "The neurons."
    )
    flags.DEFINE_list(
        "neuron_options", [], "Options of the neurons' cell, such as stage=2,alpha=4."
    )
    flags.DEFINE_bool(
        "compare", False, "Run other neurons and numbers of steps, and show them too."
    )
    flags.DEFINE_bool(
        "settle", False, "Run until no neuron fires (signed or differential)."
    )
    flags.DEFINE_integer(
        "inspected",
        500,
        "The first so many of them for mismatch, spikes and energy.",
        lower_bound=1,
    )


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    model, images, labels = sources.model_and_test_set()
    neuron = make_neuron(FLAGS.neuron, FLAGS.neuron_options)
    timesteps = "settle" if FLAGS.settle else FLAGS.timesteps
    calibration = sources.calibration_images(model)
    given = {"data": calibration, "calibration": FLAGS.calibration}
    snn = snn_keras.convert(model, timesteps, neuron, **given)
    comparison = None
    if FLAGS.compare:
        comparison = snn_keras.compare(
            model, images, labels, **given, batch_size=FLAGS.batch_size
        )
    figures = analysis.report(
        model,
        snn,
        images,
        labels,
        FLAGS.output,
        samples=FLAGS.inspected,
        batch_size=FLAGS.batch_size,
        title=FLAGS.title,
        comparison=comparison,
        overwrite=FLAGS.overwrite,
    )
    print(figures)
    print(f"wrote {FLAGS.output}")


if __name__ == "__main__":
    define_flags()
    app.run(main)
