"""A whole epoch as one program of the accelerator: images and steps stay there.

A step of a small network takes an accelerator less time than it takes Python to start
it. On JAX, `jax.lax.scan` runs all steps of an epoch at one call; only what chance
decides, a few numbers an image, is sent there.
"""

import concurrent.futures

import keras
import numpy as np


class WholeEpochs(keras.utils.PyDataset):
    """One item an epoch: all draws of its batches, and the pixels of all images.

    Args:
        batches: `Batches` that are resident on the accelerator.

    Attributes:
        epoch: Number of the epoch, from 0; it may be set.
    """

    def __init__(self, batches):
        super().__init__()
        self.batches = batches
        self._ahead = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self._drawn = {}

    @property
    def epoch(self):
        return self.batches.epoch

    @epoch.setter
    def epoch(self, epoch):
        self.batches.epoch = epoch

    def on_epoch_end(self):
        self.epoch += 1

    def __len__(self):
        return 1

    def __getitem__(self, index):
        epoch = self.epoch
        ready = self._drawn.pop(epoch, None)
        drawn = ready.result() if ready else self._draw(epoch)
        self._drawn = {epoch + 1: self._ahead.submit(self._draw, epoch + 1)}
        return drawn, self.batches.pixels

    def _draw(self, epoch):
        batches = self.batches.at(epoch)
        drawn = [batches.draws(i) for i in range(len(batches))]
        return {name: np.stack([d[name] for d in drawn]) for name in drawn[0]}


def train_by_epochs(model, epochs):
    """Makes a training step of a compiled `model`, on JAX, a whole epoch.

    Args:
        model: The model; its metrics are built (`test_on_batch`).
        epochs: Its `WholeEpochs`.
    """
    one_step = model.train_step

    def train_step(state, data):
        import jax

        drawn, pixels = data

        def step(state, drawn):
            logs, state = one_step(state, epochs.batches.made(pixels, drawn))
            return state, logs

        state, logs = jax.lax.scan(step, state, drawn)
        return {name: values[-1] for name, values in logs.items()}, state

    model.train_step = train_step
