"""The PyTorch backend: everything runs eagerly."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import torch

from snn_keras.backend import base
from snn_keras.typing import Array


class Backend(base.Backend):
    """Nothing is compiled, and loops are Python loops."""

    def on_cpu(self) -> bool:
        return not torch.cuda.is_available()

    def compile_model(self, model: keras.Model) -> None:
        model.jit_compile = False

    def compiled(
        self,
        function: Callable,
        variables: Sequence[keras.Variable],
        by_xla: bool = True,
    ) -> Callable:
        return torch.no_grad()(function)

    def scan(
        self,
        step: Callable,
        init: Any,
        xs: Array = None,
        length: int | None = None,
        dtypes: Sequence[str] = (),
    ) -> tuple[Any, list]:
        # `keras.ops.scan` requires outputs at every step, but there may be none.
        carry, kept = init, []
        for i in range(len(xs) if length is None else length):
            carry, ys = step(carry, None if xs is None else xs[i])
            kept.append(ys)
        return carry, [torch.stack(parts) for parts in zip(*kept, strict=True)]
