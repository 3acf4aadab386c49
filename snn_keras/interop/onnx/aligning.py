"""Brings the operands of elementwise functions to the same places."""

import dataclasses
import functools
import math
from collections.abc import Sequence

import numpy as np

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import arranged, joined, split
from snn_keras.interop.onnx.making import Maker
from snn_keras.interop.onnx.reshaping import segments
from snn_keras.interop.onnx.values import MIXES, SAMPLES, View, only_slice


@dataclasses.dataclass(frozen=True)
class Aligned:
    """Operands that broadcast against each other as Keras tensors and arrays do.

    Attributes:
        operands: Keras tensors and arrays.
        places: The places of each axis of the result.
    """

    operands: list
    places: tuple


def aligned(make: Maker, operands: Sequence, samples: int) -> Aligned:
    """Brings views and arrays to the places of the largest view.

    Args:
        make: Where to add layers.
        operands: Views and arrays, which broadcast as NumPy's do; at least one view.
        samples: The number of samples that the arrays may be made for.
    """
    operands = [x if isinstance(x, View) else np.asarray(x) for x in operands]
    rank = max(x.rank if isinstance(x, View) else x.ndim for x in operands)
    operands = [_of_rank(x, rank) for x in operands]
    for axis in range(rank):
        operands = with_equal_factors(make, operands, [axis] * len(operands))
    views = [x for x in operands if isinstance(x, View)]
    arrays = [x for x in operands if not isinstance(x, View)]
    template = Template(max(views, key=_size), views, arrays)
    brought = [
        template.brought(make, x) if isinstance(x, View) else template.array(x, samples)
        for x in operands
    ]
    return Aligned(brought, template.places)


def _of_rank(x, rank):
    if isinstance(x, View):
        return View(x.tensor, ((),) * (rank - x.rank) + x.places, x.is_image)
    return x.reshape((1,) * (rank - x.ndim) + x.shape)


def _size(view):
    return math.prod(n for i in range(view.rank) for n in view.lengths(i) if n)


def factors(view: View, axis: int) -> list:
    """The lengths of the places of an axis that have more than one entry."""
    return [n for n in view.lengths(axis) if n != 1]


def with_equal_factors(make: Maker, operands: Sequence, axes: Sequence[int]) -> list:
    """The operands, of which all views have equal factors along an axis, or none.

    Args:
        make: Where to add layers.
        operands: Views and arrays.
        axes: For each operand its number of that axis.
    """
    pairs = list(zip(operands, axes, strict=True))
    lists = [factors(x, axis) for x, axis in pairs if isinstance(x, View)]
    lists = [x for x in lists if x]
    wanted = functools.reduce(_common, lists) if lists else []
    if wanted is None:
        wanted = [math.prod(lists[0])]

    def changed(x, axis):
        if not isinstance(x, View) or not factors(x, axis):
            return x
        if len(wanted) == 1:
            return joined(make, x, axis) if len(factors(x, axis)) > 1 else x
        return _split_like(make, x, axis, wanted)

    return [changed(x, axis) for x, axis in pairs]


def _common(a, b):
    """The coarsest factors that refine both lists; None if they are tangled."""
    if a is None or a == b:
        return a
    if None in a and None in b:
        i, j = a.index(None), b.index(None)
        outer, inner = _common(a[:i], b[:j]), _common(a[i + 1 :], b[j + 1 :])
        return [*outer, None, *inner]
    if None in a or None in b:
        raise Untranslatable(MIXES)
    if math.prod(a) != math.prod(b):
        raise Untranslatable(f"its operands have axes of {a} and {b} entries")
    found = []
    for rows, columns in segments(a, b):
        if len(rows) > 1 and len(columns) > 1:
            return None
        finer = max((rows, a), (columns, b), key=lambda pair: len(pair[0]))
        found += [finer[1][i] for i in finer[0]]
    return found


def _split_like(make, view, axis, wanted):
    """The view with the places of an axis split to these factors."""
    places = [p for p in view.places[axis] if view.tensor.shape[p] != 1]
    parts, rest = {}, list(wanted)
    for place in places:
        length, taken = view.tensor.shape[place], [rest.pop(0)]
        while length is not None and math.prod(taken) < length:
            taken.append(rest.pop(0))
        if length is not None:
            parts[place] = taken
    return split(make, view, parts)


class Template:
    """The places of a result: those of the leader, and what other operands add.

    Args:
        leader: The view whose places stay.
        views: All views, with equal factors along each axis.
        arrays: The arrays.
    """

    def __init__(self, leader: View, views: Sequence, arrays: Sequence) -> None:
        self._length = len(leader.tensor.shape)
        self._slots = {}  # the place of each factor of each axis
        self._factors = []
        places = []
        for axis, group in enumerate(leader.places):
            lists = [factors(x, axis) for x in views]
            lists += [[n for n in x.shape[axis : axis + 1] if n != 1] for x in arrays]
            self._factors.append(next(filter(None, lists), []))
            places.append(self._places_of(leader, axis, group))
        self.places = tuple(places)

    def _places_of(self, leader, axis, group):
        long = [p for p in group if leader.tensor.shape[p] != 1]
        if not long and self._factors[axis]:  # the leader is broadcast here
            free = list(group)
            long = [free.pop(0) if free else self._added() for _ in self._factors[axis]]
            group = tuple(long)
        self._slots |= {(axis, k): p for k, p in enumerate(long)}
        return group

    def _added(self):
        self._length += 1
        return self._length - 1

    def brought(self, make: Maker, view: View) -> object:
        """The Keras tensor of a view, with length 1 where it is broadcast."""
        at = {}
        for axis, group in enumerate(view.places):
            long = [p for p in group if view.tensor.shape[p] != 1]
            at |= {self._slots[axis, k]: p for k, p in enumerate(long)}
        if at.pop(SAMPLES, SAMPLES) != SAMPLES:
            raise Untranslatable(MIXES)
        groups = [(at[i],) if i in at else () for i in range(1, self._length)]
        return arranged(make, view, groups)

    def array(self, array: np.ndarray, samples: int) -> object:
        """An array with the places of the result; a number if it is one alone."""
        if array.size == 1:
            return array.reshape(()).item()
        lengths, slots = [], []
        for axis, size in enumerate(array.shape):
            found = self._factors[axis] if size != 1 else []
            lengths += [n or samples for n in found]
            slots += [self._slots[axis, k] for k in range(len(found))]
        if array.size != math.prod(lengths):
            raise Untranslatable(f"it has a constant of shape {array.shape} too many")
        shape = [1] * self._length
        for slot, length in zip(slots, lengths, strict=True):
            shape[slot] = length
        array = array.reshape(lengths).transpose(np.argsort(slots)).reshape(shape)
        return only_slice(array, SAMPLES)
