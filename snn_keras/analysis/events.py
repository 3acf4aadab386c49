"""How spikes pass through linear operations without weights."""

from collections.abc import Callable

import numpy as np

from snn_keras.analysis import probing
from snn_keras.analysis.linear import known_form
from snn_keras.graph import Node, computes_as
from snn_keras.linear import Scale
from snn_keras.time import BiasCorrection


def way(node: Node) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """The function by which a node hands spikes on.

    A spike arrives once at every output that depends on the spike's element.

    Args:
        node: A `snn_keras.graph.Node` of a linear operation, not inside a wrapper,
            without weights or with weights that only scale channels.

    Returns:
        A function from the numbers of spikes at each element of the inputs, a list of
        arrays `(rows, ...)`, to those of the outputs.

    Raises:
        ValueError: if the operation is too large to be tried out.
    """
    form = _form(node)
    return _tried(node) if form is None else lambda counts: [form.hand_on(*counts)]


def marked(node: Node, masks: list[np.ndarray]) -> list[np.ndarray]:
    """Marks outputs that depend on input elements whose mask is not 0."""
    form = _form(node)
    if form is None:
        return probing.marked(node, masks)
    return [(form.hand_on(*masks) != 0).astype("float32")]


def _form(node):
    """The form by which a node hands spikes on, or None.

    Trainable scales fold into other weights whatever their values, so they count as 1.
    """
    form = known_form(node)
    scales = isinstance(form, Scale) and getattr(node.operation, "weights", ())
    if scales or computes_as(node.operation, BiasCorrection):
        return Scale(1.0)
    return form


def _tried(node):
    """The function by which a node without a form hands spikes on, by trial."""
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
