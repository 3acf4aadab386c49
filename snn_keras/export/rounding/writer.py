"""Goes through a spiking network and creates the operations of an integer network.

For each layer, operations are drafted, and constraints on the units of tensors are
collected. A unit is solved as soon as the integers of its tensor must be known, which
is where weights multiply them, or at the end. Then the operations before are emitted,
with integer constants.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from keras import tree

from snn_keras import graph as graph_lib
from snn_keras.coding import Coding
from snn_keras.errors import ConversionError
from snn_keras.export import integer
from snn_keras.export.calls import Call, Rules, call_of, static_shape
from snn_keras.export.integer import INT32
from snn_keras.export.rounding.choices import Choice, Choices
from snn_keras.export.rounding.constants import Constant, Derived, nearest
from snn_keras.export.rounding.kernel import Weights
from snn_keras.export.rounding.overflow import Overflow
from snn_keras.export.rounding.units import (
    ScaledTensor,
    Unit,
    common_bit,
    compact,
    fine_unit,
    largest,
)
from snn_keras.simulate.program import Program
from snn_keras.typing import Array

LAYERS = (
    *("Activation", "Add", "Average", "AveragePooling1D", "AveragePooling2D"),
    *("BatchNormalization", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D"),
    *("Conv2DTranspose", "Cropping1D", "Cropping2D", "Dense", "DepthwiseConv1D"),
    *("DepthwiseConv2D", "Flatten", "GlobalAveragePooling1D"),
    *("GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D"),
    *("Identity", "MaxPooling1D", "MaxPooling2D", "Normalization", "Permute"),
    *("Rescaling", "Reshape", "SeparableConv1D", "SeparableConv2D", "Softmax"),
    *("Subtract", "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D"),
)
rule = Rules("integer form", LAYERS)


class IntegerWriter:
    """Creates the integer operations of a spiking network.

    Attributes:
        steps: Time steps of a run; 1 for a network without time.
        input_steps: Number of steps in which input and constants are on; None for all.
        choices: The `Choices` of units.
        origins: `{operation: origin}` of outputs; see `ScaledTensor.origin`.
        operands: `{operation: origin}` of the inputs that weights multiply.
        notes: `(layer, note)` on differences from the source by rounding.
        left_out: Layers at the outputs that are left to the caller.
    """

    def __init__(
        self,
        program: Program,
        inputs: list[integer.Input],
        floors: Mapping[str, np.ndarray] | tuple[()],
    ) -> None:
        self.graph = program.graph
        self.steps = program.coding.timesteps if program.during else 1
        self.input_steps = steps_on(program.coding) if program.during else None
        self.inputs = inputs
        self.choices = Choices(floors)
        self.origins = {}
        self.operands = {}
        self.notes = []
        self.left_out = []
        self._timed = set(program.during)
        self._drafts = {}
        self._emitted = {}
        self._intervals = {spec.name: spec.interval for spec in inputs}
        self._names = graph_lib.Names(self._intervals)

    def write(self) -> tuple[list, list]:
        """Goes through the graph; returns the operations and the outputs."""
        rule.check(self.graph, self.graph.name)
        tensors = {}
        inputs = tree.flatten(self.graph.inputs)
        for spec, x in zip(self.inputs, inputs, strict=True):
            tensors[x] = ScaledTensor(spec.name, spec.shape, np.float64(spec.scale))
        readers = [x for node in self.graph.nodes for x in node.inputs]
        for node in self.graph.nodes:
            count = readers.count(node.output)
            call = call_of(node, tensors, self._timed, is_last=not count)
            made = rule.apply(self, call)
            static_shape(node.name, node.output)
            if count > 1:
                made = made.with_(weights=None)  # other nodes read it, too
            tensors[node.output] = made
        ends = [self.end(tensors[x]) for x in tree.flatten(self.graph.outputs)]
        operations = [self.emitted(name) for name in self._drafts]
        return operations, [self.output(x) for x in ends]

    def floors(self, operations: list) -> dict[str, np.ndarray] | None:
        """The least units for which values fit in 32 bits; None if they fit already."""
        Overflow(self, operations).coarsen()
        return self.choices.floors()

    def end(self, x: ScaledTensor) -> ScaledTensor:
        """`x` as an output: with its offset added, and a single unit."""
        x = self.without_offset(self.uniform(x))
        if x.name in {spec.name for spec in self.inputs}:
            raise ConversionError(
                f"input '{x.name}' of '{self.graph.name}' is among its outputs, or "
                "what only scales it is, and an integer network computes each of its "
                "outputs. Remedy: a model without that output."
            )
        return x

    def output(self, x: ScaledTensor) -> integer.Output:
        """The `integer.Output` of a tensor."""
        divisor = self.input_steps if x.timed else 1
        return integer.Output(x.name, float(np.max(self.solved(x).scale)), divisor)

    # --- Operations ------------------------------------------------------------------

    def add(
        self,
        kind: type,
        x: ScaledTensor | Sequence[ScaledTensor],
        shape: Sequence[int],
        name: str,
        origin: np.ndarray | None = None,
        **arguments,
    ) -> str:
        """Drafts an operation, which is emitted once its units are solved.

        Args:
            kind: Its class, an `integer.Operation`.
            x: Its input, a `ScaledTensor`, or a list of inputs.
            shape: The shape of its output.
            name: Its name, numbered if that is taken.
            origin: The origin of the output (see `ScaledTensor`); by default that of
                the first input.
            **arguments: Its attributes; a `Constant`, `Derived` or `Weights` stands for
                integers that depend on units.

        Returns:
            The name of its output.
        """
        tensors = x if isinstance(x, list) else [x]
        reads = tuple(t.name for t in tensors)
        name = self._names.unique(name)
        self._drafts[name] = kind, reads, tuple(shape), arguments
        self.origins[name] = tensors[0].origin if origin is None else origin
        return name

    def emitted(self, name: str) -> integer.Operation:
        """The operation of this name, after solving the units of its constants."""
        if name not in self._emitted:
            kind, reads, shape, arguments = self._drafts[name]
            integers = {key: self._integers(x) for key, x in arguments.items()}
            self._emitted[name] = kind(name, reads, shape, **integers)
        return self._emitted[name]

    def _integers(self, argument):
        if not isinstance(argument, (Constant, Derived, Weights)):
            return argument
        if argument.unit is not None:
            argument.unit.solve()
        return argument.integers(self.note)

    def note(self, layer: str, text: str) -> None:
        """Records a difference from the source, once."""
        if (layer, text) not in self.notes:
            self.notes.append((layer, text))

    def interval(self, x: ScaledTensor) -> integer.Interval:
        """Bounds of a tensor whose unit is solved."""
        name = x.name
        if name not in self._intervals:
            operation = self.emitted(name)
            reads = [x.with_(name=name) for name in operation.inputs]
            bounds = operation.bounds(*map(self.interval, reads), steps=self.steps)
            self._intervals[name] = bounds.within(INT32 + 1)
        return self._intervals[name]

    # --- Tensors ---------------------------------------------------------------------

    def without_offset(self, x: ScaledTensor) -> ScaledTensor:
        """`x` with its offset added."""
        if not np.any(x.offset):
            return x.with_(offset=0.0)
        if x.is_open:
            x.unit.need(x.offset / x.factor)
        else:
            bit = common_bit(x.scale, x.offset)
            exact = np.max(x.scale) <= 2**12 * bit
            gain = x.scale / bit if exact else 2.0**8
            x = self.refined(x, gain, x.offset, f"{x.name}/gain")
        return self.shift(x)

    def shift(self, x: ScaledTensor) -> ScaledTensor:
        """`x` with its offset added in its present unit."""
        if not np.any(x.offset):
            return x.with_(offset=0.0)
        name = self.add(
            integer.Shift,
            x,
            x.shape,
            f"{x.name}/offset",
            offset=Constant(x.name, "offsets", x.offset, x),
            on=self.input_steps if x.timed else None,
        )
        return x.with_(name=name, offset=0.0, weights=None)

    def solved(self, x: ScaledTensor) -> ScaledTensor:
        """`x` with its unit solved."""
        if x.unit is not None:
            x.unit.solve()
        return x.with_(factor=compact(x.scale), unit=None, weights=None)

    def fixed(self, x: ScaledTensor) -> ScaledTensor:
        """`x` with its offset added and its unit solved."""
        return self.solved(self.without_offset(x))

    def of_channels(self, x: ScaledTensor) -> ScaledTensor:
        """`fixed(x)` with units that vary only along the last axis."""
        x = self.fixed(x)
        if max(np.ndim(x.factor), np.ndim(x.origin)) < 2:
            return x
        full = np.broadcast_to(x.factor, x.shape).reshape(-1, x.shape[-1])
        name = f"{x.name}/gain"
        return self.in_unit(x, self.chosen(fine_unit(*full), [x], name), name)

    def uniform(self, x: ScaledTensor) -> ScaledTensor:
        """`x` with a single unit for all entries."""
        if x.is_open and np.ndim(x.factor) < 2:
            x.unit.make_uniform(x.factor)
            return x
        x = self.fixed(x)
        if np.ndim(x.factor) == np.ndim(x.origin) == 0:
            return x
        unit, name = fine_unit(*np.ravel(x.factor)), f"{x.name}/gain"
        return self.in_unit(x, self.chosen(unit, [x], name), name)

    def refined(
        self, x: ScaledTensor, gain: Array, others: Array, name: str
    ) -> ScaledTensor:
        """`x` in a unit that is up to `gain` times finer, as 32 bits allow.

        Args:
            x: A tensor whose unit is solved.
            gain: Whole numbers.
            others: Other numbers that must fit in 32 bits in this unit.
            name: The name of the operation.
        """
        scale, upstream = np.broadcast_arrays(x.scale, x.origin)
        least = largest(np.abs(others), scale.shape) / INT32
        choice = self.choices.add(name, np.zeros(scale.shape), 0)
        least = np.maximum(least, choice.floor)
        fits = np.floor(scale / np.maximum(least, scale / INT32))
        # A unit that was chosen earlier is coarsened by that choice, not here.
        gain = np.minimum(gain, np.maximum(fits, upstream > 0))
        unit = choice.unit = np.where(gain > 0, scale / np.maximum(gain, 1), least)
        if np.all(gain == 1):
            return x
        x = x.with_(origin=np.where(gain == 1, upstream, choice.numbers))
        scaled = self.scaled(x, compact(gain).astype(np.int64), name)
        return scaled.with_(factor=compact(unit), unit=None)

    def chosen(
        self, unit: np.ndarray, tensors: list[ScaledTensor], name: str
    ) -> Choice:
        """Chooses a common unit for tensors whose units are solved.

        Args:
            unit: The preferred unit, which is coarsened if 32 bits require it.
            tensors: A list of `ScaledTensor`.
            name: The name of the choice.
        """
        scales = [largest(x.scale, np.shape(unit)) for x in tensors]
        unit = np.maximum(unit, np.max(scales, axis=0) / INT32)
        spread = max(self.interval(x).largest for x in tensors)
        fine = np.maximum(unit, np.min(scales, axis=0) / 2**7)
        choice = self.choices.add(name, fine, spread)
        choice.unit = np.maximum(unit, choice.floor)
        return choice

    def in_unit(self, x: ScaledTensor, choice: Choice, name: str) -> ScaledTensor:
        """Converts `x`, whose unit is solved, to a chosen unit."""
        x = x.with_(origin=choice.numbers)
        if np.all(x.scale == choice.unit):
            return x
        gain = nearest(x.name, "gain", x.scale / choice.unit, self.note)
        return self.scaled(x, gain, name).with_(factor=choice.unit, unit=None)

    def scaled(
        self, x: ScaledTensor, factor: Array | Constant, name: str
    ) -> ScaledTensor:
        """`x` with its integers multiplied by `factor`."""
        name = self.add(integer.Scale, x, x.shape, name, factor=factor)
        return x.with_(name=name, weights=None)

    def affine(self, x: ScaledTensor, gain: Array, offset: Array = 0.0) -> ScaledTensor:
        """`gain * x + offset`; integers change only where the gain is not above 0."""
        gain = np.broadcast_to(np.float64(gain), np.shape(gain))
        moved = x.with_(
            factor=x.factor * np.where(gain == 0, 1.0, np.abs(gain)),
            offset=x.offset * gain + offset,
        )
        sign = np.sign(gain)
        if np.all(sign == 1):
            return moved
        if x.weights is not None and np.size(sign) in (1, x.shape[-1]):
            signs = x.weights.sign
            signs *= np.broadcast_to(sign.ravel(), signs.size).reshape(signs.shape)
            return moved
        scaled = self.scaled(x, sign.astype(np.int64), f"{x.name}/sign")
        return moved.with_(name=scaled.name, weights=None)

    def weighted(
        self,
        kind: type,
        x: ScaledTensor,
        real: np.ndarray,
        shape: tuple[int, ...],
        call: Call,
        offset: Array = 0.0,
        **arguments,
    ) -> ScaledTensor:
        """Adds a layer with weights, and returns its output.

        Args:
            kind: `integer.Dense`, `Convolve` or `DepthwiseConvolve`.
            x: Its input, whose unit may vary only along the last axis.
            real: Its kernel, in the layout of `kind`.
            shape: The shape of its output.
            call: The `Call`.
            offset: Its bias.
            **arguments: Further arguments of `kind`.
        """
        each = kind is integer.DepthwiseConvolve
        unit = Unit(shape[-1])
        real = np.asarray(real, "float64") * np.reshape(x.factor, (-1, 1))
        weights = Weights(call.name, real, unit, self.interval(x), each)
        choice = self.choices.add(call.name, weights.least, weights.spread)
        choice.unit = unit
        unit.at_least(choice.floor)
        origin = choice.numbers
        name = self.add(kind, x, shape, call.name, origin, kernel=weights, **arguments)
        self.operands[name] = x.origin
        factor = np.ones(shape[-1])
        return ScaledTensor(name, shape, factor, unit, origin, x.timed, offset, weights)


MANY = 2**20  # steps that are looked at together


def steps_on(coding: Coding) -> int | None:
    """The number of steps in which the input is on; None for all.

    Raises:
        ConversionError: if integer networks do not support the coding.
    """
    on = coding.input_steps
    for first in range(1, coding.timesteps + 1, MANY):
        t = np.arange(first, min(first + MANY, coding.timesteps + 1))
        is_on = np.asarray(coding.gain(t)) == (t <= (on or coding.timesteps))
        if not (is_on.all() and np.all(np.asarray(coding.divisor(t)) == (on or t))):
            raise ConversionError(
                f"the coding {type(coding).__name__} has no form of integers: they "
                "know inputs that are on or off, and means over steps. Remedy: neurons "
                '"if", "differential", "signed" or, in one pass, "bit_serial".'
            )
    return on
