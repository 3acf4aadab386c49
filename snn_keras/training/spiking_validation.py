"""`SpikingValidation`: evaluates the converted network during training."""

import os
import pathlib
from collections.abc import Mapping, Sequence

import keras
import numpy as np

from snn_keras import files
from snn_keras._keras import layers_inside
from snn_keras.conversion import convert, plan
from snn_keras.inputs import check_count
from snn_keras.layers import QuantizedActivation
from snn_keras.loading import load_model
from snn_keras.neurons.cell import SpikingCell
from snn_keras.typing import Inputs


class SpikingValidation(keras.callbacks.Callback):
    """Logs the spiking network's accuracy after every epoch, and saves the best.

    The source network and the spiking network may be best in different epochs; the
    source of the best spiking network is saved.

    Args:
        x: Inputs.
        y: Integer labels `(samples,)`, or one-hot labels.
        timesteps: The numbers of time steps T to log, a sequence of integers >= 1.
        filepath: The `.keras` file of the source model whose spiking network is best
            at the last of `timesteps`; None saves no model.
        neuron: As for `snn_keras.convert`.
        first_epoch: The first epoch that may be kept, from 0. Early epochs of a noisy
            training may be best by luck.
        batch_size: Samples per batch.

    Logs: `snn_accuracy_T` for each T. If `fit` continues after an interruption
    (`keras.callbacks.BackupAndRestore`, or `initial_epoch`), the model at `filepath`
    counts as the best so far.
    """

    def __init__(
        self,
        x: Inputs,
        y: np.ndarray,
        timesteps: Sequence[int] = (1, 2, 4, 8),
        filepath: str | os.PathLike | None = None,
        *,
        neuron: str | SpikingCell | Mapping[str, str | SpikingCell] = "auto",
        first_epoch: int = 0,
        batch_size: int = 64,
    ) -> None:
        super().__init__()
        self.x = x
        self.first_epoch = first_epoch
        self.labels = np.argmax(y, axis=-1) if np.ndim(y) > 1 else np.asarray(y)
        self.timesteps = tuple(check_count("timesteps", t) for t in timesteps)
        if not self.timesteps:
            raise ValueError(
                "SpikingValidation: timesteps must be a sequence of integers >= 1. "
                f"Received: timesteps={timesteps!r}"
            )
        self.filepath = filepath and pathlib.Path(filepath)
        self.neuron = neuron
        self.batch_size = batch_size
        self.best = -np.inf
        self._snn = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        self._began = False
        if _has_sizes(self.model):  # an error comes now, not after an epoch
            plan(self.model, max(self.timesteps), neuron=self.neuron)

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        resumed = epoch > self.first_epoch and not self._began
        unknown = self.best == -np.inf
        if resumed and unknown and self.filepath is not None and self.filepath.exists():
            kept = load_model(self.filepath)
            self.best = self._accuracy(kept)[self.timesteps[-1]]
        self._began = True

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        accuracy = self._accuracy(self.model)
        for t in self.timesteps:
            if logs is not None:
                logs[f"snn_accuracy_{t}"] = accuracy[t]
        if epoch >= self.first_epoch and accuracy[self.timesteps[-1]] > self.best:
            self.best = accuracy[self.timesteps[-1]]
            self._keep()

    def _accuracy(self, model):
        """Accuracy of the network converted from `model`, by number of steps."""
        snn = convert(model, max(self.timesteps), neuron=self.neuron)
        if not snn.coding.any_time:
            runs = {t: snn.with_timesteps(t) for t in self.timesteps}
            return {
                t: self._share(run.predict(self.x, self.batch_size, verbose=0))
                for t, run in runs.items()
            }
        if self._snn is None:
            self._snn = snn
        self._snn.set_weights(snn.get_weights())  # reuses the compiled network
        outputs = self._snn.predict_over_time(self.x, self.batch_size, verbose=0)
        return {t: self._share(outputs[t - 1]) for t in self.timesteps}

    def _share(self, outputs):
        """The share of right answers."""
        return float(np.mean(outputs.argmax(-1) == self.labels))

    def _keep(self):
        if self.filepath is None:
            return
        with files.written_whole(self.filepath) as partial:
            self.model.save(partial)


def _has_sizes(model):
    """Whether no activation waits for the first batch, which sets its size."""
    try:
        for layer in layers_inside(model):
            if isinstance(layer, QuantizedActivation):
                layer.size_value()
    except ValueError:
        return False
    return True
