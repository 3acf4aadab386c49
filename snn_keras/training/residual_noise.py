"""`ResidualNoise`: sets the noise of training to the error of conversion."""

import keras
import numpy as np

from snn_keras import layers
from snn_keras.conversion import convert, verify
from snn_keras.typing import Inputs


class ResidualNoise(keras.callbacks.Callback):
    r"""Sets the noise of `LSQReLU(noise="residual")` and `QCFS(noise="residual")`.

    After every epoch the model is converted, both networks run on `x`, and for each
    layer

    $$\delta_l = std(a_l - \varphi_l(\tau)), \qquad
    \varphi_l(\tau) = mean_t \, \theta_l z_l(t)$$

    becomes the standard deviation of the layer's noise; it is 0 in the first
    epoch.

    Args:
        x: Inputs to measure on, such as a part of the validation set.
        timesteps: Number of steps tau of the converted network; None for the layers'
            number of levels.
        batch_size: Samples measured at a time.

    The epoch's logs contain the mean of $\delta_l$ as `delta_mean`.

    Source: Huang et al. 2024, eq. 13 and section 4.
    """

    def __init__(
        self, x: Inputs, timesteps: int | None = None, batch_size: int = 64
    ) -> None:
        super().__init__()
        self.x = x
        self.timesteps = timesteps
        self.batch_size = batch_size

    def on_train_begin(self, logs: dict | None = None) -> None:
        if not self._noisy():
            raise ValueError(
                "callbacks.ResidualNoise: the model has no activation with "
                'noise="residual". Remedy: LSQReLU(..., noise="residual"), or '
                'quantize_activations(..., noise="residual").'
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        noisy = self._noisy()
        levels = max(layer.levels for layer in noisy.values())
        snn = convert(self.model, self.timesteps or levels, neuron="if")
        report = verify(self.model, snn, self.x, self.batch_size)
        deltas = []
        for mismatch in report.layers:
            if mismatch.name in noisy:
                layer = noisy[mismatch.name]
                delta = mismatch.std * float(np.mean(layer.step_value()))
                layer.noise.delta.assign(delta)
                deltas.append(delta)
        if logs is not None:
            logs["delta_mean"] = float(np.mean(deltas))

    def _noisy(self):
        return {
            layer.name: layer
            for layer in self.model.layers
            if isinstance(layer, layers.QuantizedActivation)
            and isinstance(layer.noise, layers.ResidualNoise)
        }
