"""Asks attention for its scores, so that Keras computes it from products."""

import dataclasses
from collections.abc import Sequence

from keras import layers

from snn_keras.graph import Graph, Node, Tensor, computes_as

ATTENTION = (layers.MultiHeadAttention, layers.GroupQueryAttention)
_ASKED = "return_attention_scores"


def with_scores(graph: Graph, kinds: Sequence[type]) -> Graph:
    """The graph, in which attention of these classes gives its scores, too.

    Without them, Keras calls one function for all of it.

    Args:
        graph: The graph of a model.
        kinds: Some of `ATTENTION`.
    """
    is_of = {
        node: any(computes_as(node.operation, kind) for kind in kinds)
        for node in graph.nodes
    }
    nodes = tuple(_with_scores(n) if is_of[n] else n for n in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes)


def _with_scores(node: Node) -> Node:
    if node.kwargs.get(_ASKED):
        return node
    query = node.args[0] if node.args else node.kwargs["query"]
    scores = Tensor((query.shape[0], None, query.shape[1], None), query.dtype)
    return dataclasses.replace(
        node,
        kwargs={**node.kwargs, _ASKED: True},
        outputs=(*node.outputs, scores),
        unread=(*node.unread, scores),
    )
