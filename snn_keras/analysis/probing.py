"""Finds by trial which outputs each input element of a linear operation reaches."""

import contextlib
import math
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops, tree

from snn_keras.graph import Node

# The most numbers that are computed to try out an operation.
MOST_NUMBERS = 2**33
# The most numbers in one call.
BATCH = 2**23
# Elements that are tried together may cancel, so they are tried with this many draws.
DRAWS = 4
# The size of inputs; it is large, so that an added constant does not hide changes.
SIZE = 256.0
# Changes below this share of the largest one are considered rounding.
ROUNDING = 2.0**-20
# Elements are numbered by digits of this base, which every precision represents.
BASE = 128
# The source of an output that depends on no element, or is more than a copy of one.
NONE, MORE = -1, -2

_REMEDY = (
    "Remedy: give it a linear form, by snn_keras.linear.form, or build it from Keras's "
    "layers, such as Dense, EinsumDense, convolutions: what has a form is counted at "
    "any size."
)


def reached(node: Node) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Finds the outputs that each element of each input reaches.

    An element reaches the outputs that change with it. Trainable weights may have any
    value, so a weight that happens to be 0 counts, too. Constants, such as a mask, are
    taken as they are.

    First, all channels of a position are tried together. Then the channels are tried
    one by one, at once for all positions that share no output.

    Args:
        node: A `snn_keras.graph.Node` of a linear operation.

    Yields:
        `(input, elements, outputs)`: the index of an input, and the flat indices of its
        elements and of the outputs that they reach, in pairs. Outputs are counted
        through all output tensors. No pair is repeated.

    Raises:
        ValueError: if the operation is too large, or an output is not finite.
    """
    with stand_ins(node.operation):
        for number in range(len(node.inputs)):
            for elements, found in _pairs(node, number):
                yield number, elements, found


def _pairs(node, number):
    """The pairs of elements and outputs of one input."""
    shape = node.inputs[number].shape[1:]
    places, channels = math.prod(shape[:-1]), math.prod(shape[-1:])
    _check_effort(node, DRAWS * places)
    blocks = np.zeros((places, -(-_total(node.outputs) // 8)), "uint8")
    starts = np.arange(places) * channels
    for draw in range(DRAWS):
        together = _changes(
            node, number, places, lambda i: starts[i] + np.arange(channels), draw
        )
        for first, found in together:
            blocks[first : first + len(found)] |= np.packbits(found, axis=1)
    for group in _groups(node, blocks, channels):
        yield from _channel_by_channel(node, number, group, blocks, channels)


def _channel_by_channel(node, number, group, blocks, channels):
    """The pairs of elements and outputs of a group of positions."""
    total = _total(node.outputs)
    owner = np.full(total, -1)
    for place in group:
        owner[np.unpackbits(blocks[place], count=total).astype(bool)] = place
    starts = np.asarray(group) * channels
    for first, found in _changes(node, number, channels, lambda i: starts + i):
        channel, outputs = np.nonzero(found)
        if (owner[outputs] < 0).any():
            raise ValueError(
                f"energy cannot tell what {node.describe()} adds up: a rule says that "
                f"it is linear, and it is not. {_REMEDY}"
            )
        yield owner[outputs] * channels + first + channel, outputs


def _groups(node, blocks, channels):
    """Divides positions into groups, in which no two reach the same output."""
    groups, unions = [], []
    for place, block in enumerate(blocks):
        for group, union in zip(groups, unions, strict=True):
            if not (union & block).any():
                group.append(place)
                union |= block
                break
        else:
            groups.append([place])
            unions.append(block.copy())
            _check_effort(node, DRAWS * len(blocks) + len(groups) * channels)
    return groups


def _changes(node, number, trials, elements, draw=0):
    """Yields the outputs that change in trials: `(first trial, [trials, outputs])`.

    In trial i the elements `elements(i)` of the input get random values, which depend
    on `draw`; all others are 0.
    """
    sizes = [_total([x]) for x in node.inputs]
    put_in = SIZE * np.random.default_rng(draw).uniform(1, 2, sizes[number])
    step = max(1, BATCH // (sum(sizes) + _total(node.outputs)))
    for first in range(0, trials, step):
        count = min(step, trials - first)
        inputs = [np.zeros((count + 1, size), "float32") for size in sizes]
        for i in range(count):
            chosen = elements(first + i)
            inputs[number][i, chosen] = put_in[chosen]
        results = values(node, inputs)
        yield first, _differ(results)


def copied(node: Node) -> np.ndarray:
    """Finds the element of which each output is a copy.

    The inputs are the elements' numbers, digit by digit, so a copy gives the number
    of its element. Random inputs must then confirm it.

    Args:
        node: As for `reached`.

    Returns:
        For each output (flat, through all output tensors) the index of the element,
        counted through all inputs; NONE if it depends on no element, MORE if it is
        more than a copy.
    """
    size, draw = _total(node.inputs), np.random.default_rng(0).uniform
    numbers, digits = np.arange(1, size + 1), []
    while not digits or numbers.any():
        digits.append(numbers % BASE)
        numbers = numbers // BASE
    rows = np.stack([*digits, *(draw(1, 2, size) for _ in range(DRAWS)), 0 * numbers])
    ends = np.cumsum([_total([x]) for x in node.inputs])[:-1]
    inputs = np.split(rows, ends, axis=1)
    results = values(node, inputs)
    found = sum(digit * BASE**i for i, digit in enumerate(results[: len(digits)]))
    is_number = (found >= 1) & (found <= size) & (found == np.floor(found))
    found = np.where(is_number, found, 1).astype("int64") - 1
    given = np.concatenate(
        [_read(_cast(x, like)) for x, like in zip(inputs, node.inputs, strict=True)],
        axis=1,
    )
    is_copy = is_number & (results == given[:, found]).all(axis=0)
    is_constant = (results == results[-1]).all(axis=0)
    return np.where(is_constant, NONE, np.where(is_copy, found, MORE)).astype("int32")


def marked(node: Node, masks: list[np.ndarray]) -> list[np.ndarray]:
    """Marks the outputs that depend on elements whose mask is not 0.

    Args:
        node: As for `reached`.
        masks: One array `(rows, ...)` for each input.

    Returns:
        An array of 1 and 0, `(rows, ...)`, for each output.
    """
    draw = np.random.default_rng(0).uniform
    flat = [mask.reshape(len(mask), -1) != 0 for mask in masks]
    found = False
    with stand_ins(node.operation):
        for _ in range(DRAWS):
            sizes = [draw(4, 8, x.shape[1:]) for x in flat]
            inputs = [
                np.pad(x * size, ((0, 1), (0, 0)))
                for x, size in zip(flat, sizes, strict=True)
            ]
            results = values(node, inputs)
            found = found | _differ(results)
    return split(node, found.astype("float32"))


def values(node: Node, inputs: list[np.ndarray]) -> np.ndarray:
    """The concatenated flat outputs of `node` for flat inputs `(rows, elements)`.

    The last row of the inputs must be 0.
    """
    pairs = {
        x: ops.reshape(_cast(y, x), (len(y), *x.shape[1:]))
        for x, y in zip(node.inputs, inputs, strict=True)
    }
    outputs = tree.flatten(node.call(node.operation, pairs, training=False))
    flat = [_read(y).reshape(len(inputs[0]), -1) for y in outputs]
    results = np.concatenate(flat, axis=1)
    if not (np.isfinite(results) | (results == results[-1])).all():
        raise ValueError(
            f"energy cannot tell what {node.describe()} adds up: tried with numbers up "
            f"to {2 * SIZE:g}, it gave some that are not finite. {_REMEDY}"
        )
    return results


def _differ(results):
    """Whether outputs differ from the last row's by more than rounding."""
    with np.errstate(invalid="ignore"):
        change = np.abs(results[:-1] - results[-1])
    change = np.where(results[:-1] == results[-1], 0, change)  # infinities too
    return change > ROUNDING * change.max(axis=1, keepdims=True)


def _cast(values, tensor):
    """Values in the dtype of a tensor; in float32 if that is not floating-point."""
    return ops.cast(values, tensor.dtype if "float" in tensor.dtype else "float32")


def _read(values):
    """A NumPy array of values, without loss of precision."""
    is_double = keras.backend.standardize_dtype(values.dtype) == "float64"
    return ops.convert_to_numpy(ops.cast(values, "float64" if is_double else "float32"))


def split(node: Node, flat: np.ndarray) -> list[np.ndarray]:
    """Splits concatenated flat outputs into arrays of the outputs' shapes."""
    ends = np.cumsum([_total([y]) for y in node.outputs])[:-1]
    parts = np.split(flat, ends, axis=1)
    return [
        part.reshape(len(flat), *y.shape[1:])
        for part, y in zip(parts, node.outputs, strict=True)
    ]


@contextlib.contextmanager
def stand_ins(operation: keras.Operation) -> Iterator[None]:
    """Context manager: trainable weights have random values other than 0."""
    draw = np.random.default_rng(0).uniform
    weights = [w for w in getattr(operation, "weights", []) if w.trainable]
    pairs = [(w, draw(1, 2, w.shape)) for w in weights if "float" in w.dtype]
    with keras.StatelessScope(pairs) if pairs else contextlib.nullcontext():
        yield


def _check_effort(node, trials):
    """Raises a ValueError if the trials need too many numbers."""
    into, out = _total(node.inputs), _total(node.outputs)
    if trials * (into + out) > MOST_NUMBERS:
        raise ValueError(
            f"energy cannot tell what {node.describe()} adds up: to try out which of "
            f"its {out:,} outputs each of its {into:,} inputs reaches takes more than "
            f"{MOST_NUMBERS:,} numbers. {_REMEDY}"
        )


def _total(tensors):
    """The number of elements of all tensors, per sample."""
    return sum(math.prod(x.shape[1:]) for x in tensors)
