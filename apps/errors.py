"""Measures how far spiking neurons are from what their source network computes.

    python -m apps.errors --data_dir=...

For the networks of `NETWORKS`, which ship, with integrate-and-fire neurons, on the
first test images. Writes docs/results/errors.json, from which `python -m apps.results`
draws figures of Huang et al. 2024 and Datta et al. 2024.
"""

import math
import pathlib

from absl import app, flags, logging

import snn_keras
from snn_keras import analysis

from . import data
from .sources import load_model

FLAGS = flags.FLAGS

# What pictures call them, and their files.
NETWORKS = {
    "QCFS L = 4, from scratch": "cifar10_qcfs_scratch",
    "NQ L = 4, from scratch": "cifar10_nq_scratch",
    "LSQ p = 15": "cifar10_bits",
}
TIMESTEPS = (1, 2, 4, 8)


def define_flags():
    """Flags of this program."""
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_integer("samples", 100, "Test images.", lower_bound=1)
    flags.DEFINE_string("output", "docs/results/errors.json", "The file to write.")


def errors(model, images):
    """The errors of each layer's neurons in runs of several lengths.

    Returns:
        `{"T": {layer: {"rms": root mean square, as a share of the threshold, "shares":
        {"steps": share of neurons that are off by so many quantization steps}}}}`.
    """
    found = {}
    for t in TIMESTEPS:
        snn = snn_keras.convert(model, t, "if")
        layers = analysis.mismatch(model, snn, images, batch_size=64).layers
        found[str(t)] = {
            name: {
                "rms": math.hypot(layer.mean, layer.std) / model.get_layer(name).levels,
                "shares": dict(
                    zip(
                        map(str, layer.histogram.steps),
                        layer.histogram.share,
                        strict=True,
                    )
                ),
            }
            for name, layer in layers.items()
        }
    return found


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    test = data.load("cifar10", "test", FLAGS.data_dir).take(FLAGS.samples)
    images = data.preprocess(test.images)
    found = {}
    for name, source in NETWORKS.items():
        logging.info("%s", name)
        model = load_model(data.SHIPPED / f"{source}.keras")
        found[name] = {
            "levels": max(
                layer.levels for layer in model.layers if hasattr(layer, "levels")
            ),
            "errors": errors(model, images),
        }
    figures = {"samples": len(images), "networks": found}
    data.write_json(pathlib.Path(FLAGS.output), figures)


if __name__ == "__main__":
    define_flags()
    app.run(main)
