"""A mixin of all models that run spiking networks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import tree

from snn_keras.backend import backend
from snn_keras.inputs import check_count, for_keras
from snn_keras.simulate.program import Program
from snn_keras.typing import Array, Inputs


class FastFeeding:
    """Mixin of a `keras.Model` that batches arrays faster than Keras.

    `predict` and `evaluate` batch arrays by `backend.dataset`; `predict` also accepts
    lists of numbers, and generators that yield only `x`. Otherwise they work as in
    Keras.
    """

    runs_graph = True  # `predict` and `evaluate` compute what the graph shows
    program: Program
    name: str

    def predict(
        self,
        x: Inputs,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        steps: int | None = None,
        callbacks: Sequence | None = None,
    ) -> Any:
        """As `keras.Model.predict`.

        Raises:
            ValueError: if there are no samples, or `batch_size` is not an integer >= 1.
        """
        if x is None:
            raise ValueError(f"'{self.name}': x must be inputs. Received: x=None")
        x = x if steps else for_keras(x)
        batched = self._batched((x,), batch_size)
        if batched is not None:
            x, batch_size = batched, None
        return super().predict(  # type: ignore[misc]  # keras.Model is the other base
            x, batch_size, verbose, steps, callbacks
        )

    def evaluate(
        self,
        x: Inputs = None,
        y: Inputs = None,
        batch_size: int | None = None,
        verbose: int | str = "auto",
        sample_weight: Array = None,
        *args,
        **kwargs,
    ) -> Any:
        """As `keras.Model.evaluate`."""
        if y is not None and sample_weight is None:
            batched = self._batched((x, y), batch_size)
            if batched is not None:
                x, y, batch_size = batched, None, None
        return super().evaluate(  # type: ignore[misc]  # keras.Model is the other base
            x, y, batch_size, verbose, sample_weight, *args, **kwargs
        )

    def _batched(self, data, batch_size):
        """Batches of the arrays in `data`, `(x, ...)`; None if Keras must make them."""
        if batch_size is not None:
            check_count("batch_size", batch_size)
        arrays = tree.flatten(data)
        simple = all(
            isinstance(a, np.ndarray) and a.dtype.kind in "fiub" for a in arrays
        )
        if not simple or len({a.shape[:1] for a in arrays}) != 1 or not arrays[0].ndim:
            return None
        if not len(arrays[0]):
            raise ValueError(f"'{self.name}': there are no samples to run.")
        # Here, since a function that Keras compiled anew may not know its shapes.
        first = tree.map_structure(lambda a: a[:1], data[0])
        self.program.check_inputs(first, len(arrays[0]))
        return backend.dataset(data, 32 if batch_size is None else batch_size)
