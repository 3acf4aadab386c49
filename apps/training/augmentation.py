"""What is done to training images."""

import dataclasses
import functools

import keras
import numpy as np
from keras import ops


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

    def places(self, count, height, width, rng):
        """The row and the column that every pixel comes from, `(count, size)`.

        Those outside the image are negative, or as large as it or larger.
        """
        y = x = np.zeros(count, "int64")
        if self.crop:
            y, x = rng.integers(0, 2 * self.crop + 1, (2, count)) - self.crop
        rows = y[:, None] + np.arange(height)
        columns = x[:, None] + np.arange(width)
        if self.flip:
            mirrored = rng.random(count) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        return rows, columns

    def finished(self, images, labels, rng):
        """Images in [0, 1] and labels, from cropped uint8 images and one-hot labels.

        NumPy arrays stay NumPy arrays, tensors stay on their device.
        """
        xp = np if isinstance(images, np.ndarray) else ops
        if self.rand_augment:
            policy = _policy(self.rand_augment)
            policy.generator.state.assign([rng.integers(2**31), 0])
            images = policy(images, training=True)
            images = np.asarray(images) if xp is np else images
        images = _float(images, xp) / 255.0
        if self.cutout:
            outside = self._outside(images.shape, rng)
            images = images * _float(outside, xp)
        if self.mixup:
            share = np.float32(rng.beta(self.mixup, self.mixup))
            other = rng.permutation(len(labels))
            images = share * images + (1 - share) * xp.take(images, other, axis=0)
            labels = share * labels + (1 - share) * labels[other]
        return images, labels

    def _outside(self, shape, rng):
        """Which pixels a square at a random place leaves, `(count, h, w, 1)`."""
        count, height, width, _ = shape
        y, x = rng.integers(0, height, count), rng.integers(0, width, count)
        rows = np.arange(height) - (y - self.cutout // 2)[:, None]
        columns = np.arange(width) - (x - self.cutout // 2)[:, None]
        hole = within(rows, self.cutout)[:, :, None]
        hole = hole & within(columns, self.cutout)[:, None]
        return ~hole[..., None]


def within(place, size):
    """Which places are in an image of that size."""
    return (place >= 0) & (place < size)


def _float(x, xp):
    return x.astype("float32") if xp is np else ops.cast(x, "float32")


@functools.lru_cache(maxsize=1)
def _policy(strength):
    return keras.layers.RandAugment(factor=strength, seed=0)
