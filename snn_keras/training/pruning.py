"""`Pruning`: raises the share of pruned weights while a network is trained."""

import keras

from snn_keras.errors import ConversionError
from snn_keras.layers import QuantizedWeights


class Pruning(keras.callbacks.Callback):
    r"""Prunes the weights of a network by magnitude, more of them every epoch.

    In epoch e of the n over which the share rises from $s_0$ to $s$:

    $$s_e = s + (s_0 - s) (1 - e / n)^3$$

    Args:
        sparsity: The last share s of weights, the smallest of each kernel, that are 0.
        epochs: The number n of epochs until it is reached; the rest keeps it.
        first: The share $s_0$ in the first epoch.

    Source: Zhu and Gupta 2017, eq. 1, with epochs for steps.
    """

    def __init__(self, sparsity: float, epochs: int, first: float = 0.0) -> None:
        super().__init__()
        if not 0 <= first <= sparsity < 1:
            raise ValueError(
                "Pruning: sparsity must be from first to less than 1, and first 0 or "
                f"more. Received: sparsity={sparsity!r}, first={first!r}"
            )
        if isinstance(epochs, bool) or not (isinstance(epochs, int) and epochs >= 1):
            raise ValueError(
                f"Pruning: epochs must be an integer >= 1. Received: epochs={epochs!r}"
            )
        self.sparsity = sparsity
        self.epochs = epochs
        self.first = first

    def share(self, epoch: int) -> float:
        """The share of pruned weights in an epoch, counted from 0."""
        left = max(1 - epoch / self.epochs, 0.0)
        return self.sparsity + (self.first - self.sparsity) * left**3

    def on_train_begin(self, logs: dict | None = None) -> None:
        if not self._layers():
            raise ConversionError(
                f"Pruning: no layer of '{self.model.name}' prunes. Remedy: "
                "snn_keras.quantize_weights(model, sparsity=0.0) before training."
            )

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        for layer in self._layers():
            layer.prune(self.share(epoch))

    def _layers(self):
        found = self.model.layers
        found = [x for x in found if isinstance(x, QuantizedWeights)]
        return [x for x in found if x.sparsity is not None]
