"""TensorFlow."""

import functools
import warnings

import keras
import tensorflow as tf
from keras import tree

from snn_keras.backend import base


class Backend(base.Backend):
    """Graphs, which XLA compiles where it is told to and can."""

    def on_cpu(self):
        return not tf.config.list_physical_devices("GPU")

    def compiled(self, function, variables, by_xla=True):
        return tf.function(function, jit_compile=by_xla)

    @functools.cache  # noqa: B019 there is one backend in a process
    def one_kernel(self, function):
        return tf.function(function, jit_compile=True)

    def compile_model(self, model):
        """By XLA, which Keras's own choice leaves out on CPUs."""
        if tf.distribute.has_strategy():
            return
        with warnings.catch_warnings():  # Keras warns where it cannot
            warnings.simplefilter("ignore")
            model.jit_compile = True

    def has_xla_form(self, function, arguments):
        specs = [tf.TensorSpec(x.shape, x.dtype) for x in arguments]
        compiled = tf.function(function, jit_compile=True)
        try:
            compiled.experimental_get_compiler_ir(*specs)(stage="hlo")
        except Exception as error:  # of many classes; others tell nothing about XLA
            return "unsupported operations" not in str(error)
        return True

    def scan(self, step, init, xs=None, length=None, dtypes=()):
        # `keras.ops.scan` wants `ys` to look like the carry here, and keeps room for a
        # copy of the carry at every step; this loop does neither.
        count = tf.shape(xs)[0] if length is None else length
        flat = [tf.convert_to_tensor(x) for x in tree.flatten(init)]
        arrays = [tf.TensorArray(dtype, size=count) for dtype in dtypes]

        def body(i, flat, arrays):
            carry = tree.pack_sequence_as(init, flat)
            carry, ys = step(carry, None if xs is None else xs[i])
            arrays = [a.write(i, y) for a, y in zip(arrays, ys, strict=True)]
            return i + 1, tree.flatten(carry), arrays

        _, flat, arrays = tf.while_loop(
            lambda i, *_: i < count,
            body,
            (tf.constant(0), flat, arrays),
            maximum_iterations=count,
        )
        return tree.pack_sequence_as(init, flat), [a.stack() for a in arrays]

    def dataset(self, arrays, batch_size):
        """A pipeline that is not tuned.

        TensorFlow tunes one in a thread that sleeps, for longer and longer; at times
        the end of a run waits until it wakes, for as long again as the run took.
        Arrays in memory need no tuning.
        """
        options = tf.data.Options()
        options.autotune.enabled = False
        policy = tf.data.experimental.AutoShardPolicy.DATA
        options.experimental_distribute.auto_shard_policy = policy
        batches = tf.data.Dataset.from_tensor_slices(_plain(arrays)).batch(batch_size)
        return batches.prefetch(1).with_options(options)

    def replica(self):
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return None
        return context.replica_id_in_sync_group

    def mean_over_replicas(self, x):
        context = tf.distribute.get_replica_context()
        if context is None or context.num_replicas_in_sync == 1:
            return None
        return context.all_reduce("mean", x())


def _plain(x):
    """As Keras does: lists are structures, floats have its default dtype."""
    if isinstance(x, dict):
        return {name: _plain(part) for name, part in x.items()}
    if isinstance(x, (list, tuple)):
        return tuple(map(_plain, x))
    return x.astype(keras.config.floatx()) if x.dtype.kind == "f" else x
