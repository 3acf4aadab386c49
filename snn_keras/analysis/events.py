"""Spikes on their way through linear operations without weights."""

import numpy as np

from snn_keras.analysis import probing
from snn_keras.analysis.linear import known_form
from snn_keras.graph import computes_as
from snn_keras.linear import Scale
from snn_keras.time import BiasCorrection


def way(node):
    """How a node hands spikes on.

    A spike arrives once at every output that depends on the element where it is.

    Args:
        node: A `snn_keras.graph.Node` of a linear operation, not inside a wrapper,
            without weights or with such as scale each channel.

    Returns:
        A function of a list of arrays `(rows, ...)`, the spikes at each element of each
        input, that gives such a list for the outputs.

    Raises:
        ValueError: if it is too large to try out what it reaches.
    """
    form = _form(node)
    return _tried(node) if form is None else lambda counts: [form.hand_on(*counts)]


def marked(node, masks):
    """Where the outputs depend on elements of the inputs whose mask is not 0."""
    form = _form(node)
    if form is None:
        return probing.marked(node, masks)
    return [(form.hand_on(*masks) != 0).astype("float32")]


def _form(node):
    """The form by which a node hands spikes on, or None.

    Weights that scale fold into others, whatever they are: one of 0 is a weight too.
    """
    form = known_form(node)
    scales = isinstance(form, Scale) and getattr(node.operation, "weights", ())
    if scales or computes_as(node.operation, BiasCorrection):
        return Scale(1.0)
    return form


def _tried(node):
    """The way of an operation of which no more is known than what it does."""
    sources, pairs = probing.copied(node), []
    is_more = sources == probing.MORE
    if is_more.any():
        for number, elements, outputs in probing.reached(node):
            kept = is_more[outputs]
            pairs.append((number, elements[kept], outputs[kept]))
    sources = np.where(is_more, probing.NONE, sources)

    def hand_on(counts):
        flat = [x.reshape(len(x), -1) for x in counts]
        nothing = np.zeros((len(flat[0]), 1), "float32")
        total = np.concatenate([*flat, nothing], axis=1)[:, sources]
        for number, elements, outputs in pairs:
            for row, arriving in zip(total, flat[number], strict=True):
                row += np.bincount(outputs, arriving[elements], minlength=len(row))
        return probing.split(node, total)

    return hand_on
