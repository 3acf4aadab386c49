"""The axes of a kernel that count output channels."""

import keras
from keras import layers

# Where they are not the last axis.
_AXES = {
    layers.DepthwiseConv1D: (-2, -1),
    layers.DepthwiseConv2D: (-2, -1),
    layers.Conv1DTranspose: (-2,),
    layers.Conv2DTranspose: (-2,),
    layers.Conv3DTranspose: (-2,),
}


def channel_axes(layer: keras.layers.Layer, kernel: str, rank: int) -> tuple[int, ...]:
    """The axes of a kernel, from 0, whose entries belong to different output channels.

    Args:
        layer: A layer, perhaps inside wrappers.
        kernel: The name of the kernel's variable.
        rank: The number of the kernel's axes.
    """
    while isinstance(layer, layers.Wrapper):
        layer = layer.layer
    if isinstance(layer, layers.EinsumDense):
        operands, result = layer.equation.split("->")
        x, weights = operands.split(",")
        return tuple(i for i, a in enumerate(weights) if a in result and a not in x)
    axes = (-2, -1) if kernel.startswith("depthwise") else (-1,)
    for kind, others in _AXES.items():
        if isinstance(layer, kind):
            axes = others
    return tuple(a % rank for a in axes)
