"""What snn_keras needs of a backend beyond Keras's public API, in one place."""

import functools
import warnings

import keras
from keras import ops, tree

from snn_keras.ops import normal_at, uniform_at


def random_uniform(like, seed):
    """Draws from U(0, 1), float32, in the shape of the tensor `like`.

    They are a hash (`ops.uniform_at`), cheap enough to be computed where it is used:
    XLA copies what draws them into every kernel that needs them, and with the
    generators of the backends that costs more than all else in a layer.

    Args:
        like: A tensor.
        seed: A `keras.random.SeedGenerator`.
    """
    return fused(_uniform_like)(ops.stop_gradient(like), *_key(seed))


def random_normal(like, seed):
    """Draws from N(0, 1); see `random_uniform`."""
    return fused(_normal_like)(ops.stop_gradient(like), *_key(seed))


def _uniform_like(x, seed, step):
    return uniform_at(ops.shape(x), seed, step)


def _normal_like(x, seed, step):
    return normal_at(ops.shape(x), seed, step)


def _key(seed):
    """Seed and count of the next draw, integers; others on every replica."""
    first, count = ops.unstack(ops.cast(seed.next(), "uint32"))
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        context = tf.distribute.get_replica_context()
        if context is not None and context.num_replicas_in_sync > 1:
            replica = tf.cast(context.replica_id_in_sync_group, tf.uint32)
            first += replica * tf.constant(0x9E3779B9, tf.uint32)
    return first, count


@functools.cache
def fused(function):
    """`function`, of tensors, as one kernel also where XLA compiles nothing else."""
    if keras.backend.backend() != "tensorflow":
        return function
    import tensorflow as tf

    return tf.function(function, jit_compile=True)


def mean_over_replicas(x):
    """The mean of `x()` over the replicas of tf.distribute; None where there is one.

    On JAX one program computes the whole batch: there are none.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return None
    return context.all_reduce("mean", x())


def on_cpu() -> bool:
    """Whether computations run on a CPU."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.default_backend() == "cpu"
    import tensorflow as tf

    return not tf.config.list_physical_devices("GPU")


def has_xla_form(function, arguments) -> bool:
    """Whether XLA can compile `function`.

    TensorFlow has operations that it cannot; elsewhere XLA is all there is.

    Args:
        function: Takes tensors.
        arguments: `keras.KerasTensor`s with every size given.
    """
    if keras.backend.backend() != "tensorflow":
        return True
    import tensorflow as tf

    specs = [tf.TensorSpec(x.shape, x.dtype) for x in arguments]
    compiled = tf.function(function, jit_compile=True)
    try:
        compiled.experimental_get_compiler_ir(*specs)(stage="hlo")
    except Exception as error:  # of many classes; others tell nothing about XLA
        return "unsupported operations" not in str(error)
    return True


def compile_by_xla(model):
    """Has `model`, a Keras model, compiled by XLA, where the devices allow it.

    Keras's own choice leaves XLA out on CPUs.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        if tf.distribute.has_strategy():
            return
    with warnings.catch_warnings():  # Keras warns where it cannot
        warnings.simplefilter("ignore")
        model.jit_compile = True


def is_symbolic(x):
    """Whether `x` has no value yet: a KerasTensor, or a tensor being traced."""
    try:
        ops.convert_to_numpy(x)
    except Exception:
        return True
    return False


def scan(step, init, xs=None, length=None, dtypes=()):
    """A compiled loop: `step(carry, x) -> (carry, ys)`, as `keras.ops.scan`.

    `keras.ops.scan` on TensorFlow wants `ys` to look like the carry, and keeps
    room for a copy of the carry at every step; this one does neither.

    Args:
        step: The loop's body; `ys` is a list of tensors, possibly empty.
        init: The first carry, a structure of tensors.
        xs: Tensor whose first axis is looped over, or None.
        length: Iterations, where `xs` is None or its first axis is unknown.
        dtypes: Dtypes of the `ys`.

    Returns:
        The last carry, and the list of `ys` stacked along a new first axis.
    """
    if keras.backend.backend() != "tensorflow":
        return ops.scan(step, init, xs, length=length)
    import tensorflow as tf

    count = ops.shape(xs)[0] if length is None else length
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


def dataset(arrays, batch_size):
    """Batches that `keras.Model.predict` takes; None where Keras's own will do.

    TensorFlow tunes a data pipeline in a thread that sleeps, for longer and longer;
    at times the end of a run waits until it wakes, for as long again as the run
    took. Arrays in memory need no tuning.

    Args:
        arrays: Tuple of structures of NumPy arrays with as many samples each.
        batch_size: Samples a batch.
    """
    if keras.backend.backend() != "tensorflow":
        return None
    import tensorflow as tf

    def plain(x):
        """As Keras does: lists are structures, floats have its default dtype."""
        if isinstance(x, dict):
            return {name: plain(part) for name, part in x.items()}
        if isinstance(x, (list, tuple)):
            return tuple(map(plain, x))
        return x.astype(keras.config.floatx()) if x.dtype.kind == "f" else x

    options = tf.data.Options()
    options.autotune.enabled = False
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    batches = tf.data.Dataset.from_tensor_slices(plain(arrays)).batch(batch_size)
    return batches.prefetch(1).with_options(options)


def compiled(function, variables, by_xla=True):
    """`function`, of structures of tensors, compiled at its first call.

    Args:
        function: Reads, and does not write, the variables.
        variables: The Keras variables that it reads; calls see their values of
            then.
        by_xla: Whether XLA compiles it, where there is another way.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=by_xla)
    import jax

    @jax.jit
    def run(values, *arguments):
        pairs = list(zip(variables, values, strict=True))
        with keras.StatelessScope(state_mapping=pairs):
            return function(*arguments)

    return lambda *arguments: run([v.value for v in variables], *arguments)
