"""Loops over time steps."""

from collections.abc import Callable
from typing import Any

from keras import ops

from snn_keras.backend import backend
from snn_keras.typing import Array


def scan_time(
    step: Callable, state: Any, inputs: Array, dtype: str, unroll: int = 8
) -> tuple[Array, Any]:
    """Runs `step(x_t, state) -> (y_t, state)` over axis 1 of `inputs`.

    Args:
        step: The function of one step.
        state: The state before the first.
        inputs: A tensor `(batch, time, ...)`.
        dtype: The dtype of `y_t`.
        unroll: Loops of more steps are not unrolled. Unrolled, a step of few operations
            runs faster; one of many takes long to compile.

    Returns:
        The outputs, stacked along axis 1, and the last state.
    """
    steps = inputs.shape[1]
    if steps is not None and steps <= unroll:
        outputs = []
        for t in range(steps):
            output, state = step(inputs[:, t], state)
            outputs.append(output)
        return ops.stack(outputs, axis=1), state

    def body(state, x):
        output, state = step(x, state)
        return state, [output]

    state, (outputs,) = backend.scan(
        body, state, ops.moveaxis(inputs, 1, 0), dtypes=[dtype]
    )
    return ops.moveaxis(outputs, 0, 1), state


def summed(inputs: Array, start: Array, dtype: str) -> tuple[Array, Array]:
    """Cumulative sums of `inputs` over time, added to `start`.

    Args:
        inputs: A tensor `(batch, time, ...)`.
        start: The sum before, `(batch, ...)`; None for 0.
        dtype: The dtype of the sums.

    Returns:
        The sums after each step, `(batch, time, ...)`, and the sum after the last.
    """
    if start is None:
        start = ops.zeros_like(inputs[:, 0], dtype=dtype)

    def step(x, state):
        total = state[0] + ops.cast(x, dtype)
        return total, [total]

    sums, (total,) = scan_time(step, [start], inputs, dtype)
    return sums, total
