"""Functions that do not commute with the sum over time, computed exactly in total."""

from typing import Any

import keras
from keras import ops, tree

from snn_keras.neurons.cell import state_dtype
from snn_keras.neurons.scan import summed
from snn_keras.time.clock import Clock, share
from snn_keras.time.layer import is_number
from snn_keras.time.per_step import CodedPerStep
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class TemporalDifference(CodedPerStep):
    r"""Applies a function to the signal so far, and sends the change of its value.

    $$y_t = F_t - F_{t-1}, \qquad F_t = n_t \, f(S_t / n_t), \qquad
    S_t = x_1 + \dots + x_t, \qquad F_0 = 0$$

    with $n_t$ the coding's divisor, so that $S_t / n_t$ is the decoded signal so far.
    The sum of $y$ decodes, at every step, to exactly $f$ of the decoded signal. A
    function with $f(c x) = c f(x)$ for $c > 0$, such as max pooling, needs no $n_t$.

    A function may have no finite value at an intermediate sum. Where $F_t$ is not
    finite, 0 takes its place, except after the last step.

    Args:
        operation: The function f of one or several signals; see `PerStep`.
        arguments: See `PerStep`.
        coding: The network's `snn_keras.coding.Coding`.
        homogeneous: Whether f(c x) = c f(x) for c > 0.

    Input shape: `(batch, time, ...)`, or a list of such. Output shape: that of
    the operation, with the time axis.

    Source: Li et al. 2022, algorithm 2 (event-based max pooling), for any function.
    """

    def __init__(
        self,
        operation: keras.Operation,
        arguments: dict | None = None,
        *,
        homogeneous: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(operation, arguments, **kwargs)
        self.homogeneous = homogeneous

    @property
    def state_dtype(self) -> str:
        """The dtype of the sums."""
        return state_dtype(self.compute_dtype)

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        is_list = bool(input_shape) and isinstance(input_shape[0], (list, tuple))
        shapes = input_shape if is_list else [input_shape]
        self._shapes = [tuple(shape[2:]) for shape in shapes]

    @property
    def has_known_state(self) -> bool:
        return not any(None in shape for shape in self._shapes)

    def get_initial_state(self, batch_size: int) -> list | None:
        """Sums of zero; None if their shapes depend on the input."""
        if not self.has_known_state:
            return None
        return [ops.zeros((batch_size, *s), self.state_dtype) for s in self._shapes]

    def precomputed(self, inputs: list, passes: int) -> dict[str, Array]:
        return {}

    def advance(
        self, inputs: Array, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list | None]:
        flat = tree.flatten(self.received(inputs))
        if state is None:
            state = [ops.zeros_like(x[:, 0], dtype=self.state_dtype) for x in flat]
        signals, after = [], []
        for x, start in zip(flat, state, strict=True):
            if not is_number(x):  # a mask, say, which is the same at every step
                signals.append(ops.concatenate([x[:, :1], x], axis=1))
                after.append(start)
                continue
            sums, total = summed(x, start, self.state_dtype)
            signals.append(ops.concatenate([ops.expand_dims(start, 1), sums], axis=1))
            after.append(total)
        signals = tree.pack_sequence_as(inputs, signals)
        outputs = self._function(signals, clock, training)
        return tree.map_structure(lambda y: self._changes(y, clock), outputs), after

    def _function(self, signals, clock, training):
        """$F_t$ for t = start ... start + steps."""

        def function(signals):
            outputs = self.at_every_step(signals, training)
            return tree.map_structure(lambda y: ops.cast(y, self.state_dtype), outputs)

        if self.homogeneous:
            return function(signals)
        times = clock.start + ops.arange(clock.steps + 1, dtype="int32")
        parts = share(self.coding, times, clock.last, self.state_dtype)
        parts = ops.broadcast_to(parts, (clock.steps + 1,))
        counts = ops.cast(self.coding.divisor(ops.maximum(times, 1)), self.state_dtype)
        counts = ops.where(times > 0, counts, ops.zeros_like(counts))
        decoded = tree.map_structure(
            lambda x: x * clock.along(parts, x) if is_number(x) else x, signals
        )
        return tree.map_structure(
            lambda y: ops.where(
                clock.along(counts, y) > 0, clock.along(counts, y) * y, 0.0
            ),
            function(decoded),
        )

    def _changes(self, y, clock):
        """The outputs, from the values of $F_t$ for t = start ... start + steps."""
        finite = ops.where(ops.isfinite(y), y, 0.0)
        ends = clock.along(clock.is_end(), y)
        after = ops.where(ends, y[:, 1:], finite[:, 1:])
        return ops.cast(after - finite[:, :-1], self.compute_dtype)

    def settings(self) -> dict:
        return {**super().settings(), "homogeneous": self.homogeneous}

    def get_config(self) -> dict:
        return {**super().get_config(), "homogeneous": self.homogeneous}
