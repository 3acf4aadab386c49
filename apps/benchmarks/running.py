"""How long a spiking network runs, against its source."""

from .measuring import ratio, timed
from .networks import (
    BATCHES,
    BATCHES_A_CALL,
    dyadic_resnet18,
    forward,
    prediction,
)

STEPS = (4, 8, 32, 128)


def make_rate():
    """The source's forward pass, and the spiking network's `predict`."""
    import keras

    import snn_keras

    source, images = dyadic_resnet18()
    relu, _ = dyadic_resnet18(activation=keras.layers.ReLU())
    cases = {}
    for batch in BATCHES:
        cases[f"ANN, batch {batch}"] = forward(relu, images, batch)
    for steps in STEPS:
        snn = snn_keras.convert(source, steps)
        for batch in BATCHES:
            run = prediction(snn, images, batch, BATCHES_A_CALL[batch])
            cases[f"batch {batch}, T={steps}"] = run
    return cases


def rate(rounds):
    """Rate-coded ResNet-18 through `predict`, against T passes of its source."""
    seconds, _ = timed(make_rate, rounds)
    return {
        f"batch {batch}, T={steps}": ratio(
            seconds[f"batch {batch}, T={steps}"],
            seconds[f"ANN, batch {batch}"],
            steps * times,
        )
        for batch, times in BATCHES_A_CALL.items()
        for steps in STEPS
    }


def make_bit_serial():
    import keras

    import snn_keras

    networks = {}
    networks["ANN"], images = dyadic_resnet18(activation=keras.layers.ReLU())
    for bits in (4, 8):
        source, _ = dyadic_resnet18(2**bits - 1)
        networks[f"T={bits}"] = snn_keras.convert(source, bits, "bit_serial")
    cases = {}
    for name, network in networks.items():
        for batch in BATCHES:
            cases[f"forward, batch {batch}, {name}"] = forward(network, images, batch)
            run = prediction(network, images, batch, BATCHES_A_CALL[batch])
            cases[f"predict, batch {batch}, {name}"] = run
    return cases


def bit_serial(rounds):
    """Bit-serial ResNet-18 against its source: forward pass and `predict`, of each."""
    seconds, _ = timed(make_bit_serial, 3 * rounds)
    return {
        name: ratio(taken, seconds[f"{name.rsplit(', ', 1)[0]}, ANN"])
        for name, taken in seconds.items()
        if not name.endswith("ANN")
    }


def make_chunks():
    import snn_keras

    source, images = dyadic_resnet18()
    cases = {}
    for batch in BATCHES:
        for steps in (1, 2, 4, 8, 16):
            snn = snn_keras.convert(source, 16)
            snn.chunk_steps = steps
            run = prediction(snn, images, batch, BATCHES_A_CALL[batch])
            cases[f"batch {batch}, {steps} a chunk"] = run
    return cases


def chunks(rounds):
    """T = 16 in chunks of 1, 2, 4, 8, 16 steps, over chunks of 1."""
    seconds, _ = timed(make_chunks, rounds)
    return {
        name: ratio(taken, seconds[f"{name.split(',')[0]}, 1 a chunk"])
        for name, taken in seconds.items()
    }
