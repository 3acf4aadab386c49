"""Batch normalization's statistics, estimated anew with the noise of training off."""

import keras
import numpy as np
from keras import tree

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
        model: A functional or Sequential `keras.Model`; it is changed in place. Layers
            that are frozen stay as they are, and those inside of other layers.
        data: Inputs as training saw them, augmented if they were; of a dataset or a
            generator the first 4,096 samples are used. Statistics of other inputs, of
            training images without their augmentation even, may cost accuracy.
        batch_size: Samples per batch, an integer >= 2: a large one, because the
            variance is that of a batch.

    Raises:
        ValueError: if an argument is not valid, or the model has no batch
            normalization that is not frozen.
    """
    graph = trace(model)
    found = {
        id(node.operation): node.operation
        for node in graph.nodes
        if computes_as(node.operation, keras.layers.BatchNormalization)
        and node.operation.trainable
    }
    if not found:
        raise ValueError(
            f"reestimate_statistics: '{model.name}' has no layer of batch "
            "normalization whose statistics may change. Remedy: layer.trainable = True "
            "where they are frozen; a network without them needs no statistics."
        )
    check_count("batch_size", batch_size)
    x = check_data(data, graph, CALIBRATION_SAMPLES)
    size = min(batch_size, len(tree.flatten(x)[0]))
    if size < 2:
        raise ValueError(
            "reestimate_statistics: the variance of a batch of 1 is 0. Received: "
            f"batch_size={batch_size}, {len(tree.flatten(x)[0])} samples. Remedy: two "
            "samples a batch at least, better a hundred."
        )
    for layer in found.values():  # what they were, NaN even, is forgotten
        for statistic in (layer.moving_mean, layer.moving_variance):
            statistic.assign(np.zeros(statistic.shape))
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

    for batch in batches(x, size):
        if len(tree.flatten(batch)[0]) == size:
            graph.run(graph.cast(batch), call)


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

    def on_train_end(self, logs: dict | None = None) -> None:
        reestimate_statistics(self.model, self.data, self.batch_size)
