"""`LSQReLU`: a quantized ReLU with a learned step."""

from collections.abc import Sequence

import keras
import numpy as np

from snn_keras.layers.noise import Noise
from snn_keras.layers.quantized_activation import QuantizedActivation
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class LSQReLU(QuantizedActivation):
    r"""Quantized ReLU with a learned step size.

    $$a = s \cdot \lfloor \mathrm{clip}(v / s, 0, p) \rceil$$

    with halves rounded up. Gradients: see `snn_keras.ops.quantize`. It converts
    to an integrate-and-fire neuron with threshold `theta = p * s`.

    Args:
        levels: Number of positive levels `p` >= 1; `2**b - 1` for b bits.
        noise: Noise added in training: None, "adaptor", "residual" or a
            `snn_keras.layers.Noise`.
        initial_step: Initial step size > 0, in units of the pre-activation; a list if
            `axis` is given. None: `2 * mean(|v|) / sqrt(p)` of the first training
            batch.
        axis: None for one step per layer, or the axis that has a step per channel.
        scale_gradient: Whether to multiply the step's gradient by
            `1 / sqrt(N * p)`, N the number of features that share it.

    Input shape: `(batch, ...)`. Output shape: the same.

    Examples:
        >>> import keras
        >>> from snn_keras.layers import LSQReLU
        >>> layer = LSQReLU(levels=3, initial_step=0.5)
        >>> a = layer(keras.ops.array([[-1.0, 0.25, 0.9, 7.0]]))
        >>> keras.ops.convert_to_numpy(a).tolist()
        [[0.0, 0.5, 1.0, 1.5]]

    Source: Li 2023, eq. 3-5; Li et al. 2022, eq. 13.
    """

    parameter = "step"

    def __init__(
        self,
        levels: int = 3,
        noise: str | dict | Noise | None = None,
        *,
        initial_step: float | Sequence[float] | np.ndarray | None = None,
        axis: int | None = None,
        scale_gradient: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(levels, noise, initial_step, axis, scale_gradient, **kwargs)
        self.initial_step = self._initial

    @property
    def step(self) -> Array:
        """The trainable step size, a variable of shape () or (channels,)."""
        self._apply_data_size()
        return self._size

    @property
    def threshold(self) -> Array:
        """The threshold `levels * step`, a tensor."""
        return self.levels * self.step

    def _to_step(self, size):
        return size

    def _from_step(self, step):
        return step
