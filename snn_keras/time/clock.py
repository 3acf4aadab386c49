"""Where a piece of a run lies in time."""

import dataclasses
import functools
from typing import Any

import numpy as np
from keras import ops


@dataclasses.dataclass(frozen=True)
class Clock:
    """Steps `start + 1 ... start + steps` of a run.

    Attributes:
        start: Steps already run; an integer or a scalar integer tensor.
        steps: Steps of this piece; an integer, or a tensor where that is not known
            before the run.
        last: The last step of the run, an integer; None where that is not known. A
            stream may go on beyond it.
        may_rest: Where the last step is not known, whether this piece may be the last;
            a scalar boolean tensor.
        reads_all: Whether readouts decode after every step, not after the last alone.
    """

    start: Any
    steps: Any
    last: int | None
    may_rest: Any = False
    reads_all: bool = False

    @classmethod
    def whole(cls, steps):
        """A whole run of so many steps."""
        return cls(0, steps, steps)

    @functools.cached_property
    def times(self):
        """The numbers of the steps, `(steps,)`; the first of a run is 1."""
        return self.start + 1 + ops.arange(self.steps, dtype="int32")

    def is_end(self):
        """After which of the steps the run may end, `(steps,)` booleans."""
        if self.last is None:
            return ops.broadcast_to(self.may_rest, (self.steps,))
        return ops.equal(self.times, self.last)

    def along(self, values, like):
        """Values `(steps,)` in a shape that fits `like`, `(batch, time, ...)`."""
        return ops.reshape(values, (1, -1) + (1,) * (len(like.shape) - 2))

    def gain(self, coding, like):
        """The coding's gain at each step, in the dtype and for the shape of `like`."""
        return self.along(ops.cast(coding.gain(self.times), like.dtype), like)


def share(coding, t, last, dtype):
    """$1 / n_t$, which decodes what arrived up to step `t`; 0 at t = 0.

    Compilers divide approximately, and each in its own way: multiplying by what is
    divided here gives one result however a run is cut and compiled.

    Args:
        coding: A `snn_keras.coding.Coding`.
        t: A number of a step, or an integer tensor of such.
        last: The last step of a run; beyond it the quotient is computed. None, where
            the divisor is the same at all steps.
        dtype: Of the result.
    """
    divisor = coding.divisor(np.arange(1, (last or 1) + 1))
    if np.ndim(divisor) == 0:
        return ops.convert_to_tensor(np.asarray(1 / divisor, dtype))
    table = np.concatenate([[0.0], 1 / np.asarray(divisor, "float64")]).astype(dtype)
    table = ops.convert_to_tensor(table)
    if isinstance(t, int) and t <= last:
        return table[t]
    known = ops.take(table, ops.minimum(t, last), axis=0)
    beyond = 1 / ops.cast(coding.divisor(ops.maximum(t, 1)), dtype)
    return ops.where(t > last, beyond, known)
