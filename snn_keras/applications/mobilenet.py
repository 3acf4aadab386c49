"""MobileNetV2, in variants for CIFAR and ImageNet."""

import keras
from keras import layers

from snn_keras.applications._parts import IMAGES, NORM_MOMENTUM, Parts, is_small

# Expansion, filters, blocks and stride of each stage.
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def mobilenet_v2(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
) -> keras.Model:
    """MobileNetV2: 3.5 M parameters for ImageNet.

    For images of up to 64 pixels, the stem and the second stage have no stride.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        classes: Number of classes.
        activation: The activation, a layer that is copied for every use; None for
            `keras.layers.ReLU(6.0)`.
        norm_momentum: Momentum of the moving statistics of batch normalization; a
            smaller one follows a changing network sooner.

    Returns:
        A functional `keras.Model` from images to logits `(batch, classes)`.

    Source: Sandler et al., MobileNetV2, 2018; used by Datta et al. 2024.
    """
    parts = Parts(activation or layers.ReLU(6.0), norm_momentum)
    small = is_small(input_shape)
    x = inputs = keras.Input(input_shape)
    x = parts.conv_act(x, 32, 3, 1 if small else 2, name="stem")
    for stage, (expansion, filters, count, first) in enumerate(STAGES, start=1):
        for i in range(1, count + 1):
            strides = 1 if i > 1 or (small and stage == 2) else first
            name = f"stage{stage}_block{i}"
            y = x
            if expansion > 1:
                wide = expansion * x.shape[-1]
                y = parts.conv_act(y, wide, 1, name=f"{name}_expand")
            y = layers.ZeroPadding2D(1, name=f"{name}_pad", **IMAGES)(y)
            y = layers.DepthwiseConv2D(
                3, strides, use_bias=False, name=f"{name}_depthwise", **IMAGES
            )(y)
            y = parts.norm(y, f"{name}_norm")
            y = parts.activation(y, f"{name}_act")
            y = parts.conv(y, filters, 1, name=f"{name}_project")
            same = strides == 1 and x.shape[-1] == filters
            x = layers.Add(name=f"{name}_add")([x, y]) if same else y
    x = parts.conv_act(x, 1280, 1, name="last")
    x = layers.GlobalAveragePooling2D(name="pool", **IMAGES)(x)
    head = layers.Dense(classes, name="head")
    return keras.Model(inputs, head(x), name="mobilenet_v2")
