"""Whether a tensor can be below 0, from the layers behind it."""

import keras
from keras import layers

from snn_keras._keras import maker_of, tensors_behind

# Layers whose output is nowhere below 0 if their inputs are not.
_KEEP = (
    *(layers.Permute, layers.Reshape, layers.Flatten, layers.Concatenate, layers.Add),
    *(layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D),
    *(layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D),
    *(layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D),
)
_FUNCTIONS = {"sigmoid", "hard_sigmoid", "softplus", "softmax"}


def is_nonnegative(tensor: keras.KerasTensor) -> bool:
    """Whether it is known that no entry of a tensor is below 0."""
    operation = maker_of(tensor)
    if isinstance(operation, layers.ReLU):
        return not operation.negative_slope and operation.threshold >= 0
    if isinstance(operation, layers.Activation):
        return getattr(operation.activation, "__name__", "") in _FUNCTIONS
    if isinstance(operation, layers.Softmax):
        return True
    return isinstance(operation, _KEEP) and all(
        map(is_nonnegative, tensors_behind(tensor))
    )
