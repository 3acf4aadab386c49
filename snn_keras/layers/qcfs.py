"""`QCFS`: a quantized ReLU with a learned threshold."""

from collections.abc import Sequence

import keras
import numpy as np

from snn_keras.layers.noise import Noise
from snn_keras.layers.quantized_activation import QuantizedActivation
from snn_keras.ops import divide_by_integer
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class QCFS(QuantizedActivation):
    r"""Quantization-clip-floor-shift activation with a learned threshold.

    $$a = \lambda \cdot \mathrm{clip}(\lfloor v L / \lambda \rceil / L, 0, 1)$$

    with halves rounded up. It is `LSQReLU` with `p = L` and `s = lambda / L`, but its
    trainable parameter is the threshold, not the step. It converts to an
    integrate-and-fire neuron with threshold `lambda`.

    Args:
        levels: Number of positive levels `L` >= 1.
        noise: Noise added in training: None, "adaptor", "residual" or a
            `snn_keras.layers.Noise`.
        initial_threshold: Initial threshold `lambda` > 0, in units of the
            pre-activation; a list if `axis` is given. None:
            `2 * sqrt(L) * mean(|v|)` of the first training batch.
        axis: None for one threshold per layer, or the axis that has one per channel.
        scale_gradient: Whether to multiply the step's gradient by
            `1 / sqrt(N * L)`, N the number of features that share it.

    Input shape: `(batch, ...)`. Output shape: the same.

    Examples:
        >>> import keras
        >>> from snn_keras.layers import QCFS
        >>> layer = QCFS(levels=4, initial_threshold=2.0)
        >>> a = layer(keras.ops.array([[-1.0, 0.25, 0.9, 7.0]]))
        >>> keras.ops.convert_to_numpy(a).tolist()
        [[0.0, 0.5, 1.0, 2.0]]

    Source: Huang et al. 2024, eq. 6; Datta et al. 2024, eq. 2 (misprinted there).
    """

    parameter = "threshold"

    def __init__(
        self,
        levels: int = 4,
        noise: str | dict | Noise | None = None,
        *,
        initial_threshold: float | Sequence[float] | np.ndarray | None = None,
        axis: int | None = None,
        scale_gradient: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(
            levels, noise, initial_threshold, axis, scale_gradient, **kwargs
        )
        self.initial_threshold = self._initial

    @property
    def threshold(self) -> Array:
        """The trainable threshold, a variable of shape () or (channels,)."""
        self._apply_data_size()
        return self._size

    @property
    def step(self) -> Array:
        """The quantization step `threshold / levels`, a tensor."""
        return divide_by_integer(self.threshold, self.levels)

    def threshold_value(self) -> np.ndarray:
        """The threshold as a NumPy array, exactly as trained, but for a dyadic step."""
        return super().threshold_value() if self.dyadic else self.size_value()

    def _to_step(self, size):
        return divide_by_integer(size, self.levels)

    def _from_step(self, step):
        return step * self.levels
