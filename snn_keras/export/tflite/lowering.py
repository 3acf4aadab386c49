"""Lowers integer networks to operators of TFLite, exactly.

Values are int32, or float32 that holds integers. The inputs of convolutions and dense
layers are cast to int16, digit by digit if they have more than 4 bits, with the scale
1; or sums over the steps so far are held in int8, and layers merged (`plan`).
"""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from snn_keras.export.integer.network import IntegerNetwork
from snn_keras.export.integer.operations import Operation
from snn_keras.export.tflite.flatbuffer import File, Quantization
from snn_keras.export.tflite.plan import Plan
from snn_keras.typing import Array

ONE = Quantization()


class Lowering:
    """Adds operators to a file; `steps.Steps` adds those of a network.

    Args:
        network: An `integer.IntegerNetwork`.
        batch_size: Number of samples per call of the file.
        arithmetic: One of `arithmetic.ARITHMETICS`, which adds the layers with weights.
        plan: The `plan.Plan` of the file.
    """

    def __init__(
        self, network: IntegerNetwork, batch_size: int, arithmetic: Any, plan: Plan
    ) -> None:
        self.network = network
        self.batch_size = batch_size
        self.arithmetic = arithmetic
        self.dtype = arithmetic.dtype
        self.plan = plan
        self.file = File(network.name)
        self.inputs = {}
        self.tensors = {}  # name in the network -> index of the tensor of its value
        self.totals = {}  # the same of its sum over the steps so far: addends, in int8
        self.states = {}  # name of the operation -> its state; None means 0
        self.kernels = {}  # name of a layer -> its kernel, where it is not a constant
        self.made = {}  # what is computed from what -> its tensor
        self.streaming = False
        self.counter: Any = None  # the tensor of the step's number, where one is used
        self.step = 0
        self._count = 0
        self._counted = {}

    def plus(self, state: int | None, x: int, shape: tuple[int, ...]) -> int:
        """`state + x`; a state of None is 0."""
        return x if state is None else self.binary("ADD", state, x, shape)

    # --- Tensors and operators -------------------------------------------------------

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str | None = None,
        name: str = "",
        quantization: Quantization | None = None,
    ) -> int:
        """A tensor `(batch, *shape)`, of the dtype of values by default."""
        self._count += 1
        name = name or f"value_{self._count}"
        full = (self.batch_size, *shape)
        return self.file.tensor(name, full, dtype or self.dtype, quantization)

    def like(self, x: int, shape: Sequence[int]) -> int:
        """A tensor `(batch, *shape)` that holds numbers as `x` does."""
        dtype, quantization = self.file.kind(x)
        return self.tensor(shape, dtype, quantization=quantization)

    def shape(self, x: int) -> tuple[int, ...]:
        """The shape of a tensor, without the batch."""
        return self.file.shape(x)[1:]

    def constant(self, value: Array) -> int:
        """A constant of the dtype of values, with at least one axis."""
        return self.file.constant(np.atleast_1d(value), self.dtype)

    def cast(self, x: int, dtype: str, meaning: Quantization | None = None) -> int:
        """`x` in another dtype, of this meaning.

        int8 and int16 get the scale 1 by default, which products need.
        """
        meaning = meaning or self.meaning(dtype)
        y = self.tensor(self.shape(x), dtype, quantization=meaning)
        self.file.operator("CAST", [x], [y], "CastOptions")
        return y

    def meaning(self, dtype: str) -> Quantization | None:
        """The quantization of whole numbers of a dtype."""
        return ONE if dtype in ("int8", "int16") else None

    def binary(
        self, kind: str, a: int, b: int, shape: tuple[int, ...], dtype: str = ""
    ) -> int:
        """An elementwise operator of two tensors, which may broadcast."""
        options = "".join(word.title() for word in kind.split("_")) + "Options"
        y = self.tensor(shape, dtype) if dtype else self.like(a, shape)
        self.file.operator(kind, [a, b], [y], options)
        return y

    def larger(self, a: int, b: int, shape: tuple[int, ...]) -> int:
        """The larger of two tensors, entry by entry."""
        return self._extreme("MAXIMUM", a, b, shape)

    def smaller(self, a: int, b: int, shape: tuple[int, ...]) -> int:
        """The smaller of two tensors, entry by entry."""
        return self._extreme("MINIMUM", a, b, shape)

    def _extreme(self, kind, a, b, shape):
        y = self.like(a, shape)
        self.file.operator(kind, [a, b], [y], "MaximumMinimumOptions")
        return y

    def where(self, kind: str, a: int, b: int, shape: tuple[int, ...]) -> int:
        """1 where the comparison holds, 0 elsewhere."""
        return self.cast(self.binary(kind, a, b, shape, "bool"), self.dtype)

    def is_on(self, steps: int | None) -> bool | int:
        """Whether the input is on at this step: True, False, or a tensor of 1 or 0."""
        if steps is None:
            return True
        if not self.streaming:
            return self.step < steps
        bound = self.file.constant([steps])
        y = self.file.tensor(f"on_{steps}", (1,), "bool")
        self.file.operator("LESS", [self.count(), bound], [y], "LessOptions")
        number = self.file.tensor(f"on_{steps}_number", (1,), self.dtype)
        self.file.operator("CAST", [y], [number], "CastOptions")
        return number

    def count(self) -> int:
        """In a stream, the number of the step, from 0."""
        if self.counter is None:
            self.counter = self.file.tensor("step", (1,), "int32")
        return self.counter

    def steps_so_far(self, most: int | None) -> int:
        """In a stream, a tensor with the number of steps, this one included."""
        name = f"steps_{most or ''}"
        if name not in self._counted:
            y = self.next_step(name)
            if most is not None:
                inputs = [y, self.file.constant([most])]
                y = self.file.tensor(f"{name}/on", (1,), "int32")
                self.file.operator("MINIMUM", inputs, [y], "MaximumMinimumOptions")
            self._counted[name] = y
        return self._counted[name]

    def copy(
        self, x: int, shape: tuple[int, ...], quantization: Quantization | None = None
    ) -> int:
        """A new tensor with the same entries."""
        return self.reshape(x, shape, quantization)

    def next_step(self, name: str) -> int:
        """The step counter plus 1, as a tensor of this name."""
        y = self.file.tensor(name, (1,), "int32")
        one = self.file.constant([1])
        self.file.operator("ADD", [self.count(), one], [y], "AddOptions")
        return y

    def reshape(
        self, x: int, shape: tuple[int, ...], quantization: Quantization | None = None
    ) -> int:
        """The same entries in another shape."""
        dtype, same = self.file.kind(x)
        y = self.tensor(shape, dtype, quantization=quantization or same)
        full = np.asarray((self.batch_size, *shape), np.int32)
        size = self.file.constant(full)
        self.file.operator("RESHAPE", [x, size], [y], "ReshapeOptions", newShape=full)
        return y

    def slice(
        self,
        x: int,
        begin: Sequence[int],
        ends: Sequence[int],
        strides: Sequence[int],
        shape: tuple[int, ...],
    ) -> int:
        """Slices from `begin` to `ends` with strides, along each axis."""
        batch = (0, self.batch_size, 1)
        bounds = zip(batch, (begin, ends, strides), strict=True)
        numbers = [self.file.constant([first, *rest]) for first, rest in bounds]
        y = self.like(x, shape)
        self.file.operator("STRIDED_SLICE", [x, *numbers], [y], "StridedSliceOptions")
        return y

    def pad(self, x: int, padding: Sequence[tuple[int, int]], value: int = 0) -> int:
        """Pads with a constant; `padding` has pairs for all axes but the batch."""
        sides = self.file.constant([(0, 0), *padding])
        sizes = [n + sum(p) for n, p in zip(self.shape(x), padding, strict=True)]
        y = self.like(x, sizes)
        if value:
            fill = self.file.constant([value], *self.file.kind(x))
            self.file.operator("PADV2", [x, sides, fill], [y], "PadV2Options")
        else:
            self.file.operator("PAD", [x, sides], [y], "PadOptions")
        return y


@functools.singledispatch
def lower(operation: Operation, to: Lowering, *reads) -> int:
    """Adds the operators of one operation at one step.

    Args:
        operation: An `integer.Operation`.
        to: The `Lowering`; its `states` contain the operation's state.
        *reads: Indices of the tensors that it reads.

    Returns:
        The index of its output tensor.
    """
    raise NotImplementedError(type(operation).__name__)
