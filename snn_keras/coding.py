"""Codings: how a number is spread over the time steps of a run.

A network has one coding, which its cells choose and its layers with a time axis hold.
Only the coding defines what a signal means.
"""

import dataclasses

import keras
import numpy as np

from snn_keras import inputs
from snn_keras.typing import Array, Timesteps

# The value of `timesteps` for a run that goes on until no neuron fires.
SETTLE = "settle"


@dataclasses.dataclass(frozen=True)
class Coding:
    r"""How a number is spread over the steps t = 1, 2, ... T of a run.

    The input, and the constant part of every affine map, is multiplied by the gain
    $g_t$ at step t. A signal $x_1, x_2, \dots$ decodes after step t to $S_t / n_t$,
    with $S_t = x_1 + \dots + x_t$ and the divisor $n_t$. Linear maps then run at every
    step, provided that the sum of all gains is the divisor at the last step.

    A subclass overrides the properties and methods below.

    Args:
        timesteps: Number of steps T of a run, an integer >= 1.
    """

    timesteps: Timesteps

    any_time = True  # whether an answer may be read before the last step
    # Whether neurons fire only after their whole input. Then only the sum of a signal
    # matters, and all steps may be computed in one pass from sums.
    charges_first = False
    repeats_source = False  # whether every step is a pass of the source network

    def __post_init__(self):
        if self.settles:
            raise ValueError(
                'timesteps="settle" needs neurons whose input is switched off after '
                'some steps: neuron="differential" or "signed". Others never rest.'
            )
        _check_count(self, "timesteps")

    @property
    def settles(self) -> bool:
        """Whether a run goes on until no neuron fires."""
        return self.timesteps == SETTLE

    @property
    def input_steps(self) -> int | None:
        """Number of steps in which the whole input is on; None for all steps."""
        return None

    @property
    def levels(self) -> int:
        """The number of positive levels that a signal can have."""
        return self.timesteps

    def gain(self, t: Array) -> Array:
        """The gain $g_t$, by which the input is multiplied at step `t`.

        Args:
            t: The number of a step, from 1, or an array or tensor of such numbers.

        Returns:
            A number, or a number or boolean for each entry of `t`.
        """
        return 1 if self.input_steps is None else t <= self.input_steps

    @property
    def is_steady(self) -> bool:
        """Whether the gain is 1 at every step."""
        gain = self.gain(np.arange(1, 3))
        return np.ndim(gain) == 0 and gain == 1

    def divisor(self, t: Array) -> Array:
        """The divisor $n_t$, which decodes a sum up to step `t`.

        Args:
            t: As for `gain`.

        Returns:
            One number for all steps, or one for each entry of `t`.
        """
        return t if self.input_steps is None else self.input_steps

    def threshold_of(self, activation: keras.layers.Layer) -> np.ndarray:
        r"""The threshold with which one spike per step decodes to the highest level.

        $\theta = p s$, for a spike that decodes to $\theta / T$.

        Args:
            activation: A `snn_keras.layers.QuantizedActivation`.
        """
        return activation.threshold_value()

    def with_timesteps(self, timesteps: int | str) -> "Coding":
        """The same coding for runs of another length."""
        return dataclasses.replace(self, timesteps=timesteps)

    def with_input_steps(self, input_steps: int) -> "Coding":
        """The same coding with an input that is on for `input_steps` steps."""
        raise ValueError(
            "input_steps is for signed and differential neurons, whose input is "
            "switched off after so many steps. Received: "
            f"input_steps={input_steps!r} with neurons of the coding "
            f"{type(self).__name__}"
        )

    def steps_by(self, steps: Array) -> Array:
        """The number of steps of a run whose last spike is at step `steps`."""
        return self.timesteps

    def __str__(self):
        return f"{self.timesteps} time steps"

    def get_config(self) -> dict:
        return dataclasses.asdict(self)

    @classmethod
    def from_config(cls, config: dict) -> "Coding":
        return cls(**config)


@keras.saving.register_keras_serializable("snn_keras")
@dataclasses.dataclass(frozen=True)
class Rate(Coding):
    """Rate coding: a number is the mean over the steps, $g_t = 1$, $n_t = t$."""


@keras.saving.register_keras_serializable("snn_keras")
@dataclasses.dataclass(frozen=True)
class Switched(Coding):
    r"""The input is on for P steps, then off: $g_t = [t \le P]$, $n_t = P$.

    Later spikes correct earlier ones. A spike of size $\theta = P s$ decodes to one
    quantization step s.

    Args:
        timesteps: Number of steps of a run; or "settle", until no neuron fires.
        on: Number of steps P in which the input is on, an integer >= 1.

    Source: Li et al. 2022, algorithm 1.
    """

    on: int = 1

    def __post_init__(self):
        _check_count(self, "on", "input_steps")
        if not self.settles:
            super().__post_init__()

    @property
    def input_steps(self) -> int:
        return self.on

    @property
    def levels(self) -> int:
        if self.settles:
            raise ValueError(
                'timesteps="settle" with data: to how many levels are the activations '
                "to be quantized? Remedy: convert(..., levels=...)."
            )
        return self.timesteps

    def threshold_of(self, activation: keras.layers.Layer) -> np.ndarray:
        return self.on * activation.step_value()

    def with_input_steps(self, input_steps: int) -> Coding:
        return dataclasses.replace(self, on=input_steps)

    def steps_by(self, steps: Array) -> Array:
        return max(int(steps), self.on) if self.settles else self.timesteps

    def __str__(self):
        length = "runs until it settles" if self.settles else super().__str__()
        return f"{length}, input on for {self.on}"


@keras.saving.register_keras_serializable("snn_keras")
@dataclasses.dataclass(frozen=True)
class Radix(Coding):
    r"""Radix coding: spikes are bits, worth $2^{-1}, 2^{-2}, \dots$; a number is a sum.

    A neuron fires only after its whole input, so only the input's sum matters. All of
    it enters at the first step: $g_t = [t \le 1]$ and $n_t = 1$. (In the paper, $1/T$
    of every constant part enters at each of T steps; the sum is the same except for
    rounding.) There is no answer before the last step.

    Args:
        timesteps: Number of bits T, an integer >= 1.

    Source: Datta et al. 2024, eq. 7-8.
    """

    any_time = False
    charges_first = True

    @property
    def levels(self) -> int:
        return 2**self.timesteps - 1

    @property
    def input_steps(self) -> int:
        return 1


@keras.saving.register_keras_serializable("snn_keras")
@dataclasses.dataclass(frozen=True)
class Repeated(Coding):
    """Every step is a pass of the source network; the outputs are averaged.

    Source: Jiang and Zhang 2023.
    """

    repeats_source = True


def _check_count(coding, attribute, name=None):
    """Makes an attribute an int; raises a ValueError unless it is an integer >= 1."""
    value = inputs.check_count(name or attribute, getattr(coding, attribute))
    object.__setattr__(coding, attribute, value)
