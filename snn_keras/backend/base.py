"""What every backend can do."""

from keras import ops


class Backend:
    """Base of the backends; what it does itself, `keras.ops` alone can do."""

    def on_cpu(self) -> bool:
        """Whether computations run on a CPU."""
        raise NotImplementedError

    def compiled(self, function, variables, by_xla=True):
        """`function`, of structures of tensors, compiled at its first call.

        Args:
            function: Reads, and does not write, the variables.
            variables: The Keras variables that it reads; calls see their values of
                then.
            by_xla: Whether XLA compiles it, where there is another way.
        """
        return function

    def one_kernel(self, function):
        """`function`, of tensors, as one kernel even where nothing else is compiled."""
        return function

    def compile_model(self, model) -> None:
        """Has a Keras model compiled as runs over time need it."""

    def has_xla_form(self, function, arguments) -> bool:
        """Whether XLA can compile `function`, or is not what compiles it.

        Args:
            function: Takes tensors.
            arguments: `keras.KerasTensor`s with every size given.
        """
        return True

    def scan(self, step, init, xs=None, length=None, dtypes=()):
        """A compiled loop: `step(carry, x) -> (carry, ys)`, as `keras.ops.scan`.

        Args:
            step: The loop's body; `ys` is a list of tensors, possibly empty.
            init: The first carry, a structure of tensors.
            xs: Tensor whose first axis is looped over, or None.
            length: Iterations, where `xs` is None or its first axis is unknown.
            dtypes: Dtypes of the `ys`.

        Returns:
            The last carry, and the list of `ys` stacked along a new first axis.
        """
        return ops.scan(step, init, xs, length=length)

    def dataset(self, arrays, batch_size):
        """Batches that `keras.Model.predict` takes; None where Keras's own will do.

        Args:
            arrays: Tuple of structures of NumPy arrays with as many samples each.
            batch_size: Samples a batch.
        """
        return None

    def replica(self) -> int | None:
        """Which replica of a distributed training this is; None where it is alone."""
        return None

    def mean_over_replicas(self, x):
        """The mean of `x()` over replicas; None where this is the only one."""
        return None
