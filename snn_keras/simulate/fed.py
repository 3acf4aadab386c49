"""What all models that run spiking networks have in common."""

import numpy as np
from keras import tree

from snn_keras import _backend


class Fed:
    """Mixin of a `keras.Model`: fed without losing time.

    `predict` and `evaluate` batch arrays by `_backend.dataset`. All else, and every
    meaning, is Keras's.
    """

    def predict(self, x, batch_size=None, verbose="auto", steps=None, callbacks=None):
        """As `keras.Model.predict`."""
        x, batch_size = _feed((x,), batch_size, x)
        return super().predict(x, batch_size, verbose, steps, callbacks)

    def evaluate(
        self,
        x=None,
        y=None,
        batch_size=None,
        verbose="auto",
        sample_weight=None,
        **rest,
    ):
        """As `keras.Model.evaluate`."""
        if sample_weight is None and y is not None:
            fed, size = _feed((x, y), batch_size, None)
            if fed is not None:
                return super().evaluate(fed, batch_size=size, verbose=verbose, **rest)
        return super().evaluate(x, y, batch_size, verbose, sample_weight, **rest)


def _feed(data, batch_size, otherwise):
    """Batches of the arrays in `data`, and no batch size; else what was given."""
    arrays = tree.flatten(data)
    simple = all(isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in arrays)
    if not simple or len({a.shape[:1] for a in arrays}) != 1 or not arrays[0].ndim:
        return otherwise, batch_size
    batched = _backend.dataset(data, 32 if batch_size is None else batch_size)
    return (otherwise, batch_size) if batched is None else (batched, None)
