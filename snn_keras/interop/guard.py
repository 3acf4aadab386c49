"""Compares a model of tf_keras with what was made of it, layer by layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import tree

from snn_keras.errors import ConversionError
from snn_keras.inputs import arrays_of
from snn_keras.interop import source
from snn_keras.interop.batch import SIZES, random_batch
from snn_keras.interop.translator import Taken
from snn_keras.layers import QuantizedActivation
from snn_keras.typing import Inputs

if TYPE_CHECKING:
    import tf_keras

REMEDY = (
    "Remedy: replace that layer in the tf_keras model by one that both versions of "
    "Keras compute alike."
)
# Largest difference, in parts of the largest number that a layer gives.
TOLERANCE = 1e-4
# Mean difference, where numbers have few bits: some may be rounded to the next.
COARSE = 1e-2
# What rounding in the largest number that a layer takes may come to.
ROUNDING = 0.1  # of the tolerance


def check(
    model: "tf_keras.Model",
    taken: Taken,
    all_taken: Mapping[int, Taken],
    data: Inputs = None,
) -> None:
    """Compares the two models on a small batch.

    Args:
        model: The model of tf_keras, as it was given.
        taken: What was made of it, see `translator.Taken`.
        all_taken: The same for models inside, by the ids of theirs.
        data: Inputs, or None for a random batch.

    Raises:
        ConversionError: if they part; the first layer that does is named.
        ValueError: if the model of tf_keras cannot compute the batch.
    """
    if not taken.calls:
        return
    with source.at_rest(taken.source):
        batch, expected = _computed(taken, data)
        found = _first_difference(taken, all_taken, batch, expected)
        if not found and model is not taken.source:
            found = _without_wrappers(model, taken, batch)
    for made in all_taken.values():
        for layer in made.model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
    if found:
        raise ConversionError(f"'{model.name}': {found}\n{REMEDY}")


def _computed(taken, data):
    """A batch, and what the layers of tf_keras make of it."""
    batch = _batch(taken) if data is None else _ordered(taken.model, data)
    try:
        return batch, _theirs(taken, batch)
    except Exception as error:
        raise ValueError(
            f"'{taken.source.name}' cannot compute the inputs on which it is compared "
            f"with what was made of it: {error}\nRemedy: from_tf_keras(model, data=x) "
            "with inputs that it takes."
        ) from error


def _batch(taken):
    """A random batch; open axes have the first size that is large enough."""
    shapes = [tensor.shape[1:] for tensor in taken.source.inputs]
    is_open = any(None in tuple(shape) for shape in shapes)
    for size in SIZES:
        batch = random_batch(taken.source, size)
        if not is_open or source.is_large_enough(_probe(taken)[1], batch):
            break
    return batch


def _ordered(model, data):
    """A few samples of the user's inputs, as a list in the model's order."""
    data = tree.map_structure(lambda x: x[:8], arrays_of(data, limit=8))
    if isinstance(data, dict) and not isinstance(model.input, dict):
        return [data[tensor.name] for tensor in model.inputs]
    return tree.flatten(data)


def _theirs(taken, batch):
    """What every call of a layer of tf_keras gives, as a list for each call."""
    outputs, probe = _probe(taken)
    values = tree.flatten(probe(batch, training=False))
    return tree.pack_sequence_as(outputs, list(map(np.asarray, values)))


def _probe(taken):
    """The outputs of every call, and a model of tf_keras that computes all of them."""
    import tf_keras

    outputs = [call.outputs for call, _ in taken.calls]
    return outputs, tf_keras.Model(taken.source.inputs, tree.flatten(outputs))


def _ours(taken, batch):
    """What every call of a layer of Keras 3 gives, as a list for each call."""
    outputs = [ours for _, ours in taken.calls]
    probe = keras.Model(taken.model.inputs, tree.flatten(outputs))
    try:
        values = tree.flatten(probe(batch, training=False))
    except Exception as error:
        raise ConversionError(
            f"'{taken.source.name}' has a layer that cannot compute in Keras 3: "
            f"{_first_to_fail(taken, batch)}: {error}\n{REMEDY}"
        ) from error
    return tree.pack_sequence_as(outputs, list(map(keras.ops.convert_to_numpy, values)))


def _first_to_fail(taken, batch):
    """The layer at which Keras 3 cannot go on."""
    for call, outputs in taken.calls:
        probe = keras.Model(taken.model.inputs, outputs)
        try:
            probe(batch, training=False)
        except Exception:
            return f"'{call.layer.name}' ({type(call.layer).__name__})"
    return "none of them alone"


def _first_difference(taken, all_taken, batch, expected):
    """Which layer is the first that computes something else, and how; "" for none."""
    few_bits = _has_few_bits(all_taken)
    ids = map(id, taken.source.inputs)
    known = dict(zip(ids, batch, strict=True))
    received = _ours(taken, batch)
    for (call, _), theirs, ours in zip(taken.calls, expected, received, strict=True):
        layer, inputs = call.layer, [known[id(tensor)] for tensor in call.inputs]
        known |= zip(map(id, call.outputs), theirs, strict=True)
        if text := _difference(theirs, ours, inputs, few_bits):
            inside, deeper = all_taken.get(id(layer)), ""
            if inside is not None and inside.calls:
                part = inputs[: len(inside.source.inputs)]
                deeper = _first_difference(
                    inside, all_taken, part, _theirs(inside, part)
                )
            if deeper:
                return f"in '{layer.name}', {deeper}"
            return f"layer '{layer.name}' ({type(layer).__name__}) {text}"
    return ""


def _without_wrappers(model, taken, batch):
    """How the outputs change when wrappers are taken off; "" for not at all."""
    expected, received = (
        list(map(np.asarray, tree.flatten(x(batch, training=False))))
        for x in (model, taken.source)
    )
    text = _difference(expected, received, [])
    return text and f"without its wrappers of model optimization, it {text}"


def _has_few_bits(all_taken):
    """Whether layers round to half precision, or quantize."""
    layers = [layer for taken in all_taken.values() for layer in taken.model.layers]
    return any(
        isinstance(layer, QuantizedActivation) or "16" in (layer.compute_dtype or "")
        for layer in layers
    )


def _difference(expected, received, inputs, few_bits=False):
    """How two lists of arrays differ, in words; "" for not at all."""
    taken = max(map(_largest, inputs), default=0.0)
    for theirs, ours in zip(expected, received, strict=True):
        if theirs.shape != ours.shape:
            return f"gives shape {theirs.shape}, and in Keras 3 {ours.shape}"
        if not theirs.size:
            continue
        if theirs.dtype.kind not in "biufV":
            if not np.array_equal(theirs.astype(str), ours.astype(str)):
                return "gives something else in Keras 3"
            continue
        off, given = _off(theirs, ours), _largest(theirs)
        tolerance, measure = (COARSE, np.mean) if few_bits else (TOLERANCE, np.max)
        if not measure(off) <= tolerance * max(given, ROUNDING * taken):
            return (
                f"gives something else in Keras 3: off by {np.max(off):.3g}, where "
                f"{given:.3g} is the largest number"
            )
    return ""


def _off(theirs, ours):
    """The differences; none where both are the same infinity, or no number."""
    theirs, ours = theirs.astype("float64"), ours.astype("float64")
    same = (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
    return np.abs(np.where(same, 0.0, theirs) - np.where(same, 0.0, ours))


def _largest(x):
    """The largest magnitude of the finite numbers in an array."""
    if x.dtype.kind not in "biufV" or not x.size:
        return 0.0
    x = np.abs(x.astype("float64"))
    return np.max(x, where=np.isfinite(x), initial=0.0)
