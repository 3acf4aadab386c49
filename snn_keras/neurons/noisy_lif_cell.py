"""The noisy leaky neuron, for networks trained with noise at a single step."""

import math
import zlib
from collections.abc import Sequence
from numbers import Integral, Real

import keras
import numpy as np
from keras import ops

from snn_keras.coding import Coding
from snn_keras.layers.noisy_spike import DISTRIBUTIONS
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.cell import SpikingCell
from snn_keras.neurons.lif_cell import LIFCell
from snn_keras.ops import normal_at, spread, standardize, uniform_at
from snn_keras.typing import Array, Shape


@keras.saving.register_keras_serializable("snn_keras")
class NoisyLIFCell(LIFCell):
    r"""Leaky integrate-and-fire neuron with noise and hard reset.

    $$h_t = \theta n_t + I_t, \qquad z_t = [h_t > \theta], \qquad
    V_t = h_t (1 - z_t), \qquad y_t = \theta z_t$$

    Stage 2: $n_t$ is new noise in [0, 1] with mean $\beta$, and the potential is not
    kept. Stage 3: the potential replaces part of the noise,

    $$n_t = N(\lambda V_{t-1} / \theta) + n'_t, \qquad
    N(A) = \frac{\hat A}{\alpha \max |\hat A|} + \beta$$

    with $\hat A$ standardized over each sample of the layer, and $n'_t$ noise of
    zero mean and half range $\frac12 - 1/\alpha$. With $\alpha = 2$ there is no
    noise; with large $\alpha$ stage 3 is stage 2. Outputs are averaged over time.

    The noise at step t depends only on `seed` and t, and is the same for every
    sample, so a run can be repeated, and a sample's result does not depend on its
    batch.

    Args:
        threshold: Firing threshold `theta` > 0.
        stage: 2 or 3.
        alpha: Sets the range of the potential's part, >= 2; stage 3 only.
        beta: Mean of the noise.
        decay: Leak `lambda` in [0, 1].
        noise: `"gaussian"` or `"uniform"`; None for that of the activation that the
            neuron replaces, Gaussian where it has none.
        seed: Integer seed of the noise.

    Input shape: `(batch, ...)`. Output shape: the same; state: `[potential,
    step]`.

    Source: Jiang and Zhang 2023, eq. 1-10.
    """

    num_states = 2
    leaks = False  # what it forgets is part of the noise that it was trained with
    unroll = 1  # its step has many operations

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        stage: int = 3,
        alpha: float = 4.0,
        beta: float = 0.5,
        decay: float = 0.5,
        noise: str | None = None,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(threshold, decay=decay, **kwargs)
        self.stage = stage
        self.alpha = alpha
        self.beta = beta
        self.noise = noise
        self.seed = seed
        self._check("stage", stage in (2, 3), "2 or 3")
        enough = isinstance(alpha, Real) and alpha >= 2
        self._check("alpha", enough, "at least 2, or the noise's range is < 0")
        finite = isinstance(beta, Real) and math.isfinite(beta)
        self._check("beta", finite, "a finite number, the mean of the noise")
        whole = isinstance(seed, Integral) and not isinstance(seed, bool)
        self._check("seed", whole, "an integer")
        self._check("noise", noise in (None, *DISTRIBUTIONS), "gaussian or uniform")

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """Those that the paper takes: the mean of five passes."""
        return 5

    def operations(self, updates: float, spikes: float) -> dict[str, float]:
        # A step adds the constant current and the noise, and compares. Stage 3 also
        # standardizes: decay, square and scale are multiplications; mean, its
        # subtraction, variance and the potential's part are additions; the maximum is
        # a comparison. The reset sets 0.
        if self.stage == 2:
            return {"add": 2 * updates, "compare": updates}
        return {"add": 6 * updates, "multiply": 3 * updates, "compare": 2 * updates}

    def initial_state(self, shape: Shape) -> list:
        return [ops.zeros(shape, self.state_dtype), ops.zeros((), "int32")]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        potential, step = states
        theta = self.theta.value
        noise = self.beta + self._noise(potential / theta, ops.cast(step, "int32"))
        h = theta * noise + ops.cast(inputs, self.state_dtype)
        outputs, potential = self.fire(h)
        return outputs, [potential, step + 1]

    def _noise(self, potential, step):
        """The noise and the potential's part, minus their mean."""
        half_range = 0.5
        remembered = 0.0
        if self.stage == 3:
            half_range = 0.5 - 1.0 / self.alpha
            standard = standardize(self.decay * potential)
            remembered = spread(standard, 1.0 / self.alpha)
        if half_range == 0:
            return remembered
        shape = (1, *ops.shape(potential)[1:])
        if self.noise == "uniform":
            drawn = 2.0 * uniform_at(shape, self.seed, step) - 1.0
            return remembered + half_range * ops.cast(drawn, self.state_dtype)
        drawn = standardize(normal_at(shape, self.seed, step))
        return remembered + ops.cast(spread(drawn, half_range), self.state_dtype)

    def adapted_to(self, activation: SourceActivation, coding: Coding) -> SpikingCell:
        # Each layer has a seed of its own, derived from its name.
        seed = (self.seed + zlib.crc32(activation.name.encode())) % 2**31
        trained = getattr(activation, "noise", None)
        trained = trained if isinstance(trained, str) else None
        threshold = coding.threshold_of(activation)
        noise = self.noise or trained
        return self.copy(activation, threshold=threshold, seed=seed, noise=noise)

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        return "noise: random, repeatable by its seed"

    def get_config(self) -> dict:
        names = ("stage", "alpha", "beta", "noise", "seed")
        config = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **config}
