"""In what a file holds the integers of its network."""

from typing import Any

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.export import integer
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.integer.interval import Interval
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.lowering import ONE, Lowering
from snn_keras.export.tflite.products import Product, pooled, product_of, views

INT16_MAX = 2**15 - 1
EXACT = 2**24  # up to here float32 has every integer


class Integers:
    """Integers alone: int32, products of int16 by int8, and what is merged in int8."""

    dtype = "int32"
    merges = True

    def check(self, network: IntegerNetwork) -> None:
        """Raises a ConversionError unless the file can hold the network's integers."""

    def product(self, operation: Any, to: Lowering, x: int) -> int:
        """Adds a layer with weights, digit by digit of its input."""
        product, x = product_of(operation, to, x)
        kernel = kernel_constant(to, product, ONE)
        zeros = np.zeros(operation.shape[-1])
        bias = to.file.constant(zeros, "int64", Quantization(np.ones(len(zeros))))
        version = 7 if product.kind == "FULLY_CONNECTED" else 5
        total: Any = None
        for place, digit in digits_of(operation, to, x):
            inputs = [to.cast(digit, "int16"), kernel, bias]
            y = to.tensor(operation.shape, "int16", quantization=ONE)
            y = to.cast(product.add(to, inputs, y, version), "int32")
            if place > 1:
                y = to.binary("MUL", y, to.constant(place), operation.shape)
            total = y if total is None else to.plus(total, y, operation.shape)
        return total

    def max_pool(
        self, operation: integer.MaxPool, to: Lowering, x: int, interval: Interval
    ) -> int:
        """Max pooling: by the operator in int16 if values fit, else by slices."""
        if interval.largest <= INT16_MAX:
            short = pooled(operation, to, to.cast(x, "int16"), -INT16_MAX)
            return to.cast(short, "int32")
        if np.any(operation.padding):
            x = to.pad(x, (*operation.padding, (0, 0)), -(2**31))
        return _pooled_by_slices(operation, to, x)


class Floats:
    """Integers held in float32, for processors whose kernels of float32 are fast.

    Every sum of products, in any order, stays within 24 bits, so nothing is rounded.
    """

    dtype = "float32"
    merges = False

    def check(self, network: IntegerNetwork) -> None:
        """Raises a ConversionError unless the file can hold the network's integers."""
        lines = []
        for operation in network.operations:
            largest = _largest(operation, network)
            if largest > EXACT:
                kind = type(operation).__name__
                lines.append(f"- '{operation.name}' ({kind}) may reach {largest:.3g}")
        if lines:
            raise ConversionError(
                f"'{network.name}' has sums beyond {EXACT:,}, where float32 rounds:\n"
                + "\n".join(lines)
                + '\nRemedy: arithmetic="integer", or fewer time steps.'
            )

    def product(self, operation: Any, to: Lowering, x: int) -> int:
        """Adds a layer with weights."""
        product, x = product_of(operation, to, x)
        bias = to.constant(np.zeros(operation.shape[-1]))
        kernel = self._kernel(operation.name, product, to)
        return product.add(to, [x, kernel, bias], to.tensor(operation.shape), 1)

    def _kernel(self, name, product, to):
        """The kernel in float32, from int8 in the file; once for all steps."""
        if name not in to.kernels:
            short = kernel_constant(to, product, ONE)
            shape = product.kernel.shape
            to.kernels[name] = to.file.tensor(f"{name}/kernel", shape, "float32")
            inputs, outputs = [short], [to.kernels[name]]
            to.file.operator("DEQUANTIZE", inputs, outputs, "DequantizeOptions", 2)
        return to.kernels[name]

    def max_pool(
        self, operation: integer.MaxPool, to: Lowering, x: int, interval: Interval
    ) -> int:
        """Max pooling by the operator."""
        return pooled(operation, to, x, -EXACT)


ARITHMETICS = {"integer": Integers(), "float32": Floats()}


def _largest(operation, network):
    """The largest magnitude of any number that an operation may compute."""
    reads = [network.intervals[name] for name in operation.inputs]
    steps = network.timesteps
    ends = operation.extremes(*reads, steps=steps)
    largest = max(float(np.max(np.abs(x))) for x in ends)
    if isinstance(operation, integer.Dense | integer.Convolve):
        kept = -2 if isinstance(operation, integer.DepthwiseConvolve) else -1
        weights = np.abs(operation.kernel.astype(np.int64))
        most = weights.sum(axis=tuple(range(weights.ndim + kept))).max(initial=0)
        return max(largest, float(most) * reads[0].largest)
    if isinstance(operation, integer.Sum):
        count = np.prod([operation.input_shape[axis] for axis in operation.axes])
        return max(largest, float(count) * reads[0].largest)
    states = sum(x.largest for x in network.state_intervals[operation.name])
    constants = sum(float(np.max(np.abs(x))) for x in operation.constants())
    if isinstance(operation, integer.Fire):
        return max(largest, sum(x.largest for x in reads) + states + constants)
    return largest


def kernel_constant(to: Lowering, product: Product, quantization: Quantization) -> int:
    """The kernel in int8; of a scale for all channels, or of one for each."""
    shape = product.kernel.shape[product.axis]
    scales = np.broadcast_to(np.asarray(quantization.scale, np.float32), (shape,))
    meaning = Quantization(scales, 0, product.axis)
    return to.file.constant(product.kernel, "int8", meaning)


def digits_of(operation: Any, to: Lowering, x: int) -> list[tuple[int, int]]:
    """The digits of `x` as `(place, tensor)`, by comparisons, which all targets have.

    Bits are found one by one, the most significant first, as by a bit-serial neuron.
    """
    shape = to.shape(x)
    interval = to.network.intervals[operation.inputs[0]]
    each = isinstance(operation, integer.DepthwiseConvolve)
    bits = integer.digit_bits(operation.kernel, interval, each)
    places = [place for place, _ in integer.digits(interval, shape[-1], bits)]
    top = places[-1]
    if top == 1:
        return [(1, x)]
    interval = interval.with_zero()  # padding is 0
    least, most = (int(v) // top for v in (interval.low.min(), interval.high.max()))
    if least:
        x = to.binary("SUB", x, to.constant(least * top), shape)
    found = {}
    for k in reversed(range(((most - least + 1) * top - 1).bit_length())):
        place = min(top, 2 ** (k // bits * bits))
        bit = to.constant(2**k)
        z = to.where("GREATER_EQUAL", x, bit, shape)
        x = to.binary("SUB", x, to.binary("MUL", z, bit, shape), shape)
        z = to.binary("MUL", z, to.constant(2**k // place), shape)
        digit = found.get(place)
        found[place] = z if digit is None else to.binary("ADD", digit, z, shape)
    if least:
        found[top] = to.binary("ADD", found[top], to.constant(least), shape)
    return list(found.items())


def _pooled_by_slices(operation, to, x):
    """The largest of the tensors of each place of the window."""
    first, *others = views(operation, to, x)
    for y in others:
        first = to.larger(first, y, operation.shape)
    return first
