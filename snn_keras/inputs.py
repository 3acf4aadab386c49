"""Reads and checks the inputs that users give, and divides them into batches."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from keras import backend, tree, utils

from snn_keras.graph import Graph
from snn_keras.typing import Inputs

# Samples of a dataset or generator that calibration reads; more would change little.
CALIBRATION_SAMPLES = 4096
# An iterable of unknown length counts as endless beyond this many samples or bytes.
MOST_SAMPLES = 1_000_000
MOST_BYTES = 2**32

_VALUES = (bool, int, float, str, bytes, np.generic)


def batches(data: Any, batch_size: int) -> Iterator[Any]:
    """Yields a structure of arrays in batches of `batch_size` samples.

    Raises:
        ValueError: if `batch_size` is not an integer >= 1.
    """
    check_count("batch_size", batch_size)
    count = len(tree.flatten(data)[0])
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        yield tree.map_structure(lambda x, part=part: x[part], data)


def arrays_of(data: Inputs, limit: int | None = None) -> Any:
    """Reads inputs of any kind that `predict` accepts, as NumPy arrays.

    * Arrays, tensors, data frames, lists of numbers or strings; or a dict, list or
      tuple of these, one for each input.
    * Iterables of batches: a `tf.data.Dataset`, a `keras.utils.PyDataset`, a data
      loader of PyTorch or Grain, a generator, or any other. A batch is `x`, `(x, y)`
      or `(x, y, weights)`, as in Keras; only `x` is kept.

    Args:
        data: The inputs.
        limit: Number of samples to read of an iterable of batches, which may then be
            endless; None reads all. Arrays are always kept whole.

    Returns:
        Arrays, in the structure of the inputs.

    Raises:
        ValueError: if there are no samples, or endlessly many, or if batches do not
            fit together.
    """
    return _joined(_read(data, limit), limit) if _gives_batches(data) else _arrays(data)


def _read(data, limit):
    """The inputs of all batches, or of enough batches for `limit` samples."""
    if limit is None and _is_endless(data):
        raise ValueError(
            "data has no end, and all of it is wanted. Remedy: a part of it, such as "
            f"data.take(100) of a tf.data.Dataset. Received: {data!r}"
        )
    known = _knows_its_length(data)
    parts, samples, size = [], 0, 0
    for batch in data:
        parts.append(_arrays(utils.unpack_x_y_sample_weight(batch)[0]))
        arrays = tree.flatten(parts[-1])
        samples += max((len(x) if x.ndim else 1 for x in arrays), default=0)
        size += sum(x.nbytes for x in arrays)
        if limit is not None and samples >= limit:
            break
        if not known and (samples > MOST_SAMPLES or size > MOST_BYTES):
            raise ValueError(
                f"data gave {samples:,} samples, {size / 2**20:,.0f} MiB, and no end "
                "is in sight. Remedy: a part of it, itertools.islice(data, 100) for "
                "100 batches; or arrays."
            )
    return parts


def for_keras(data: Inputs) -> Any:
    """`data` as `keras.Model.predict` accepts it: datasets unchanged, else arrays.

    Raises:
        ValueError: as `arrays_of`.
    """
    if _gives_batches(data) and _is_endless(data):
        return arrays_of(data)  # raises the error
    is_read = isinstance(data, (list, tuple)) or hasattr(data, "__next__")
    return arrays_of(data) if is_read else data


def _gives_batches(data):
    """Whether it is an iterable of batches, not an array or a structure of arrays."""
    is_whole = isinstance(data, (dict, list, tuple, *_VALUES))
    is_array = hasattr(data, "__array__") or hasattr(data, "toarray")
    return hasattr(data, "__iter__") and not is_whole and not is_array


def _is_endless(data):
    """Whether it declares itself endless."""
    if hasattr(data, "cardinality"):  # tf.data: -1 means endless, -2 unknown
        return int(data.cardinality()) == -1
    return isinstance(data, utils.PyDataset) and data.num_batches is None


def _knows_its_length(data):
    try:
        return len(data) >= 0
    except TypeError:
        return False


def _arrays(data):
    """A structure of arrays; a list of numbers or strings becomes one array."""
    if isinstance(data, dict):
        return {name: _arrays(x) for name, x in data.items()}
    if isinstance(data, (list, tuple)):
        if all(isinstance(x, _VALUES) for x in tree.flatten(data)):
            return np.asarray(data)
        parts = map(_arrays, data)
        return tuple(parts) if isinstance(data, tuple) else list(parts)
    if hasattr(data, "toarray"):  # a sparse matrix of SciPy
        return data.toarray()
    if hasattr(data, "detach"):  # a tensor of PyTorch, on any device
        data = data.detach().cpu()
    return np.asarray(data)


def _joined(parts, limit):
    """Joins the structures of arrays of all batches into one."""
    if not parts:
        raise ValueError(
            "data gave no batch. Remedy: give it at least one; a generator gives its "
            "batches once, and must be made anew each time."
        )
    try:
        data = tree.map_structure(lambda *x: np.concatenate(x), *parts)
    except (ValueError, TypeError) as error:
        shapes = [tree.map_structure(lambda x: x.shape, part) for part in parts]
        other = next((s for s in shapes if s != shapes[0]), shapes[-1])
        raise ValueError(
            "batches of data must all have the same structure, and the same shape but "
            f"for the first axis. Received: {shapes[0]} and {other}."
        ) from error
    return tree.map_structure(lambda x: x[:limit], data)


def check_data(data: Inputs, graph: Graph, limit: int | None = None) -> Any:
    """Returns `data` as arrays in the structure of the graph's inputs.

    Args:
        data: Inputs of any kind that `arrays_of` reads; a dict has the inputs' names
            as keys. As in Keras, a last axis of length 1 may be missing or added.
        graph: A `snn_keras.graph.Graph`.
        limit: As for `arrays_of`.

    Raises:
        ValueError: if it is empty, not finite, or does not fit the inputs.
    """
    data = in_structure(arrays_of(data, limit), graph)
    named = list(zip(graph.input_names, tree.flatten(data), strict=True))
    counts = {name: len(x) if x.ndim else 0 for name, x in named}
    if len(set(counts.values())) > 1:
        raise ValueError(
            f"data must hold as many samples for every input. Received: {counts}."
        )
    expected = tree.flatten(graph.inputs)
    checked = [_checked(*pair, t) for pair, t in zip(named, expected, strict=True)]
    return tree.pack_sequence_as(graph.inputs, checked)


def in_structure(data: Any, graph: Graph) -> Any:
    """`data`, arrays or tensors, in the structure of the graph's inputs.

    Raises:
        ValueError: if its structure differs, or a dict does not have the inputs' names.
    """
    inputs = graph.inputs
    is_list = isinstance(data, (list, tuple))
    if is_list and len(data) == 1 and not tree.is_nested(inputs):
        data = data[0]
    by_name = isinstance(data, dict) and not isinstance(inputs, dict)
    if by_name and set(graph.input_names) <= set(data):
        data = tree.pack_sequence_as(inputs, [data[n] for n in graph.input_names])
    if isinstance(data, dict) and isinstance(inputs, dict):
        data = _without_more(data, inputs)
    try:
        tree.assert_same_structure(*map(tree.lists_to_tuples, (data, inputs)))
    except (ValueError, TypeError) as error:
        received = type(data).__name__
        if isinstance(data, dict):
            received += f" with keys {sorted(data, key=str)}"
        elif tree.is_nested(data):
            received += f" of {len(data)}"
        raise ValueError(
            f"data must have the structure of the model's inputs, "
            f"{tree.map_structure(lambda x: x.shape, inputs)}, or be a dict by their "
            f"names, {list(graph.input_names)}; in a dataset's batch several inputs "
            f"stand together, ((a, b), y). Labels are no part of it. "
            f"Received: {received}."
        ) from error
    return data


def _without_more(data, inputs):
    """A dict without the entries that are no inputs.

    Keras uses the first entries in the order of names, whatever the names are; if
    these are not the inputs, this is an error.
    """
    if not set(inputs) < set(data) or any(map(tree.is_nested, inputs.values())):
        return data
    first = sorted(data, key=str)[: len(inputs)]
    if set(first) != set(inputs):
        raise ValueError(
            f"data has entries that are no inputs, and Keras would take {first} for "
            f"{sorted(inputs)}: it goes by the order of the names. Remedy: leave out "
            f"{sorted(set(data) - set(inputs), key=str)}."
        )
    return {name: data[name] for name in inputs}


def _checked(name, x, expected):
    """The array, in the rank of its input; raises a ValueError if it does not fit."""
    fitted = _of_rank(x, len(expected.shape), expected.shape[-1:])
    fits = len(fitted.shape) == len(expected.shape) and all(
        wanted in (None, got)
        for wanted, got in zip(expected.shape[1:], fitted.shape[1:], strict=True)
    )
    if not fits:
        raise ValueError(
            f"data for input '{name}' has the wrong shape: expected {expected.shape}, "
            f"received {x.shape}. The first axis counts samples; a dataset gives "
            "batches of them."
        )
    if not len(x):
        raise ValueError(
            f"data for input '{name}' is empty: shape {x.shape}. Give it at "
            "least one sample; a thousand serve well."
        )
    wanted = "texts" if expected.dtype == "string" else "numbers"
    if wanted == "texts" and backend.backend() != "tensorflow":
        raise ValueError(
            f"input '{name}' takes texts, which Keras's {backend.backend()} backend "
            "does not have. Remedy: KERAS_BACKEND=tensorflow; or a model that begins "
            "behind the layers that turn texts into numbers."
        )
    if not (_is_text(x) if wanted == "texts" else _is_numbers(x)):
        raise ValueError(
            f"data for input '{name}' must be {wanted}. Received: dtype {x.dtype}."
        )
    if wanted == "numbers" and not np.isfinite(x).all():
        bad = int(np.sum(~np.isfinite(x)))
        raise ValueError(
            f"data for input '{name}' holds {bad} values that are not finite "
            "(NaN or infinity). Remove them before calibrating."
        )
    return fitted


def _of_rank(x, rank, last):
    """`x` with a last axis of length 1 added or removed to have this rank."""
    if x.ndim == rank + 1 and x.shape[-1] == 1:
        return x[..., 0]
    return x[..., None] if x.ndim == rank - 1 and last == (1,) else x


def _is_numbers(x):
    return x.dtype.kind in "fiub" or x.dtype.name == "bfloat16"


def _is_text(x):
    return x.dtype.kind in "US" or (
        x.dtype.kind == "O" and all(isinstance(v, (str, bytes)) for v in x.flat)
    )


def open_size(data: Any, graph: Graph) -> int:
    """The largest size of `data` along an axis whose size the graph leaves open.

    Args:
        data: Arrays, in the structure of the graph's inputs.
        graph: A `snn_keras.graph.Graph`.
    """
    pairs = zip(tree.flatten(graph.inputs), tree.flatten(data), strict=True)
    sizes = [
        got
        for expected, x in pairs
        for wanted, got in zip(expected.shape[1:], x.shape[1:], strict=True)
        if wanted is None
    ]
    return max(sizes, default=1)


def check_count(name: str, value: Any, others: str = "") -> int:
    """Returns `value`, or raises a ValueError unless it is an integer >= 1.

    Args:
        name: The argument's name, for the message.
        value: What was given.
        others: What else the argument may be, for the message.
    """
    valid = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if not valid or value < 1:
        raise ValueError(
            f"{name} must be an integer >= 1{others}. Received: {name}={value!r}"
        )
    return int(value)
