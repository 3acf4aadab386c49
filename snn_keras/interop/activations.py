"""Translates activation functions of tf_keras and TensorFlow to Keras 3."""

import functools
from collections.abc import Callable

import keras

from snn_keras.interop.errors import Untranslatable
from snn_keras.layers.keras2 import keras2_hard_sigmoid

# Functions of tf_keras and `tf.nn` with the same name and formula in Keras 3.
_OF_KERAS = {
    *("elu", "exponential", "gelu", "leaky_relu", "linear", "log_softmax", "mish"),
    *("relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softplus", "softsign"),
    *("swish", "tanh"),
}
_OF_TF_NN = {
    *("elu", "gelu", "leaky_relu", "log_softmax", "relu", "relu6", "selu", "sigmoid"),
    *("silu", "softmax", "softplus", "softsign", "tanh"),
}


def activation_of(function: Callable) -> Callable:
    """The Keras 3 function for an activation function of tf_keras.

    Functions are compared as objects, not by their names, because a user's own
    function may have the name of one of Keras's.

    Raises:
        Untranslatable: if it is not a known function of tf_keras or TensorFlow.
    """
    for known, ours in _known():
        if function is known:
            return ours
    name = getattr(function, "__name__", type(function).__name__)
    raise Untranslatable(f"its function {name} is your own, or one without counterpart")


@functools.cache
def _known():
    """Pairs of a function and its Keras 3 counterpart."""
    import tensorflow as tf
    import tf_keras

    ours = keras.activations.get
    pairs = [(tf_keras.activations.get(name), ours(name)) for name in _OF_KERAS]
    pairs += [(getattr(tf.nn, name), ours(name)) for name in _OF_TF_NN]
    pairs += [(tf.identity, ours("linear")), (tf.exp, ours("exponential"))]
    return [*pairs, (tf_keras.activations.hard_sigmoid, keras2_hard_sigmoid)]
