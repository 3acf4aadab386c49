"""Steps of training."""

import statistics

import numpy as np

from .measuring import ratio, timed

# Network, images a step, and whether XLA compiles it; None for Keras's own choice.
TRAININGS = (("resnet18", 32, True), ("resnet20", 128, None))
STEPS_A_CALL = 3


def make_training():
    import keras

    from snn_keras import applications, layers

    activations = {
        "ReLU": keras.layers.ReLU(),
        "LSQ": layers.LSQReLU(3, initial_step=0.25),
        "noise adaptor": layers.LSQReLU(
            3, layers.noise.get("adaptor"), initial_step=0.25
        ),
    }
    rng = np.random.default_rng(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    cases = {}
    for network, batch, by_xla in TRAININGS:
        x = rng.normal(size=(batch, 32, 32, 3)).astype("float32")
        y = np.arange(batch) % 10
        for name, activation in activations.items():
            keras.utils.set_random_seed(0)
            model = getattr(applications, network)(activation=activation)
            optimizer = keras.optimizers.SGD(0.01, 0.9)
            model.compile(optimizer, loss, jit_compile=by_xla or "auto")

            def run(model=model, x=x, y=y):
                for _ in range(STEPS_A_CALL):
                    model.train_on_batch(x, y)

            cases[f"{network}, batch {batch}, {name}"] = run
    return cases


def training(rounds):
    """A training step over the same step with ReLU, and images a second."""
    seconds, _ = timed(make_training, rounds)
    figures = {}
    for network, batch, _ in TRAININGS:
        start = f"{network}, batch {batch}"
        for name in ("ReLU", "LSQ", "noise adaptor"):
            taken = seconds[f"{start}, {name}"]
            if name != "ReLU":
                figures[f"{start}, {name}"] = ratio(taken, seconds[f"{start}, ReLU"])
            rate = STEPS_A_CALL * batch / statistics.median(taken)
            figures[f"images a second: {start}, {name}"] = {"ratio": round(rate)}
    return figures
