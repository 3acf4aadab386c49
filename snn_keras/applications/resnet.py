"""Residual networks, in variants for CIFAR and ImageNet."""

from collections.abc import Callable

import keras
from keras import layers, ops

from snn_keras.applications._parts import IMAGES, NORM_MOMENTUM, Parts, is_small
from snn_keras.typing import Array


def resnet18(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
) -> keras.Model:
    """ResNet-18: 11.2 M parameters for CIFAR-10, 11.7 M for ImageNet.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`. Images of up to
            64 pixels use the variant for CIFAR (a 3x3 convolution in place of the
            7x7 one and the pooling after it).
        classes: Number of classes.
        activation: The activation, a layer that is copied for every use, such as
            `snn_keras.layers.LSQReLU(levels=3)`; None for `keras.layers.ReLU()`.
        norm_momentum: Momentum of the moving statistics of batch normalization; a
            smaller one follows a changing network sooner.

    Returns:
        A functional `keras.Model` from images to logits `(batch, classes)`.

    Source: He et al., Deep Residual Learning for Image Recognition, 2016; used
    by Li 2023, Huang et al. 2024, Datta et al. 2024 and Li et al. 2022.
    """
    blocks = (2, 2, 2, 2)
    parts = Parts(activation, norm_momentum)
    return _resnet("resnet18", basic, blocks, input_shape, classes, parts)


def resnet34(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
) -> keras.Model:
    """ResNet-34: 21.8 M parameters for ImageNet; arguments as for `resnet18`."""
    blocks = (3, 4, 6, 3)
    parts = Parts(activation, norm_momentum)
    return _resnet("resnet34", basic, blocks, input_shape, classes, parts)


def resnet50(
    input_shape: tuple[int, int, int] = (224, 224, 3),
    classes: int = 1000,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
) -> keras.Model:
    """ResNet-50: 25.6 M parameters for ImageNet; arguments as for `resnet18`.

    The stride is in the 3x3 convolutions (known as version 1.5).
    """
    blocks = (3, 4, 6, 3)
    parts = Parts(activation, norm_momentum)
    return _resnet("resnet50", bottleneck, blocks, input_shape, classes, parts)


def resnet20(
    input_shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
) -> keras.Model:
    """ResNet-20 for CIFAR: 0.27 M parameters; arguments as for `resnet18`.

    Shortcuts between stages have no weights: they take every second pixel, and pad
    the channels with zeros.
    """
    parts = Parts(activation, norm_momentum)
    x = inputs = keras.Input(input_shape)
    x = parts.conv_act(x, 16, 3, name="stem")
    for stage, filters in enumerate((16, 32, 64), start=1):
        for block in range(1, 4):
            strides = 2 if stage > 1 and block == 1 else 1
            name = f"stage{stage}_block{block}"
            x = basic(parts, x, filters, strides, name, padded_shortcut)
    return _head("resnet20", inputs, x, classes)


def _resnet(name, block, blocks, input_shape, classes, parts):
    x = inputs = keras.Input(input_shape)
    if is_small(input_shape):
        x = parts.conv_act(x, 64, 3, name="stem")
    else:
        x = parts.conv_act(x, 64, 7, 2, name="stem")
        x = layers.ZeroPadding2D(1, name="stem_pool_pad", **IMAGES)(x)
        x = layers.MaxPooling2D(3, 2, name="stem_pool", **IMAGES)(x)
    for stage, count in enumerate(blocks, start=1):
        for i in range(1, count + 1):
            strides = 2 if stage > 1 and i == 1 else 1
            x = block(parts, x, 32 * 2**stage, strides, f"stage{stage}_block{i}")
    return _head(name, inputs, x, classes)


def _head(name, inputs, x, classes):
    x = layers.GlobalAveragePooling2D(name="pool", **IMAGES)(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name=name)


def projection(parts: Parts, x: Array, filters: int, strides: int, name: str) -> Array:
    """A shortcut with a 1x1 convolution if the shape changes, else the identity."""
    if strides == 1 and x.shape[-1] == filters:
        return x
    return parts.conv(x, filters, 1, strides, f"{name}_shortcut")


def padded_shortcut(
    parts: Parts, x: Array, filters: int, strides: int, name: str
) -> Array:
    """A shortcut without weights: every second pixel, and channels of zeros."""
    if strides > 1:
        x = x[:, ::strides, ::strides, :]
    missing = filters - x.shape[-1]
    if missing:
        sides = [missing // 2, missing - missing // 2]
        x = ops.pad(x, [[0, 0], [0, 0], [0, 0], sides])
    return x


def basic(
    parts: Parts,
    x: Array,
    filters: int,
    strides: int,
    name: str,
    shortcut: Callable = projection,
) -> Array:
    """A block of two 3x3 convolutions."""
    y = parts.conv_act(x, filters, 3, strides, f"{name}_conv1")
    y = parts.conv(y, filters, 3, 1, f"{name}_conv2")
    x = layers.Add(name=f"{name}_add")([y, shortcut(parts, x, filters, strides, name)])
    return parts.activation(x, f"{name}_act")


def bottleneck(parts: Parts, x: Array, filters: int, strides: int, name: str) -> Array:
    """A block of 1x1, 3x3 and 1x1 convolutions, the last with 4 times the filters."""
    y = parts.conv_act(x, filters, 1, 1, f"{name}_conv1")
    y = parts.conv_act(y, filters, 3, strides, f"{name}_conv2")
    y = parts.conv(y, 4 * filters, 1, 1, f"{name}_conv3")
    x = projection(parts, x, 4 * filters, strides, name)
    return parts.activation(layers.Add(name=f"{name}_add")([y, x]), f"{name}_act")
