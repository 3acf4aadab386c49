"""Sums of products over named axes, by `keras.ops.einsum`."""

import string
from collections.abc import Hashable, Sequence

import numpy as np
from keras import ops

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.aligning import with_equal_factors
from snn_keras.interop.onnx.calls import Call, floating
from snn_keras.interop.onnx.operators.registry import operator
from snn_keras.interop.onnx.values import MIXES, SAMPLES, Known, View


@operator("Einsum")
def einsum(call: Call) -> View:
    """`keras.ops.einsum`."""
    equation = call.attribute("equation").replace(" ", "")
    if "->" not in equation or "." in equation:
        raise Untranslatable(f"its equation {equation} has no ->, or an ellipsis")
    read, made = equation.split("->")
    if any(len(set(names)) < len(names) for names in read.split(",")):
        raise Untranslatable(f"its equation {equation} reads a diagonal")
    operands = [
        floating(x.of_a_sample) if isinstance(x, Known) else x for x in call.inputs
    ]
    return summed(call, list(zip(operands, read.split(","), strict=True)), made)


def summed(
    call: Call,
    sides: Sequence[tuple],
    made: Sequence[Hashable],
    suffix: str = "",
) -> View:
    """The sum of products of views and arrays; no places change their order before it.

    Args:
        call: The node.
        sides: Pairs of a view or an array, and the names of its axes.
        made: The names of the axes of the result; the others are summed over.
        suffix: For the name of the operation.
    """
    sides = [(x, list(names)) for x, names in sides]
    for name in dict.fromkeys(name for _, names in sides for name in names):
        at = [i for i, (_, names) in enumerate(sides) if name in names]
        found = with_equal_factors(
            call.make,
            [sides[i][0] for i in at],
            [sides[i][1].index(name) for i in at],
        )
        for i, x in zip(at, found, strict=True):
            sides[i] = (x, sides[i][1])
    letters = Letters(made)
    read = {}
    for i, (x, names) in enumerate(sides):
        if isinstance(x, View):
            read[i] = letters.of_view(x, names)
    for i, (x, names) in enumerate(sides):
        if i not in read:
            read[i] = letters.of_array(x, names)
    subscripts, operands = zip(*(read[i] for i in range(len(sides))), strict=True)
    result, places = letters.of_result()
    equation = f"{','.join(subscripts)}->{result}"
    return View(
        call.make.function(ops.einsum, equation, *operands, suffix=suffix), places
    )


class Letters:
    """The subscripts of an einsum: one letter for each factor of each axis.

    Args:
        made: The names of the axes of the result.
    """

    def __init__(self, made: Sequence[Hashable]) -> None:
        self._made = made
        self._letters = {}  # for each axis a letter and a length for each factor
        self._free = iter(string.ascii_letters[1:])
        self._owners = set()  # which factor of which axis has the samples

    def of_view(self, view: View, names: Sequence[Hashable]) -> tuple:
        """The subscripts of a view, and its tensor."""
        found, owner = {SAMPLES: "a"}, None
        for name, group in zip(names, view.places, strict=True):
            long = [p for p in group if view.tensor.shape[p] != 1]
            if SAMPLES in long:
                owner = (name, long.index(SAMPLES))
            if long and name not in self._letters:
                self._letters[name] = [
                    ("a" if p == SAMPLES else next(self._free), view.tensor.shape[p])
                    for p in long
                ]
            if long:
                letters = (c for c, _ in self._letters[name])
                found |= dict(zip(long, letters, strict=True))
        self._owners.add(owner)
        if len(self._owners) > 1 or (owner and owner[0] not in self._made):
            raise Untranslatable(MIXES)
        places = range(len(view.tensor.shape))
        return "".join(found.get(p) or next(self._free) for p in places), view.tensor

    def of_array(self, array: np.ndarray, names: Sequence[Hashable]) -> tuple:
        """The subscripts of an array, and the array with an axis for each factor."""
        read, shape = "", []
        for name, size in zip(names, array.shape, strict=True):
            if size == 1:
                continue
            found = self._letters.setdefault(name, [])
            if not found:
                found.append((next(self._free), size))
            read += "".join(c for c, _ in found)
            shape += [n for _, n in found]
        if None in shape or np.prod(shape, dtype=int) != array.size:
            raise Untranslatable("its constant differs between the samples")
        return read, array.reshape(shape)

    def of_result(self) -> tuple[str, tuple]:
        """The subscripts of the result, and the places of its axes."""
        made, places = "a", []
        for name in self._made:
            group = []
            for letter, _ in self._letters.get(name, ()):
                group.append(SAMPLES if letter == "a" else len(made))
                made += "" if letter == "a" else letter
            places.append(tuple(group))
        return made, tuple(places)
