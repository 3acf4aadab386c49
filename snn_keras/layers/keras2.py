"""Functions of Keras 2 that are different in Keras 3."""

import keras
from keras import ops

from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
def keras2_hard_sigmoid(x: Array) -> Array:
    r"""The `hard_sigmoid` of Keras 2, $\mathrm{clip}(0.2 x + 0.5, 0, 1)$.

    The `hard_sigmoid` of Keras 3 has a slope of 1/6.

    Args:
        x: A tensor.

    Returns:
        A tensor like `x`.
    """
    return ops.clip(0.2 * x + 0.5, 0.0, 1.0)
