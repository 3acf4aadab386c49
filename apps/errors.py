"""Measures how far spiking neurons are from what their source network computes.

    python -m apps.errors --data_dir=...

For the networks of `NETWORKS`, which ship, with integrate-and-fire neurons, on the
first test images. Writes docs/results/errors.json, from which `python -m apps.results`
draws figures of Huang et al. 2024 and Datta et al. 2024. Networks that stand there
already are not measured again.
"""

import json
import pathlib

import numpy as np
from absl import app, flags, logging

import snn_keras
from snn_keras.conversion.normalize import normal_form
from snn_keras.conversion.probe import SourceProbe, SpikingProbe
from snn_keras.layers import QuantizedActivation

from . import data
from .sources import load_model

FLAGS = flags.FLAGS

# What pictures call them, and their files.
NETWORKS = {
    "QCFS L = 4, from scratch": "cifar10_qcfs_scratch",
    "NQ L = 4, from scratch": "cifar10_nq_scratch",
    "LSQ p = 15": "cifar10_bits",
    "LSQ p = 2": "cifar10_plain2",
    "noise adaptor p = 2": "cifar10_adaptor2",
}
TIMESTEPS = (2, 4, 8)


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
    layers = {
        layer.name: layer
        for layer in model.layers
        if isinstance(layer, QuantizedActivation)
    }
    _, expected = SourceProbe(model, normal_form(model), list(layers))(images)
    found = {}
    for t in TIMESTEPS:
        snn = snn_keras.convert(model, t, "if")
        _, signals = SpikingProbe(snn).predict_on_batch(images)
        found[str(t)] = {
            name: of_layer(signals[name][1] - np.asarray(expected[name]), layer)
            for name, layer in layers.items()
        }
    return found


def of_layer(error, layer):
    """What is told of the errors of a layer's neurons."""
    off, counts = np.unique(np.round(error / layer.step_value()), return_counts=True)
    return {
        "rms": float(np.sqrt(np.mean(np.square(error))) / layer.threshold_value()),
        "shares": {
            str(int(k)): count / error.size
            for k, count in zip(off, counts.tolist(), strict=True)
        },
    }


def main(argv):
    if len(argv) > 1:
        raise app.UsageError(f"unexpected arguments: {argv[1:]}")
    test = data.load("cifar10", "test", FLAGS.data_dir).take(FLAGS.samples)
    images = data.preprocess(test.images)
    output = pathlib.Path(FLAGS.output)
    found = json.loads(output.read_text()) if output.exists() else {}
    for name, source in NETWORKS.items():
        if name in found:
            continue
        logging.info("%s", name)
        model = load_model(data.SHIPPED / f"{source}.keras")
        levels = max(getattr(layer, "levels", 0) for layer in model.layers)
        found[name] = {"levels": levels, "errors": errors(model, images)}
        data.write_json(output, found)


if __name__ == "__main__":
    define_flags()
    app.run(main)
