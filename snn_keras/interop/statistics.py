"""Statistics of pruned and clustered weights."""

import keras
import numpy as np
from keras import ops


def weight_statistics(model: keras.Model) -> dict:
    """Counts the zeros and the distinct values among a model's kernels.

    Args:
        model: A Keras model: a source network or a `SpikingModel`.

    Returns:
        `{path: {"weights": count, "zeros": share, "distinct": count}}` for every
        trainable weight with two or more axes.
    """
    statistics = {}
    for variable in model.trainable_variables:
        values = ops.convert_to_numpy(variable)
        if values.ndim > 1:
            statistics[variable.path] = {
                "weights": values.size,
                "zeros": float(np.mean(values == 0)),
                "distinct": len(np.unique(values)),
            }
    return statistics
