"""Functions that do not commute with the sum over time, made exact in total."""

import keras
import numpy as np
from keras import ops, tree

from snn_keras.neurons import window as window_lib
from snn_keras.neurons.cell import state_dtype
from snn_keras.neurons.scan import scan_time
from snn_keras.neurons.spiking import PerStep


@keras.saving.register_keras_serializable("snn_keras")
class TemporalDifference(PerStep):
    r"""Applies a function to the signal so far, and sends what changed.

    $$y_t = F_t - F_{t-1}, \qquad F_t = n_t \, f(S_t / n_t), \qquad
    S_t = x_1 + \dots + x_t, \qquad F_0 = 0$$

    with $S_t / n_t$ the decoded signal so far: $n_t = t$, or $n_t = P$ where the
    input is switched off after P steps. The sum of $y$ decodes, at every step, to
    exactly $f$ of the decoded signal. A function with $f(c x) = c f(x)$ for
    $c > 0$, such as max pooling, needs no $n_t$.

    Where $F_t$ is not finite, nothing counts as sent so far: not every function has a
    value at every sum on the way. What is not finite in the end is sent then.

    Args:
        operation: The function f, of one signal or of several; see `PerStep`.
        arguments: See `PerStep`.
        input_steps: Steps P for which the network's input is on, or None for
            all.
        homogeneous: Whether f(c x) = c f(x).

    Input shape: `(batch, time, ...)`, or a list of such. Output shape: that of
    the operation, with the time axis.

    Source: paper 004 algorithm 2 (event-based max pooling), for any function.
    """

    def __init__(
        self,
        operation,
        arguments=None,
        *,
        input_steps=None,
        homogeneous=False,
        **kwargs,
    ):
        super().__init__(operation, arguments, **kwargs)
        self.input_steps = input_steps
        self.homogeneous = homogeneous

    @property
    def state_dtype(self):
        """The dtype of the sums."""
        return state_dtype(self.compute_dtype)

    def build(self, input_shape):
        super().build(input_shape)
        self._shapes = input_shape if _is_list(input_shape) else [input_shape]

    def get_initial_state(self, batch_size):
        """The sums of no inputs; None where their shapes depend on the input."""
        if any(None in shape[2:] for shape in self._shapes):
            return None
        return [ops.zeros((batch_size, *s[2:]), self.state_dtype) for s in self._shapes]

    def call(self, inputs):
        flat = tree.flatten(inputs)
        before = window_lib.state_of(
            self,
            lambda: [ops.zeros_like(x[:, 0], dtype=self.state_dtype) for x in flat],
        )
        sums, after = [], []
        for x, start in zip(flat, before, strict=True):
            total, (last,) = scan_time(_accumulate, [start], x, self.state_dtype)
            sums.append(ops.concatenate([ops.expand_dims(start, 1), total], axis=1))
            after.append(last)
        window_lib.keep_state(self, after)
        if self.homogeneous:
            outputs = self._function(inputs, sums)
        else:
            count, share = self._scales(flat[0].shape[1])
            decoded = [x * _along_time(share, x) for x in sums]
            outputs = tree.map_structure(
                lambda y: ops.where(
                    _along_time(count, y) > 0, _along_time(count, y) * y, 0.0
                ),
                self._function(inputs, decoded),
            )
        return tree.map_structure(self._changes, outputs)

    def _changes(self, y):
        """What is sent where the function has these values, from `t = start` on."""
        finite = ops.where(ops.isfinite(y), y, 0.0)
        ends = _along_time(window_lib.may_end(y.shape[1] - 1), y)
        after = ops.where(ends, y[:, 1:], finite[:, 1:])
        return ops.cast(after - finite[:, :-1], self.compute_dtype)

    def _function(self, inputs, signals):
        outputs = super().call(tree.pack_sequence_as(inputs, signals))
        return tree.map_structure(lambda y: ops.cast(y, self.state_dtype), outputs)

    def _scales(self, steps):
        """$n_t$, 0 at t = 0, and $1 / n_t$ for t = start ... start + steps."""
        window = window_lib.current()
        start, total = (0, steps) if window is None else (window.start, window.total)
        times = start + ops.arange(steps + 1, dtype="int32")
        counts = ops.cast(times, self.state_dtype)
        if self.input_steps is not None:
            counts = self.input_steps * ops.minimum(counts, 1)
            return counts, np.full(steps + 1, 1 / self.input_steps, self.state_dtype)
        # Not divided in the graph: compilers divide approximately, each in its way.
        table = 1 / np.maximum(np.arange(total + 1), 1)
        shares = window_lib.at_step(table.astype(self.state_dtype), times)
        longer = 1 / ops.maximum(counts, 1)  # a stream may go on beyond the run
        return counts, ops.where(times > total, longer, shares)

    def get_config(self):
        config = {"input_steps": self.input_steps, "homogeneous": self.homogeneous}
        return {**super().get_config(), **config}


def _along_time(x, like):
    """A tensor `(time,)` in the shape that fits `(batch, time, ...)`."""
    return ops.reshape(x, (1, -1) + (1,) * (len(like.shape) - 2))


def _accumulate(x, state):
    total = state[0] + ops.cast(x, state[0].dtype)
    return total, [total]


def _is_list(shape):
    return bool(shape) and isinstance(shape[0], (list, tuple))
