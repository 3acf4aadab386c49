"""`NoisySpike`: a spiking neuron that is trained at a single time step, with noise."""

import functools

import keras
import numpy as np
from keras import ops

from snn_keras import random
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.ops import atan_surrogate, in_floats, spike, spread, standardize
from snn_keras.typing import Array, Shape

DISTRIBUTIONS = ("gaussian", "uniform")


@keras.saving.register_keras_serializable("snn_keras")
class NoisySpike(SourceActivation):
    r"""Fires where the sum of current and noise exceeds 1.

    $$a = [v + n > 1], \qquad n \in [0, 1], \quad E[n] = \tfrac12$$

    The noise represents the potential that a leaky integrate-and-fire neuron has from
    earlier steps. In training it is drawn anew for every element; in inference it is
    its mean. The surrogate gradient, with a = 3, is

    $$\frac{a}{2 (1 + (\frac{\pi}{2} a (v + n - 1))^2)}$$

    It converts to `snn_keras.neurons.NoisyLIFCell`.

    Args:
        noise: `"gaussian"`, a standard normal scaled for each sample so that it
            spans [0, 1], or `"uniform"`.
        seed: Integer seed of the noise, or None for a random one.

    Input shape: `(batch, ...)`. Output shape: the same, 0 or 1.

    Source: Jiang and Zhang 2023, eq. 2-6.
    """

    neuron = "noisy_lif"
    is_random = True
    has_size = False

    def __init__(
        self, noise: str = "gaussian", *, seed: int | None = None, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        check_distribution(self, noise)
        self.noise = noise
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def call(self, v: Array, training: bool = False) -> Array:
        v = in_floats(v, self.compute_dtype)
        noise = self._draw(v) if training else 0.5
        surrogate = functools.partial(atan_surrogate, slope=3.0)
        return spike(v + noise, ops.ones((), v.dtype), surrogate, strict=True)

    def _draw(self, v):
        if self.noise == "uniform":
            uniform = random.uniform_like(v, self.seed_generator)
            return ops.cast(uniform, v.dtype)
        normal = random.normal_like(v, self.seed_generator)
        return ops.cast(0.5 + spread(standardize(normal), 0.5), v.dtype)

    def step_value(self) -> np.ndarray:
        """The value of a spike, 1, as a NumPy array."""
        return np.ones((), "float32")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(input_shape)

    def get_config(self) -> dict:
        return {**super().get_config(), "noise": self.noise, "seed": self.seed}


def check_distribution(layer: keras.layers.Layer, noise: str) -> None:
    """Raises a ValueError unless `noise` names a distribution."""
    if noise not in DISTRIBUTIONS:
        raise ValueError(
            f"{type(layer).__name__} '{layer.name}': noise must be one of "
            f"{DISTRIBUTIONS}. Received: noise={noise!r}"
        )
