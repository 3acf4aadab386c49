"""The input line: batches that depend on the seed, the epoch and their number alone."""

import dataclasses

import keras
import numpy as np
from keras import ops

from apps import data


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to training images, in this order.

    Attributes:
        crop: Pixels to pad by before cropping back to size at random; 0 for none.
        flip: Whether to mirror half the images.
        rand_augment: Strength of RandAugment, from 0 for none to 1.
        cutout: Side of a square that is blanked at a random place; 0 for none.
        mixup: Alpha of the Beta distribution by which images and labels of two
            samples are mixed; 0 for none.
    """

    crop: int = 0
    flip: bool = False
    rand_augment: float = 0.0
    cutout: int = 0
    mixup: float = 0.0


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
        if len(split) < batch_size:
            raise ValueError(
                f"batch_size must not exceed the {len(split)} training images. "
                f"Received: batch_size={batch_size}"
            )
        if batch_size % part[1]:
            raise ValueError(
                f"batch_size must be a multiple of the {part[1]} processes. "
                f"Received: batch_size={batch_size}"
            )
        self.labels = split.labels
        self.shape = split.images.shape[1:]
        self.batch_size = batch_size
        self.seed = seed
        self.augmentation = augmentation or Augmentation()
        self.classes = classes
        self.part = part
        self._numpy = ops if resident else np
        # One row a pixel: a crop is then one gather.
        pixels = split.images.reshape(-1, self.shape[-1])
        self._pixels = ops.convert_to_tensor(pixels) if resident else pixels
        self._policy = None
        if self.augmentation.rand_augment:
            self._policy = keras.layers.RandAugment(
                factor=self.augmentation.rand_augment, seed=0
            )
        self.epoch = 0

    @property
    def epoch(self):
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch = epoch
        rng = np.random.default_rng([self.seed, epoch, 0])
        self._order = rng.permutation(len(self.labels))

    def on_epoch_end(self):
        self.epoch += 1

    def __len__(self):
        return len(self.labels) // self.batch_size

    def __getitem__(self, index):
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, index + 1])
        images, labels = self._augmented(chosen, rng)
        i, n = self.part
        share = len(chosen) // n
        part = slice(i * share, (i + 1) * share)
        return images[part], labels[part]

    def _augmented(self, chosen, rng):
        """Images in [0, 1] and one-hot labels of the samples `chosen`."""
        do = self.augmentation
        images = self._cropped(chosen, rng)
        if self._policy is not None:
            self._policy.generator.state.assign([rng.integers(2**31), 0])
            images = self._policy(images, training=True)
            images = images if self._numpy is ops else np.asarray(images)
        images = self._float(images) / 255.0
        labels = np.eye(self.classes, dtype="float32")[self.labels[chosen]]
        if do.cutout:
            images = images * self._float(self._outside(len(chosen), rng))
        if do.mixup:
            share = np.float32(rng.beta(do.mixup, do.mixup))
            other = rng.permutation(len(chosen))
            there = self._numpy.take(images, other, axis=0)
            images = share * images + (1 - share) * there
            labels = share * labels + (1 - share) * labels[other]
        return images, labels

    def _float(self, x):
        return x.astype("float32") if self._numpy is np else ops.cast(x, "float32")

    def _cropped(self, chosen, rng):
        """The samples `chosen`, shifted and mirrored at random, in uint8."""
        height, width, channels = self.shape
        count, pad = len(chosen), self.augmentation.crop
        y = x = np.zeros(count, "int64")
        if pad:
            y, x = rng.integers(0, 2 * pad + 1, (2, count)) - pad
        rows = y[:, None] + np.arange(height)
        columns = x[:, None] + np.arange(width)
        if self.augmentation.flip:
            mirrored = rng.random(count) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None]
        rows, columns = rows.clip(0, height - 1), columns.clip(0, width - 1)
        place = (chosen[:, None] * height + rows)[:, :, None] * width
        place = (place + columns[:, None]).ravel()
        images = self._numpy.take(self._pixels, place.astype("int32"), axis=0)
        images = self._numpy.reshape(images, (count, height, width, channels))
        return images if not pad else images * inside[..., None].astype("uint8")

    def _outside(self, count, rng):
        """Which pixels a square at a random place leaves, `(count, h, w, 1)`."""
        height, width, _ = self.shape
        size = self.augmentation.cutout
        y, x = rng.integers(0, height, count), rng.integers(0, width, count)
        rows = np.arange(height) - (y - size // 2)[:, None]
        columns = np.arange(width) - (x - size // 2)[:, None]
        hole = _within(rows, size)[:, :, None] & _within(columns, size)[:, None]
        return ~hole[..., None]


def _within(place, size):
    return (place >= 0) & (place < size)


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
        labels = np.eye(self.classes, dtype="float32")[self.split.labels[place]]
        return data.preprocess(self.split.images[place]), labels, weights
