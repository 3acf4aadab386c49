"""Lowers integer networks to operators of TFLite, exactly.

Tensors are int32. The inputs of convolutions and dense layers are cast to int16, digit
by digit if they have more than 4 bits. Scales are 1 and zero points 0, so the kernels
of TFLite do not rescale, and their sums are exact.
"""

import functools
from collections.abc import Sequence

import numpy as np

from snn_keras.export.integer.network import IntegerNetwork
from snn_keras.export.integer.operations import Operation
from snn_keras.export.tflite.flatbuffer import File, Quantization
from snn_keras.typing import Array

ONE = Quantization()
INT16_MAX = 2**15 - 1


class Lowering:
    """Adds the operators of an integer network to a file, step by step.

    Args:
        network: An `integer.IntegerNetwork`.
        batch_size: Number of samples per call of the file.
    """

    def __init__(self, network: IntegerNetwork, batch_size: int) -> None:
        self.network = network
        self.batch_size = batch_size
        self.file = File(network.name)
        self.inputs = {}
        self.tensors = {}  # name in the network -> index of its int32 tensor
        self.states = {}  # name of the operation -> its state; None means 0
        self.counter = None  # in a stream, the tensor of the step's number
        self.step = 0
        self._static = network.static()
        self._count = 0
        for spec in network.inputs:
            self._add_input(spec)

    def _add_input(self, spec):
        shape = (self.batch_size, *spec.shape)
        meaning = Quantization(spec.scale, spec.zero_point)
        number = self.file.tensor(spec.name, shape, spec.dtype, meaning)
        self.inputs[spec.name] = number
        whole = self.cast(number, "int32", spec.shape)
        if spec.zero_point:
            whole = self.binary(
                "SUB", whole, self.constant(spec.zero_point), spec.shape
            )
        self.tensors[spec.name] = whole

    def add_step(self) -> None:
        """Adds the operators of one time step; static ones only at the first step."""
        for operation in self.network.operations:
            if operation.name in self._static and self.step:
                continue
            reads = [self.tensors[name] for name in operation.inputs]
            self.tensors[operation.name] = lower(operation, self, *reads)
        self.step += 1

    def rest(self) -> None:
        """Sets all states to 0, as at rest."""
        for operation in self.network.operations:
            self.states[operation.name] = [None] * len(operation.state_names)

    def plus(self, state: int | None, x: int, shape: tuple[int, ...]) -> int:
        """`state + x`; a state of None is 0."""
        return x if state is None else self.binary("ADD", state, x, shape)

    # --- Tensors and operators -------------------------------------------------------

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str = "int32",
        name: str = "",
        quantization: Quantization | None = None,
    ) -> int:
        """A tensor `(batch, *shape)`."""
        self._count += 1
        name = name or f"value_{self._count}"
        return self.file.tensor(name, (self.batch_size, *shape), dtype, quantization)

    def constant(self, value: Array) -> int:
        """An int32 constant, with at least one axis."""
        return self.file.constant(np.atleast_1d(value))

    def cast(self, x: int, dtype: str, shape: tuple[int, ...]) -> int:
        """`x` in another dtype; int16 gets the scale 1, which products need."""
        y = self.tensor(shape, dtype, quantization=ONE if dtype == "int16" else None)
        self.file.operator("CAST", [x], [y], "CastOptions")
        return y

    def binary(
        self, kind: str, a: int, b: int, shape: tuple[int, ...], dtype: str = "int32"
    ) -> int:
        """An elementwise operator of two tensors, which may broadcast."""
        options = "".join(word.title() for word in kind.split("_")) + "Options"
        y = self.tensor(shape, dtype)
        self.file.operator(kind, [a, b], [y], options)
        return y

    def larger(self, a: int, b: int, shape: tuple[int, ...]) -> int:
        """The larger of two tensors, entry by entry."""
        return self._extreme("MAXIMUM", a, b, shape)

    def smaller(self, a: int, b: int, shape: tuple[int, ...]) -> int:
        """The smaller of two tensors, entry by entry."""
        return self._extreme("MINIMUM", a, b, shape)

    def _extreme(self, kind, a, b, shape):
        y = self.tensor(shape)
        self.file.operator(kind, [a, b], [y], "MaximumMinimumOptions")
        return y

    def where(self, kind: str, a: int, b: int, shape: tuple[int, ...]) -> int:
        """1 where the comparison holds, 0 elsewhere."""
        return self.cast(self.binary(kind, a, b, shape, "bool"), "int32", shape)

    def is_on(self, steps: int | None) -> bool | int:
        """Whether the input is on at this step: True, False, or a tensor of 1 or 0."""
        if steps is None:
            return True
        if self.counter is None:
            return self.step < steps
        bound = self.constant(steps)
        y = self.file.tensor(f"on_{steps}", (1,), "bool")
        self.file.operator("LESS", [self.counter, bound], [y], "LessOptions")
        number = self.file.tensor(f"on_{steps}_int", (1,), "int32")
        self.file.operator("CAST", [y], [number], "CastOptions")
        return number

    def copy(
        self, x: int, shape: tuple[int, ...], quantization: Quantization | None = None
    ) -> int:
        """A new tensor with the same entries."""
        return self.reshape(x, shape, quantization)

    def next_step(self) -> int:
        """The step counter plus 1."""
        y = self.file.tensor("step/next", (1,), "int32")
        one = self.constant(1)
        self.file.operator(
            "ADD",
            [self.counter, one],  # type: ignore[list-item]  # set in streams
            [y],
            "AddOptions",
        )
        return y

    def reshape(
        self, x: int, shape: tuple[int, ...], quantization: Quantization | None = None
    ) -> int:
        """The same entries in another shape."""
        y = self.tensor(shape, quantization=quantization)
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
        y = self.tensor(shape)
        self.file.operator("STRIDED_SLICE", [x, *numbers], [y], "StridedSliceOptions")
        return y

    def pad(
        self,
        x: int,
        padding: Sequence[tuple[int, int]],
        shape: tuple[int, ...],
        value: int = 0,
    ) -> tuple[int, list[int]]:
        """Pads with a constant; `padding` has pairs for all axes but the batch."""
        sides = self.file.constant([(0, 0), *padding])
        sizes = [n + sum(p) for n, p in zip(shape, padding, strict=True)]
        y = self.tensor(sizes)
        if value:
            fill = self.file.constant([value])
            self.file.operator("PADV2", [x, sides, fill], [y], "PadV2Options")
        else:
            self.file.operator("PAD", [x, sides], [y], "PadOptions")
        return y, sizes


@functools.singledispatch
def lower(operation: Operation, to: Lowering, *reads) -> int:
    """Adds the operators of one operation at one step.

    Args:
        operation: An `integer.Operation`.
        to: The `Lowering`; its `states` contain the operation's state.
        *reads: Indices of the int32 tensors that it reads.

    Returns:
        The index of its int32 output tensor.
    """
    raise NotImplementedError(type(operation).__name__)
