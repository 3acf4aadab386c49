"""VGG-16, in variants for CIFAR and ImageNet."""

import keras
from keras import layers

from snn_keras.applications._parts import IMAGES, NORM_MOMENTUM, Parts, is_small

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def vgg16(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
    pooling: str = "average",
) -> keras.Model:
    """VGG-16 with batch normalization: 14.7 M parameters.

    Images of more than 64 pixels have two layers of 4096 units before the head, as in
    the original: 138 M parameters.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`, each side a
            multiple of 32.
        classes: Number of classes.
        activation: The activation, a layer that is copied for every use; None for
            `keras.layers.ReLU()`.
        norm_momentum: Momentum of the moving statistics of batch normalization; a
            smaller one follows a changing network sooner.
        pooling: `"average"` or `"max"`. Max pooling of spikes compares what its inputs
            have sent so far (Li et al. 2022, section 4.5).

    Returns:
        A functional `keras.Model` from images to logits `(batch, classes)`.

    Source: Simonyan and Zisserman, Very Deep Convolutional Networks, 2015; used
    by Huang et al. 2024, Datta et al. 2024 and Jiang and Zhang 2023.
    """
    parts = Parts(activation, norm_momentum, pooling)
    x = inputs = keras.Input(input_shape)
    for stage, (filters, count) in enumerate(STAGES, start=1):
        for i in range(1, count + 1):
            x = parts.conv_act(x, filters, 3, name=f"stage{stage}_conv{i}")
        x = parts.pool(x, f"stage{stage}_pool")
    x = layers.Flatten(name="flatten", **IMAGES)(x)
    if not is_small(input_shape):
        for i in (1, 2):
            x = layers.Dense(4096, name=f"fc{i}")(x)
            x = parts.activation(x, f"fc{i}_act")
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name="vgg16")
