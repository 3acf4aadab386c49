"""What a network that was made, run and dropped leaves in memory.

    KERAS_BACKEND=jax python -m tests.memory spiking --count=16

Prints the megabytes of each, the first six left out, which load what all share.
"""

import argparse
import gc

import keras
import numpy as np

import snn_keras

FIRST = 6
SHAPE = (16, 16, 3)


def network(activation):
    """A small convolutional network."""
    layers = keras.layers
    parts = [keras.Input(SHAPE)]
    for channels in (16, 32, 32):
        parts += [layers.Conv2D(channels, 3, padding="same")]
        parts += [layers.BatchNormalization(), activation(), layers.AveragePooling2D(2)]
    return keras.Sequential([*parts, layers.Flatten(), layers.Dense(10)])


def run(kind, x):
    """Makes a network, and runs it."""
    if kind.startswith("spiking"):
        levels = snn_keras.layers.LSQReLU
        model = network(lambda: levels(3, initial_step=0.5))
        model = snn_keras.convert(model, 8, "if")
        if kind == "spiking, not compiled":
            model.jit_compile = False
    else:
        model = network(keras.layers.ReLU)
        model.compile(jit_compile=kind == "source, compiled")
    model.predict(x, verbose=0)


def megabytes():
    """What this process holds."""
    with open("/proc/self/status") as file:
        (line,) = [line for line in file if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def main():
    """Prints what each of many networks left."""
    kinds = ["spiking", "spiking, not compiled", "source", "source, compiled"]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=kinds)
    parser.add_argument("--count", type=int, default=31)
    given = parser.parse_args()
    x = np.random.default_rng(0).uniform(size=(8, *SHAPE)).astype("float32")
    for number in range(given.count):
        if number == FIRST:
            before = megabytes()
        run(given.kind, x)
        gc.collect()
    each = (megabytes() - before) / (given.count - FIRST)
    print(f"{given.kind}, {keras.backend.backend()}: {each:.1f} MB each")


if __name__ == "__main__":
    main()
