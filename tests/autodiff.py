"""Gradients and compiled calls, the same on every backend."""

import keras
import numpy as np
from keras import ops


def compiled(f):
    """`f`, a function of tensors, compiled by XLA; itself on PyTorch."""
    if keras.backend.backend() == "torch":
        return f
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.function(f, jit_compile=True)
    import jax

    return jax.jit(f)


def gradients(f, *xs, jit, upstream=None):
    """Value and gradients of `f(*xs)`, as NumPy arrays.

    Args:
        f: Function of tensors that returns one tensor.
        xs: Arrays; `f` is differentiated to each.
        jit: Whether to run under XLA.
        upstream: Gradient to the value, of its shape; ones by default.

    Returns:
        The value, and a list with a gradient for each of `xs`.
    """
    run = compiled(_vjp(f)) if jit else _vjp(f)
    shape = np.shape(ops.convert_to_numpy(f(*map(ops.convert_to_tensor, xs))))
    upstream = np.ones(shape, "float32") if upstream is None else upstream
    value, found = run(*map(ops.convert_to_tensor, (upstream, *xs)))
    return ops.convert_to_numpy(value), [ops.convert_to_numpy(g) for g in found]


def _vjp(f):
    """`run(upstream, *xs)`, which gives the value and the gradients of `f`."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def run(upstream, *xs):
            with tf.GradientTape() as tape:
                tape.watch(xs)
                value = f(*xs)
            found = tape.gradient(value, xs, upstream, tf.UnconnectedGradients.ZERO)
            return value, found

        return run
    if keras.backend.backend() == "torch":
        import torch

        def run(upstream, *xs):
            given = [x.detach().requires_grad_() for x in xs]
            value = f(*given)
            found = torch.autograd.grad(value, given, upstream, allow_unused=True)
            pairs = zip(found, given, strict=True)
            return value, [torch.zeros_like(x) if g is None else g for g, x in pairs]

        return run
    import jax

    def run(upstream, *xs):
        value, pullback = jax.vjp(f, *xs)
        return value, pullback(upstream)

    return run
