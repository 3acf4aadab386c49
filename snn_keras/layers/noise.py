"""Noise that quantized activations add in training."""

import math

import keras
from keras import ops

from snn_keras import random
from snn_keras.ops import add_step_noise
from snn_keras.typing import Array


class Noise(keras.layers.Layer):
    """Base class of the noise of quantized activations; it adds none.

    A quantized activation calls both methods, only in training. Override one of them.

    Args:
        seed: Integer seed of the noise, or None for a random one.
    """

    def __init__(self, seed: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.built = True

    def on_input(self, v: Array, step: Array) -> Array:
        """Returns the pre-activation `v` with noise, before quantizing."""
        return v

    def on_output(self, a: Array) -> Array:
        """Returns the quantized activation `a` with noise."""
        return a

    def copy(self, number: int) -> "Noise":
        """A copy for the activation of this number, with a seed of its own."""
        config = self.get_config()
        if self.seed is not None:
            config["seed"] += number
        return type(self).from_config(config)

    def get_config(self) -> dict:
        return {**super().get_config(), "seed": self.seed}


@keras.saving.register_keras_serializable("snn_keras")
class NoiseAdaptor(Noise):
    r"""Uniform noise of one quantization step (Li 2023, eq. 7-10).

    $$a = s \cdot \lfloor \mathrm{clip}(v/s + \epsilon, 0, p) \rceil,
    \qquad \epsilon \sim U(-\tfrac12, \tfrac12)$$

    drawn anew for every element at every training step. It imitates a neuron that
    fires once too often or too rarely. The expected activation is then the clipped
    ReLU, to which the spiking network's rate converges with time.

    Args:
        seed: Integer seed of the noise, or None for a random one.
    """

    def on_input(self, v: Array, step: Array) -> Array:
        epsilon = random.uniform_like(v, self.seed_generator) - 0.5
        return add_step_noise(v, step, ops.cast(epsilon, v.dtype))


@keras.saving.register_keras_serializable("snn_keras")
class ResidualNoise(Noise):
    r"""Gaussian noise with the standard deviation of the conversion error (NQ).

    $$a = \mathrm{QCFS}(v) + \delta G, \qquad G \sim N(0, 1)$$

    After every epoch `snn_keras.callbacks.ResidualNoise` sets $\delta$ to the standard
    deviation of the converted network's error in this layer; without that callback it
    stays as it is. It has no gradient.

    Args:
        seed: Integer seed of the noise, or None for a random one.
        initial_delta: The first $\delta$ >= 0, in units of the activation.

    Source: Huang et al. 2024, eq. 13; a fixed noise in figure 4.
    """

    def __init__(
        self, seed: int | None = None, initial_delta: float = 0.0, **kwargs
    ) -> None:
        super().__init__(seed, **kwargs)
        if not 0 <= initial_delta < math.inf:
            raise ValueError(
                f"ResidualNoise '{self.name}': initial_delta must be a number >= 0. "
                f"Received: initial_delta={initial_delta!r}"
            )
        self.initial_delta = float(initial_delta)
        self.delta = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(self.initial_delta),
            trainable=False,
            name="delta",
        )

    def on_output(self, a: Array) -> Array:
        noise = random.normal_like(a, self.seed_generator)
        return a + ops.cast(self.delta, a.dtype) * ops.cast(noise, a.dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "initial_delta": self.initial_delta}


_BY_NAME = {"adaptor": NoiseAdaptor, "residual": ResidualNoise}


def get(noise: str | dict | Noise | None) -> Noise | None:
    """Resolves the `noise` argument of a quantized activation.

    Args:
        noise: None, a name ("adaptor", "residual"), a `Noise`, or a serialized `Noise`.

    Raises:
        ValueError: if `noise` is none of these.
    """
    if noise is None or isinstance(noise, Noise):
        return noise
    if isinstance(noise, dict):
        return keras.saving.deserialize_keras_object(noise)
    if isinstance(noise, str) and noise in _BY_NAME:
        return _BY_NAME[noise]()
    raise ValueError(
        f"noise must be None, one of {sorted(_BY_NAME)} or a "
        f"snn_keras.layers.Noise. Received: noise={noise!r}"
    )
