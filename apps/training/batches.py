"""The input line of data sets in memory: every batch by its number alone."""

import copy

import keras
import numpy as np
from keras import ops

from .. import data
from .augmentation import Augmentation, within


class Batches(keras.utils.PyDataset):
    """Shuffled, augmented training batches.

    Every draw is fixed by the seed, the epoch and the number of the batch: a run that
    goes on, and one on several processes, sees what any other would.

    Args:
        split: A `data.Split`.
        batch_size: Images a batch; the last incomplete batch is left out.
        seed: Integer.
        augmentation: An `Augmentation`.
        classes: Number of classes; labels are given one-hot.
        part: `(i, n)`: give the i-th of n equal parts of every batch.
        resident: Whether the images are put on the accelerator once, and batches
            made there; else NumPy makes them.

    Attributes:
        epoch: Number of the epoch, from 0; it may be set.
    """

    def __init__(
        self,
        split,
        batch_size,
        seed,
        augmentation=None,
        *,
        classes,
        part=(0, 1),
        resident=False,
    ):
        super().__init__()
        check_batch_size(batch_size, len(split), part)
        self.labels = split.labels
        self.shape = split.images.shape[1:]
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.classes = classes
        self.part = part
        # One row a pixel: a crop is then one gather.
        pixels = split.images.reshape(-1, self.shape[-1])
        self.pixels = ops.convert_to_tensor(pixels) if resident else pixels
        self.epoch = 0

    @property
    def epoch(self):
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch = epoch
        rng = np.random.default_rng([self.seed, epoch, 0])
        self._order = rng.permutation(len(self.labels))

    def at(self, epoch):
        """The same batches, of another epoch."""
        other = copy.copy(self)
        other.epoch = epoch
        return other

    def on_epoch_end(self):
        self.epoch += 1

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        images, labels = self.made(self.pixels, self.draws(index))
        i, n = self.part
        share = self.batch_size // n
        part = slice(i * share, (i + 1) * share)
        return images[part], labels[part]

    def draws(self, index):
        """All that chance decides for a batch, `{name: small NumPy array}`."""
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, index + 1])
        height, width, _ = self.shape
        count = len(chosen)
        rows, columns = self.augmentation.places(count, height, width, rng)
        return {
            "chosen": chosen.astype("int32"),
            "labels": one_hot(self.labels[chosen], self.classes),
            "rows": rows,
            "columns": columns,
            **self.augmentation.draws(count, height, width, rng),
        }

    def made(self, pixels, drawn):
        """The batch of what was drawn; a pure function, of arrays or of tensors.

        Args:
            pixels: Those of all images, one a row, as `self.pixels`.
            drawn: What `draws` gave.
        """
        images = self._cropped(pixels, drawn)
        return self.augmentation.finished(images, drawn["labels"], drawn)

    def _cropped(self, pixels, drawn):
        """The samples drawn, shifted and mirrored, in uint8."""
        xp = np if isinstance(pixels, np.ndarray) else ops
        height, width, channels = self.shape
        rows, columns = drawn["rows"], drawn["columns"]
        inside = within(rows, height)[:, :, None] & within(columns, width)[:, None]
        rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
        place = (drawn["chosen"][:, None] * height + rows)[:, :, None] * width
        place = (place + columns[:, None]).reshape(-1)
        images = xp.take(pixels, place, axis=0)
        images = xp.reshape(images, (-1, height, width, channels))
        return images * inside[..., None].astype("uint8")


class OrderedBatches(keras.utils.PyDataset):
    """Test images in order, with a weight of 0 for what fills up the last batch.

    Args:
        split: A `data.Split`.
        batch_size: Images a batch, over all processes.
        classes: Number of classes; labels are given one-hot.
        part: `(i, n)`: give the i-th of n equal parts of every batch.
        replicas: Devices among which a batch is shared evenly.
    """

    def __init__(self, split, batch_size, classes, part=(0, 1), replicas=1):
        super().__init__()
        self.split = split
        self.batch_size = min(batch_size, len(split))
        self.batch_size += -self.batch_size % replicas
        self.classes = classes
        self.part = part

    def __len__(self):
        return -(-len(self.split) // self.batch_size)

    def __getitem__(self, index):
        i, n = self.part
        share = self.batch_size // n
        start = index * self.batch_size + i * share
        place = np.arange(start, start + share)
        weights = (place < len(self.split)).astype("float32")
        place = np.minimum(place, len(self.split) - 1)
        labels = one_hot(self.split.labels[place], self.classes)
        return data.preprocess(self.split.images[place]), labels, weights


def one_hot(labels, classes):
    """Labels as rows of float32 `(count, classes)`."""
    return np.eye(classes, dtype="float32")[labels]


def check_batch_size(batch_size, samples, part):
    """Raises a ValueError if there is no batch of that size, or none for every part."""
    if samples < batch_size:
        raise ValueError(
            f"batch_size must not exceed the {samples} training images. "
            f"Received: batch_size={batch_size}"
        )
    if batch_size % part[1]:
        raise ValueError(
            f"batch_size must be a multiple of the {part[1]} processes. "
            f"Received: batch_size={batch_size}"
        )
