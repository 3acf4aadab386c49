"""The signed integrate-and-fire neuron, which corrects itself by negative spikes."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from snn_keras.coding import SETTLE, Coding, Rate, Switched
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.cell import STAIRCASE, SpikingCell, check_share
from snn_keras.ops import spike
from snn_keras.typing import Array, Shape


@keras.saving.register_keras_serializable("snn_keras")
class SignedIFCell(SpikingCell):
    r"""Integrate-and-fire neuron with negative spikes and a count ceiling.

    $$u_t = u_{t-1} + I_t, \qquad
    z_t = \begin{cases}
    +1 & u_t \ge \theta \text{ and } Z_{t-1} < p \\
    -1 & u_t < 0 \text{ and } Z_{t-1} > 0 \\
    0 & \text{otherwise}\end{cases}$$

    $u_t \leftarrow u_t - \theta z_t$, $Z_t = Z_{t-1} + z_t$, $y_t = \theta z_t$,
    from $u_0 = \theta/2$, $Z_0 = 0$. If the input and all biases are on for the
    first P steps only, and $\theta = P s$, then the count after the last spike is
    exactly the quantized activation's level, $\mathrm{clip}(\lfloor v/s \rceil, 0, p)$.

    The surrogate derivative of the positive spike is that of `IFCell`; the
    negative spike has derivative 0.

    Args:
        threshold: Firing threshold `theta` > 0; a float, or one per channel.
        ceiling: Largest spike count `p`, an integer >= 1; None for no ceiling
            (and, after conversion, for an input that stays on).
        initial: Potential at rest, as a share of the threshold.

    Input shape: `(batch, ...)`, the current of one step. Output shape: the
    same; state: `[potential, count]`.

    Source: Li et al. 2022, algorithm 1, with `u < 0` in place of its `u <= 0`.
    """

    num_states = 2
    payload_bits = 1  # the sign
    state_words = 2

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        ceiling: int | str | None = "levels",
        initial: float = 0.5,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        valid = ceiling in ("levels", None) or (
            isinstance(ceiling, int) and not isinstance(ceiling, bool) and ceiling >= 1
        )
        if not valid:
            raise ValueError(
                f"SignedIFCell '{self.name}': ceiling must be an integer >= 1, None, "
                'or "levels" (taken from the activation on conversion). Received: '
                f"ceiling={ceiling!r}"
            )
        self.ceiling = ceiling
        self.initial = check_share(self, initial)

    def operations(self, updates: float, spikes: float) -> dict[str, float]:
        # A step compares with two thresholds; a spike resets and is counted.
        return {"add": updates + 2 * spikes, "compare": 2 * updates}

    def accesses(self, updates: float, spikes: float) -> dict[str, float]:
        # The count is needed, and changes, where there is a spike.
        words = updates + spikes
        return {"read": words, "write": words, "constant": updates}

    def levels(self, coding: Coding) -> int:
        """Up to its ceiling."""
        if not isinstance(self.ceiling, int):
            return super().levels(coding)
        return self.ceiling if coding.settles else min(coding.levels, self.ceiling)

    @property
    def codings(self) -> tuple[type, ...]:
        return (Rate, Switched) if self.ceiling is None else (Switched,)

    def coding(
        self, timesteps: int | str, activations: Sequence[SourceActivation]
    ) -> Coding:
        """`Switched`; its input is on for the most frequent number of levels."""
        if self.ceiling is None:
            return super().coding(timesteps, activations)
        levels = [activation.levels for activation in activations]
        return Switched(timesteps, max(levels, key=levels.count) if levels else 1)

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """Until no neuron fires, where there is a ceiling."""
        return super().enough_timesteps(activations) if self.ceiling is None else SETTLE

    def initial_state(self, shape: Shape) -> list:
        theta = self.theta.value
        start = ops.broadcast_to(self.initial * theta, shape)
        return [start, ops.zeros(shape, self.state_dtype)]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        theta = self.theta.value
        u, count = states
        u = u + ops.cast(inputs, self.state_dtype)
        fires = spike(u, theta)
        if isinstance(self.ceiling, int):
            fires = fires * ops.cast(count < self.ceiling, self.state_dtype)
        corrects = ops.cast(ops.logical_and(u < 0, count > 0), self.state_dtype)
        z = fires - corrects
        return ops.cast(theta * z, self.compute_dtype), [u - theta * z, count + z]

    def adapted_to(self, activation: SourceActivation, coding: Coding) -> SpikingCell:
        cell = super().adapted_to(activation, coding)
        if self.ceiling == "levels":
            cell.ceiling = activation.levels
        return cell

    def grid(self, coding: Coding) -> tuple[float | np.ndarray, int]:
        step, count = super().grid(coding)
        return step, count if self.ceiling is None else min(count, self.ceiling)

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        inexact = super().approximation(activation, coding)
        if self.ceiling is None:
            return inexact
        if self.ceiling != activation.levels:
            return f"counts to {self.ceiling}, not {activation.levels}"
        if self.initial != 0.5:
            return "rounds otherwise: it does not start from half the threshold"
        if not activation.is_staircase:
            return STAIRCASE
        return "" if coding.settles else "exact once no neuron fires"

    def get_config(self) -> dict:
        config = {"ceiling": self.ceiling, "initial": self.initial}
        return {**super().get_config(), **config}
