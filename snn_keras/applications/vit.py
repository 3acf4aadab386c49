"""A small vision transformer, for MNIST and Fashion-MNIST."""

import keras
from keras import layers

from snn_keras.applications._parts import IMAGES, NORM_MOMENTUM, Parts
from snn_keras.typing import Array


def mnist_vit(
    input_shape: tuple[int, int, int] = (28, 28, 1),
    classes: int = 10,
    activation: keras.layers.Layer | None = None,
    *,
    norm_momentum: float = NORM_MOMENTUM,
    width: int = 48,
    blocks: int = 2,
    heads: int = 4,
) -> keras.Model:
    """A vision transformer of 7 x 7 tokens for images of 28 x 28: 54,000 parameters.

    Two convolutions with a stride of 2 make a token of each patch of 4 x 4 pixels; a
    projection whose bias depends on the place embeds it. Each block is attention and a
    perceptron of two layers, with layer normalization before and a shortcut around
    both. The tokens' mean is classified.

    Args:
        input_shape: Shape of an image, `(height, width, channels)`.
        classes: Number of classes.
        activation: The activation, a layer that is copied for every use; None for
            `keras.layers.ReLU()`.
        norm_momentum: Momentum of the moving statistics of the batch normalization
            between the convolutions.
        width: Features of a token, a multiple of `heads`.
        blocks: Number of blocks.
        heads: Number of heads of the attention.

    Returns:
        A functional `keras.Model` from images to logits `(batch, classes)`.

    Source: Dosovitskiy et al., An Image is Worth 16x16 Words, 2021; that convolutions
    embed the patches is of Xiao et al., Early Convolutions Help Transformers See
    Better, 2021.
    """
    parts = Parts(activation, norm_momentum)
    x = inputs = keras.Input(input_shape)
    x = parts.conv_act(x, width // 2, 3, 2, name="stem1")
    x = parts.conv_act(x, width, 3, 2, name="stem2")
    x = layers.Reshape((-1, width), name="tokens")(x)
    x = layers.EinsumDense(
        "btc,cd->btd", (x.shape[1], width), bias_axes="td", name="embed"
    )(x)
    for i in range(1, blocks + 1):
        x = _block(parts, x, heads, f"block{i}")
    x = _norm(x, "norm")
    x = layers.GlobalAveragePooling1D(name="pool", **IMAGES)(x)
    return keras.Model(inputs, layers.Dense(classes, name="head")(x), name="mnist_vit")


def _block(parts: Parts, x: Array, heads: int, name: str) -> Array:
    """Attention and a perceptron, each with its shortcut."""
    width = x.shape[-1]
    y = _norm(x, f"{name}_norm1")
    attend = layers.MultiHeadAttention(heads, width // heads, name=f"{name}_attention")
    x = layers.Add(name=f"{name}_add1")([x, attend(y, y)])
    y = _norm(x, f"{name}_norm2")
    y = layers.Dense(2 * width, name=f"{name}_wide")(y)
    y = parts.activation(y, f"{name}_act")
    y = layers.Dense(width, name=f"{name}_narrow")(y)
    return layers.Add(name=f"{name}_add2")([x, y])


def _norm(x: Array, name: str) -> Array:
    return layers.LayerNormalization(epsilon=1e-6, name=name)(x)
