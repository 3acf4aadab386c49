"""Addition, as ONNX broadcasts."""

import math
from typing import Any

import numpy as np
from keras import ops


def plus(x: Any, y: Any) -> Any:
    """`keras.ops.add`, also of what Keras takes for a bias on TensorFlow.

    There it adds a second operand with one axis of more than one entry along the last
    axis or the second one of the first operand, whichever it fits, wherever its own is.
    """
    if not _is_taken_for_a_bias(x, y):
        return ops.add(x, y)
    if not isinstance(y, np.ndarray):
        return ops.subtract(x, ops.negative(y))
    shape = np.broadcast_shapes((1, *x.shape[1:]), y.shape)
    return ops.add(x, np.broadcast_to(y, shape))


def _is_taken_for_a_bias(x, y):
    """Whether Keras may add `y` along another axis than its own."""
    shape = tuple(getattr(y, "shape", ()))[1:]
    if not shape or math.prod(shape) != max(shape) or max(shape) == 1:
        return False
    return not shape[-1] == x.shape[-1] == max(shape)
