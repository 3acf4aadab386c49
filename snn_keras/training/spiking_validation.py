"""Evaluates the converted network while its source trains, and keeps the best."""

import pathlib

import keras
import numpy as np

from snn_keras import files
from snn_keras.conversion import convert


class SpikingValidation(keras.callbacks.Callback):
    """Accuracy of the spiking network after every epoch, and its best epoch.

    The source network and the spiking network made from it are at their best at
    different epochs: the one to keep is that of the best spiking network.

    Args:
        x: Inputs.
        y: Integer labels `(samples,)`, or one-hot labels.
        timesteps: The time steps T to report, a sequence of integers >= 1.
        filepath: Where to keep the source model whose spiking network is best at
            the last of `timesteps`, a `.keras` file; None to keep none.
        neuron: As for `snn_keras.convert`.
        batch_size: Samples a batch.

    Logs: `snn_accuracy_T` for each T. Where `fit` goes on after an interruption
    (`keras.callbacks.BackupAndRestore`, or `initial_epoch`), the model kept at
    `filepath` counts as the best so far.
    """

    def __init__(
        self,
        x,
        y,
        timesteps=(1, 2, 4, 8),
        filepath=None,
        *,
        neuron="auto",
        batch_size=64,
    ):
        super().__init__()
        self.x = x
        self.labels = np.argmax(y, axis=-1) if np.ndim(y) > 1 else np.asarray(y)
        self.timesteps = tuple(timesteps)
        self.filepath = filepath and pathlib.Path(filepath)
        self.neuron = neuron
        self.batch_size = batch_size
        self.best = -np.inf
        self._snn = None

    def on_train_begin(self, logs=None):
        self._began = False

    def on_epoch_begin(self, epoch, logs=None):
        resumed = epoch > 0 and not self._began
        if resumed and self.filepath is not None and self.filepath.exists():
            kept = keras.models.load_model(self.filepath, compile=False)
            self.best = self._accuracy(kept)[self.timesteps[-1]]
        self._began = True

    def on_epoch_end(self, epoch, logs=None):
        accuracy = self._accuracy(self.model)
        for t in self.timesteps:
            if logs is not None:
                logs[f"snn_accuracy_{t}"] = accuracy[t]
        if accuracy[self.timesteps[-1]] > self.best:
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
        self._snn.set_weights(snn.get_weights())  # it is compiled already
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
