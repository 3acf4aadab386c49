"""Trains the networks, on new scenes at every step."""

import keras

from . import making

# Seeds of other scenes than those of trainings, which have three numbers.
CALIBRATION, HELD_OUT = 1, 2


class Batches(keras.utils.PyDataset):
    """Batches of scenes that are made when they are asked for, new ones every epoch.

    Args:
        task: A class of `tasks`.
        digits: As for `making.make`.
        batch_size: Scenes in a batch.
        count: Batches in an epoch.
        seed: An integer; the same one makes the same batches.
    """

    def __init__(self, task, digits, batch_size, count, seed):
        super().__init__()
        self.task, self.digits, self.batch_size = task, digits, batch_size
        self.count, self.seed, self.epoch = count, seed, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        seed = self.seed, self.epoch, index
        scenes = making.make(self.digits, self.batch_size, seed)
        return scenes.images, self.task.targets(scenes)

    def on_epoch_end(self):
        self.epoch += 1


def train(model, task, batches, epochs, learning_rate, verbose=2):
    """Trains a network by Adam, whose learning rate falls to 0 as a cosine does.

    Returns:
        `{measure: its values, one an epoch}`.
    """
    steps = epochs * len(batches)
    falling = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    optimizer = keras.optimizers.Adam(falling, global_clipnorm=10.0)
    model.compile(optimizer, task.losses)
    done = model.fit(batches, epochs=epochs, verbose=verbose, shuffle=False)
    return {k: [float(v) for v in values] for k, values in done.history.items()}


def calibration(digits, count):
    """Images of scenes of training digits, for thresholds."""
    return making.make(digits, count, seed=CALIBRATION).images


def held_out(digits, count):
    """Scenes of test digits to measure on."""
    return making.make(digits, count, seed=HELD_OUT)
