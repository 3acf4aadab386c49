"""What the defaults were chosen by."""

import os

import numpy as np

from .measuring import ratio, timed
from .networks import (
    BATCHES,
    BATCHES_A_CALL,
    dyadic_resnet18,
    prediction,
)


def make_compilers():
    import keras

    import snn_keras

    source, images = dyadic_resnet18()
    relu, _ = dyadic_resnet18(activation=keras.layers.ReLU())
    cases = {}
    for batch in BATCHES:
        batches = BATCHES_A_CALL[batch]
        for compiler, by_xla in (("XLA", True), ("graph", False)):
            snn = snn_keras.convert(source, 8)
            snn.jit_compile = by_xla
            cases[f"batch {batch}, {compiler}"] = prediction(
                snn, images, batch, batches
            )
            x = keras.ops.convert_to_tensor(images[:batch])
            run = whole_graph(relu, by_xla)
            cases[f"ANN, batch {batch}, {compiler}"] = (
                lambda run=run, x=x, batches=batches: (
                    [keras.ops.convert_to_numpy(run(x)) for _ in range(batches)]
                    and None
                )
            )
    return cases


def whole_graph(model, by_xla):
    """A forward pass as one TensorFlow graph, compiled by XLA or not."""
    import tensorflow as tf

    return tf.function(lambda x: model(x, training=False), jit_compile=by_xla)


def compilers(rounds):
    """T = 8 with and without XLA, against 8 passes of the source, compiled by XLA."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        return None
    seconds, _ = timed(make_compilers, rounds)
    figures = {}
    for name, taken in seconds.items():
        ann = name.startswith("ANN")
        batch = "batch 16" if "batch 16" in name else "batch 1"
        below = seconds[f"ANN, {batch}, XLA"]
        figures[name] = ratio(taken, below, 1 if ann else 8)
    return figures


SIZES = ((32, 64), (16, 128), (8, 256), (4, 512))


def make_convolutions():
    import keras

    from snn_keras.backend import backend
    from snn_keras.time import winograd

    cases = {}
    rng = np.random.default_rng(0)
    for samples in (4, 64):
        for size, channels in SIZES:
            layer = keras.layers.Conv2D(channels, 3, padding="same", use_bias=False)
            x = rng.integers(0, 2, (samples, size, size, channels)).astype("float32")
            x = keras.ops.convert_to_tensor(x)
            layer.build(x.shape)
            kernel = winograd.transformed(layer.kernel.value)
            direct = backend.compiled(layer, layer.variables)
            fewer = backend.compiled(
                lambda x, kernel, layer=layer: winograd.convolve(layer, kernel, x), []
            )
            name = f"{samples} x {size} x {size} x {channels}"
            cases[f"direct, {name}"] = lambda f=direct, x=x: _finished(f(x))
            cases[f"Winograd, {name}"] = lambda f=fewer, x=x, kernel=kernel: _finished(
                f(x, kernel)
            )
    return cases


def _finished(y):
    """Waits for a result, without handing it over."""
    import keras

    keras.ops.convert_to_numpy(y)


def convolutions(rounds):
    """Winograd's 3x3 convolution over the direct one, kernel transformed before."""
    seconds, _ = timed(make_convolutions, 3 * rounds)
    return {
        name.removeprefix("Winograd, "): ratio(
            taken, seconds[name.replace("Winograd", "direct")]
        )
        for name, taken in seconds.items()
        if name.startswith("Winograd")
    }


def make_neurons():
    import keras

    from snn_keras.backend import backend
    from snn_keras.neurons import IFCell
    from snn_keras.time import Spiking

    rng = np.random.default_rng(0)
    cases = {}
    for steps in (4, 8):
        x = rng.normal(size=(16, steps, 32, 32, 64)).astype("float32")
        x = keras.ops.convert_to_tensor(x)
        for form, limit in (("unrolled", steps), ("loop", 0)):
            cell = IFCell(1.0)
            cell.unroll = limit
            layer = Spiking(cell)
            layer.build(x.shape)
            run = backend.compiled(layer, layer.variables)
            run(x)  # compiled now
            cases[f"{form}, T={steps}"] = lambda run=run, x=x: _finished(run(x))
        relu = backend.compiled(keras.ops.relu, [])
        cases[f"ReLU, T={steps}"] = lambda run=relu, x=x: _finished(run(x))
    return cases


def neurons(rounds):
    """A layer of 16 x 32 x 32 x 64 neurons, unrolled or as a loop, over a ReLU."""
    seconds, _ = timed(make_neurons, 3 * rounds)
    return {
        name: ratio(taken, seconds[f"ReLU, {name.split(', ')[1]}"])
        for name, taken in seconds.items()
        if not name.startswith("ReLU")
    }
