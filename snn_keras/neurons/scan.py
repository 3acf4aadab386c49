"""A loop over time steps."""

from keras import ops

from snn_keras import _backend

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

    state, (outputs,) = _backend.scan(
        body, state, ops.moveaxis(inputs, 1, 0), dtypes=[dtype]
    )
    return ops.moveaxis(outputs, 0, 1), state
