"""Compares a model of tf_keras with its Keras 3 translation, layer by layer."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import tree

from snn_keras.errors import ConversionError
from snn_keras.inputs import arrays_of
from snn_keras.interop import source
from snn_keras.interop.batch import SIZES, random_batch
from snn_keras.interop.translator import Translation
from snn_keras.layers import QuantizedActivation
from snn_keras.typing import Inputs

if TYPE_CHECKING:
    import tf_keras

REMEDY = (
    "Remedy: replace that layer in the tf_keras model by one that both versions of "
    "Keras compute alike."
)
# The largest allowed difference, as a share of the largest output of a layer.
TOLERANCE = 1e-4
# The allowed mean difference if numbers have few bits, and rounding may differ.
COARSE = 1e-2
# The weight of a layer's largest input next to its largest output, for rounding.
ROUNDING = 0.1


def check(
    model: "tf_keras.Model",
    translation: Translation,
    translations: Mapping[int, Translation],
    data: Inputs = None,
) -> None:
    """Compares the two models on a small batch.

    Args:
        model: The model of tf_keras that the user gave.
        translation: Its translation, see `translator.Translation`.
        translations: The translations of all models inside, by the ids of the models.
        data: Inputs, or None for a random batch.

    Raises:
        ConversionError: if they differ; the message names the first layer that does.
        ValueError: if the model of tf_keras cannot compute the batch.
    """
    if not translation.calls:
        return
    with source.at_rest(translation.source):
        batch, expected = _computed(translation, data)
        found = _first_difference(translation, translations, batch, expected)
        if not found and model is not translation.source:
            found = _without_wrappers(model, translation, batch)
    for made in translations.values():
        for layer in made.model.layers:
            if getattr(layer, "stateful", False):
                layer.reset_state()
    if found:
        raise ConversionError(f"'{model.name}': {found}\n{REMEDY}")


def _computed(translation, data):
    """A batch, and the outputs of the layers of tf_keras for it."""
    batch = _batch(translation) if data is None else _ordered(translation.model, data)
    try:
        return batch, _theirs(translation, batch)
    except Exception as error:
        raise ValueError(
            f"'{translation.source.name}' cannot compute the inputs on which it is "
            f"compared with what was made of it: {error}\nRemedy: "
            "from_tf_keras(model, data=x) with inputs that it takes."
        ) from error


def _batch(translation):
    """A random batch; unknown axes have the first size that is large enough."""
    shapes = [tensor.shape[1:] for tensor in translation.source.inputs]
    is_open = any(None in tuple(shape) for shape in shapes)
    for size in SIZES:
        batch = random_batch(translation.source, size)
        if not is_open or source.is_large_enough(_probe(translation)[1], batch):
            break
    return batch


def _ordered(model, data):
    """A few samples of the user's inputs, as a list in the model's order."""
    data = tree.map_structure(lambda x: x[:8], arrays_of(data, limit=8))
    if isinstance(data, dict) and not isinstance(model.input, dict):
        return [data[tensor.name] for tensor in model.inputs]
    return tree.flatten(data)


def _theirs(translation, batch):
    """The outputs of every call of a layer in tf_keras, a list for each call."""
    outputs, probe = _probe(translation)
    values = tree.flatten(probe(batch, training=False))
    return tree.pack_sequence_as(outputs, list(map(np.asarray, values)))


def _probe(translation):
    """The outputs of every call, and a model of tf_keras that computes all of them."""
    import tf_keras

    outputs = [call.outputs for call, _ in translation.calls]
    return outputs, tf_keras.Model(translation.source.inputs, tree.flatten(outputs))


def _ours(translation, batch):
    """The outputs of every call of a layer in Keras 3, a list for each call."""
    outputs = [ours for _, ours in translation.calls]
    probe = keras.Model(translation.model.inputs, tree.flatten(outputs))
    try:
        values = tree.flatten(probe(batch, training=False))
    except Exception as error:
        raise ConversionError(
            f"'{translation.source.name}' has a layer that cannot compute in Keras 3: "
            f"{_first_to_fail(translation, batch)}: {error}\n{REMEDY}"
        ) from error
    return tree.pack_sequence_as(outputs, list(map(keras.ops.convert_to_numpy, values)))


def _first_to_fail(translation, batch):
    """The first layer that Keras 3 cannot compute."""
    for call, outputs in translation.calls:
        probe = keras.Model(translation.model.inputs, outputs)
        try:
            probe(batch, training=False)
        except Exception:
            return f"'{call.layer.name}' ({type(call.layer).__name__})"
    return "none of them alone"


def _first_difference(translation, translations, batch, expected):
    """Describes the first layer whose outputs differ; "" if there is none."""
    few_bits = _has_few_bits(translations)
    ids = map(id, translation.source.inputs)
    known = dict(zip(ids, batch, strict=True))
    received = _ours(translation, batch)
    for (call, _), theirs, ours in zip(
        translation.calls, expected, received, strict=True
    ):
        layer, inputs = call.layer, [known[id(tensor)] for tensor in call.inputs]
        known |= zip(map(id, call.outputs), theirs, strict=True)
        if text := _difference(theirs, ours, inputs, few_bits):
            inside, deeper = translations.get(id(layer)), ""
            if inside is not None and inside.calls:
                part = inputs[: len(inside.source.inputs)]
                deeper = _first_difference(
                    inside, translations, part, _theirs(inside, part)
                )
            if deeper:
                return f"in '{layer.name}', {deeper}"
            return f"layer '{layer.name}' ({type(layer).__name__}) {text}"
    return ""


def _without_wrappers(model, translation, batch):
    """Describes how removing wrappers changes the outputs; "" if it does not."""
    expected, received = (
        list(map(np.asarray, tree.flatten(x(batch, training=False))))
        for x in (model, translation.source)
    )
    text = _difference(expected, received, [])
    return text and f"without its wrappers of model optimization, it {text}"


def _has_few_bits(translations):
    """Whether any layer computes in half precision, or quantizes."""
    layers = [
        layer
        for translation in translations.values()
        for layer in translation.model.layers
    ]
    return any(
        isinstance(layer, QuantizedActivation) or "16" in (layer.compute_dtype or "")
        for layer in layers
    )


def _difference(expected, received, inputs, few_bits=False):
    """Describes how two lists of arrays differ; "" if they do not."""
    largest_input = max(map(_largest, inputs), default=0.0)
    for theirs, ours in zip(expected, received, strict=True):
        if theirs.shape != ours.shape:
            return f"gives shape {theirs.shape}, and in Keras 3 {ours.shape}"
        if not theirs.size:
            continue
        if theirs.dtype.kind not in "biufV":
            if not np.array_equal(theirs.astype(str), ours.astype(str)):
                return "gives something else in Keras 3"
            continue
        off, given = _distances(theirs, ours), _largest(theirs)
        tolerance, measure = (COARSE, np.mean) if few_bits else (TOLERANCE, np.max)
        if not measure(off) <= tolerance * max(given, ROUNDING * largest_input):
            return (
                f"gives something else in Keras 3: off by {np.max(off):.3g}, where "
                f"{given:.3g} is the largest number"
            )
    return ""


def _distances(theirs, ours):
    """The absolute differences; 0 where both are the same infinity, or NaN."""
    theirs, ours = theirs.astype("float64"), ours.astype("float64")
    same = (theirs == ours) | (np.isnan(theirs) & np.isnan(ours))
    return np.abs(np.where(same, 0.0, theirs) - np.where(same, 0.0, ours))


def _largest(x):
    """The largest magnitude of the finite numbers in an array."""
    if x.dtype.kind not in "biufV" or not x.size:
        return 0.0
    x = np.abs(x.astype("float64"))
    return np.max(x, where=np.isfinite(x), initial=0.0)
