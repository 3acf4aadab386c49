"""The integrate-and-fire neuron whose spikes are powers of two of its threshold."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from snn_keras.coding import Coding, Rate
from snn_keras.inputs import check_count
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.cell import SpikingCell
from snn_keras.ops import sized_spike
from snn_keras.typing import Array, Shape

MOST_SIZES = 16


@keras.saving.register_keras_serializable("snn_keras")
class MultiThresholdIFCell(SpikingCell):
    r"""Integrate-and-fire neuron whose spikes carry a sign and one of n sizes.

    The sizes are $\lambda_k = \theta / 2^k$, $k = 0, \dots, n - 1$. With
    $u_t = u_{t-1} + I_t$, from $u_0 = 0$, it sends

    $$z_t = \begin{cases}
    +\lambda_k & \tfrac{3}{4} \lambda_k \le u_t < \tfrac{3}{2} \lambda_k,
    \text{ the largest where } u_t \text{ is above them all} \\
    -\lambda_k & u_t < -\tfrac{3}{4} \lambda_k \text{ and } \lambda_k \le Z_{t-1},
    \text{ the largest of these} \\
    0 & \text{otherwise}\end{cases}$$

    $u_t \leftarrow u_t - z_t$, $Z_t = Z_{t-1} + z_t$: what it has sent stays at or
    above 0, as a ReLU does. Law: what was sent and what is left is what came in,
    exactly: $\sum_t z_t + u_T = \sum_t I_t$.

    A spike takes $1 + \lceil \log_2 n \rceil$ bits, its sign and its size. At a
    synapse it is a shift of the weight and an addition. The surrogate derivative of
    $z_t$ by $u_t$ is 1; where $-u_t$ is more than what was sent, 0.

    Args:
        threshold: The largest size `theta` > 0; a float, or one a channel. On
            conversion it is the highest value of the activation.
        sizes: Number n of sizes, an integer from 1 to 16.

    Input shape: `(batch, ...)`, the current of one step. Output shape: the
    same; state: `[potential, sent]`, the latter in units of the smallest size.

    Source: Huang et al., "Differential Coding for Training-Free ANN-to-SNN
    Conversion", 2025, whose multi-threshold neuron sends the nearest of these sizes;
    the bound on negative spikes is added here.
    """

    num_states = 2
    codings = (Rate,)
    float_timesteps = 8
    has_sizes = True
    state_words = 2
    unroll = 1
    rounds = False  # whether the smallest size is sent from half of it on

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        sizes: int = 8,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        self.sizes = check_count(f"MultiThresholdIFCell '{self.name}': sizes", sizes)
        if self.sizes > MOST_SIZES:
            raise ValueError(
                f"MultiThresholdIFCell '{self.name}': sizes must be an integer from 1 "
                f"to 16; float32 tells no more apart. Received: sizes={sizes!r}"
            )

    @property
    def bits_per_spike(self) -> int:
        return 1 + math.ceil(math.log2(self.sizes))

    @property
    def payload_bits(self) -> int:
        """The bits of its sign and its size."""
        return self.bits_per_spike

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """Few: more steps come closer, and none is the last."""
        return 4

    def levels(self, coding: Coding) -> int:
        return 2**self.sizes - 1

    def operations(self, updates: float, spikes: float) -> dict[str, float]:
        # The sign, and a bisection of the sizes; a spike resets and counts.
        compare = updates * (1 + math.ceil(math.log2(self.sizes + 1)))
        return {"add": updates + 2 * spikes, "compare": compare}

    def accesses(self, updates: float, spikes: float) -> dict[str, float]:
        # The sum of what was sent is needed, and changes, where there is a spike.
        words = updates + spikes
        return {"read": words, "write": words, "constant": updates}

    def initial_state(self, shape: Shape) -> list:
        return [ops.zeros(shape, self.state_dtype) for _ in range(2)]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        least = self.theta.value / 2 ** (self.sizes - 1)
        u, sent = states
        u = u + ops.cast(inputs, self.state_dtype)
        room = ops.where(u > 0, self.most - sent, sent)
        z = sized_spike(u, least, room, self.sizes, self.rounds)
        y = least * z
        return ops.cast(y, self.compute_dtype), [u - y, sent + ops.stop_gradient(z)]

    @property
    def most(self) -> float:
        """The most that it may have sent, in units of the smallest size."""
        return math.inf

    def grid(self, coding: Coding) -> tuple[float | np.ndarray, int]:
        step, count = super().grid(coding)
        finer = 2 ** (self.sizes - 1)
        return step / finer, count * finer

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        return "sends the nearest powers of two of what has arrived so far"

    def get_config(self) -> dict:
        return {**super().get_config(), "sizes": self.sizes}
