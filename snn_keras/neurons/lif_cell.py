"""The leaky integrate-and-fire neuron with hard reset."""

from collections.abc import Sequence
from numbers import Real

import keras
import numpy as np
from keras import ops

from snn_keras.coding import Coding, Repeated
from snn_keras.layers.source_activation import SourceActivation
from snn_keras.neurons.cell import SpikingCell
from snn_keras.ops import atan_surrogate, spike
from snn_keras.typing import Array, Shape

_MOST = float(np.finfo("float32").max)


@keras.saving.register_keras_serializable("snn_keras")
class LIFCell(SpikingCell):
    r"""Leaky integrate-and-fire neuron with hard reset, to be trained over time.

    $$h_t = \lambda V_{t-1} + I_t, \qquad z_t = [h_t > \theta], \qquad
    V_t = h_t (1 - z_t), \qquad y_t = \theta z_t$$

    starting from $V_0 = 0$; outputs are averaged over time. It forgets, so the mean of
    its spikes is not the activation that it replaces: a converted network is where
    training starts, `snn.fit`, through the surrogate derivative
    `snn_keras.ops.atan_surrogate` of $(h_t - \theta)/\theta$ with slope 3.

    Args:
        threshold: Firing threshold `theta` > 0; a float, or one per channel.
        decay: Leak `lambda` in [0, 1]; 1 forgets nothing.

    Input shape: `(batch, ...)`, the current of one step. Output shape: the
    same; state: `[potential]`.

    Examples:
        >>> import keras
        >>> from snn_keras.neurons import LIFCell
        >>> rnn = keras.layers.RNN(LIFCell(threshold=1.0), return_sequences=True)
        >>> spikes = rnn(keras.ops.full((1, 4, 1), 0.75))
        >>> keras.ops.convert_to_numpy(spikes)[0, :, 0].tolist()
        [0.0, 1.0, 0.0, 1.0]

    Source: Jiang and Zhang 2023, eq. 1-4.
    """

    codings = (Repeated,)
    leaks = True

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        decay: float = 0.5,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        self.decay = decay
        self._check("decay", isinstance(decay, Real) and 0 <= decay <= 1, "in [0, 1]")

    def _check(self, name, valid, expected):
        """Raises a ValueError that names an argument unless it is valid."""
        if not valid:
            raise ValueError(
                f"{type(self).__name__} '{self.name}': {name} must be {expected}. "
                f"Received: {name}={getattr(self, name)!r}"
            )

    def enough_timesteps(self, activations: Sequence[SourceActivation]) -> int | str:
        """Those over which the paper trains it."""
        return 10

    def operations(self, updates: float, spikes: float) -> dict[str, float]:
        # A step multiplies by the decay, adds the current and compares. The reset sets
        # 0.
        return {"add": updates, "multiply": updates, "compare": updates}

    def initial_state(self, shape: Shape) -> list:
        return [ops.zeros(shape, self.state_dtype)]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        kept = self.decay * states[0]
        outputs, potential = self.fire(kept + ops.cast(inputs, self.state_dtype))
        return outputs, [potential]

    def fire(self, h: Array) -> tuple[Array, Array]:
        """The outputs of neurons with the potential `h`, and what is left of it."""
        theta = self.theta.value
        z = spike(h, theta, lambda x: atan_surrogate(x, slope=3.0), strict=True)
        # A current that half floats make infinite leaves 0, not NaN.
        left = ops.clip(h, -_MOST, _MOST) * (1.0 - z)
        return ops.cast(theta * z, self.compute_dtype), left

    def coding(
        self, timesteps: int | str, activations: Sequence[SourceActivation]
    ) -> Coding:
        return Repeated(timesteps)

    def can_replace(self, activation: SourceActivation) -> bool:
        return True

    def approximation(self, activation: SourceActivation, coding: Coding) -> str:
        return "leaks: it is to be trained over time, by fit"

    def get_config(self) -> dict:
        return {**super().get_config(), "decay": self.decay}
