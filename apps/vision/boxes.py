"""Anchors, and how boxes become numbers that a detector learns, and back."""

import numpy as np

from .making import SIZE
from .metrics import Found, overlap

LEVELS = {4: 14.0, 8: 22.0}  # pixels between anchors, and the anchors' height
ASPECTS = (0.45, 0.8)  # the anchors' width as a share of their height
SCALES = np.array([0.1, 0.1, 0.2, 0.2])  # what one unit of an output means
LEAST, MOST_BACKGROUND = 0.5, 0.4  # overlaps with an anchor
IGNORED, NO_DIGIT = -2, -1  # classes of anchors without a digit
LEAST_SCORE, MOST_FOUND, MOST_OVERLAP = 0.05, 100, 0.5


def anchors():
    """All anchors `(n, 4)`: centre, width and height; rows, columns, then aspects."""
    made = []
    for stride, height in LEVELS.items():
        centres = (np.arange(SIZE // stride) + 0.5) * stride
        y, x, aspect = np.meshgrid(centres, centres, ASPECTS, indexing="ij")
        box = [x, y, aspect * height, np.full_like(x, height)]
        made.append(np.stack(box, axis=-1).reshape(-1, 4))
    return np.concatenate(made)


ANCHORS = anchors()


def corners(boxes):
    """Left, top, right and bottom of boxes that have centre, width and height."""
    centre, size = boxes[..., :2], boxes[..., 2:]
    return np.concatenate([centre - size / 2, centre + size / 2], axis=-1)


def encode(boxes, classes):
    """What a detector has to answer in one scene.

    An anchor answers for the box that it overlaps most, if by `LEAST`; the one that a
    box overlaps most answers for it in any case. Anchors below `MOST_BACKGROUND` have
    no digit, and those between are ignored.

    Args:
        boxes: The scene's boxes `(digits, 4)`, at least one.
        classes: Their classes `(digits,)`.

    Returns:
        Classes `(anchors,)`, with `NO_DIGIT` and `IGNORED` among them; and
        `(anchors, 5)`: the box in units of `SCALES`, and 1 where there is one.
    """
    overlaps = overlap(corners(ANCHORS)[:, None], boxes[None])
    mine, most = overlaps.argmax(1), overlaps.max(1)
    best = overlaps.argmax(0)
    mine[best], most[best] = np.arange(len(boxes)), 1.0
    has = most >= LEAST
    found = np.where(most < MOST_BACKGROUND, NO_DIGIT, IGNORED)
    found = np.where(has, classes[mine], found)
    low, high = boxes[mine, :2], boxes[mine, 2:]
    place, size = ANCHORS[:, :2], ANCHORS[:, 2:]
    offset = ((low + high) / 2 - place) / size
    numbers = np.concatenate([offset, np.log((high - low) / size)], axis=1) / SCALES
    return found, np.concatenate([numbers, has[:, None]], axis=1).astype("float32")


def decode(numbers):
    """The boxes `(..., anchors, 4)` that a detector's outputs say."""
    numbers = np.asarray(numbers, "float64") * SCALES
    place, size = ANCHORS[:, :2], ANCHORS[:, 2:]
    centre = place + numbers[..., :2] * size
    growth = np.clip(numbers[..., 2:], -3, 3)  # what it says at first may be wild
    return corners(np.concatenate([centre, size * np.exp(growth)], axis=-1))


def found_in(scores, numbers):
    """What is found in one scene: decoded, and of boxes that overlap the surest.

    Args:
        scores: `(anchors, classes)`.
        numbers: `(anchors, 4)`, as `encode` makes them.

    Returns:
        A `Found`.
    """
    places, classes = np.nonzero(scores >= LEAST_SCORE)
    sure = scores[places, classes]
    order = np.argsort(-sure, kind="stable")
    boxes = decode(numbers)[places[order]]
    kept = suppress(boxes, classes[order])[:MOST_FOUND]
    return Found(boxes[kept], sure[order][kept], classes[order][kept])


def suppress(boxes, classes):
    """Non-maximum suppression: which boxes, the surest first, stay.

    A box goes if one of its class that is surer and stays overlaps it by more than
    `MOST_OVERLAP`.
    """
    same = classes[:, None] == classes[None]
    close = same & (overlap(boxes[:, None], boxes[None]) > MOST_OVERLAP)
    stays = np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if stays[i]:
            stays[i + 1 :] &= ~close[i, i + 1 :]
    return np.flatnonzero(stays)
