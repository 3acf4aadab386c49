"""`SlipReLU`: a weighted mean of a clipped ReLU and QCFS."""

import keras
from keras import ops

from snn_keras.layers.noise import Noise
from snn_keras.layers.qcfs import QCFS


@keras.saving.register_keras_serializable("snn_keras")
class SlipReLU(QCFS):
    r"""A weighted mean of a clipped ReLU and QCFS.

    $$a = c \cdot \mathrm{clip}(v, 0, \lambda) + (1 - c) \cdot \mathrm{QCFS}(v)$$

    Like QCFS, it converts to an integrate-and-fire neuron with threshold `lambda`.

    Args:
        levels: Number of positive levels `L` >= 1.
        noise: As for `QCFS`.
        slope: The weight c of the clipped ReLU, in [0, 1].
        initial_threshold: As for `QCFS`.
        axis: As for `QCFS`.
        scale_gradient: As for `QCFS`.

    Input shape: `(batch, ...)`. Output shape: the same.

    Source: baseline in Li 2023, table 3.
    """

    def __init__(
        self,
        levels: int = 4,
        noise: str | dict | Noise | None = None,
        *,
        slope: float = 0.5,
        **kwargs,
    ) -> None:
        super().__init__(levels, noise, **kwargs)
        if not 0 <= slope <= 1:
            raise ValueError(
                f"SlipReLU '{self.name}': slope must lie in [0, 1]. Received: "
                f"slope={slope!r}"
            )
        self.slope = slope

    @property
    def is_staircase(self) -> bool:
        return self.slope == 0

    def _quantize(self, v, step, training=False):
        clipped = ops.minimum(ops.relu(v), self.levels * step)
        quantized = super()._quantize(v, step, training)
        return self.slope * clipped + (1.0 - self.slope) * quantized

    def get_config(self) -> dict:
        return {**super().get_config(), "slope": self.slope}
