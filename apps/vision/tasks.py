"""The two tasks: what a network learns, and how good its answers are."""

from typing import ClassVar

import keras
import numpy as np
from keras import ops

from . import boxes, metrics, networks
from .making import CLASSES

FOCUS, BALANCE = 2.0, 0.25  # of focal loss
LEAST, MOST = 1e-6, 1 - 1e-6  # scores, before their logarithm is taken


def focal_loss(right, scores):
    """Focal loss of all anchors, for each that has a digit.

    Args:
        right: `(batch, anchors)`: classes, `NO_DIGIT` or `IGNORED`.
        scores: `(batch, anchors, CLASSES)`.

    Source: Lin et al., "Focal Loss for Dense Object Detection", 2017.
    """
    right = ops.cast(right, "int32")
    is_right = ops.equal(right[..., None], ops.arange(CLASSES, dtype="int32"))
    scores = ops.clip(scores, LEAST, MOST)
    sure = ops.where(is_right, scores, 1 - scores)
    weight = ops.where(is_right, BALANCE, 1 - BALANCE)
    loss = -weight * (1 - sure) ** FOCUS * ops.log(sure)
    loss *= ops.cast(right != boxes.IGNORED, loss.dtype)[..., None]
    count = ops.sum(ops.cast(right >= 0, loss.dtype), axis=1)
    return ops.sum(loss, axis=(1, 2)) / ops.maximum(count, 1)


def box_loss(right, numbers):
    """Huber loss of the boxes, for each anchor that has a digit.

    Args:
        right: `(batch, anchors, 5)`, as `boxes.encode` makes them.
        numbers: `(batch, anchors, 4)`.
    """
    error = ops.abs(right[..., :4] - numbers)
    loss = ops.where(error < 1, error**2 / 2, error - 0.5)
    has = right[..., 4]
    loss = ops.sum(loss * has[..., None], axis=(1, 2))
    return loss / ops.maximum(ops.sum(has, axis=1), 1)


class Detection:
    """Boxes and classes of digits. Scores add up over parts of the scenes."""

    name = "detector"
    measures = ("mAP", "mAP at 0.5")
    losses: ClassVar[dict] = {"classes": focal_loss, "boxes": box_loss}
    network = staticmethod(networks.detector)

    def __init__(self):
        self.found, self.boxes, self.classes = [], [], []

    @staticmethod
    def targets(scenes):
        """What the network should answer in scenes."""
        encoded = map(boxes.encode, scenes.boxes, scenes.classes)
        classes, numbers = zip(*encoded, strict=True)
        return {"classes": np.stack(classes), "boxes": np.stack(numbers)}

    def add(self, outputs, scenes):
        """Takes in a network's outputs for scenes."""
        answers = zip(outputs["classes"], outputs["boxes"], strict=True)
        self.found += [boxes.found_in(*answer) for answer in answers]
        self.boxes += scenes.boxes
        self.classes += scenes.classes

    def score(self):
        """The measures, in [0, 1]: mean over overlaps of 0.5 to 0.95, and at 0.5."""
        precisions = metrics.mean_average_precision(
            self.found, self.boxes, self.classes
        )
        return float(precisions.mean()), float(precisions[0])


class Segmentation:
    """The class of every pixel. Scores add up over parts of the scenes."""

    name = "segmenter"
    measures = ("mIoU", "mIoU of digits")
    losses = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    network = staticmethod(networks.segmenter)

    def __init__(self):
        self.counts = np.zeros((CLASSES + 1, CLASSES + 1), int)

    @staticmethod
    def targets(scenes):
        """What the network should answer in scenes."""
        return scenes.masks

    def add(self, outputs, scenes):
        """Takes in a network's outputs for scenes."""
        answers = outputs.argmax(-1)
        self.counts += metrics.confusion(scenes.masks, answers, CLASSES + 1)

    def score(self):
        """The measures, in [0, 1]: with the background, and without."""
        overlaps = metrics.overlaps_of_classes(self.counts)
        return float(np.nanmean(overlaps)), float(np.nanmean(overlaps[:-1]))


TASKS = {task.name: task for task in (Detection, Segmentation)}
