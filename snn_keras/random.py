"""Random numbers in the shape of a tensor, apart on every replica of a training."""

from keras import ops

from snn_keras.backend import backend
from snn_keras.ops import normal_at, uniform_at

_APART = 0x9E3779B9  # how far the seeds of replicas lie apart


def uniform_like(x, seed):
    """Draws from U(0, 1), float32, in the shape of the tensor `x`.

    They are a hash (`ops.uniform_at`), cheap enough to be computed where it is used:
    XLA copies what draws them into every kernel that needs them, and with the
    generators of the backends that costs more than all else in a layer.

    Args:
        x: A tensor.
        seed: A `keras.random.SeedGenerator`.
    """
    return backend.one_kernel(_uniform)(ops.stop_gradient(x), *_key(seed))


def normal_like(x, seed):
    """Draws from N(0, 1); see `uniform_like`."""
    return backend.one_kernel(_normal)(ops.stop_gradient(x), *_key(seed))


def _uniform(x, seed, step):
    return uniform_at(ops.shape(x), seed, step)


def _normal(x, seed, step):
    return normal_at(ops.shape(x), seed, step)


def _key(seed):
    """Seed and count of the next draw, integers; others on every replica."""
    first, count = ops.unstack(ops.cast(seed.next(), "uint32"))
    replica = backend.replica()
    if replica is not None:
        first += ops.cast(replica, "uint32") * ops.cast(_APART, "uint32")
    return first, count
