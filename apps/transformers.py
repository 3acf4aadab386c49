"""A vision transformer, with numbers in its products, and with spikes alone.

    python -m apps.transformers --data_dir=DATA_DIR

The float network that ships is quantized on training images, with either in its
products, and so is the one that was trained for spikes, where it ships. Each runs as
bit-serial neurons and as differential ones, whose answers are read after 4, 8 and 16
steps (--timesteps). Prints a table and keeps its figures in FOLDER/transformers.json.

*Same*: images with the answer of the quantized network. *Spikes*, *added*,
*multiplied*: of an image; what stands before the first neuron and behind the last
multiplies, too. *Operations*, *with memory*: their energy in nJ, on 45 nm; where there
are no neurons, that of whole numbers of as many bits as the levels have.
"""

import dataclasses
import pathlib

import numpy as np
from absl import app, flags, logging

import snn_keras
from snn_keras import analysis
from snn_keras.text import table

from . import data

FLAGS = flags.FLAGS
FLOAT, TRAINED = "fashion_mnist_vit_float", "fashion_mnist_vit_spikes"
DATASET = "fashion_mnist"
CALIBRATION_IMAGES = 1000
HEADER = ("network", "products", "neurons", "T", "accuracy", "same", "spikes", "added")
HEADER += ("multiplied", "operations", "with memory")


@dataclasses.dataclass(frozen=True)
class Source:
    """A quantized network.

    Attributes:
        name: What it is called.
        products: What its products take.
        model: The network.
    """

    name: str
    products: str
    model: object


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string("data_dir", None, "Prepared TFDS data sets, for calibration.")
    flags.DEFINE_integer("samples", 2000, "Test images.", lower_bound=1)
    flags.DEFINE_integer("counted", 50, "Of these, for energy.", lower_bound=1)
    flags.DEFINE_list("levels", ["15"], "Levels to quantize the float network to.")
    flags.DEFINE_list("timesteps", ["4", "8", "16"], "Steps of differential neurons.")
    flags.DEFINE_integer("batch_size", 100, "Images at a time.", lower_bound=1)
    flags.DEFINE_string("folder", "docs", "Where the figures are written.")


def sources(images):
    """Yields the quantized networks, those from data before the trained one."""
    for levels in map(int, FLAGS.levels):
        for products in ("numbers", "spikes"):
            model = snn_keras.quantize_activations(
                snn_keras.pretrained(FLOAT), levels, data=images, products=products
            )
            yield Source(f"{levels} levels, from data", products, model)
    if TRAINED in snn_keras.pretrained():
        yield Source("15 levels, trained", "spikes", snn_keras.pretrained(TRAINED))


def answered(outputs, labels):
    """The classes, and the share that is right in percent."""
    classes = np.argmax(outputs, axis=-1)
    return classes, 100 * float(np.mean(classes == labels))


def rows_of(source, x, labels):
    """Yields the figures of a quantized network and of its spiking networks."""
    size = FLAGS.batch_size
    classes, accuracy = answered(source.model.predict(x, size, verbose=0), labels)
    about = {"network": source.name, "products": source.products}
    first = {**about, "neurons": "none", "accuracy": accuracy}
    bits = max(
        layer.levels for layer in source.model.layers if hasattr(layer, "levels")
    ).bit_length()
    differential = sorted(map(int, FLAGS.timesteps))
    for neuron, steps in (("bit_serial", [bits]), ("differential", differential)):
        snn = snn_keras.convert(source.model, steps[-1], neuron)
        if neuron == "bit_serial":
            outputs = {bits: snn.predict(x, size, verbose=0)}
        else:
            over_time = snn.predict_over_time(x, size, verbose=0)
            outputs = {t: over_time[t - 1] for t in steps}
        for t in steps:
            found, accuracy = answered(outputs[t], labels)
            counted = x[: FLAGS.counted]
            run = snn.with_timesteps(t)
            energy = analysis.energy(run, counted)
            if neuron == "bit_serial":
                cost = energy.opponents["quantized"].cost
                yield {**first, **costs(cost)}
            logging.info("%s, %s, %s, T = %d", *about.values(), neuron, t)
            yield {
                **about,
                "neurons": neuron,
                "T": t,
                "accuracy": accuracy,
                "same": int(np.sum(found == classes)),
                "spikes": analysis.spike_statistics(run, counted).spikes,
                **costs(energy.spiking),
            }


def costs(cost):
    """The figures of a `Cost`."""
    return {
        "added": cost.add,
        "multiplied": cost.multiply,
        "operations": cost.operations / 1000,
        "with memory": cost.energy / 1000,
    }


def printed(figures):
    """A row of the table."""
    for column in HEADER:
        value = figures.get(column, "")
        if column == "accuracy":
            value = f"{value:.2f}"
        elif isinstance(value, float):
            value = f"{value:,.0f}"
        yield str(value)


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    images = data.load(DATASET, "train", FLAGS.data_dir).take(CALIBRATION_IMAGES).images
    test = data.load(DATASET, "test").take(FLAGS.samples)
    x = data.preprocess(test.images)
    outputs = snn_keras.pretrained(FLOAT).predict(x, FLAGS.batch_size, verbose=0)
    figures = [{"network": "float", "accuracy": answered(outputs, test.labels)[1]}]
    file = pathlib.Path(FLAGS.folder) / "transformers.json"
    for source in sources(data.preprocess(images)):
        figures.extend(rows_of(source, x, test.labels))
        data.write_json(file, {"samples": len(x), "rows": figures})
    print(table([HEADER, *(tuple(printed(row)) for row in figures)]))


if __name__ == "__main__":
    define_flags()
    app.run(main)
