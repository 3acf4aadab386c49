"""Reshapes views: most reshapes only name the places anew."""

import math
from collections.abc import Sequence

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.arranging import arranged, split
from snn_keras.interop.onnx.making import Maker
from snn_keras.interop.onnx.values import MIXES, SAMPLES, View


def reshaped(make: Maker, view: View, shape: Sequence[int], samples: int) -> View:
    """The view of another shape; the entries keep their order in the file's tensor.

    Args:
        make: Where to add layers.
        view: A view.
        shape: The new shape, for `samples` samples.
        samples: The number of samples for which it holds.

    Raises:
        Untranslatable: if the number of entries is another.
    """
    if math.prod(shape) != math.prod(view.shape(samples)):
        raise Untranslatable(
            f"it reshapes {view.shape(samples)} to {tuple(shape)}, which has not as "
            "many entries"
        )
    while True:
        places = [
            p for group in view.places for p in group if p == 0 or is_long(view, p)
        ]
        axes = list(enumerate(shape))
        parts, owners = [], {}
        for old, new in _beside_samples(view, places, axes, samples, owners):
            lengths = [view.tensor.shape[p] for p in old]
            new = [(axis, n) for axis, n in new if n != 1]
            parts += [
                ([old[i] for i in rows], [new[j] for j in columns])
                for rows, columns in segments(lengths, [n for _, n in new])
            ]
        tangled = [p for p in parts if len(p[0]) > 1 and len(p[1]) > 1]
        if not tangled:
            return _regrouped(make, view, parts, owners, len(shape))
        view = _untangled(make, view, places, tangled[0][0])


def is_long(view: View, place: int) -> bool:
    """Whether a place has more than one entry."""
    return view.tensor.shape[place] != 1


def segments(a: Sequence[int], b: Sequence[int]) -> list[tuple[list, list]]:
    """The smallest runs of two factorizations that have equal products.

    >>> segments([6, 4], [2, 3, 4])
    [([0], [0, 1]), ([1], [2])]
    """
    found, i, j = [], 0, 0
    while i < len(a):
        rows, columns, m, n = [i], [j], a[i], b[j]
        while m != n:
            if m < n:
                rows.append(rows[-1] + 1)
                m *= a[rows[-1]]
            else:
                columns.append(columns[-1] + 1)
                n *= b[columns[-1]]
        found.append((rows, columns))
        i, j = rows[-1] + 1, columns[-1] + 1
    return found


def _beside_samples(view, places, axes, samples, owners):
    """The old places and the new axes before and behind the samples.

    `owners` receives the new axis of the samples, and how much of it is before them.
    """
    if SAMPLES not in places:
        return [(places, axes)]
    at = places.index(SAMPLES)
    before, behind = places[:at], places[at + 1 :]
    entries, prefix = math.prod(view.tensor.shape[p] for p in before), 1
    for j, n in axes:
        if entries < prefix * n:
            outer, rest = divmod(entries, prefix)
            if rest or n % (outer * samples):
                raise Untranslatable(MIXES)
            inner = n // (outer * samples)
            owners[SAMPLES] = j
            return [
                (before, [*axes[:j], (j, outer)]),
                (behind, [(j, inner), *axes[j + 1 :]]),
            ]
        prefix *= n
    raise Untranslatable(MIXES)


def _regrouped(make, view, parts, owners, rank):
    """The view with the places that the parts name, split where they are split."""
    lengths = {old[0]: [n for _, n in new] for old, new in parts if len(old) == 1}
    flat = View(view.tensor, tuple((p,) for p in range(len(view.tensor.shape))))
    flat = split(make, flat, lengths)
    groups = [[] for _ in range(rank)]
    for old, new in parts:
        if len(old) == 1:
            pieces = zip(new, flat.places[old[0]], strict=True)
        else:
            pieces = [(new[0], q) for p in old for q in flat.places[p]]
        for (axis, _), place in pieces:
            groups[axis].append((old[0], place))
    return View(flat.tensor, _with_samples(groups, view, owners))


def _with_samples(groups, view, owners):
    """The places of each axis, and the samples at their place among them."""
    if SAMPLES in owners:
        order = [p for group in view.places for p in group]
        earlier = set(order[: order.index(SAMPLES)])
        group = groups[owners[SAMPLES]]
        at = sum(old in earlier for old, _ in group)
        group.insert(at, (SAMPLES, SAMPLES))
    return tuple(tuple(place for _, place in group) for group in groups)


def _untangled(make, view, places, tangle):
    """The view as one axis, with the places of a tangle joined into one."""
    others = [(p,) for p in range(1, len(view.tensor.shape)) if p not in tangle]
    before = sum(p < tangle[0] for (p,) in others)
    groups = [*others[:before], tangle, *others[before:]]
    tensor = arranged(make, view, groups)
    now = {p: i for i, group in enumerate(groups, 1) for p in group}
    kept = [p for p in places if p not in tangle[1:]]
    return View(tensor, (tuple(now.get(p, p) for p in kept),))
