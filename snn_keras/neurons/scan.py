"""A loop over time steps."""

from keras import ops

from snn_keras.backend import backend

# Loops longer than this are compiled as loops, not unrolled: unrolling is
# faster to run and slower to compile.
UNROLL_LIMIT = 8


def scan_time(step, state, inputs, dtype):
    """Runs `step(x_t, state) -> (y_t, state)` over axis 1 of `inputs`.

    `dtype` is that of `y_t`.

    Returns:
        The outputs, stacked along axis 1, and the last state.
    """
    steps = inputs.shape[1]
    if steps is not None and steps <= UNROLL_LIMIT:
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


def summed(inputs, start, dtype):
    """Sums up `inputs` `(batch, time, ...)` over time, on top of `start`.

    Args:
        inputs: The tensor.
        start: The sum before, `(batch, ...)`; None for 0.
        dtype: Of the sums.

    Returns:
        The sum after each step, `(batch, time, ...)`, and after the last.
    """
    if start is None:
        start = ops.zeros_like(inputs[:, 0], dtype=dtype)

    def step(x, state):
        total = state[0] + ops.cast(x, dtype)
        return total, [total]

    sums, (total,) = scan_time(step, [start], inputs, dtype)
    return sums, total
