"""What is done to training images."""

import dataclasses

import numpy as np
from keras import ops

from . import auto_augment


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to training images, in this order.

    Attributes:
        crop: Pixels to pad by before cropping back to size at random; 0 for none.
        flip: Whether to mirror half the images.
        auto_augment: Whether to change them by AutoAugment's policy for CIFAR-10.
        cutout: Side of a square that is blanked at a random place; 0 for none.
        mixup: Alpha of the Beta distribution by which images and labels of two
            samples are mixed; 0 for none.
    """

    crop: int = 0
    flip: bool = False
    auto_augment: bool = False
    cutout: int = 0
    mixup: float = 0.0

    def places(self, count, height, width, rng):
        """The row and the column that every pixel comes from, `(count, size)`.

        Those outside the image are negative, or as large as it or larger.
        """
        y = x = np.zeros(count, "int32")
        if self.crop:
            y, x = rng.integers(0, 2 * self.crop + 1, (2, count)) - self.crop
        rows = y[:, None] + np.arange(height)
        columns = x[:, None] + np.arange(width)
        if self.flip:
            mirrored = rng.random(count) < 0.5
            columns[mirrored] = columns[mirrored, ::-1]
        return rows.astype("int32"), columns.astype("int32")

    def draws(self, count, height, width, rng):
        """What chance decides of the rest for a batch: `{name: small NumPy array}`."""
        drawn = {}
        if self.auto_augment:
            drawn |= auto_augment.draws(count, height, width, rng)
        if self.cutout:
            y, x = rng.integers(0, height, count), rng.integers(0, width, count)
            drawn["hole"] = (np.stack([y, x], 1) - self.cutout // 2).astype("int32")
        if self.mixup:
            drawn["share"] = np.float32(rng.beta(self.mixup, self.mixup))
            drawn["other"] = rng.permutation(count).astype("int32")
        return drawn

    def finished(self, images, labels, drawn):
        """Images in [0, 1] and labels, from cropped uint8 images and one-hot labels.

        NumPy arrays stay NumPy arrays, tensors stay on their device.
        """
        xp = np if isinstance(images, np.ndarray) else ops
        if self.auto_augment:
            images = auto_augment.apply(images, drawn)
            images = ops.convert_to_numpy(images) if xp is np else images
        images = _float(images, xp) / 255.0
        if self.cutout:
            images = images * _float(self._outside(images.shape, drawn["hole"]), xp)
        if self.mixup:
            share, other = drawn["share"], drawn["other"]
            images = share * images + (1 - share) * xp.take(images, other, axis=0)
            labels = share * labels + (1 - share) * xp.take(labels, other, axis=0)
        return images, labels

    def _outside(self, shape, hole):
        """Which pixels a square leaves that begins there, `(count, h, w, 1)`."""
        _, height, width, _ = shape
        rows = np.arange(height, dtype="int32") - hole[:, :1]
        columns = np.arange(width, dtype="int32") - hole[:, 1:]
        hole = within(rows, self.cutout)[:, :, None]
        hole = hole & within(columns, self.cutout)[:, None]
        return ~hole[..., None]


def within(place, size):
    """Which places are in an image of that size."""
    return (place >= 0) & (place < size)


def _float(x, xp):
    return x.astype("float32") if xp is np else ops.cast(x, "float32")
