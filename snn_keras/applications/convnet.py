"""The convolutional network of Jiang and Zhang 2023, for MNIST and Fashion-MNIST."""

import keras
from keras import layers

from snn_keras.applications._parts import IMAGES, NORM_MOMENTUM, Parts


def mnist_convnet(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
    pooling: str = "average",
) -> keras.Model:
    """64C3-AP2-128C3-AP2-128C3-AP2-512FC-10FC, with batch normalization.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        classes: Number of classes.
        activation: The activation, a layer that is copied for every use, such as
            `snn_keras.layers.LSQReLU(levels=3)`; None for `keras.layers.ReLU()`.
        norm_momentum: Momentum of the moving statistics of batch normalization; a
            smaller one follows a changing network sooner.
        pooling: `"average"` or `"max"`. Max pooling of spikes compares what its inputs
            have sent so far (Li et al. 2022, section 4.5).

    Returns:
        A functional `keras.Model` from images to logits `(batch, classes)`.

    Source: Jiang and Zhang 2023, section 4; the batch normalization is ours.
    """
    parts = Parts(activation, norm_momentum, pooling)
    x = inputs = keras.Input(input_shape)
    for i, filters in enumerate((64, 128, 128), start=1):
        x = layers.Conv2D(
            filters, 3, padding="same", use_bias=False, name=f"conv{i}", **IMAGES
        )(x)
        x = parts.norm(x, f"norm{i}", epsilon=1e-3)
        x = parts.activation(x, f"act{i}")
        x = parts.pool(x, f"pool{i}")
    x = layers.Flatten(name="flatten", **IMAGES)(x)
    x = layers.Dense(512, use_bias=False, name="fc1")(x)
    x = parts.norm(x, "norm4", epsilon=1e-3)
    x = parts.activation(x, "act4")
    return keras.Model(
        inputs, layers.Dense(classes, name="fc2")(x), name="mnist_convnet"
    )
