"""What a linear operation of any kind reaches, found by trying each of its inputs."""

import contextlib
import math
from collections.abc import Iterator

import keras
import numpy as np
from keras import ops, tree

from snn_keras.graph import Node

# Numbers that are computed to find what an operation reaches, at most.
MOST_NUMBERS = 2**33
# Of these, in one call.
BATCH = 2**23
# Elements that are tried together are drawn so many times, in case they cancel.
DRAWS = 4
# What is put in, large beside what is added: a constant must not hide the rest.
SIZE = 256.0
# Changes of less than this share of the largest are none, but rounding.
ROUNDING = 2.0**-20
# Numbers are told digit by digit, each of which every precision holds.
BASE = 128
# Of an output that is a copy of no element; that is more than a copy.
NONE, MORE = -1, -2

_REMEDY = (
    "Remedy: give it a linear form, by snn_keras.linear.form, or build it from Keras's "
    "layers, such as Dense, EinsumDense, convolutions: what has a form is counted at "
    "any size."
)


def reached(node: Node) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Which outputs each element of each input reaches.

    An element reaches an output that changes when the element does. The weights that
    can be trained stand for any numbers: one that happens to be 0 is a weight too.
    What is fixed, such as a mask, is taken as it is.

    First all channels of a place are tried together. Then the channels are tried one by
    one, at all places at once of which no two reach the same output.

    Args:
        node: A `snn_keras.graph.Node` of a linear operation.

    Yields:
        `(input, elements, outputs)`: the number of an input, and its elements and the
        outputs of pairs that depend on each other, both flat, the outputs one behind
        the other. No pair comes twice.

    Raises:
        ValueError: if there is too much to try, or an output is not finite.
    """
    with stand_ins(node.operation):
        for number in range(len(node.inputs)):
            for elements, found in _pairs(node, number):
                yield number, elements, found


def _pairs(node, number):
    """The pairs of one input's elements and the outputs."""
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
    """The pairs of the elements at a group's places, which share no output."""
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
    """Places in groups, no two of which reach the same output."""
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
    """Which outputs change in each of `trials` trials, as `(first, [trials, outputs])`.

    `elements(i)` are the elements of the input that are put in at trial i, in sizes
    that go by the number `draw`.
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
    """Which element each output is a copy of.

    The inputs are numbered, digit by digit, and the outputs read; random inputs then
    have to agree.

    Args:
        node: As for `reached`.

    Returns:
        For each output, flat, one behind the other, the number of the element, counted
        through all inputs; NONE where it depends on none, MORE where it is more than a
        copy.
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
    told = sum(digit * BASE**i for i, digit in enumerate(results[: len(digits)]))
    is_told = (told >= 1) & (told <= size) & (told == np.floor(told))
    told = np.where(is_told, told, 1).astype("int64") - 1
    given = np.concatenate(
        [_read(_cast(x, like)) for x, like in zip(inputs, node.inputs, strict=True)],
        axis=1,
    )
    is_copy = is_told & (results == given[:, told]).all(axis=0)
    is_constant = (results == results[-1]).all(axis=0)
    return np.where(is_constant, NONE, np.where(is_copy, told, MORE)).astype("int32")


def marked(node: Node, masks: list[np.ndarray]) -> list[np.ndarray]:
    """Where the outputs depend on the elements at which `masks` are not 0.

    Args:
        node: As for `reached`.
        masks: One array `(rows, ...)` for each input.

    Returns:
        One array for each output, 1 or 0.
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
    """The outputs of `node`, flat, one behind the other, for flat inputs.

    In the last row of the inputs all is 0.
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
    """Which outputs are others than those of the last row, by more than rounding."""
    with np.errstate(invalid="ignore"):
        change = np.abs(results[:-1] - results[-1])
    change = np.where(results[:-1] == results[-1], 0, change)  # infinities too
    return change > ROUNDING * change.max(axis=1, keepdims=True)


def _cast(values, tensor):
    """Values in the precision of a tensor, or in float32 where it holds no floats."""
    return ops.cast(values, tensor.dtype if "float" in tensor.dtype else "float32")


def _read(values):
    """Values in NumPy, without loss."""
    is_double = keras.backend.standardize_dtype(values.dtype) == "float64"
    return ops.convert_to_numpy(ops.cast(values, "float64" if is_double else "float32"))


def split(node: Node, flat: np.ndarray) -> list[np.ndarray]:
    """Flat outputs, one behind the other, as arrays in the shapes of the outputs."""
    ends = np.cumsum([_total([y]) for y in node.outputs])[:-1]
    parts = np.split(flat, ends, axis=1)
    return [
        part.reshape(len(flat), *y.shape[1:])
        for part, y in zip(parts, node.outputs, strict=True)
    ]


@contextlib.contextmanager
def stand_ins(operation: keras.Operation) -> Iterator[None]:
    """Within, numbers other than 0 stand for the weights that can be trained."""
    draw = np.random.default_rng(0).uniform
    weights = [w for w in getattr(operation, "weights", []) if w.trainable]
    pairs = [(w, draw(1, 2, w.shape)) for w in weights if "float" in w.dtype]
    with keras.StatelessScope(pairs) if pairs else contextlib.nullcontext():
        yield


def _check_effort(node, trials):
    """Raises a ValueError where there is too much to try."""
    into, out = _total(node.inputs), _total(node.outputs)
    if trials * (into + out) > MOST_NUMBERS:
        raise ValueError(
            f"energy cannot tell what {node.describe()} adds up: to try out which of "
            f"its {out:,} outputs each of its {into:,} inputs reaches takes more than "
            f"{MOST_NUMBERS:,} numbers. {_REMEDY}"
        )


def _total(tensors):
    """Elements of tensors together, of a sample."""
    return sum(math.prod(x.shape[1:]) for x in tensors)
