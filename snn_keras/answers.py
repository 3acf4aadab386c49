"""The answers that a network's outputs give, and when two answers are equal."""

import enum

import keras
import numpy as np

# Two numbers are the same answer if they differ by at most this many standard
# deviations of the source's numbers.
TOLERANCE = 0.1


class Answer(enum.StrEnum):
    """The kind of answer that an output gives.

    CLASSES: for each sample or, in a map, each position, the class with the largest
        entry.
    SIDES: yes or no for every entry, above or below 1/2, as after a sigmoid.
    NUMBERS: a number for every entry.

    Answers are arrays `(samples, positions)`; a network that classifies has one
    position.
    """

    CLASSES = "classes"
    SIDES = "sides"
    NUMBERS = "numbers"

    @classmethod
    def by_shape(cls, shape: tuple[int, ...]) -> "Answer":
        """The kind of answer of outputs of a shape `(samples, ...)`, by default."""
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
        """The right answers `(samples, positions)`, after checking them.

        Args:
            y: For classes, the class numbers for each sample and position, or one-hot
                labels; for sides, 0 and 1; for numbers, numbers. A last axis of length
                1 may be missing.
            shape: The shape of the outputs, `(samples, ...)`.

        Raises:
            ValueError: if they have another shape or type.
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
        """The share of right answers; for numbers, the root mean square error.

        Args:
            outputs: The outputs, `(samples, ...)`.
            labels: The right answers that `labels` returned.
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
    """A shape without trailing axes of length 1."""
    shape = list(shape)
    while len(shape) > 1 and shape[-1] == 1:
        shape.pop()
    return shape


def class_axis(rank: int) -> int:
    """The class axis of an output: the last, or 1 for channels-first images."""
    first = keras.config.image_data_format() == "channels_first"
    return 1 if first and rank > 3 else -1


def spread_of(numbers: np.ndarray) -> float:
    """The standard deviation; the root mean square if all numbers are equal."""
    spread = float(np.std(numbers))
    return spread or float(np.sqrt(np.mean(np.square(numbers))))
