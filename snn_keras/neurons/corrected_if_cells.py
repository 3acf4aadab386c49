"""Integrate-and-fire neurons that correct their initial state in extra steps.

Before the run, the network runs `extra_steps` steps, from which each layer corrects
the state in which it starts the run (`rehearse`). These steps are part of the cost:
report T + extra steps.
"""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from snn_keras.neurons.cell import SpikingCell
from snn_keras.neurons.if_cell import IFCell
from snn_keras.ops import spike
from snn_keras.typing import Array, Shape


@keras.saving.register_keras_serializable("snn_keras")
class SRPCell(IFCell):
    """Integrate-and-fire neuron that is silenced if its spikes are errors (SRP).

    In the run, only the neurons whose potential was above 0 after the extra steps may
    fire. All start from `initial * theta`.

    Args:
        threshold: As for `IFCell`.
        initial: As for `IFCell`.
        extra_steps: Number of extra steps, tau >= 1.

    Input shape: `(batch, ...)`. Output shape: the same; state: `[potential,
    may fire]`.

    Source: a baseline of Huang et al. 2024, there by Hao et al., 2023.
    """

    num_states = 2

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        extra_steps: int = 4,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        self.extra_steps = check_extra_steps(self, extra_steps)

    def initial_state(self, shape: Shape) -> list:
        return [*super().initial_state(shape), ops.ones(shape, self.state_dtype)]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        u, active = states
        theta = self.theta.value
        u = u + ops.cast(inputs, self.state_dtype)
        z = active * spike(u, theta)
        return ops.cast(theta * z, self.compute_dtype), [u - theta * z, active]

    def rehearse(self, currents: Array, state: list) -> tuple[Array, list]:
        """The outputs of the extra steps, and the initial state of the run."""
        outputs, (u, _) = self.run(currents, state)
        return outputs, [state[0], ops.cast(u > 0, self.state_dtype)]

    def get_config(self) -> dict:
        return {**super().get_config(), "extra_steps": self.extra_steps}


@keras.saving.register_keras_serializable("snn_keras")
class OffsetSpikesCell(IFCell):
    """Integrate-and-fire neuron whose initial potential is shifted by a spike (COS).

    If a neuron fired in the extra steps and ended with u < 0, it starts the run with
    a lower potential, just low enough to lose one of its spikes. If it ended with
    u >= theta, it starts higher, to gain a spike. Layers are corrected in order, each
    with inputs from corrected layers.

    Args:
        threshold: As for `IFCell`.
        initial: As for `IFCell`.
        extra_steps: Number of extra steps, rho >= 1.
        margin: Least distance > 0 of a shifted potential from the threshold.

    Input shape: `(batch, ...)`. Output shape: the same; state: `[potential]`.

    Source: Z. Hao and others, Bridging the gap between ANNs and SNNs by calibrating
    offset spikes, 2023.
    """

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        extra_steps: int = 4,
        margin: float = 2.0**-20,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        self.extra_steps = check_extra_steps(self, extra_steps)
        self.margin = margin

    def rehearse(self, currents: Array, state: list) -> tuple[Array, list]:
        """The outputs of the corrected extra steps, and the corrected state."""
        theta = self.theta.value
        (u,) = state
        least = ops.full_like(u, np.inf)  # lowest u at a spike, before the reset
        most = ops.full_like(u, -np.inf)  # highest u without a spike
        for t in range(currents.shape[1]):
            reached = u + ops.cast(currents[:, t], self.state_dtype)
            _, (u,) = self.call(currents[:, t], [u])
            fired = u < reached
            least = ops.where(fired, ops.minimum(least, reached), least)
            most = ops.where(fired, most, ops.maximum(most, reached))
        lower = ops.maximum(theta, least - theta + self.margin)
        higher = ops.maximum(theta, theta + self.margin - most)
        loses = ops.logical_and(u < 0, ops.isfinite(least))
        gains = ops.logical_and(u >= theta, ops.isfinite(most))
        shift = ops.where(loses, -lower, ops.where(gains, higher, 0.0))
        start = [state[0] + shift]
        outputs, _ = self.run(currents, start)
        return outputs, start

    def get_config(self) -> dict:
        config = {"extra_steps": self.extra_steps, "margin": self.margin}
        return {**super().get_config(), **config}


def check_extra_steps(cell: SpikingCell, extra_steps: int) -> int:
    """Returns `extra_steps`, or raises a ValueError unless an integer >= 1."""
    if not isinstance(extra_steps, int) or extra_steps < 1:
        raise ValueError(
            f"{type(cell).__name__} '{cell.name}': extra_steps must be an integer "
            f">= 1. Received: extra_steps={extra_steps!r}"
        )
    return extra_steps
