"""`ResidualNoise`: sets the noise of training to the error of conversion."""

import keras
import numpy as np

from snn_keras import layers
from snn_keras.conversion import convert
from snn_keras.conversion.normalize import normal_form
from snn_keras.conversion.probe import SourceProbe, SpikingProbe
from snn_keras.inputs import batches, check_data
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
        self._probes = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._probes = None
        if not self._noisy():
            raise ValueError(
                "callbacks.ResidualNoise: the model has no activation with "
                'noise="residual". Remedy: LSQReLU(..., noise="residual"), or '
                'quantize_activations(..., noise="residual").'
            )

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        deltas = self._errors()
        for name, layer in self._noisy().items():
            layer.noise.delta.assign(deltas[name])
        if logs is not None:
            logs["delta_mean"] = float(np.mean(list(deltas.values())))

    def _errors(self):
        """The standard deviation of each noisy layer's error, by name."""
        noisy = self._noisy()
        steps = self.timesteps or max(layer.levels for layer in noisy.values())
        snn = convert(self.model, steps, neuron="if")
        if self._probes is None:
            graph = normal_form(self.model)
            source = SourceProbe(self.model, graph, list(noisy))
            x = check_data(self.x, graph)
            self._probes = snn, source, SpikingProbe(snn), x
        kept, source, spiking, x = self._probes  # compiled once
        kept.set_weights(snn.get_weights())
        total = {name: np.zeros(3) for name in noisy}  # count, sum, sum of squares
        for batch in batches(x, self.batch_size):
            _, activations = source.predict_on_batch(batch)
            _, signals = spiking.predict_on_batch(batch)
            for name in noisy:
                error = np.asarray(activations[name], "float64") - signals[name][1]
                total[name] += error.size, error.sum(), np.square(error).sum()
        return {
            name: float(np.sqrt(max(0.0, squares / count - (first / count) ** 2)))
            for name, (count, first, squares) in total.items()
        }

    def _noisy(self):
        return {
            layer.name: layer
            for layer in self.model.layers
            if isinstance(layer, layers.QuantizedActivation)
            and isinstance(layer.noise, layers.ResidualNoise)
        }
