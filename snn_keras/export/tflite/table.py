"""Adds neurons that send several sizes of spikes, by a table.

What such a neuron has sent after a step is a function of two small integers: the level
of its input so far, in halves of the smallest size, and what it had sent before. The
table has it for all of them, and is made by the neuron's operation itself.
"""

import dataclasses
from typing import Any

import numpy as np

from snn_keras.export import integer
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.held import MOST, Held
from snn_keras.export.tflite.lowering import Lowering


def sums_by_level(neuron: integer.FireChanges) -> np.ndarray:
    """What neurons have sent after a step, `(2 ceiling, ceiling + 1)`.

    The first index is the level, from 0 to below twice the ceiling: beyond these it
    does not matter. The second is what they had sent.
    """
    most: Any = neuron.ceiling
    level, sent = np.indices((2 * most, most + 1))
    few = dataclasses.replace(
        neuron,
        threshold=np.array(4 << (neuron.sizes - 1)),  # a smallest size of 4
        initial=np.array(0),
    )
    _, (_, after) = few.run([2 * level], (-4 * sent, sent), 0)
    return after


def meaning_of_part(part: range) -> Quantization:
    """The quantization of the output of a kernel that counts these levels."""
    return Quantization(1.0, MOST - len(part))


def add_sums(
    to: Lowering,
    neuron: integer.FireChanges,
    levels: dict[range, int],
    before: int | None,
    held: Held,
) -> int:
    """Adds the neurons of one step.

    Args:
        to: The file.
        neuron: The neurons.
        levels: For each part of the levels, the int8 tensor of the kernel's output.
        before: What the neurons had sent, a tensor of values; None for 0.
        held: How the sum of what they have sent is held in int8.

    Returns:
        The int8 tensor of what the neurons have sent so far.
    """
    sums = sums_by_level(neuron)
    shape, columns = neuron.shape, sums.shape[1]
    index: Any = None
    for level in levels.values():
        index = to.plus(index, to.cast(level, "int32"), shape)
    least = sum(meaning_of_part(part).zero_point for part in levels)
    index = to.binary("SUB", index, to.file.constant([least]), shape)
    index = to.binary("MUL", index, to.file.constant([columns]), shape)
    if before is not None:
        index = to.binary("ADD", index, before, shape)
    meaning = Quantization(held.scale, held.zero)
    table = to.file.constant(sums.ravel() + held.zero, "int8", meaning)
    y = to.tensor(shape, "int8", quantization=meaning)
    to.file.operator("GATHER", [table, index], [y], "GatherOptions", axis=0)
    return y
