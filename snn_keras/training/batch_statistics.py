"""Batch normalization's statistics, estimated anew with the noise of training off."""

import contextlib

import keras
import numpy as np
from keras import ops, tree

from snn_keras._keras import layers_inside
from snn_keras.graph import computes_as, trace
from snn_keras.inputs import CALIBRATION_SAMPLES, batches, check_count, check_data
from snn_keras.typing import Inputs


def reestimate_statistics(
    model: keras.Model, data: Inputs, batch_size: int = 128
) -> None:
    r"""Sets the means and variances of batch normalization to those of `data`.

    In training they are moving averages, which lag behind the weights, of activations
    with noise, which inference has not. Here layers of batch normalization normalize by
    their batch, all others run as in inference, without noise and dropout, and the
    statistics become the means over the $n$ whole batches:

    $$\mu = \frac1n \sum_i \mu_i, \qquad \sigma^2 = \frac1n \sum_i \sigma_i^2.$$

    An incomplete last batch is left out, unless it is the only one.

    Args:
        model: A functional or Sequential `keras.Model`; it is changed in place, or not
            at all where an error ends the run. Layers that are frozen stay as they are.
        data: Inputs as training saw them, augmented if they were; of a dataset or a
            generator the first 4,096 samples are used. Statistics of other inputs, of
            training images without their augmentation even, may cost accuracy.
        batch_size: Samples per batch, an integer >= 2: a large one, because the
            variance is that of a batch.

    Raises:
        ValueError: if an argument is not valid, the model has no batch normalization
            that is not frozen, or has some that cannot be estimated anew: with
            `renorm`, of a derived class that computes otherwise, or inside of a layer.
    """
    graph = trace(model)
    found = _normalizations(model, graph)
    check_count("batch_size", batch_size)
    x = check_data(data, graph, CALIBRATION_SAMPLES)
    size = min(batch_size, len(tree.flatten(x)[0]))
    if size < 2:
        raise ValueError(
            "reestimate_statistics: the variance of a batch of 1 is 0. Received: "
            f"batch_size={batch_size}, {len(tree.flatten(x)[0])} samples. Remedy: two "
            "samples a batch at least, better a hundred."
        )
    seen = dict.fromkeys(found, 0)

    def call(node, values):
        layer = found.get(id(node.operation))
        if layer is None:
            return node.call(node.operation, values, training=False)
        count, kept = seen[id(layer)], layer.momentum
        layer.momentum = count / (count + 1)  # a mean of all batches
        try:
            return node.call(layer, values, training=True)
        finally:
            layer.momentum = kept
            seen[id(layer)] += 1

    with _kept_on_errors(found.values()) as statistics:
        for statistic in statistics:  # what they were, NaN even, is forgotten
            statistic.assign(np.zeros(statistic.shape))
        for batch in batches(x, size):
            if len(tree.flatten(batch)[0]) == size:
                graph.run(graph.cast(batch), call)


def _normalizations(model, graph):
    """The layers to be estimated anew, by their `id`s."""
    called = {id(node.operation) for node in graph.nodes}
    found = {
        id(layer): layer
        for layer in layers_inside(model)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
    }
    if not found:
        raise ValueError(
            f"reestimate_statistics: '{model.name}' has no layer of batch "
            "normalization whose statistics may change. Remedy: layer.trainable = True "
            "where they are frozen; a network without them needs no statistics."
        )
    reasons = {layer.name: _hindrance(layer, called) for layer in found.values()}
    refused = [f"'{name}' {reason}" for name, reason in reasons.items() if reason]
    if refused:
        raise ValueError(
            f"reestimate_statistics: batch normalization of '{model.name}' cannot be "
            f"estimated anew: {'; '.join(refused)}. Remedy: layer.trainable = False, "
            "and it stays as it is; of a spiking network, estimate its source."
        )
    return found


def _hindrance(layer, called):
    """Why a layer cannot be estimated anew, or ""; `called`: the graph's, by `id`."""
    if id(layer) not in called:
        return "stands inside of a layer, or over time in a spiking network"
    if not computes_as(layer, keras.layers.BatchNormalization):
        return f"is a {type(layer).__name__}, which computes otherwise than Keras's"
    if layer.renorm:
        return "has renorm=True, and does not normalize by its batch"
    return ""


@contextlib.contextmanager
def _kept_on_errors(layers):
    """Yields the statistics of layers, and puts them back if an error comes."""
    statistics = [w for x in layers for w in (x.moving_mean, x.moving_variance)]
    before = [ops.convert_to_numpy(w) for w in statistics]
    try:
        yield statistics
    except BaseException:  # an interruption, too
        for statistic, value in zip(statistics, before, strict=True):
            statistic.assign(value)
        raise


class ReestimateStatistics(keras.callbacks.Callback):
    """Estimates batch normalization's statistics anew when training ends.

    See `snn_keras.reestimate_statistics`.

    Args:
        data: Inputs, as `model.predict` takes them.
        batch_size: Samples per batch.
    """

    def __init__(self, data: Inputs, batch_size: int = 128) -> None:
        super().__init__()
        self.data = data
        self.batch_size = batch_size

    def on_train_begin(self, logs: dict | None = None) -> None:
        _normalizations(self.model, trace(self.model))  # an error comes now

    def on_train_end(self, logs: dict | None = None) -> None:
        reestimate_statistics(self.model, self.data, self.batch_size)
