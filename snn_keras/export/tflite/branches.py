"""What neurons add up, as one layer with weights.

The sum of a layer's output and of a shortcut, scaled, is the output of one layer that
reads both, one behind the other along the channels: a shortcut has a weight of its own
at the place itself, and none elsewhere.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.operations import Operation
from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True, eq=False)
class Branch:
    """A summand: a layer with weights, which may exceed int8.

    Attributes:
        name: The name of what it reads.
        layer: The layer, or None if the summand is what it reads.
        weights: Integers; those of the layer, or of each channel if there is none.
        strides: Of what it reads, the places that it sees.
    """

    name: str
    layer: Any
    weights: np.ndarray
    strides: tuple = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Summed:
    """Everything that neurons add up.

    Attributes:
        branches: The `Branch`es, of which at least one is a layer.
        shifts: Pairs of integers and the number of steps in which they are added; None
            for all.
        on: The number of steps in which the branches are added; None for all.
    """

    branches: tuple
    shifts: tuple
    on: int | None

    def kernels(self) -> list[np.ndarray] | None:
        """The weights of each branch in a layer like `main`; None if it has no room."""
        main = self.main
        found = [_in(main, branch) for branch in self.branches]
        return None if any(x is None for x in found) else found

    @property
    def main(self) -> Any:
        """The layer with the largest window."""
        layers = [x.layer for x in self.branches if x.layer is not None]
        return max(layers, key=lambda layer: np.prod(layer.kernel.shape[:-2]))


def summed(neuron: Operation, made: Mapping[str, Operation]) -> Summed | None:
    """What neurons add up; None if no layer with weights is among it.

    Args:
        neuron: The neurons.
        made: All operations by name.
    """
    name, shifts, on = neuron.inputs[0], [], None
    while name in made:
        operation: Any = made[name]
        if type(operation) is integer.Gate:
            on = _least(on, operation.on)
        elif type(operation) is integer.Shift:
            shifts.append((operation.offset, _least(on, operation.on)))
        elif not _keeps_channels(operation):
            break
        name = operation.inputs[0]
    branches: list[Branch] = []
    added: list[tuple] = []
    if not _collect(name, made, np.ones(1, np.int64), branches, added):
        return None
    if len(branches) > 1:
        branches = [_beside_others(x) for x in branches]
    if not any(branch.layer is not None for branch in branches):
        return None
    shifts += [(offset, _least(at, on)) for offset, at in added]
    return Summed(tuple(branches), tuple(shifts), on)


def _collect(name, made, factor, branches, shifts):
    """Adds the branches of a sum, and what is added to them; returns whether it can."""
    operation: Any = made.get(name)
    reads = getattr(operation, "inputs", ())
    if type(operation) is integer.Add:
        shapes = {made[x].shape for x in reads if x in made}
        if shapes != {operation.shape}:  # one is broadcast, or it is an input
            return False
        return all(_collect(x, made, factor, branches, shifts) for x in reads)
    if operation is None:
        return False
    channels = operation.shape[-1]
    if type(operation) is integer.Scale and is_of_channels(operation.factor, channels):
        factor = factor * np.ravel(operation.factor).astype(np.int64)
        return _collect(reads[0], made, factor, branches, shifts)
    if type(operation) is integer.Shift:
        shifts.append((operation.offset * factor, operation.on))
        return _collect(reads[0], made, factor, branches, shifts)
    if type(operation) in (integer.Dense, integer.Convolve):
        layer = _without_pad(operation, made)
        branches.append(Branch(layer.inputs[0], layer, layer.kernel * factor))
    elif type(operation) is integer.DepthwiseConvolve and np.all(factor == 1):
        weights = operation.kernel.astype(np.int64)
        branches.append(Branch(reads[0], operation, weights))
    else:
        branches.append(Branch(name, None, np.broadcast_to(factor, (channels,))))
    return True


def _beside_others(branch):
    """The branch as one of several, which read the same places.

    Of a layer that adds up no channels it is the output; a window of one place sees
    every so many places.
    """
    layer = branch.layer
    if type(layer) is integer.DepthwiseConvolve:
        ones = np.ones(layer.shape[-1], np.int64)
        return Branch(layer.name, None, ones)
    if type(layer) is not integer.Convolve or layer.strides == (1, 1):
        return branch
    if layer.kernel.shape[:2] != (1, 1) or np.any(layer.padding):
        return branch
    whole = dataclasses.replace(layer, strides=(1, 1))
    return dataclasses.replace(branch, layer=whole, strides=layer.strides)


def _least(*steps):
    """The least number of steps; None is all."""
    return min((x for x in steps if x is not None), default=None)


def _without_pad(layer, made):
    """A convolution that pads what it reads itself."""
    pad = made.get(layer.inputs[0])
    if type(layer) is not integer.Convolve or type(pad) is not integer.Pad:
        return layer
    *sides, channels = pad.padding
    if any(channels):
        return layer
    both = zip(layer.padding, sides, strict=True)
    padding = tuple((a + c, b + d) for (a, b), (c, d) in both)
    return dataclasses.replace(layer, inputs=pad.inputs, padding=padding)


def _in(main, branch):
    """The weights of a branch in a layer like `main`; None if it has no room.

    What they read has the same places only where strides leave none out.
    """
    weights, layer, axes = branch.weights, branch.layer, main.kernel.ndim - 2
    if layer is main:
        return weights
    if layer is None:
        weights = np.diag(weights).reshape(*axes * (1,), *2 * weights.shape)
    if not axes:
        return weights if weights.ndim == 2 else None
    if main.strides != (1, 1):
        return None
    if layer is not None and _settings(layer) == _settings(main):
        return weights
    if weights.shape[:-2] != (1, 1):
        return None
    return _at_the_place(main, weights[0, 0])


def _at_the_place(main, weights):
    """A kernel like that of `main` with weights at the place of the output alone.

    None if it has no such place, or if what `main` reads has more places.
    """
    full, index = np.zeros((*main.kernel.shape[:2], *weights.shape), np.int64), []
    for axis, (before, after) in enumerate(main.padding):
        dilation = main.dilation[axis]
        place, rest = divmod(before, dilation)
        if rest or before + after != dilation * (full.shape[axis] - 1):
            return None
        index.append(place)
    full[tuple(index)] = weights
    return full


def _settings(layer):
    """What a layer does but for its weights."""
    names = ("strides", "padding", "dilation")
    window = layer.kernel.shape[:-2]
    return type(layer), window, *(getattr(layer, name, None) for name in names)


def _keeps_channels(operation):
    """Whether it changes nothing but places."""
    is_reshape = type(operation) is integer.Reshape
    return is_reshape and operation.shape[-1] == operation.input_shape[-1]


def is_of_channels(array: Array, channels: int) -> bool:
    """Whether an array varies only along the last axis, of so many channels."""
    size = np.size(array)
    return size == 1 or np.shape(array)[-1] == size == channels
