"""Adds sums over the steps so far, in int8, and the neurons that are merged."""

import math
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.integer.operations import Operation
from snn_keras.export.tflite.arithmetic import kernel_constant
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.held import MOST, MOVES, WEIGHTED, Held
from snn_keras.export.tflite.lowering import ONE, Lowering, lower
from snn_keras.export.tflite.merging import Merged
from snn_keras.export.tflite.products import pooled, product_of, views
from snn_keras.export.tflite.requantization import Requantization
from snn_keras.export.tflite.table import add_sums, meaning_of_part

RELU = 1  # of the schema's ActivationFunctionType
TOTAL = "/total"  # behind the name of neurons whose spikes are added up, too


def meaning_of(held: Held) -> Quantization:
    """The quantization of a tensor of such sums."""
    return Quantization(held.scale, held.zero)


def held_input(to: Lowering, spec: integer.Input) -> int:
    """An input as int8."""
    number, held = to.inputs[spec.name], to.plan.held[spec.name]
    if spec.dtype == "int8":
        return number
    return _requantized(to, number, held, spec.shape)


def add_total(to: Lowering, operation: Operation) -> list[int]:
    """The sum of an operation's output so far, which nothing merges: its addends."""
    held = to.plan.held[operation.name]
    reads: list[Any] = [to.totals.get(name) for name in operation.inputs]
    if type(operation) in WEIGHTED:
        if held.addends == 1:
            return [_add_sums(to, operation, reads[0][0], held)]
        sides = (*operation.padding, (0, 0))
        padded = [to.pad(x, sides) if np.any(sides) else x for x in reads[0]]
        return [y for x in padded for y in views(operation, to, x)]
    if isinstance(operation, integer.MaxPool):
        return [pooled(operation, to, reads[0][0], held.zero)]
    if type(operation) in MOVES:
        return [lower(operation, to, *each) for each in zip(*reads, strict=True)]
    if isinstance(operation, integer.Gate):
        return reads[0]  # those who read it know for how many steps it is shown
    value = to.tensors[operation.name]
    if isinstance(operation, integer.Fire) and not isinstance(
        operation, integer.FireBits
    ):
        name = operation.name + TOTAL
        (before,) = to.states[name]
        value = to.plus(before, value, operation.shape)
        to.states[name] = [value]
    if held.zero:
        value = to.binary("ADD", value, to.constant(held.zero), operation.shape)
    return [to.cast(value, "int8", meaning_of(held))]


def _add_sums(to, operation, x, held):
    """Sums of weighted inputs that int8 holds, such as those of average pooling."""
    source = to.plan.held[operation.inputs[0]]
    channels = operation.shape[-1]
    scale = held.scale * held.gain / (source.scale * source.gain)
    made = Requantization(np.zeros(channels, np.int64), np.full(channels, scale))
    bias = to.file.constant(made.bias, "int32", _bias_meaning(made, source))
    return _product(to, operation, x, made, bias, meaning_of(held))


def add_merged(to: Lowering, merged: Merged) -> None:
    """Adds neurons and the layer with weights before them, in one operator."""
    neuron, held = merged.neuron, to.plan.held[merged.neuron.name]
    x = _read(to, merged)
    if isinstance(neuron, integer.FireChanges):
        _add_changes(to, merged, x, held)
        return
    (part,) = merged.parts
    total = level = _level(to, merged, x, part, meaning_of(held))
    before = None
    if not isinstance(neuron, integer.FireBits):
        (before,) = to.states[neuron.name]
        total = _counted(to, neuron, level, before)
        to.states[neuron.name] = [total]
    to.totals[neuron.name] = [total]
    if neuron.name in to.plan.values:
        to.tensors[neuron.name] = _change(to, total, before, held, neuron.shape)


def _add_changes(to, merged, x, held):
    """Adds neurons of several sizes; their state is a value."""
    neuron = merged.neuron
    (before,) = to.states[neuron.name]
    levels = {
        part: _level(to, merged, x, part, meaning_of_part(part))
        for part in merged.parts
    }
    total = add_sums(to, neuron, levels, before, held)
    sent = _change(to, total, None, held, neuron.shape)
    to.states[neuron.name], to.totals[neuron.name] = [sent], [total]
    if neuron.name in to.plan.values:
        if before is not None:
            sent = to.binary("SUB", sent, before, neuron.shape)
        to.tensors[neuron.name] = sent


def _level(to, merged, x, part, meaning):
    """The levels of a part, in the neurons' shape; once where no step changes them."""
    made, bias = _constants(to, merged, part)
    key = merged.neuron.name, part, x, bias
    if key not in to.made:
        y = _product(to, merged.weights, x, made, bias, meaning, RELU)
        shape = merged.neuron.shape
        to.made[key] = y if merged.weights.shape == shape else to.reshape(y, shape)
    return to.made[key]


def _read(to, merged):
    """The pieces that a merged layer reads, one behind the other."""
    meaning, made = meaning_of(merged.source), {}
    key = merged.pieces, *(tuple(to.totals[piece.name]) for piece in merged.pieces)
    if key in to.made:
        return to.made[key]
    for piece in merged.pieces:
        if piece not in made:
            made[piece] = _piece(to, piece, meaning)
    parts = [made[piece] for piece in merged.pieces]
    y = parts[0]
    if len(parts) > 1:
        *places, _ = to.shape(y)
        y = to.like(y, (*places, sum(to.shape(x)[-1] for x in parts)))
        table = {"axis": len(places) + 1}
        to.file.operator("CONCATENATION", parts, [y], "ConcatenationOptions", **table)
    to.made[key] = y
    return y


def _piece(to, piece, meaning):
    """One of them, of this quantization."""
    x, held = to.totals[piece.name][piece.addend], to.plan.held[piece.name]
    shape = to.shape(x)
    if piece.strides:
        strides = (*piece.strides, 1)
        kept = tuple(-(-n // k) for n, k in zip(shape, strides, strict=True))
        x, shape = to.slice(x, (0, 0, 0), shape, strides, kept), kept
    if (piece.held.gain, piece.held.zero) != (held.gain, held.zero):
        x = _requantized(to, x, piece.held, shape)
    if meaning_of(piece.held) != meaning:
        x = to.copy(x, shape, meaning)
    return x


def _counted(to, neuron, level, before):
    """The counts of neurons, from the levels of their inputs and the counts before."""
    shape, one = neuron.shape, to.file.constant([1], "int8", ONE)
    ceiling = getattr(neuron, "ceiling", None)
    if ceiling is not None and ceiling < MOST:  # at which int8 ends
        most = to.file.constant([ceiling], "int8", ONE)
        level = to.smaller(level, most, shape)
    if before is None:
        return to.smaller(level, one, shape)
    least = before
    if isinstance(neuron, integer.SignedFire):
        least = to.binary("SUB", before, one, shape)
    most = to.binary("ADD", before, one, shape)
    return to.smaller(to.larger(level, least, shape), most, shape)


def _change(to, total, before, held, shape):
    """What neurons send at this step, as a value."""
    value = to.cast(total, to.dtype)
    if before is not None:
        return to.binary("SUB", value, to.cast(before, to.dtype), shape)
    if held.zero:
        return to.binary("SUB", value, to.constant(held.zero), shape)
    return value


def _constants(to, merged, part):
    """The `Requantization` of this step, and the tensor of its bias."""
    if not to.streaming or to.network.timesteps == 1:
        made = merged.constants(to.step + 1, part)
        return made, to.file.constant(
            made.bias, "int32", _bias_meaning(made, merged.source)
        )
    made = merged.constants(None, part)
    first = made.bias + merged.gain * merged.vector(merged.neuron.initial)
    bias, shape = to.file.constant(first), np.shape(first)
    meaning = _bias_meaning(made, merged.source)
    for number, (offset, on) in enumerate(merged.shifts):
        name = f"{merged.neuron.name}/bias_{part.start}_{number}"
        each = to.file.constant(merged.gain * merged.vector(offset))
        added = to.file.tensor(f"{name}/added", shape, "int32")
        inputs = [each, to.steps_so_far(on)]
        to.file.operator("MUL", inputs, [added], "MulOptions")
        total = to.file.tensor(name, shape, "int32", meaning)
        to.file.operator("ADD", [bias, added], [total], "AddOptions")
        bias = total
    return made, bias


def _bias_meaning(made, source):
    """The quantization of a bias: the product of those of input and weights."""
    return Quantization(np.asarray(made.scale, np.float64) * source.scale)


def _product(to, operation, x, made, bias, meaning, activation=0):
    """Adds an int8 kernel; dense layers are convolutions, which all runtimes have."""
    shape = operation.shape
    if isinstance(operation, integer.Dense):
        inner, outer = operation.kernel.shape
        x = to.reshape(x, (math.prod(shape[:-1]), 1, inner))
        places = (math.prod(shape[:-1]), 1, outer)
        kernel = operation.kernel[None, None]
        operation = integer.Convolve(operation.name, (), places, kernel)
    product, x = product_of(operation, to, x)
    kernel = kernel_constant(to, product, Quantization(made.scale))
    y = to.tensor(operation.shape, "int8", quantization=meaning)
    table = {"fusedActivationFunction": activation}
    y = product.add(to, [x, kernel, bias], y, 3, **table)
    return y if operation.shape == shape else to.reshape(y, shape)


def _requantized(to, x, held, shape):
    """The same sums, held in another way."""
    y = to.tensor(shape, "int8", quantization=meaning_of(held))
    to.file.operator("QUANTIZE", [x], [y], "QuantizeOptions", 2)
    return y
