"""What the answers of compared networks are held against."""

from typing import Any

import numpy as np
from keras import tree

from snn_keras.answers import TOLERANCE, Answer, spread_of
from snn_keras.conversion.answers import answers_of
from snn_keras.graph import Graph


class AnswerKey:
    """The source's answers, and the right ones where they are known.

    Args:
        graph: The source's graph in normal form.
        expected: The source's outputs on all samples.
        y: The right answers of the only output, as for `compare`, or None.

    Attributes:
        samples: Number of samples.
    """

    def __init__(self, graph: Graph, expected: Any, y: Any) -> None:
        outputs = tree.flatten(expected)
        self.samples = len(outputs[0])
        self.answers = answers_of(graph)
        self._source = [a.of(z) for a, z in zip(self.answers, outputs, strict=True)]
        self._tolerances = [
            TOLERANCE * spread_of(z) if a is Answer.NUMBERS else None
            for a, z in zip(self.answers, self._source, strict=True)
        ]
        self._right = None
        if y is not None:
            if len(outputs) > 1:
                raise ValueError(
                    "y holds the right answers of one output. Received a network with "
                    f"{len(outputs)} outputs. Remedy: compare without y; or models "
                    "with one output each, keras.Model(model.inputs, model.outputs[i])."
                )
            self._right = self.answers[0].labels(y, outputs[0].shape)

    def marks(self, outputs: Any, start: int = 0) -> np.ndarray:
        """The marks of outputs of the samples from `start` on.

        Returns:
            Two sums over samples: of the share of answers that are the source's, at
            the output where it is lowest; and of the share of right answers or, for
            numbers, of the mean squared error.
        """
        given = [
            a.of(z) for a, z in zip(self.answers, tree.flatten(outputs), strict=True)
        ]
        part = slice(start, start + len(given[0]))
        shares = [
            _same(z, source[part], tolerance).mean(axis=1)
            for z, source, tolerance in zip(
                given, self._source, self._tolerances, strict=True
            )
        ]
        right = np.zeros(1)
        if self._right is not None:
            (first, *_), known = given, self._right[part]
            right = np.square(first - known) if self._is_number else first == known
            right = right.mean(axis=1)
        return np.array([np.min(shares, axis=0).sum(), right.sum()])

    def figures(self, marks: np.ndarray) -> dict[str, float]:
        """What `marks` of all samples say: `accuracy`, or `error` of numbers."""
        if self._right is None:
            return {}
        mean = float(marks[1] / self.samples)
        return {"error": mean**0.5} if self._is_number else {"accuracy": mean}

    @property
    def _is_number(self):
        return self.answers[0] is Answer.NUMBERS


def _same(given, expected, tolerance):
    """Which answers are equal; for numbers, which are within the tolerance."""
    if tolerance is None:
        return given == expected
    return np.abs(given - expected) <= tolerance
