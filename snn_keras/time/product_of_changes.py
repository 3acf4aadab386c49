"""Products of two signals, of which what changes in one meets the other."""

from typing import NamedTuple

import keras
from keras import ops

from snn_keras.neurons.scan import summed
from snn_keras.time.clock import Clock, share
from snn_keras.time.temporal_difference import TemporalDifference
from snn_keras.typing import Array


class _Sums(NamedTuple):
    before: Array
    after: Array


@keras.saving.register_keras_serializable("snn_keras")
class ProductOfChanges(TemporalDifference):
    r"""A temporal difference of a product: one factor is what has just arrived.

    For f that is linear in each of its two arguments, and
    $S_t = x_1 + \dots + x_t$ of one signal, $R_t = z_1 + \dots + z_t$ of the other,

    $$P_t = P_{t-1} + f(x_t, R_t) + f(S_{t-1}, z_t), \qquad
    y_t = \frac{P_t}{n_t} - \frac{P_{t-1}}{n_{t-1}}$$

    with $n_t$ the coding's divisor, $P_0 = 0$. Then $P_t = f(S_t, R_t)$, and the sum of
    y decodes, at every step, to exactly f of the decoded signals. If $x_t$ and $z_t$
    are spikes, nothing is multiplied: a spike adds what it meets of the other signal's
    sum, shifted by its size.

    Args:
        operation: The function f; see `PerStep`.
        arguments: See `PerStep`.
        coding: The network's `snn_keras.coding.Coding`.
        homogeneous: As for `TemporalDifference`, which it never is.

    Input shape: a list of two, `(batch, time, ...)`. Output shape: that of the
    operation, with the time axis.

    Source: of the equation for two sums of spikes, You et al., "SpikeZIP-TF: Conversion
    is All You Need for Transformer-based SNN", 2024; the divisor is added here.
    """

    def build(self, input_shape: list) -> None:
        super().build(input_shape)
        symbols = [keras.KerasTensor((1, *s), self.compute_dtype) for s in self._shapes]
        args, kwargs = self.arguments_of(symbols)
        product = self.operation.compute_output_spec(*args, **kwargs)
        self._shapes.append(tuple(product.shape[1:]))  # the state has the product, too

    def advance(
        self, inputs: list, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list]:
        signals = [ops.cast(x, self.state_dtype) for x in self.received(inputs)]
        starts = state or [None, None, None]
        own, other = (self._sums(*pair) for pair in zip(signals, starts, strict=False))
        changes = self.at_every_step([signals[0], other.after], training)
        changes = changes + self.at_every_step([own.before, signals[1]], training)
        product = self._sums(changes, starts[2])
        now, then = (self._shares(clock, changes, back) for back in (0, 1))
        outputs = product.after * now - product.before * then
        after = [found.after[:, -1] for found in (own, other, product)]
        return ops.cast(outputs, self.compute_dtype), after

    def _sums(self, x, start):
        """The sums before and after each step, `(batch, time, ...)`."""
        after, _ = summed(x, start, self.state_dtype)
        if start is None:
            start = ops.zeros_like(after[:, 0])
        before = ops.concatenate([ops.expand_dims(start, 1), after[:, :-1]], axis=1)
        return _Sums(before, after)

    def _shares(self, clock, like, back):
        """$1 / n_t$, or that of the step before, for the steps of a piece."""
        times = clock.times - back
        found = share(self.coding, times, clock.last, self.state_dtype)
        return clock.along(ops.broadcast_to(found, (clock.steps,)), like)
