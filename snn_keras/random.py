"""Random numbers for training, which differ between replicas."""

import keras
from keras import ops

from snn_keras.backend import backend
from snn_keras.ops import normal_at, uniform_at
from snn_keras.typing import Array

_SEED_DISTANCE = 0x9E3779B9  # distance between the seeds of two replicas


def uniform_like(x: Array, seed: keras.random.SeedGenerator) -> Array:
    """Draws from U(0, 1), float32, in the shape of the tensor `x`.

    They are a hash (`ops.uniform_at`), which is cheap to compute several times: XLA
    draws them again in every kernel that needs them. With the backends' generators
    that would cost more than everything else in a layer.

    Args:
        x: A tensor.
        seed: A `keras.random.SeedGenerator`.
    """
    return backend.one_kernel(_uniform)(ops.stop_gradient(x), *_key(seed))


def normal_like(x: Array, seed: keras.random.SeedGenerator) -> Array:
    """Draws from N(0, 1); see `uniform_like`."""
    return backend.one_kernel(_normal)(ops.stop_gradient(x), *_key(seed))


def _uniform(x, seed, step):
    return uniform_at(ops.shape(x), seed, step)


def _normal(x, seed, step):
    return normal_at(ops.shape(x), seed, step)


def _key(seed):
    """Seed and count of the next draw, integers; the seed differs between replicas."""
    first, count = ops.unstack(ops.cast(seed.next(), "uint32"))
    replica = backend.replica()
    if replica is not None:
        first += ops.cast(replica, "uint32") * ops.cast(_SEED_DISTANCE, "uint32")
    return first, count
