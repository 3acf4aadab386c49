"""Why a layer is not laid open, in words."""

from collections.abc import Iterable, Iterator
from types import TracebackType

from keras import layers

from snn_keras.graph import Node
from snn_keras.text import telling_line


class StaysClosed(Exception):
    """The reason why a layer is not laid open."""


def reason(error: Exception, layer: layers.Layer) -> str:
    """Says why a layer stays closed; names the layer inside that is to blame.

    Args:
        error: What was raised when it was laid open, by us or by the layer.
        layer: The layer.
    """
    found = telling_line(error)
    inside = [x for x in _called(error.__traceback__) if x.name != layer.name]
    if isinstance(error, StaysClosed) or not inside:
        return found
    return (
        f"its layer '{inside[-1].name}' ({type(inside[-1]).__name__}) raised: {found}"
    )


def _called(trace: TracebackType | None) -> Iterator[layers.Layer]:
    """The layers whose methods ran when an error was raised, from the outermost on."""
    while trace is not None:
        owner = trace.tb_frame.f_locals.get("self")
        if isinstance(owner, layers.Layer):
            yield owner
        trace = trace.tb_next


def closed_layers(nodes: Iterable[Node]) -> str:
    """A sentence on the layers whose activations are not seen; "" if there are none."""
    found = [f"{n.describe()}: {n.closed}" for n in nodes if n.closed]
    if not found:
        return ""
    return f"What is inside of these layers is not known: {' '.join(found)} "
