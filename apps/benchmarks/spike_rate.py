"""Time against spike rate: networks and layers in C whose inputs and neurons spike."""

import pathlib
import tempfile

import numpy as np
from absl import logging

from .devices import in_c, tflite_cases
from .measuring import Worker, ratio

IMAGES = 20
RATES = (1, 2, 5, 10, 20, 30, 40, 50, 60, 80, 100)  # percent
PICTURE = pathlib.Path("docs/performance/spike_rate.png")

# The input's shape, and the channels of each 3x3 convolution.
SHAPES = {
    "4 convolutions, 14 x 14 x 64": ((14, 14, 64), (128, 128, 128, 128)),
    "convolution, 14 x 14 x 64 to 128": ((14, 14, 64), (128,)),
    "convolution, 8 x 8 x 64 to 64": ((8, 8, 64), (64,)),
    "convolution, 32 x 32 x 16 to 16": ((32, 32, 16), (16,)),
}


def source(shape, channels, activation):
    """Convolutions of random weights, and a dense layer."""
    import keras

    keras.utils.set_random_seed(0)
    x = inputs = keras.Input(shape)
    for number, count in enumerate(channels):
        x = keras.layers.Conv2D(count, 3, padding="same", name=f"conv{number}")(x)
        x = activation(f"act{number}")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(10)(x))


def spikes(shape, rate):
    """Images of 0 and 1 of which this share is 1."""
    drawn = np.random.default_rng(0).random((IMAGES, *shape))
    return (drawn < rate).astype("float32")


def at_rate(shape, channels, rate):
    """A source whose neurons spike at a rate, through their biases; and its images."""
    images = spikes(shape, rate)
    return source_at(rate, images, channels), images


def source_at(rate, images, channels):
    """A source whose neurons spike at a rate on these images, through their biases."""
    import keras

    from snn_keras.layers import LSQReLU

    shape = images.shape[1:]
    model = source(shape, channels, lambda name: LSQReLU(1, initial_step=1, name=name))
    for number in range(len(channels)):
        layer = model.get_layer(f"conv{number}")
        sums = keras.Model(model.inputs, layer.output).predict(images, verbose=0)
        bound = np.quantile(sums, 1 - rate, axis=(0, 1, 2))
        layer.bias.assign(0.5 - bound)  # a neuron spikes from half a step on
    return model


def make_spike_rate(name):
    import keras

    import snn_keras

    shape, channels = SHAPES[name]
    images = spikes(shape, 0.2)
    plain = source(shape, channels, lambda name: keras.layers.ReLU(name=name))
    cases = tflite_cases(plain, images, images)
    folder = tempfile.TemporaryDirectory()
    for rate in RATES:
        model, images = at_rate(shape, channels, rate / 100)
        snn = snn_keras.convert(model, 1, "if")
        place = f"{folder.name}/{rate}"
        program = snn_keras.export.to_c(snn, place, images, form="unrolled")
        cases[f"{rate} %"] = in_c(program, images)
    cases["remove"] = folder.cleanup
    return cases


def spike_rate(rounds):
    """By the share of inputs and neurons that spike, T = 1: as in the part before."""
    figures = {}
    for name in SHAPES:
        with Worker(make_spike_rate, name) as worker:
            cases = [case for case in worker.cases if case != "remove"]
            seconds = {case: [] for case in cases}
            for number in range(rounds):
                for case in cases:
                    seconds[case].append(worker.call(case)[1])
                logging.info("%s: round %d of %d", name, number + 1, rounds)
            worker.call("remove")
        for label in ("float", "int8"):
            below = seconds[f"TensorFlow Lite, {label}"]
            for rate in RATES:
                key = f"{name}, {rate} %, over {label}"
                figures[key] = ratio(seconds[f"{rate} %"], below)
    draw(figures)
    return figures


def draw(figures):
    """Draws the ratios against the rate."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from snn_keras import files

    fig, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for ax, label in zip(axes, ("float", "int8"), strict=True):
        for name in SHAPES:
            found = [figures[f"{name}, {rate} %, over {label}"] for rate in RATES]
            ratios = [x["ratio"] for x in found]
            (line,) = ax.plot(RATES, ratios, marker="o", markersize=3, label=name)
            ends = [x["least"] for x in found], [x["most"] for x in found]
            ax.fill_between(RATES, *ends, color=line.get_color(), alpha=0.15)
        ax.axhline(1, color="black", linewidth=0.8, linestyle=":")
        ax.set(xlabel="inputs and neurons that spike (%)", ylim=0)
        ax.set_title(f"time over TensorFlow Lite's {label}", fontsize=10)
        ax.grid(alpha=0.3)
    axes[0].legend(frameon=False, fontsize=8)
    with files.written_whole(PICTURE) as partial:
        fig.savefig(partial, dpi=130, format="png")
    plt.close(fig)
