"""JAX."""

import warnings

import jax
import keras

from snn_keras.backend import base


class Backend(base.Backend):
    """XLA compiles everything; one program computes a whole batch."""

    def on_cpu(self):
        return jax.default_backend() == "cpu"

    def compile_model(self, model):
        with warnings.catch_warnings():  # Keras warns where it cannot
            warnings.simplefilter("ignore")
            model.jit_compile = True

    def compiled(self, function, variables, by_xla=True):
        @jax.jit
        def run(values, *arguments):
            pairs = list(zip(variables, values, strict=True))
            with keras.StatelessScope(state_mapping=pairs):
                return function(*arguments)

        return lambda *arguments: run([v.value for v in variables], *arguments)
