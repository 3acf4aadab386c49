"""What the outputs of a network answer, and when two answers are the same."""

import enum

import keras
import numpy as np

# Numbers are the same answer within so many standard deviations of the source's.
TOLERANCE = 0.1


class Answer(enum.StrEnum):
    """What an output answers.

    CLASSES: one of several classes, whose entry is the largest, for each sample or, in
        a map, for each position.
    SIDES: yes or no in every entry, above or below 1/2: what a sigmoid gives.
    NUMBERS: a number in every entry.

    Answers are arrays `(samples, positions)`; of a network that classifies, with one
    position.
    """

    CLASSES = "classes"
    SIDES = "sides"
    NUMBERS = "numbers"

    @classmethod
    def by_shape(cls, shape: tuple[int, ...]) -> "Answer":
        """What outputs of a shape `(samples, ...)` answer, if nothing else is known."""
        several = len(shape) > 1 and shape[class_axis(len(shape))] != 1
        return cls.CLASSES if several else cls.NUMBERS

    def of(self, y: np.ndarray) -> np.ndarray:
        """The answers in outputs `(samples, ...)`."""
        y = np.asarray(y, "float64")
        if self is Answer.CLASSES:
            y = y.argmax(class_axis(y.ndim))
        elif self is Answer.SIDES:
            y = y >= 0.5
        return y.reshape(len(y), -1)

    def labels(self, y: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The right answers, checked.

        Args:
            y: Of classes, their numbers for each sample and position, or 1 at the right
                entry and 0 elsewhere. Of sides, 0 and 1. Of numbers, numbers. An axis
                of one entry at the end may be left out.
            shape: Of the outputs, `(samples, ...)`.

        Raises:
            ValueError: if they are of another shape or type.
        """
        shape, y = tuple(shape), np.asarray(y)
        wanted = list(shape)
        if self is Answer.CLASSES:
            del wanted[class_axis(len(shape))]
            if y.shape == shape:  # one-hot
                y = y.argmax(class_axis(len(shape)))
        fits = _without_ones(y.shape) == _without_ones(wanted)
        if not fits or y.shape[:1] != shape[:1]:
            raise ValueError(
                f"y must hold {_KINDS[self]} for each of the {shape[0]} samples of x, "
                f"shape {tuple(wanted)}{_OTHERWISE[self]}. Received shape: "
                f"{np.shape(y)}"
            )
        if y.dtype.kind not in "fiub" or not np.isfinite(y).all():
            raise ValueError(f"y must be finite numbers. Received: dtype {y.dtype}")
        self._check_values(y, shape)
        return y.reshape(len(y), -1)

    def _check_values(self, y, shape):
        if self is Answer.NUMBERS:
            return
        count = shape[class_axis(len(shape))] if self is Answer.CLASSES else 2
        bad = y[(y != np.floor(y)) | (y < 0) | (y >= count)]
        if bad.size:
            raise ValueError(
                f"y must hold {_KINDS[self]}, whole numbers from 0 to {count - 1}. "
                f"Received: {bad.size} others, such as {bad.flat[0]}"
            )

    def score(self, outputs: np.ndarray, labels: np.ndarray) -> float:
        """How good outputs are: the share that is right; the error of numbers.

        Args:
            outputs: `(samples, ...)`.
            labels: As `labels` gives them.

        Returns:
            The share of right answers; of numbers, the root mean square error.
        """
        answers = self.of(outputs)
        if self is Answer.NUMBERS:
            return float(np.sqrt(np.mean(np.square(answers - labels))))
        return float(np.mean(answers == labels))


_KINDS = {
    Answer.CLASSES: "a class",
    Answer.SIDES: "0 or 1",
    Answer.NUMBERS: "a number",
}
_OTHERWISE = {
    Answer.CLASSES: ", or one-hot as the outputs",
    Answer.SIDES: "",
    Answer.NUMBERS: "",
}


def _without_ones(shape):
    """A shape without the axes of one entry at its end."""
    shape = list(shape)
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    return shape


def class_axis(rank: int) -> int:
    """The axis of an output's classes: the last, or that of the image format's."""
    first = keras.config.image_data_format() == "channels_first"
    return 1 if first and rank > 3 else -1


def spread_of(numbers: np.ndarray) -> float:
    """Their standard deviation; their root mean square where they are all the same."""
    spread = float(np.std(numbers))
    return spread or float(np.sqrt(np.mean(np.square(numbers))))
