"""A small random batch for a model of tf_keras."""

from typing import TYPE_CHECKING

import numpy as np

from snn_keras.interop import source

if TYPE_CHECKING:
    import tf_keras

SAMPLES = 3
# What an open axis gets: the first size that is large enough.
SIZES = (16, 32, 64, 128, 256)


def random_batch(model: "tf_keras.Model", size: int) -> list[np.ndarray]:
    """Arrays for the inputs of `model`, flat.

    Floats are normal, and reach to where functions saturate; integers are below the
    length of the tables that they are looked up in; texts are words that the model
    knows, and others. The later half of the first sample is what masks hide.

    Args:
        model: A model of tf_keras.
        size: The length of open axes.
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
    """Texts, among them some that layers of the model look up."""
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
    if dtype == "bfloat16":  # NumPy has none
        dtype = "float32"
    return rng.normal(0, 2, shape).astype(dtype)


def _lengths_of_tables(model):
    """For inputs that are looked up in tables, by their id: the shortest's length."""
    lengths = {}
    for call in source.calls_of(model):
        for tensor, length in zip(call.inputs, _tables(call.layer), strict=False):
            for found in source.inputs_behind(tensor) if length else []:
                lengths[id(found)] = min(length, lengths.get(id(found), length))
    return lengths


def _tables(layer):
    """For every input of a layer, the length of the table that it is looked up in."""
    if source.is_model(layer):
        inside = _lengths_of_tables(layer)
        return [inside.get(id(tensor)) for tensor in layer.inputs]
    if hasattr(layer, "layer"):
        return _tables(layer.layer)
    kind = type(layer).__name__
    name = {"Embedding": "input_dim", "CategoryEncoding": "num_tokens"}.get(kind)
    return [getattr(layer, name)] if name else []
