"""What a linear operation of any kind reaches, found by trying each of its inputs."""

import contextlib
import math

import keras
import numpy as np
from keras import ops, tree

# Pairs of an input's and an output's element that are looked at, at most.
MOST_PAIRS = 2**32
# Elements of inputs and outputs that a batch of trials holds, at most.
BATCH = 2**23
# What is put in, large beside what is added: a constant must not hide the rest.
SIZE = 256.0


def reached(node):
    """Which outputs each element of each input reaches.

    An element reaches an output that changes when the element does. The weights that
    can be trained stand for any numbers: one that happens to be 0 is a weight too.
    What is fixed, such as a mask, is taken as it is.

    Args:
        node: A `snn_keras.graph.Node` of a linear operation.

    Yields:
        `(input, first, found)`: the number of an input, its first element of these, and
        a bool array `(elements, outputs)`, the outputs flat, one behind the other.

    Raises:
        ValueError: if there are too many pairs, or an output is not finite.
    """
    sizes = [_size(x) for x in node.inputs]
    check_size(node, sizes)
    with stand_ins(node.operation):
        for number, size in enumerate(sizes):
            step = max(1, BATCH // (sum(sizes) + sum(map(_size, node.outputs))))
            for first in range(0, size, step):
                count = min(step, size - first)
                trials = [np.zeros((count + 1, n), "float32") for n in sizes]
                trials[number][range(1, count + 1), range(first, first + count)] = SIZE
                results = values(node, trials)
                yield number, first, results[1:] != results[:1]


def marked(node, masks):
    """Where the outputs depend on the elements at which `masks` are not 0.

    Args:
        node: As for `reached`.
        masks: One array `(rows, ...)` for each input.

    Returns:
        One array for each output, 1 or 0.
    """
    draw = np.random.default_rng(0).uniform
    rows = len(masks[0])
    trials = [(m != 0) * SIZE * draw(1, 2, m.shape[1:]) for m in masks]
    none = [np.zeros((1, *m.shape[1:])) for m in masks]
    trials = [np.concatenate(pair) for pair in zip(trials, none, strict=True)]
    with stand_ins(node.operation):
        results = values(node, [x.reshape(rows + 1, -1) for x in trials])
    return split(node, (results[:-1] != results[-1:]).astype("float32"))


def values(node, inputs):
    """The outputs of `node`, flat, one behind the other, for flat inputs."""
    pairs = {
        x: ops.cast(y.reshape(len(y), *x.shape[1:]), _dtype(x))
        for x, y in zip(node.inputs, inputs, strict=True)
    }
    outputs = tree.flatten(node.call(node.operation, pairs))
    flat = [ops.convert_to_numpy(ops.cast(y, _precise(y))) for y in outputs]
    results = np.concatenate([y.reshape(len(inputs[0]), -1) for y in flat], axis=1)
    if not np.isfinite(results).all():
        raise ValueError(
            f"energy cannot tell what {node.describe()} adds up: tried with numbers up "
            f"to {2 * SIZE:g}, it gave some that are not finite. {REMEDY}"
        )
    return results


def split(node, flat):
    """Flat outputs, one behind the other, as arrays in the shapes of the outputs."""
    ends = np.cumsum([_size(y) for y in node.outputs])[:-1]
    parts = np.split(flat, ends, axis=1)
    return [
        part.reshape(len(flat), *y.shape[1:])
        for part, y in zip(parts, node.outputs, strict=True)
    ]


REMEDY = (
    "Remedy: build it from Keras's layers, such as Dense, EinsumDense, convolutions, "
    "whose synapses are known at any size."
)


def check_size(node, sizes):
    """Raises a ValueError where there is too much to try."""
    into, out = sum(sizes), sum(map(_size, node.outputs))
    if into * out > MOST_PAIRS:
        raise ValueError(
            f"energy cannot tell what {node.describe()} adds up: it tries out which of "
            f"its {out:,} outputs each of its {into:,} inputs reaches, and looks at "
            f"{MOST_PAIRS:,} pairs at most. {REMEDY}"
        )


@contextlib.contextmanager
def stand_ins(operation):
    """Within, numbers other than 0 stand for the weights that can be trained."""
    draw = np.random.default_rng(0).uniform
    weights = [w for w in getattr(operation, "weights", []) if w.trainable]
    pairs = [(w, draw(1, 2, w.shape)) for w in weights if "float" in w.dtype]
    if pairs:
        with keras.StatelessScope(pairs):
            yield
    else:
        yield


def _size(x):
    return math.prod(x.shape[1:])


def _dtype(x):
    return x.dtype if "float" in x.dtype else "float32"


def _precise(y):
    is_double = keras.backend.standardize_dtype(y.dtype) == "float64"
    return "float64" if is_double else "float32"
