"""Draws a small random batch for a model of tf_keras."""

from typing import TYPE_CHECKING

import numpy as np

from snn_keras.interop import source

if TYPE_CHECKING:
    import tf_keras

SAMPLES = 3
# Candidates for the length of unknown axes; the first that is large enough is used.
SIZES = (16, 32, 64, 128, 256)


def random_batch(model: "tf_keras.Model", size: int) -> list[np.ndarray]:
    """A flat list of random arrays for the inputs of `model`.

    Floats are normally distributed, and large enough for functions to saturate.
    Integers are below the length of the tables in which they are looked up. Strings
    are words that the model knows, and others. The second half of the first sample
    has values that masks hide.

    Args:
        model: A model of tf_keras.
        size: The length of unknown axes.
    """
    rng = np.random.default_rng(0)
    lengths = _lengths_of_tables(model)
    masked = [getattr(x, "mask_value", None) for x in source.layers_of(model)]
    hidden = next((value for value in masked if value is not None), 0)
    batch = []
    for tensor in model.inputs:
        count = tensor.shape[0] or SAMPLES
        shape = (count, *(size if n is None else n for n in tensor.shape[1:]))
        if tensor.dtype.name == "string":
            x = rng.choice(_words(model), shape)
        else:
            x = _numbers(rng, shape, tensor.dtype.name, lengths.get(id(tensor)))
        if 2 <= x.ndim <= 3 and x.dtype.kind in "iuf" and np.isscalar(hidden):
            x[0, (x.shape[1] + 1) // 2 :] = hidden
        batch.append(x)
    return batch


def _words(model):
    """Strings, some of which layers of the model look up."""
    words = ["", "a", "b a", "A dog.", "7"]
    for layer in source.layers_of(model):
        if hasattr(layer, "get_vocabulary"):
            words += [str(word) for word in layer.get_vocabulary()[:50]]
    return np.array(words, dtype=object)


def _numbers(rng, shape, dtype, length):
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if "int" in dtype or length:
        length = length or (256 if dtype == "uint8" else 10)
        return rng.integers(0, length, shape).astype(dtype)
    if dtype == "bfloat16":  # NumPy does not have it
        dtype = "float32"
    return rng.normal(0, 2, shape).astype(dtype)


def _lengths_of_tables(model):
    """`{id of an input: length of the shortest table in which it is looked up}`."""
    lengths = {}
    for call in source.calls_of(model):
        for tensor, length in zip(call.inputs, _tables(call.layer), strict=False):
            for found in source.inputs_behind(tensor) if length else []:
                lengths[id(found)] = min(length, lengths.get(id(found), length))
    return lengths


def _tables(layer):
    """For every input of a layer, the length of the table in which it is looked up."""
    if source.is_model(layer):
        inside = _lengths_of_tables(layer)
        return [inside.get(id(tensor)) for tensor in layer.inputs]
    if hasattr(layer, "layer"):
        return _tables(layer.layer)
    kind = type(layer).__name__
    name = {"Embedding": "input_dim", "CategoryEncoding": "num_tokens"}.get(kind)
    return [getattr(layer, name)] if name else []
