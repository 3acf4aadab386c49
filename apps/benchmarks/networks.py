"""The network that is timed, and what is run of it.

Keras is imported in functions: in the process of a peer, TensorFlow and PyTorch would
clash.
"""

import numpy as np

BATCHES = (1, 16)


def dyadic_resnet18(levels=4, activation=None):
    """ResNet-18 whose weights are multiples of 1/8, and 16 images for it.

    Steps are 1/4: the neurons of 4 levels have threshold 1. About half of them
    spike.
    """
    import keras

    from snn_keras import applications, layers

    activation = activation or layers.LSQReLU(levels, initial_step=0.25)
    model = applications.resnet18(activation=activation)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            count = layer.gamma.shape[0]
            full = [np.full(count, x, "float32") for x in (1 / 8, 0, 1 - 1e-5)]
            beta = (rng.integers(0, 3, count) / 4).astype("float32")
            layer.set_weights([full[0], beta, full[1], full[2]])
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense)):
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights(
                [(rng.integers(-2, 3, s) / 8).astype("float32") for s in shapes]
            )
    images = (rng.integers(-8, 9, (16, 32, 32, 3)) / 4).astype("float32")
    return model, images


def forward(model, images, batch):
    """One compiled forward pass of a source network, on what is on the device."""
    import keras

    from snn_keras.backend import backend

    run = backend.compiled(lambda x: model(x, training=False), model.variables)
    x = keras.ops.convert_to_tensor(images[:batch])
    return lambda: keras.ops.convert_to_numpy(run(x))


def prediction(snn, images, batch, batches=1):
    """`predict` on so many batches, as a user calls it."""
    x = np.concatenate([images[:batch]] * batches)
    return lambda: snn.predict(x, batch_size=batch, verbose=0)


# Batches that one timing covers: `predict` has a cost of its own, once a call.
BATCHES_A_CALL = {1: 16, 16: 1}
