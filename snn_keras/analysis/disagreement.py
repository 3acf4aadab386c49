"""The samples on which a spiking network and its source give different answers."""

import dataclasses

import numpy as np

from snn_keras.answers import TOLERANCE, Answer, spread_of
from snn_keras.figures import Figures
from snn_keras.text import listed, table
from snn_keras.typing import Array

MOST_PAIRS = 10  # most rows in a table


@dataclasses.dataclass(frozen=True)
class ClassPair(Figures):
    """How often one class of the source became another one.

    Attributes:
        source, spiking: The answers (classes or sides) of the two networks.
        count: Number of such answers; each position of a map counts.
    """

    source: int
    spiking: int
    count: int


@dataclasses.dataclass(frozen=True)
class Flip(Figures):
    """A sample on which two networks give different answers.

    Attributes:
        sample: Its index.
        count: Number of its answers that differ.
        source, spiking: Both answers, if a sample has only one; else None.
        label: The right answer, if a sample has only one and it is known; else None.
    """

    sample: int
    count: int
    source: float | None = None
    spiking: float | None = None
    label: float | None = None


@dataclasses.dataclass(frozen=True)
class Disagreements(Figures):
    """The result of `disagreements`. Print it, or use `as_dict()`.

    Attributes:
        answer: The kind of answer: `"classes"`, `"sides"` (of 1/2) or `"numbers"`.
        samples: Number of samples compared.
        answers: Number of answers compared: samples times positions.
        count: Number of answers that differ; numbers differ if they are more than 0.1
            of `spread` apart.
        share: The share of answers that differ, in [0, 1].
        flips: A `Flip` for each sample with different answers; for numbers, the
            largest difference first.
        pairs: For classes and sides, a `ClassPair` for each pair of different answers,
            the most frequent first; else None.
        gained, lost: For classes and sides with labels, the numbers of answers that
            only the spiking network, and only the source, has right; else None.
        spread: For numbers, the source's standard deviation; else None.
        relative: For numbers, the root mean square difference as a share of `spread`;
            else None.
    """

    answer: str
    samples: int
    answers: int
    count: int
    share: float
    flips: tuple[Flip, ...]
    pairs: tuple[ClassPair, ...] | None = None
    gained: int | None = None
    lost: int | None = None
    spread: float | None = None
    relative: float | None = None

    def summary(self) -> str:
        """A sentence: how many answers differ, and how many of each are right."""
        if self.answer == Answer.NUMBERS:
            return (
                f"{self.count:,} of {self.answers:,} numbers are further than "
                f"{TOLERANCE} of the source's spread, {self.spread:.4g}, from the "
                "source's. The root mean square difference is "
                f"{self.relative:.3g} of that spread."
            )
        if not self.count:
            return f"All {self.answers:,} answers are the source's."
        text = f"{self.count:,} of {self.answers:,} answers differ."
        if self.gained is not None:
            text += (
                f" On {self.gained:,} of them the spiking network alone is right, on "
                f"{self.lost:,} the source alone."
            )
        return text

    def __str__(self):
        lines = [self.summary()]
        if self.pairs:
            rows = [(x.source, x.spiking, x.count) for x in self.pairs[:MOST_PAIRS]]
            header = ("source", "spiking network", "answers")
            lines.append(table([header, *(tuple(map(str, row)) for row in rows)]))
        if self.flips:
            samples = listed([str(flip.sample) for flip in self.flips])
            lines.append(f"samples with other answers: {samples}")
        return "\n".join(lines)


def disagreements(
    source_outputs: Array,
    spiking_outputs: Array,
    labels: Array = None,
    answer: str | None = None,
) -> Disagreements:
    """Compares the answers of two networks, sample by sample.

    Args:
        source_outputs: The source network's outputs, `(samples, classes)`; for maps
            `(samples, ..., classes)`; for numbers `(samples, 1)` or
            `(samples, ..., 1)`.
        spiking_outputs: The spiking network's outputs, of the same shape.
        labels: The right answers, as for `snn_keras.analysis.report`, or None.
        answer: The kind of answer, `"classes"`, `"sides"` (of 1/2, after a sigmoid)
            or `"numbers"`; by default classes if there are several entries, else
            numbers.

    Returns:
        A `Disagreements`.

    Raises:
        ValueError: if the outputs do not fit each other, or the labels do not fit
            them.
    """
    outputs = [np.asarray(source_outputs), np.asarray(spiking_outputs)]
    shapes = [y.shape for y in outputs]
    if shapes[0] != shapes[1] or not shapes[0] or not outputs[0].size:
        raise ValueError(
            "disagreements compares outputs (samples, ...) of two networks, of one "
            f"shape. Received shapes: {shapes[0]} and {shapes[1]}"
        )
    answer = Answer.by_shape(shapes[0]) if answer is None else Answer(answer)
    if labels is not None:
        labels = answer.labels(labels, shapes[0])
    source, spiking = map(answer.of, outputs)
    compare = _numbers if answer is Answer.NUMBERS else _classes
    differ, order, figures = compare(source, spiking, labels)
    return Disagreements(
        answer=str(answer),
        samples=len(source),
        answers=source.size,
        count=int(differ.sum()),
        share=float(differ.mean()),
        flips=tuple(_flip(i, differ, source, spiking, labels) for i in order),
        **figures,
    )


def _classes(source, spiking, labels):
    """Which answers differ, the order of samples, and figures of classes."""
    differ = source != spiking
    found, counts = np.unique(
        np.stack([source[differ], spiking[differ]]), axis=1, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    pairs = zip(*found[:, order], counts[order], strict=True)
    figures = {"pairs": tuple(ClassPair(*map(int, pair)) for pair in pairs)}
    if labels is not None:
        gained = np.sum((spiking == labels) & (source != labels))
        lost = np.sum((source == labels) & (spiking != labels))
        figures.update(gained=int(gained), lost=int(lost))
    return differ, _by_size(differ.sum(axis=1)), figures


def _numbers(source, spiking, labels):
    """Which answers differ, the order of samples, and figures of numbers."""
    off, spread = np.abs(spiking - source), spread_of(source)
    differ = off > TOLERANCE * spread
    size = float(np.sqrt(np.mean(np.square(off))))
    relative = size / spread if spread else float(size > 0)
    order = _by_size(np.where(differ, off, 0.0).max(axis=1))
    return differ, order, {"spread": spread, "relative": relative}


def _by_size(sizes):
    """The indices of sizes above 0, the largest first."""
    order = np.argsort(-sizes, kind="stable")
    return order[sizes[order] > 0].tolist()


def _flip(sample, differ, source, spiking, labels):
    count = int(differ[sample].sum())
    if differ.shape[1] > 1:
        return Flip(sample, count)
    answers = {"source": source, "spiking": spiking, "label": labels}
    said = {k: y[sample, 0].item() for k, y in answers.items() if y is not None}
    return Flip(sample, count, **said)
