"""The integrate-and-fire neuron with reset by subtraction."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from snn_keras.neurons.cell import SpikingCell, check_share
from snn_keras.ops import spike
from snn_keras.typing import Array, Shape


@keras.saving.register_keras_serializable("snn_keras")
class IFCell(SpikingCell):
    r"""Integrate-and-fire neuron with soft reset.

    $$u_t = u_{t-1} + I_t, \quad z_t = [u_t \ge \theta], \quad
    u_t \leftarrow u_t - \theta z_t, \quad y_t = \theta z_t$$

    starting from $u_0$ = `initial` $\cdot \theta$. With $u_0 = \theta/2$ the
    mean of $y$ over T steps of a constant current is the activation quantized
    to T levels. The spike's surrogate derivative is
    `snn_keras.ops.atan_surrogate` of $(u_t - \theta)/\theta$.

    Args:
        threshold: Firing threshold `theta` > 0; a float, or one per channel.
        initial: Potential at rest, as a share of the threshold.

    Input shape: `(batch, ...)`, the current of one step. Output shape: the
    same; state: `[potential]`.

    Examples:
        >>> import keras
        >>> from snn_keras.neurons import IFCell
        >>> rnn = keras.layers.RNN(IFCell(threshold=1.0), return_sequences=True)
        >>> spikes = rnn(keras.ops.full((1, 4, 1), 0.5))
        >>> keras.ops.convert_to_numpy(spikes)[0, :, 0].tolist()
        [1.0, 0.0, 1.0, 0.0]

    Source: Li 2023, eq. 1, 2, 6.
    """

    def __init__(
        self,
        threshold: float | Sequence[float] | np.ndarray = 1.0,
        *,
        initial: float = 0.5,
        **kwargs,
    ) -> None:
        super().__init__(threshold, **kwargs)
        self.initial = check_share(self, initial)

    def initial_state(self, shape: Shape) -> list:
        return [ops.broadcast_to(self.initial * self.theta.value, shape)]

    def call(
        self, inputs: Array, states: list, training: bool = False
    ) -> tuple[Array, list]:
        theta = self.theta.value
        u = states[0] + ops.cast(inputs, self.state_dtype)
        z = spike(u, theta)
        return ops.cast(theta * z, self.compute_dtype), [u - theta * z]

    def get_config(self) -> dict:
        return {**super().get_config(), "initial": self.initial}
