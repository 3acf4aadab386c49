"""The interface of backends."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from snn_keras.typing import Array


class Backend:
    """Base class of the backends; its own methods use only `keras.ops`."""

    def on_cpu(self) -> bool:
        """Whether computations run on a CPU."""
        raise NotImplementedError

    def compiled(
        self,
        function: Callable,
        variables: Sequence[keras.Variable],
        by_xla: bool = True,
    ) -> Callable:
        """`function` of structures of tensors, compiled at its first call.

        Args:
            function: A function that may read the variables, but not write them.
            variables: The Keras variables that it reads; each call uses their current
                values.
            by_xla: Whether XLA compiles it, if there is another way.
        """
        return function

    def one_kernel(self, function: Callable) -> Callable:
        """`function` of tensors, as one kernel even if nothing else is compiled."""
        return function

    def compile_model(self, model: keras.Model) -> None:
        """Sets how a Keras model that runs over time is compiled."""

    def has_xla_form(
        self, function: Callable, arguments: Sequence[keras.KerasTensor]
    ) -> bool:
        """Whether XLA can compile `function`; True if the backend does not use XLA.

        Args:
            function: A function of tensors.
            arguments: `keras.KerasTensor`s whose shapes are fully known.
        """
        return True

    def scan(
        self,
        step: Callable,
        init: Any,
        xs: Array = None,
        length: int | None = None,
        dtypes: Sequence[str] = (),
    ) -> tuple[Any, list]:
        """A compiled loop: `step(carry, x) -> (carry, ys)`, as `keras.ops.scan`.

        Args:
            step: The loop's body; `ys` is a list of tensors, possibly empty.
            init: The initial carry, a structure of tensors.
            xs: A tensor over whose first axis the loop runs, or None.
            length: Number of iterations if `xs` is None or its length is unknown.
            dtypes: The dtypes of the `ys`.

        Returns:
            The last carry, and the list of `ys` stacked along a new first axis.
        """
        return ops.scan(step, init, xs, length=length)

    def dataset(self, arrays: tuple, batch_size: int) -> Any:
        """Batches that `keras.Model.predict` accepts; None to let Keras make them.

        Args:
            arrays: Tuple of structures of NumPy arrays with equal numbers of samples.
            batch_size: Samples per batch.
        """
        return None

    def replica(self) -> int | None:
        """The number of this replica in distributed training; None if it is alone."""
        return None

    def mean_over_replicas(self, x: Callable[[], Array]) -> Array:
        """The mean of `x()` over replicas; None if there is only one."""
        return None
