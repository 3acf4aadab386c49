"""What snn_keras needs of a backend beyond Keras's public API, in one place."""

import keras
from keras import ops


def random_uniform(shape, seed, dtype="float32"):
    """Draws from U(0, 1) by the backend's fastest reproducible generator.

    TensorFlow's own choice of algorithm is 25 times slower than Philox under
    XLA on CPU, and differs between devices; Philox is the same everywhere.

    Args:
        shape: Shape of the result; may hold symbolic dimensions.
        seed: A `keras.random.SeedGenerator`.
        dtype: Float dtype of the result.
    """
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        key = tf.cast(seed.next(), tf.int32)
        return tf.random.stateless_uniform(shape, key, dtype=dtype, alg="philox")
    return keras.random.uniform(shape, dtype=dtype, seed=seed)


def random_normal(shape, seed, dtype="float32"):
    """Draws from N(0, 1); see `random_uniform`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        key = tf.cast(seed.next(), tf.int32)
        return tf.random.stateless_normal(shape, key, dtype=dtype, alg="philox")
    return keras.random.normal(shape, dtype=dtype, seed=seed)


def is_symbolic(x):
    """Whether `x` has no value yet: a KerasTensor, or a tensor being traced."""
    try:
        ops.convert_to_numpy(x)
    except Exception:
        return True
    return False
