"""`Clock`: the position in time of a piece of a run."""

import dataclasses
import functools
from typing import Any

import numpy as np
from keras import ops

from snn_keras.coding import Coding
from snn_keras.typing import Array


@dataclasses.dataclass(frozen=True)
class Clock:
    """Steps `start + 1 ... start + steps` of a run.

    Attributes:
        start: Number of steps already run; an integer or a scalar integer tensor.
        steps: Number of steps of this piece; an integer, or a tensor if it is not known
            before the run.
        last: The last step of the run, an integer; None if that is not known. A
            stream may go on beyond it.
        may_rest: If the last step is not known, whether this piece may be the last; a
            scalar boolean tensor.
        reads_all: Whether readouts decode after every step, not only after the last.
    """

    start: Any
    steps: Any
    last: int | None
    may_rest: Any = False
    reads_all: bool = False

    @classmethod
    def whole(cls, steps: int) -> "Clock":
        """The clock of a whole run of `steps` steps."""
        return cls(0, steps, steps)

    @functools.cached_property
    def times(self) -> Array:
        """The numbers of the steps, `(steps,)`; the first of a run is 1."""
        return self.start + 1 + ops.arange(self.steps, dtype="int32")

    def is_end(self) -> Array:
        """Whether the run may end after each of the steps, `(steps,)` booleans."""
        if self.last is None:
            return ops.broadcast_to(self.may_rest, (self.steps,))
        return ops.equal(self.times, self.last)

    def along(self, values: Array, like: Array) -> Array:
        """Values `(steps,)`, reshaped to fit `like`, `(batch, time, ...)`."""
        return ops.reshape(values, (1, -1) + (1,) * (len(like.shape) - 2))

    def gain(self, coding: Coding, like: Array) -> Array:
        """The coding's gain at each step, in a shape and the dtype that fit `like`."""
        return self.along(ops.cast(coding.gain(self.times), like.dtype), like)


def share(coding: Coding, t: Array, last: int | None, dtype: str) -> Array:
    """$1 / n_t$, the factor that decodes a sum up to step `t`; 0 at t = 0.

    Compilers divide approximately, and differently. The quotients are computed here
    once, so that a run gives the same result however it is divided and compiled.

    Args:
        coding: A `snn_keras.coding.Coding`.
        t: The number of a step, or an integer tensor of such numbers.
        last: The last step of a run; quotients of later steps are computed by the
            backend. None if the divisor is the same at all steps.
        dtype: The dtype of the result.
    """
    divisor = coding.divisor(np.arange(1, (last or 1) + 1))
    if np.ndim(divisor) == 0:
        return ops.convert_to_tensor(np.asarray(1 / divisor, dtype))
    table = np.concatenate([[0.0], 1 / np.asarray(divisor, "float64")]).astype(dtype)
    table = ops.convert_to_tensor(table)
    if isinstance(t, int) and t <= last:  # type: ignore[operator]  # not None here
        return table[t]
    known = ops.take(table, ops.minimum(t, last), axis=0)
    beyond = 1 / ops.cast(coding.divisor(ops.maximum(t, 1)), dtype)
    return ops.where(t > last, beyond, known)
