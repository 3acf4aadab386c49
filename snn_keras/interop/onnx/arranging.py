"""Moves the places of views: all that permutes or reshapes Keras tensors."""

import math
from collections.abc import Mapping, Sequence

import keras
from keras import layers

from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.onnx.making import Maker
from snn_keras.interop.onnx.values import MIXES, SAMPLES, View


def arranged(
    make: Maker, view: View, groups: Sequence[Sequence[int]]
) -> keras.KerasTensor:
    """The samples of a view, each with one axis for every group of places.

    A layer is added only if places of more than one entry change their order, or if
    places are joined or left out.

    Args:
        make: Where to add layers.
        view: A view.
        groups: Groups of places, in the wanted order. All places of more than one
            entry must be in one, except that of the samples, which stays first.

    Raises:
        Untranslatable: if the samples would have to move.
    """
    x = view.tensor
    order = [place for group in groups for place in group]
    if SAMPLES in order:
        raise Untranslatable(MIXES)
    order += [p for p in range(1, len(x.shape)) if p not in order]
    moved = [place for place in order if x.shape[place] != 1]
    if moved != sorted(moved):
        x = make.layer(layers.Permute, x, tuple(order), suffix="permute")
    shape = tuple(math.prod(view.tensor.shape[p] for p in group) for group in groups)
    return reshaped_to(make, x, shape)


def reshaped_to(
    make: Maker, x: keras.KerasTensor, shape: Sequence[int]
) -> keras.KerasTensor:
    """A Keras tensor with this shape of a sample; its entries keep their order."""
    if tuple(x.shape[1:]) == tuple(shape):
        return x
    if len(shape) == 1:
        return make.layer(layers.Flatten, x, suffix="flatten")
    return make.layer(layers.Reshape, x, tuple(shape), suffix="reshape")


def in_axes(make: Maker, view: View, axes: Sequence[int]) -> keras.KerasTensor:
    """The samples of a view, with one place for each of these axes.

    The axes that are not named must be that of the samples, or of length 1.
    """
    for axis in set(range(view.rank)) - set(axes):
        if view.places[axis] != (SAMPLES,) and view.length(axis) != 1:
            raise Untranslatable(
                f"axis {axis} of its input must be the batch, and is not"
            )
    return arranged(make, view, [view.places[axis] for axis in axes])


def channels_last(make: Maker, view: View) -> keras.KerasTensor:
    """The samples of a view whose axes are samples, channels and space."""
    return in_axes(make, view, [*range(2, view.rank), 1])


def of_channels_last(view: View, tensor: keras.KerasTensor) -> View:
    """The view like `view`, of a tensor with channels last."""
    rank = len(tensor.shape)
    space = tuple((place,) for place in range(1, rank - 1))
    return View(tensor, (samples_of(view), (rank - 1,), *space))


def samples_of(view: View) -> tuple:
    """The places of the first axis if it has the samples alone: one, or none."""
    return view.places[0] if view.places[0] == (SAMPLES,) else ()


def joined(make: Maker, view: View, axis: int) -> View:
    """The view with exactly one place for an axis, the others as they are."""
    group = view.places[axis]
    if len(group) == 1:
        return view
    others = [(p,) for p in range(1, len(view.tensor.shape)) if p not in group]
    first = group[0] if group else len(view.tensor.shape)
    before = sum(place < first for (place,) in others)
    groups = [*others[:before], group, *others[before:]]
    tensor = arranged(make, view, groups)
    now = {p: i for i, places in enumerate(groups, 1) for p in places}
    places = [tuple(now.get(p, p) for p in found) for found in view.places]
    places[axis] = (before + 1,)
    return View(tensor, tuple(places), view.is_image)


def split(make: Maker, view: View, parts: Mapping[int, Sequence[int]]) -> View:
    """The view with places split into several, in their order.

    Args:
        make: Where to add layers.
        view: A view.
        parts: The lengths of the new places for each place that is split.
    """
    if all(len(lengths) == 1 for lengths in parts.values()):
        return view
    shape, now = [], {SAMPLES: (SAMPLES,)}
    for place, length in enumerate(view.tensor.shape[1:], 1):
        lengths = parts.get(place, (length,))
        now[place] = tuple(range(len(shape) + 1, len(shape) + 1 + len(lengths)))
        shape += lengths
    tensor = reshaped_to(make, view.tensor, shape)
    places = (tuple(q for p in group for q in now[p]) for group in view.places)
    return View(tensor, tuple(places))
