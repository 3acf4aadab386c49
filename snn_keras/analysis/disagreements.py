"""Where a spiking network answers otherwise than its source."""

import collections

import numpy as np


def disagreements(source_outputs, spiking_outputs, labels=None):
    """Compares the answers of two networks, sample by sample.

    Args:
        source_outputs: `(samples, classes)`, the source network's outputs.
        spiking_outputs: `(samples, classes)`, the spiking network's.
        labels: `(samples,)`, the right classes, or None.

    Returns:
        `{"samples": ..., "count": samples with different answers, "share": ...,
        "pairs": [{"source": class, "spiking": class, "count": ...}], the most frequent
        first, "flips": [{"sample": index, "source": class, "spiking": class, "label":
        class}]}`; with `labels` also "gained" and "lost", the samples that the spiking
        network alone, and the source alone, answers right.

    Raises:
        ValueError: if the outputs are not those of two classifiers on one data set.
    """
    outputs = [np.asarray(source_outputs), np.asarray(spiking_outputs)]
    shapes = [y.shape for y in outputs]
    if shapes[0] != shapes[1] or len(shapes[0]) != 2 or not outputs[0].size:
        raise ValueError(
            "disagreements compares outputs (samples, classes) of two networks. "
            f"Received shapes: {shapes[0]} and {shapes[1]}"
        )
    source, spiking = (y.argmax(axis=-1) for y in outputs)
    where = np.flatnonzero(source != spiking)
    pairs = collections.Counter(
        (int(source[i]), int(spiking[i])) for i in where
    ).most_common()
    found = {
        "samples": len(source),
        "count": len(where),
        "share": len(where) / len(source),
        "pairs": [
            {"source": first, "spiking": second, "count": count}
            for (first, second), count in pairs
        ],
        "flips": [
            {"sample": int(i), "source": int(source[i]), "spiking": int(spiking[i])}
            for i in where
        ],
    }
    if labels is None:
        return found
    labels = np.asarray(labels)
    if labels.shape != source.shape:
        raise ValueError(
            f"disagreements needs a label for each of {len(source)} samples. Received "
            f"labels of shape {labels.shape}"
        )
    for flip in found["flips"]:
        flip["label"] = int(labels[flip["sample"]])
    gained = np.sum((spiking == labels) & (source != labels))
    lost = np.sum((source == labels) & (spiking != labels))
    return {**found, "gained": int(gained), "lost": int(lost)}
