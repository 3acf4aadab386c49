"""Steps of training."""

import statistics

import numpy as np

from .measuring import ratio, timed

# Networks, and their images.
NETWORKS = {"resnet20": (32, 32, 3), "mnist_convnet": (28, 28, 1)}
BATCH = 128
STEPS_A_CALL = 3


def make_training():
    import keras

    from snn_keras import applications, layers
    from snn_keras.regularizers import BitSparsity

    activations = {
        "ReLU": keras.layers.ReLU(),
        "LSQ": layers.LSQReLU(3, initial_step=0.25),
        "noise adaptor": layers.LSQReLU(
            3, layers.noise.get("adaptor"), initial_step=0.25
        ),
        "bit sparsity": layers.LSQReLU(
            15, initial_step=0.0625, activity_regularizer=BitSparsity(1e-8)
        ),
    }
    rng = np.random.default_rng(0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    cases = {}
    for network, shape in NETWORKS.items():
        x = rng.normal(size=(BATCH, *shape)).astype("float32")
        y = np.arange(BATCH) % 10
        for name, activation in activations.items():
            for compiler, by_xla in compilers(keras.backend.backend()).items():
                keras.utils.set_random_seed(0)
                make = getattr(applications, network)
                model = make(shape, activation=activation)
                optimizer = keras.optimizers.SGD(0.01, 0.9)
                model.compile(optimizer, loss, jit_compile=by_xla)

                def run(model=model, x=x, y=y):
                    for _ in range(STEPS_A_CALL):
                        model.train_on_batch(x, y)

                cases[f"{network}, {name}, {compiler}"] = run
    return cases


def compilers(backend):
    """How a training step can be compiled: `{name: jit_compile}`."""
    return {
        "tensorflow": {"XLA": True, "TensorFlow's kernels": False},
        "jax": {"XLA": True},
        "torch": {"PyTorch": False},
    }[backend]


def training(rounds):
    """A training step of 128 images over the same with ReLU, and images a second."""
    seconds, _ = timed(make_training, rounds)
    figures = {}
    for case, taken in seconds.items():
        network, name, compiler = case.split(", ")
        if name != "ReLU":
            figures[case] = ratio(taken, seconds[f"{network}, ReLU, {compiler}"])
        rate = STEPS_A_CALL * BATCH / statistics.median(taken)
        figures[f"images a second: {case}"] = {"ratio": round(rate)}
    return figures
