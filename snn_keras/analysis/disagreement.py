"""Where a spiking network answers otherwise than its source."""

import numpy as np

from snn_keras.answers import TOLERANCE, Answer, spread_of


def disagreements(source_outputs, spiking_outputs, labels=None, answer=None):
    """Compares the answers of two networks, sample by sample.

    Args:
        source_outputs: `(samples, classes)`, the source network's outputs; of a map
            `(samples, ..., classes)`; of numbers `(samples, 1)` or `(samples, ..., 1)`.
        spiking_outputs: The spiking network's, of the same shape.
        labels: The right answers, as for `snn_keras.analysis.report`, or None.
        answer: What the outputs answer, `"classes"`, `"sides"` (of 1/2, as a sigmoid
            gives) or `"numbers"`; by default classes where there are several entries,
            else numbers.

    Returns:
        `{"answer": ..., "samples": ..., "answers": samples times positions, "count":
        answers that differ, "share": ..., "flips": ...}`. `"flips"` holds samples with
        different answers, `{"sample": index}` and, for one answer a sample, its
        `"source"`, `"spiking"` and, with `labels`, `"label"`; else the `"count"` of
        answers that differ there.

        Of classes and sides also `"pairs": [{"source": class, "spiking": class,
        "count": ...}]`, the most frequent first; and with `labels` "gained" and "lost",
        the answers that the spiking network alone, and the source alone, has right.

        Numbers differ where they are further apart than 0.1 of the source's standard
        deviation, `"spread"`; `"relative"` is the root mean square difference as a
        share of that. Their flips begin with the largest difference.

    Raises:
        ValueError: if the outputs are not those of two networks on one data set, or
            the labels do not fit them.
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
    return {
        "answer": str(answer),
        "samples": len(source),
        "answers": source.size,
        "count": int(differ.sum()),
        "share": float(differ.mean()),
        **figures,
        "flips": [_flip(i, differ, source, spiking, labels) for i in order],
    }


def _classes(source, spiking, labels):
    """Which answers differ, the samples in order, and figures of classes."""
    differ = source != spiking
    found, counts = np.unique(
        np.stack([source[differ], spiking[differ]]), axis=1, return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    pairs = [
        {"source": int(first), "spiking": int(second), "count": int(count)}
        for first, second, count in zip(*found[:, order], counts[order], strict=True)
    ]
    figures = {"pairs": pairs}
    if labels is not None:
        gained = np.sum((spiking == labels) & (source != labels))
        lost = np.sum((source == labels) & (spiking != labels))
        figures.update(gained=int(gained), lost=int(lost))
    return differ, _by_size(differ.sum(axis=1)), figures


def _numbers(source, spiking, labels):
    """Which answers differ, the samples in order, and figures of numbers."""
    off, spread = np.abs(spiking - source), spread_of(source)
    differ = off > TOLERANCE * spread
    size = float(np.sqrt(np.mean(np.square(off))))
    relative = size / spread if spread else float(size > 0)
    order = _by_size(np.where(differ, off, 0.0).max(axis=1))
    return differ, order, {"spread": spread, "relative": relative}


def _by_size(sizes):
    """Indices of those above 0, the largest first."""
    order = np.argsort(-sizes, kind="stable")
    return order[sizes[order] > 0].tolist()


def _flip(sample, differ, source, spiking, labels):
    if differ.shape[1] > 1:
        return {"sample": sample, "count": int(differ[sample].sum())}
    answers = {"source": source, "spiking": spiking, "label": labels}
    return {
        "sample": sample,
        **{k: y[sample, 0].item() for k, y in answers.items() if y is not None},
    }
