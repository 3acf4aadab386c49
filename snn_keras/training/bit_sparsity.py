"""`BitSparsity`: a penalty on the spikes of bit-serial networks."""

import functools
import math
from numbers import Real

import keras
from keras import ops

from snn_keras.backend import backend
from snn_keras.layers import QuantizedActivation
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.ops import bit_sparsity
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class BitSparsity(keras.regularizers.Regularizer):
    r"""Penalizes the number of one bits of quantized activations.

    $$L_{reg} = \lambda \sum_{layers} \sum_{neurons} \sum_{t=1}^{b} bit_t(a)$$

    summed over a layer's neurons, and averaged over the batch by Keras. The
    surrogate derivative of each of the b bits with respect to $a$ is 1 where
    $0 < a < \theta$, else 0. Where the first batch sets the steps, there is no penalty
    before it. A converted network has none: it belongs to the training of its source.

    Args:
        strength: `lambda` >= 0.

    Use `apply(model)` to add it to every quantized activation except the last, or
    pass it to single ones: `LSQReLU(15, activity_regularizer=BitSparsity(1e-8))`.

    Source: Datta et al. 2024, eq. 9-10.
    """

    def __init__(self, strength: float = 1e-8) -> None:
        if not (isinstance(strength, Real) and 0 <= strength < math.inf):
            raise ValueError(
                "BitSparsity: strength must be a number >= 0. Received: "
                f"strength={strength!r}"
            )
        self.strength = strength
        self.layer = None

    def __call__(self, a: Array) -> Array:
        if self.layer is None:
            raise ValueError(
                "BitSparsity needs the step of the activation it regularizes. "
                "Remedy: BitSparsity(strength).apply(model)."
            )
        step = ops.stop_gradient(self.layer.step_for(a))
        return self.strength * backend.one_kernel(_counter(self.layer.levels))(a, step)

    def apply(self, model: keras.Model) -> None:
        """Adds the penalty to all quantized activations of `model` except the last.

        Those inside of other models count, too, in the order of `model.layers`.
        """
        layers = list(dict.fromkeys(_activations(model)))
        if len(layers) < 2:
            raise ValueError(
                f"BitSparsity leaves the last quantized activation out, and "
                f"'{model.name}' has only {len(layers)}."
            )
        for layer in layers[:-1]:
            layer.activity_regularizer = self.bound_to(layer)

    def bound_to(self, layer: SourceActivation) -> "BitSparsity":
        """This penalty with the step and levels of one layer, which calls this."""
        bound = type(self)(self.strength)
        bound.layer = layer
        return bound

    def get_config(self) -> dict:
        return {"strength": self.strength}


def _activations(model):
    """The quantized activations of a model and of the models inside, in order."""
    for layer in model.layers:
        layer = layer.layer if isinstance(layer, keras.layers.Wrapper) else layer
        if isinstance(layer, keras.Model):
            yield from _activations(layer)
        elif isinstance(layer, QuantizedActivation):
            yield layer


@functools.cache  # so that one kernel is made for all layers of as many levels
def _counter(levels):
    """A function of activations and step: the sum of all one bits."""

    def count(a, step):
        dtype = keras.backend.result_type(a.dtype, "float32")  # half floats end early
        ones = ops.where(step > 0, bit_sparsity(a, step, levels), 0)
        return ops.sum(ops.cast(ones, dtype))

    return count
