"""The JAX backend."""

import warnings
from collections.abc import Callable, Sequence

import jax
import keras

from snn_keras.backend import base


class Backend(base.Backend):
    """XLA compiles everything; one program computes a whole batch."""

    def on_cpu(self) -> bool:
        return jax.default_backend() == "cpu"

    def compile_model(self, model: keras.Model) -> None:
        with warnings.catch_warnings():  # Keras may warn that it cannot
            warnings.simplefilter("ignore")
            model.jit_compile = True

    def compiled(
        self,
        function: Callable,
        variables: Sequence[keras.Variable],
        by_xla: bool = True,
    ) -> Callable:
        @jax.jit
        def run(values, *arguments):
            pairs = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=pairs):
                return function(*arguments)

        return lambda *arguments: run([v.value for v in variables], *arguments)
