"""Functions that do not commute with the sum over time, made exact in total."""

import keras
from keras import ops, tree

from snn_keras.neurons import window as window_lib
from snn_keras.neurons.scan import scan_time
from snn_keras.neurons.spiking import PerStep


@keras.saving.register_keras_serializable("snn_keras")
class TemporalDifference(PerStep):
    r"""Applies a function to the signal so far, and sends what changed.

    $$y_t = F(x_1 + \dots + x_t) - F(x_1 + \dots + x_{t-1})$$

    for a function with $F(c x) = c F(x)$, $c > 0$, such as max pooling: the sum
    over time of $y$ is exactly $F$ of the sum of $x$.

    Args:
        operation, arguments: See `PerStep`.

    Input shape: `(batch, time, ...)`, or a list of such. Output shape: that of
    the operation, with the time axis.

    Source: paper 004 algorithm 2 (event-based max pooling).
    """

    def build(self, input_shape):
        super().build(input_shape)
        self._shapes = input_shape if _is_list(input_shape) else [input_shape]

    def get_initial_state(self, batch_size):
        """The sums of no inputs."""
        return [ops.zeros((batch_size, *s[2:]), "float32") for s in self._shapes]

    def call(self, inputs):
        flat = tree.flatten(inputs)
        before = window_lib.state_of(
            self, lambda: [ops.zeros_like(x[:, 0], dtype="float32") for x in flat]
        )
        sums, after = [], []
        for x, start in zip(flat, before, strict=True):
            total, (last,) = scan_time(_accumulate, [start], x, "float32")
            sums.append(ops.concatenate([ops.expand_dims(start, 1), total], axis=1))
            after.append(last)
        window_lib.keep_state(self, after)
        outputs = super().call(tree.pack_sequence_as(inputs, sums))
        return tree.map_structure(
            lambda y: ops.cast(y[:, 1:] - y[:, :-1], self.compute_dtype), outputs
        )


def _accumulate(x, state):
    total = state[0] + ops.cast(x, "float32")
    return total, [total]


def _is_list(shape):
    return bool(shape) and isinstance(shape[0], (list, tuple))
