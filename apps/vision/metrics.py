"""How good boxes and masks are: average precision, intersection over union."""

import dataclasses

import numpy as np

THRESHOLDS = tuple(np.arange(10, 20) / 20)  # 0.5, 0.55, ... 0.95
RECALLS = np.arange(101) / 100


@dataclasses.dataclass(frozen=True)
class Found:
    """What a detector found in one scene.

    Attributes:
        boxes: `(n, 4)`: left, top, right and bottom.
        scores: `(n,)`, the surest first.
        classes: `(n,)` integers.
    """

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def overlap(a, b):
    """Intersection over union of boxes `(..., 4)` and `(..., 4)`, broadcast.

    Args:
        a, b: Boxes: left, top, right and bottom.

    Returns:
        Numbers in [0, 1]; 0 where neither box has an area.
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., 2:], b[..., 2:])
    both = np.clip(high - low, 0, None).prod(-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(-1) for x in (a, b)]
    return both / np.maximum(areas[0] + areas[1] - both, 1e-9)


def mean_average_precision(found, boxes, classes, thresholds=THRESHOLDS):
    """Mean average precision, as the COCO benchmark defines it.

    In each scene, from the surest on, a found box takes the right box of its class
    that it overlaps most, of those that are left, if they overlap by the threshold.
    Precision at a recall is the best at this recall or a higher one, and the average
    precision its mean over the recalls 0, 0.01, ... 1.

    Args:
        found: A `Found` for each scene.
        boxes: For each scene the right boxes `(digits, 4)`.
        classes: For each scene their classes `(digits,)`.
        thresholds: Least overlaps.

    Returns:
        `(thresholds,)`: the mean over the classes that occur; NaN if none does.
    """
    present = np.unique(np.concatenate([np.zeros(0, int), *classes]))
    parts = [
        _average_precisions(*_of_class(label, found, boxes, classes), thresholds)
        for label in present
    ]
    return np.mean(parts, axis=0) if parts else np.full(len(thresholds), np.nan)


def _of_class(label, found, boxes, classes):
    """The boxes found, their scores and the right boxes of a class, by scene."""
    mine = [f.classes == label for f in found]
    return (
        [f.boxes[m] for f, m in zip(found, mine, strict=True)],
        [f.scores[m] for f, m in zip(found, mine, strict=True)],
        [b[c == label] for b, c in zip(boxes, classes, strict=True)],
    )


def _average_precisions(found, scores, right, thresholds):
    hits = [_hits(f, r, thresholds) for f, r in zip(found, right, strict=True)]
    hits = np.concatenate(hits, axis=1)
    order = np.argsort(-np.concatenate(scores), kind="stable")
    true = hits[:, order].cumsum(axis=1)
    precision = true / np.arange(1, true.shape[1] + 1)
    recall = true / sum(map(len, right))
    return [_average(*curve) for curve in zip(precision, recall, strict=True)]


def _hits(found, right, thresholds):
    """Which boxes, the surest first, hit: `(thresholds, found)`."""
    hits = np.zeros((len(thresholds), len(found)), bool)
    overlaps = overlap(found[:, None], right[None])
    for i, threshold in enumerate(thresholds):
        left = np.ones(len(right), bool)
        for k, row in enumerate(overlaps):
            fits = np.where(left, row, -1.0)
            if fits.size and fits.max() >= threshold:
                hits[i, k] = True
                left[fits.argmax()] = False
    return hits


def _average(precision, recall):
    best = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(recall, RECALLS, side="left")
    return float(np.append(best, 0.0)[at].mean())


def confusion(right, answers, classes):
    """Counts of pixels by right class and answer, `(classes, classes)`."""
    pairs = np.ravel(right) * classes + np.ravel(answers)
    return np.bincount(pairs, minlength=classes**2).reshape(classes, classes)


def overlaps_of_classes(counts):
    """Intersection over union of each class, from `confusion`; NaN if none occurs."""
    both = np.diag(counts).astype("float64")
    either = counts.sum(0) + counts.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)
