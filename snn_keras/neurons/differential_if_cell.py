"""The integrate-and-fire neuron that sends what changed, in powers of two."""

from collections.abc import Sequence

import keras
import numpy as np

from snn_keras.coding import SETTLE, Coding, Switched
from snn_keras.inputs import check_count
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.cell import STAIRCASE, SpikingCell
from snn_keras.neurons.multi_threshold_cell import MOST_SIZES, MultiThresholdIFCell


@keras.saving.register_keras_serializable("snn_keras")
class DifferentialIFCell(MultiThresholdIFCell):
    r"""Integrate-and-fire neuron that corrects what it has sent, by powers of two.

    The input and all biases are on in the first step only, and a signal is the sum of
    its spikes: after the first step, neurons send what changed. The sizes are
    $\lambda_k = 2^k s$, $k = 0, \dots, n - 1$, whole numbers of the quantization step
    s of the activation. With $u_t = u_{t-1} + I_t$, from $u_0 = 0$, and
    $Z_t = Z_{t-1} + z_t$, it sends the nearest size that leaves what it has sent on
    the levels of the activation, $0 \le Z_t \le p s$:

    $$z_t = \begin{cases}
    +\lambda_k & u_t \ge b_k \text{ and } Z_{t-1} + \lambda_k \le p s \\
    -\lambda_k & u_t < -b_k \text{ and } Z_{t-1} \ge \lambda_k \\
    0 & \text{otherwise}\end{cases} \qquad
    b_0 = \tfrac{1}{2} s, \quad b_k = \tfrac{3}{4} \lambda_k$$

    the largest such size, and $u_t \leftarrow u_t - z_t$.
    Laws: what was sent and what is left is what came in,
    $\sum_t z_t + u_T = \sum_t I_t$; and once no neuron fires,
    $Z = s \, \mathrm{clip}(\lfloor v / s \rceil, 0, p)$, exactly the quantized
    activation. With as many sizes as p has bits, a neuron rests within as many steps
    from its last input on; most do earlier.

    A spike takes $1 + \lceil \log_2 n \rceil$ bits, its sign and its size. At a
    synapse it is a shift of the weight and an addition. The surrogate derivative of
    $z_t$ by $u_t$ is 1, and 0 where $Z_{t-1} + u_t$ is beyond 0 or $p s$.

    Args:
        threshold: The largest size > 0; a float, or one a channel. On conversion
            $2^{n-1} s$.
        sizes: Number n of sizes, an integer from 1 to 16; None for 8 or, on
            conversion, as many as the bits of p.
        ceiling: The most that it may have sent, p in units of the smallest size, an
            integer >= 1; None for no ceiling; `"levels"` for that of the activation on
            conversion.

    Input shape: `(batch, ...)`, the current of one step. Output shape: the
    same; state: `[potential, sent]`, the latter in units of the smallest size.

    Source: that signals are sums of changes, and the powers of two, are of Huang et
    al., "Differential Coding for Training-Free ANN-to-SNN Conversion", 2025. The bounds
    $b_0$ and $0 \le Z_t \le p s$, which make it exact at rest, are of Li et al. 2022,
    algorithm 1, for neurons of one size.
    """

    codings = (Switched,)
    rounds = True

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        sizes: int | None = None,
        ceiling: int | str | None = "levels",
        **kwargs,
    ) -> None:
        super().__init__(threshold, sizes=8 if sizes is None else sizes, **kwargs)
        self._given_sizes = None if sizes is None else self.sizes
        if ceiling not in ("levels", None):
            name = f"DifferentialIFCell '{self.name}': ceiling"
            ceiling = check_count(name, ceiling)
        self.ceiling = ceiling

    def coding(
        self, timesteps: int | str, activations: Sequence[SourceActivation]
    ) -> Coding:
        """`Switched`, with an input that is on in the first step."""
        return Switched(timesteps, 1)

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """Until no neuron fires."""
        return SETTLE

    def adapted_to(self, activation: SourceActivation, coding: Coding) -> SpikingCell:
        levels = activation.levels
        sizes = self._given_sizes or min(levels.bit_length(), MOST_SIZES)
        largest = coding.threshold_of(activation) * 2 ** (sizes - 1)
        ceiling = levels if self.ceiling == "levels" else self.ceiling
        return self.copy(activation, threshold=largest, sizes=sizes, ceiling=ceiling)

    @property
    def most(self) -> float:
        return self.ceiling if isinstance(self.ceiling, int) else super().most

    def levels(self, coding: Coding) -> int:
        """Those of its sizes, up to its ceiling."""
        return int(min(self.most, super().levels(coding)))

    def grid(self, coding: Coding) -> tuple[float | np.ndarray, float]:
        step, count = super().grid(coding)
        return step, min(self.most, count)

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        if self.ceiling != activation.levels:
            return f"sends up to {self.ceiling} steps, not {activation.levels}"
        if not activation.is_staircase:
            return STAIRCASE
        return "" if coding.settles else "exact once no neuron fires"

    def get_config(self) -> dict:
        config = super().get_config()
        return {**config, "sizes": self._given_sizes, "ceiling": self.ceiling}
