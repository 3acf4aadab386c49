"""The bit-serial neuron, which sends its activation bit by bit."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from snn_keras.coding import Coding, Radix
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.cell import STAIRCASE, SpikingCell
from snn_keras.neurons.charging_cell import ChargingCell
from snn_keras.ops import level_of, spike
from snn_keras.typing import Array, Shape


@keras.saving.register_keras_serializable("snn_keras")
class BitSerialCell(ChargingCell):
    r"""Integrates its whole input first, then fires bit by bit.

    It adds the currents of all T input steps to $u_0 = \theta_2 / 2^{T+1}$, and then
    sends the most significant bit first:

    $$z_t = [u \ge w_t], \quad u \leftarrow u - w_t z_t, \quad y_t = w_t z_t,
    \qquad w_t = \theta_2 / 2^t, \quad \theta_2 = 2^b s.$$

    If all T bits together exceed the activation's highest level $p s$, the neuron
    saturates at the output nearest to $p s$: before it fires, the potential is limited
    to $p s + \theta_2 / 2^{T+1}$.

    The sum of the outputs is the decoded value. At T = b the spikes are exactly the
    bits of the quantized activation's level. With more steps the levels are finer,
    within the precision of floating point:
    $s 2^{b-T} \lfloor 2^{T-b} \, \mathrm{clip}(v / s, 0, p) + \frac12 \rfloor$.

    Args:
        threshold: `theta_2 = 2^b s` > 0, twice the weight of the first bit; a
            float, or one per channel.
        timesteps: Number of steps T >= 1 of the input, and of the output.
        saturation: `p / 2^b`, in (0, 1), the highest output as a share of the
            threshold; None for `1 - 2^-T`, all bits on.

    As a Keras RNN cell it needs `2 T` steps: T of input, then T in which it fires.
    Input shape: `(batch, ...)`. Output shape: the same; state: `[potential, step]`.

    Source: Datta et al. 2024, eq. 7-8.
    """

    codings = (Radix,)
    float_timesteps = 8

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 2.0,
        *,
        timesteps: int = 1,
        saturation: float | None = None,
        **kwargs,
    ) -> None:
        super().__init__(threshold, timesteps=timesteps, **kwargs)
        if saturation is not None and not 0 < saturation < 1:
            raise ValueError(
                "BitSerialCell: saturation must lie between 0 and 1. Received: "
                f"saturation={saturation!r}"
            )
        self.saturation: Any = saturation

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """The bits of the highest level."""
        return int(super().enough_timesteps(activations)).bit_length()

    def levels(self, coding: Coding) -> int:
        """All that its bits hold, up to 16 of them: float32 tells few more apart."""
        return 2 ** min(coding.timesteps, 16) - 1

    def operations(self, updates: float, spikes: float) -> dict[str, float]:
        return {**super().operations(updates, spikes), "shift": updates}

    def initial_state(self, shape: Shape) -> list:
        start = self.theta.value * 2.0 ** -(self.timesteps + 1)
        return [ops.broadcast_to(start, shape), ops.zeros(shape, self.state_dtype)]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        u, step = states
        charging = ops.cast(step < self.timesteps, self.state_dtype)
        u = u + charging * ops.cast(inputs, self.state_dtype)
        exponent = step + 1.0 - self.timesteps  # t, in the steps in which it fires
        weight = self.theta.value * ops.power(2.0, -ops.maximum(exponent, 0.0))
        u = ops.where(charging > 0, u, self.saturated(u))
        y = (1.0 - charging) * weight * spike(u, weight)
        return ops.cast(y, self.compute_dtype), [u - y, step + 1.0]

    def saturated(self, potential: Array) -> Array:
        """The potential, limited to that of the highest output."""
        if not self.saturates:
            return potential
        share = self.saturation + 2.0 ** -(self.timesteps + 1)
        return ops.minimum(potential, self.theta.value * share)

    @property
    def saturates(self) -> bool:
        """Whether all bits together exceed the highest output."""
        all_on = 1 - 2.0**-self.timesteps
        return self.saturation is not None and self.saturation < all_on

    def outputs(self, potential: Array) -> Iterator[tuple[Array, Array]]:
        potential = self.saturated(potential)
        for t in range(1, self.timesteps + 1):
            weight = self.theta.value * 2.0**-t
            y = weight * spike(potential, weight)
            potential = potential - y
            yield y, potential

    def total(self, current: Array) -> Array:
        """The sum of the outputs for the total `current`, computed without the bits.

        Like a quantized activation, it compares the current itself with the edges of
        the levels, so no potential is rounded. In the source's own arithmetic both
        agree to the last bit, for any weights.
        """
        last = self.theta.value * 2.0**-self.timesteps
        current = ops.cast(current, self.state_dtype)
        level = level_of(current, last, float(self.highest_level()))
        return ops.cast(level * last, self.compute_dtype)

    def coding(
        self, timesteps: int | str, activations: Sequence[SourceActivation]
    ) -> Coding:
        return Radix(timesteps)

    def adapted_to(self, activation: SourceActivation, coding: Coding) -> SpikingCell:
        levels = int(activation.levels)
        whole = 2.0 ** levels.bit_length()
        return self.copy(
            activation,
            threshold=whole * activation.step_value(),
            timesteps=coding.timesteps,
            saturation=levels / whole,
        )

    def grid(self, coding: Coding) -> tuple[float | np.ndarray, int]:
        return self.theta_value() / 2**self.timesteps, self.highest_level()

    def highest_level(self) -> int:
        """The highest output, in units of the last bit."""
        share = 1.0 if self.saturation is None else self.saturation
        return min(2**self.timesteps - 1, int(share * 2**self.timesteps + 0.5))

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        bits = int(activation.levels).bit_length()
        if not activation.is_staircase:
            return STAIRCASE
        if coding.timesteps == bits:
            return ""
        return f"{coding.timesteps} bits where its levels have {bits}"

    def get_config(self) -> dict:
        return {**super().get_config(), "saturation": self.saturation}
