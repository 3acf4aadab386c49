"""PyTorch: everything runs eagerly."""

import torch

from snn_keras.backend import base


class Backend(base.Backend):
    """Nothing is compiled, and loops are Python's."""

    def on_cpu(self):
        return not torch.cuda.is_available()

    def compile_model(self, model):
        model.jit_compile = False

    def compiled(self, function, variables, by_xla=True):
        return torch.no_grad()(function)

    def scan(self, step, init, xs=None, length=None, dtypes=()):
        # `keras.ops.scan` wants outputs at every step, and there may be none.
        carry, kept = init, []
        for i in range(len(xs) if length is None else length):
            carry, ys = step(carry, None if xs is None else xs[i])
            kept.append(ys)
        return carry, [torch.stack(parts) for parts in zip(*kept, strict=True)]
