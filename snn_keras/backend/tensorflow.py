"""The TensorFlow backend."""

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf
from keras import tree

from snn_keras.backend import base
from snn_keras.typing import Array


class Backend(base.Backend):
    """Functions become graphs, which XLA compiles if it is enabled and can."""

    def on_cpu(self) -> bool:
        return not tf.config.list_physical_devices("GPU")

    def compiled(
        self,
        function: Callable,
        variables: Sequence[keras.Variable],
        by_xla: bool = True,
    ) -> Callable:
        return tf.function(function, jit_compile=by_xla, autograph=False)

    @functools.cache  # noqa: B019 there is one backend in a process
    def one_kernel(self, function: Callable) -> Callable:
        return tf.function(function, jit_compile=True, autograph=False)

    def compile_model(self, model: keras.Model) -> None:
        """Enables XLA, which Keras by default does not use on CPUs."""
        if tf.distribute.has_strategy():
            return
        with warnings.catch_warnings():  # Keras may warn that it cannot
            warnings.simplefilter("ignore")
            model.jit_compile = True

    def has_xla_form(
        self, function: Callable, arguments: Sequence[keras.KerasTensor]
    ) -> bool:
        specs = [tf.TensorSpec(x.shape, x.dtype) for x in arguments]
        compiled = tf.function(function, jit_compile=True, autograph=False)
        try:
            compiled.experimental_get_compiler_ir(*specs)(stage="hlo")
        except Exception as error:  # of many classes; only some concern XLA
            return "unsupported operations" not in str(error)
        return True

    def scan(
        self,
        step: Callable,
        init: Any,
        xs: Array = None,
        length: int | None = None,
        dtypes: Sequence[str] = (),
    ) -> tuple[Any, list]:
        # With TensorFlow, `keras.ops.scan` requires `ys` like the carry, and memory for
        # a copy of the carry at every step. This loop needs neither.
        count = (xs.shape[0] or tf.shape(xs)[0]) if length is None else length
        flat = [tf.convert_to_tensor(x) for x in tree.flatten(init)]
        arrays = [tf.TensorArray(dtype, size=count) for dtype in dtypes]

        def body(i, flat, arrays):
            carry = tree.pack_sequence_as(init, flat)
            carry, ys = step(carry, None if xs is None else xs[i])
            arrays = [a.write(i, y) for a, y in zip(arrays, ys, strict=True)]
            after = [tf.convert_to_tensor(x) for x in tree.flatten(carry)]
            for x, before in zip(after, flat, strict=True):
                x.set_shape(before.shape)  # which the step may have made less precise
            return i + 1, after, arrays

        _, flat, arrays = tf.while_loop(
            lambda i, *_: i < count,
            body,
            (tf.constant(0), flat, arrays),
            maximum_iterations=count,
        )
        return tree.pack_sequence_as(init, flat), [a.stack() for a in arrays]

    def dataset(self, arrays: tuple, batch_size: int) -> Any:
        """A pipeline without automatic tuning.

        TensorFlow tunes pipelines in a thread that sleeps for longer and longer times.
        The end of a run may have to wait for it, for as long as the run itself took.
        Arrays in memory need no tuning.
        """
        options = tf.data.Options()
        options.autotune.enabled = False
        policy = tf.data.experimental.AutoShardPolicy.DATA
        options.experimental_distribute.auto_shard_policy = policy
        batches = tf.data.Dataset.from_tensor_slices(_plain(arrays)).batch(batch_size)
        return batches.prefetch(1).with_options(options)

    def replica(self) -> int | None:
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return None
        return context.replica_id_in_sync_group

    def mean_over_replicas(self, x: Callable[[], Array]) -> Array:
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return None
        return context.all_reduce("mean", x())


def _plain(x):
    """A structure as in Keras: lists are structures, floats have the dtype `floatx`."""
    if isinstance(x, dict):
        return {name: _plain(part) for name, part in x.items()}
    if isinstance(x, (list, tuple)):
        return tuple(map(_plain, x))
    return x.astype(keras.config.floatx()) if x.dtype.kind == "f" else x
