"""Scenes made of digits, with their boxes, classes and masks."""

import dataclasses
import functools

import numpy as np

SIZE = 64  # height and width of a scene
CLASSES = 10  # of digits, numbered by what they say
BACKGROUND = CLASSES  # the class of a pixel without a digit
HEIGHTS = (12, 28)  # of digits in a scene, in pixels; their form stays
MOST_DIGITS = 4
PIECES = 4  # parts of digits in a scene, which count as background
INK = 0.4  # share of its brightest from which a pixel belongs to a digit
TRIES = 20  # places that are tried for a digit


@dataclasses.dataclass(frozen=True)
class Scenes:
    """Scenes and what is in them.

    Attributes:
        images: `(scenes, SIZE, SIZE, 1)` float32 in [0, 1].
        boxes: For each scene `(digits, 4)` float32: left, top, right and bottom, in
            pixels.
        classes: For each scene `(digits,)` int64.
        masks: `(scenes, SIZE, SIZE)` int64, the class of every pixel.
    """

    images: np.ndarray
    boxes: tuple[np.ndarray, ...]
    classes: tuple[np.ndarray, ...]
    masks: np.ndarray

    def __len__(self):
        return len(self.images)

    def part(self, start, stop):
        """The scenes from `start` up to `stop`."""
        kept = slice(start, stop)
        return Scenes(*(x[kept] for x in vars(self).values()))


def make(digits, count, seed=0):
    """Places digits at random: 1 to `MOST_DIGITS` in a scene, which hardly overlap.

    Args:
        digits: An `apps.data.Split` of images of digits, light on dark.
        count: Number of scenes.
        seed: An integer or a sequence of integers; the same one makes the same scenes.

    Returns:
        `Scenes`.
    """
    rng = np.random.default_rng(seed)
    made = [_scene(digits, rng) for _ in range(count)]
    images, boxes, classes, masks = zip(*made, strict=True)
    return Scenes(np.stack(images), boxes, classes, np.stack(masks))


def _scene(digits, rng):
    image = rng.normal(0.1, 0.05, (SIZE, SIZE))
    mask = np.full((SIZE, SIZE), BACKGROUND)
    for _ in range(PIECES):
        _, patch = _digit(digits, rng)
        rows, columns = (n // 2 for n in patch.shape)
        piece = patch[rows:, :columns]
        _paint(image, piece, *_place(piece, rng))
    boxes, classes = [], []
    for _ in range(rng.integers(1, MOST_DIGITS + 1)):
        label, patch = _digit(digits, rng)
        height, width = patch.shape
        for _ in range(TRIES):
            left, top = _place(patch, rng)
            box = (left, top, left + width, top + height)
            if all(_apart(box, other) for other in boxes):
                _paint(image, patch, left, top)
                inked = mask[top : top + height, left : left + width]
                inked[patch >= INK * patch.max()] = label
                boxes.append(box)
                classes.append(label)
                break
    image = np.clip(image, 0, 1).astype("float32")[..., None]
    return image, np.array(boxes, "float32"), np.array(classes), mask


def _digit(digits, rng):
    """A digit's class and its image, scaled and without a margin."""
    i = rng.integers(len(digits))
    image = digits.images[i, ..., 0] / 255.0
    inked = image >= INK * image.max()
    rows, columns = (np.flatnonzero(inked.any(axis)) for axis in (1, 0))
    image = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height = rng.integers(HEIGHTS[0], HEIGHTS[1] + 1)
    width = max(3, round(image.shape[1] * height / image.shape[0]))
    scaled = _between(height, image.shape[0]) @ image
    scaled = scaled @ _between(min(width, SIZE), image.shape[1]).T
    return int(digits.labels[i]), scaled * rng.uniform(0.6, 1.0)


@functools.lru_cache(maxsize=1000)
def _between(size, known):
    """The matrix that interpolates `size` values between `known` ones, linearly."""
    at = np.clip((np.arange(size) + 0.5) * known / size - 0.5, 0, known - 1)
    return np.maximum(0, 1 - np.abs(at[:, None] - np.arange(known)))


def _place(patch, rng):
    """The left and top of a place for a patch."""
    height, width = patch.shape
    return rng.integers(SIZE - width + 1), rng.integers(SIZE - height + 1)


def _paint(image, patch, left, top):
    height, width = patch.shape
    there = image[top : top + height, left : left + width]
    np.maximum(there, patch, out=there)


def _apart(a, b):
    """Whether at most a tenth of the smaller box lies in the other one."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    smaller = min((x[2] - x[0]) * (x[3] - x[1]) for x in (a, b))
    return max(width, 0) * max(height, 0) <= 0.1 * smaller
