"""Compares the answers of two networks, output by output."""

import dataclasses
import math
from typing import Any

import keras
import numpy as np
from keras import layers, tree

from snn_keras._keras import operation_types
from snn_keras.answers import TOLERANCE, Answer, class_axis, spread_of
from snn_keras.conversion import normalize
from snn_keras.conversion.functions import Kind, kind_of
from snn_keras.figures import Figures
from snn_keras.graph import Graph, trace

_SIGMOIDS = operation_types("Sigmoid", "HardSigmoid")
_SIGMOID_FUNCTIONS = (keras.activations.sigmoid, keras.activations.hard_sigmoid)
# Operations that change the order or the shape of values, but not the values.
_SHAPING = (
    *(layers.Reshape, layers.Flatten, layers.Permute, layers.Identity),
    *operation_types("Reshape", "Squeeze", "ExpandDims", "Transpose"),
)


@dataclasses.dataclass(frozen=True)
class Agreement(Figures):
    """How well a spiking network's answers at one output agree with its source's.

    Attributes:
        name: The output's name.
        answer: What it answers: `"classes"`, `"sides"` of 1/2, or `"numbers"`.
        positions: Answers a sample: 1, or the positions of a map.
        entries: Entries among which an answer is the largest; 1 for others.
        share: Share of answers that are the same: the same class, the same side of
            1/2, or a number within `TOLERANCE` standard deviations of the source's.
        error: Largest absolute difference of an entry.
        spread: Of numbers, the standard deviation of the source's over samples and
            positions; their root mean square where they are all the same. Else None.
        relative: Of numbers, the root mean square difference as a share of `spread`.
            Else None.
        own_error: Largest absolute difference that arises after the last neurons,
            beyond rounding.
    """

    name: str
    answer: str
    positions: int
    entries: int
    share: float
    error: float
    spread: float | None
    relative: float | None
    own_error: float

    def __str__(self):
        unit = "samples"
        if self.positions > 1:
            unit = f"answers, {self.positions:,} a sample"
        measure = {
            Answer.CLASSES: f"the largest of {self.entries} entries",
            Answer.SIDES: "the same side of 1/2",
            Answer.NUMBERS: f"within {TOLERANCE} of the source's spread",
        }[self.answer]
        text = f"same answer on {self.share:.2%} of {unit} ({measure})"
        if self.spread is not None:
            text += (
                f"; root mean square difference {self.relative:.3g} of that spread, "
                f"{self.spread:.3g}"
            )
        return f"{text}; largest output difference {self.error:.3g}"


class OutputTally:
    """Compares one output of two networks, batch by batch.

    Args:
        name: The output's name.
        answer: An `Answer`.
    """

    def __init__(self, name: str, answer: Answer) -> None:
        self.name = name
        self.answer = answer
        self.error = self.own_error = 0.0
        self.shape: Any = None
        self.same, self.numbers = [], []

    def add(
        self, expected: np.ndarray, received: np.ndarray, own_error: float = 0.0
    ) -> None:
        """Adds the source's and the spiking network's outputs of some samples."""
        self.shape = expected.shape
        first, second = (self.answer.of(y) for y in (expected, received))
        if self.answer is Answer.NUMBERS:  # kept until the spread is known
            self.numbers.append((first, second))
        else:
            self.same.append((first == second).mean(axis=1))
        difference = np.asarray(received, "float64") - np.asarray(expected, "float64")
        # NumPy's maximum keeps NaN; Python's may lose it.
        self.error = float(np.maximum(self.error, np.abs(difference).max()))
        self.own_error = float(np.maximum(self.own_error, own_error))

    def result(self) -> tuple[Agreement, np.ndarray]:
        """The `Agreement`, and each sample's share of equal answers."""
        spread = relative = None
        if self.answer is Answer.NUMBERS:
            expected, received = map(np.concatenate, zip(*self.numbers, strict=True))
            spread = spread_of(expected)
            off = np.abs(received - expected)
            same = (off <= TOLERANCE * spread).mean(axis=1)
            size = float(np.sqrt(np.mean(np.square(off))))
            relative = size / spread if spread else float(size > 0)
        else:
            same = np.concatenate(self.same)
        entries = 1
        if self.answer is Answer.CLASSES:
            entries = self.shape[class_axis(len(self.shape))]
        found = Agreement(
            name=self.name,
            answer=str(self.answer),
            positions=math.prod(self.shape[1:]) // entries,
            entries=entries,
            share=float(same.mean()),
            error=self.error,
            spread=spread,
            relative=relative,
            own_error=self.own_error,
        )
        return found, same


def answers_of(graph: Graph) -> list[Answer]:
    """The kind of answer that each output of a network gives, as a flat list.

    Args:
        graph: The network's graph in normal form.
    """
    made_by = {x: node for node in graph.nodes for x in node.outputs}
    return [_answer(x, made_by) for x in tree.flatten(graph.outputs)]


def _answer(output, made_by):
    shape = output.shape
    while (node := made_by.get(output)) and type(node.operation) in _SHAPING:
        output = node.inputs[0]
    if node is not None and _is_sigmoid(node.operation):
        return Answer.SIDES
    return Answer.by_shape(shape)


def _is_sigmoid(operation):
    if type(operation) in _SIGMOIDS:
        return True
    function = normalize.applied(operation)
    return function is not None and (
        function in _SIGMOID_FUNCTIONS or kind_of(function) is Kind.GATE
    )


def names_of_outputs(model: keras.Model) -> list[str]:
    """Names of a model's outputs: the keys of a dict, else the names of the layers."""
    graph = trace(model)
    paths = tree.flatten_with_path(graph.outputs)
    if isinstance(graph.outputs, dict):
        return [".".join(map(str, path)) for path, _ in paths]
    names = dict(zip(tree.flatten(graph.inputs), graph.input_names, strict=True))
    names |= {x: node.name for node in graph.nodes for x in node.outputs}
    return [names[x] for _, x in paths]
