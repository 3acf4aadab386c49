"""A detector like RetinaNet and a segmenter like U-Net, as functional Keras models."""

import math

import keras
from keras import layers

from .boxes import ASPECTS
from .making import CLASSES, SIZE

PRIOR = 0.01  # the score of every class before training, as for focal loss


def _conv(x, filters, strides=1):
    """A convolution, batch normalization and ReLU."""
    x = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU()(x)


def detector(width=16):
    """A detector with a pyramid of two levels, of one pixel in 4 and one in 8.

    The coarse level is upsampled and added to the fine one. One head says the classes
    at both levels, another one the boxes.

    Args:
        width: Channels of the first layer; later ones have up to four times as many.

    Returns:
        A model of images `(batch, SIZE, SIZE, 1)`, whose outputs are `"classes"`,
        scores in [0, 1] `(batch, anchors, CLASSES)`, and `"boxes"`, numbers
        `(batch, anchors, 4)`; `boxes.found_in` makes boxes of them.
    """
    inputs = keras.Input((SIZE, SIZE, 1), name="scene")
    x = _conv(_conv(inputs, width, 2), 2 * width)
    fine = _conv(_conv(x, 2 * width, 2), 3 * width)
    coarse = _conv(_conv(fine, 4 * width, 2), 4 * width)
    coarse = layers.Conv2D(2 * width, 1, name="lateral_8")(coarse)
    fine = layers.Conv2D(2 * width, 1, name="lateral_4")(fine)
    fine = layers.Add(name="pyramid_4")([fine, layers.UpSampling2D()(coarse)])
    levels = [_conv(fine, 2 * width), _conv(coarse, 2 * width)]
    bias = keras.initializers.Constant(-math.log((1 - PRIOR) / PRIOR))
    classes = _answers(levels, "class", CLASSES, width, bias)
    outputs = {
        "classes": layers.Activation("sigmoid", name="classes")(classes),
        "boxes": _answers(levels, "box", 4, width, "zeros"),
    }
    return keras.Model(inputs, outputs, name="detector")


def _answers(levels, name, numbers, width, bias):
    """The numbers that a head, the same at all levels, says of each anchor."""
    head = [
        layers.Conv2D(2 * width, 3, padding="same", name=f"{name}_1"),
        layers.ReLU(name=f"{name}_1_relu"),
        layers.Conv2D(2 * width, 3, padding="same", name=f"{name}_2"),
        layers.ReLU(name=f"{name}_2_relu"),
        layers.Conv2D(
            len(ASPECTS) * numbers,
            3,
            padding="same",
            bias_initializer=bias,
            name=f"{name}_numbers",
        ),
        layers.Reshape((-1, numbers), name=f"{name}_by_anchor"),
    ]
    said = []
    for x in levels:
        for layer in head:
            x = layer(x)
        said.append(x)
    return layers.Concatenate(axis=1, name="boxes" if name == "box" else "logits")(said)


def segmenter(width=12):
    """A segmenter that goes down twice, by max pooling, and up twice.

    Args:
        width: Channels at full size; twice and four times as many further down.

    Returns:
        A model of images `(batch, SIZE, SIZE, 1)`, whose output are logits
        `(batch, SIZE, SIZE, CLASSES + 1)`, the last of them of the background.
    """
    inputs = keras.Input((SIZE, SIZE, 1), name="scene")
    full = _conv(_conv(inputs, width), width)
    half = _conv(_conv(layers.MaxPooling2D()(full), 2 * width), 2 * width)
    quarter = _conv(_conv(layers.MaxPooling2D()(half), 4 * width), 4 * width)
    x = layers.Conv2DTranspose(2 * width, 2, 2, padding="same")(quarter)
    x = layers.Concatenate()([x, half])
    x = _conv(_conv(x, 2 * width), 2 * width)
    x = layers.Concatenate()([layers.UpSampling2D()(x), full])
    x = _conv(_conv(x, width), width)
    outputs = layers.Conv2D(CLASSES + 1, 1, name="logits")(x)
    return keras.Model(inputs, outputs, name="segmenter")
