"""The walk through a spiking network that makes integers of it.

The walk collects: what operation each layer is, and what it asks of the units of
tensors. A unit is solved when the integers of its tensor have to be known, which is
where weights multiply them, and at the latest at the end. The operations in front are
then emitted, their constants as integers.
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
from snn_keras.export.to_integers.choices import Choice, Choices
from snn_keras.export.to_integers.constants import Constant, Derived, nearest
from snn_keras.export.to_integers.kernel import Weights
from snn_keras.export.to_integers.overflow import Overflow
from snn_keras.export.to_integers.units import (
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
    """Walks the graph of a spiking network and makes the operations of integers.

    Attributes:
        steps: Time steps of a run; 1 for a network without time.
        input_steps: Steps for which the input and constants are on, or None.
        choices: The `Choices` of units.
        origins: Where the unit of what each operation makes was chosen, by its name.
        operands: The same of what weights multiply, by the name of their layer.
        notes: `(layer, what is held otherwise than in the source)`.
        left_out: Layers behind the network that are left to the caller.
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
        """Walks the graph; returns the operations and the outputs."""
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
                made = made.with_(weights=None)  # not for this reader alone
            tensors[node.output] = made
        ends = [self.end(tensors[x]) for x in tree.flatten(self.graph.outputs)]
        operations = [self.emitted(name) for name in self._drafts]
        return operations, [self.output(x) for x in ends]

    def floors(self, operations: list) -> dict[str, np.ndarray] | None:
        """How coarse units have to be for 32 bits; None if they are."""
        Overflow(self, operations).press()
        return self.choices.floors()

    def end(self, x: ScaledTensor) -> ScaledTensor:
        """`x` as an output: with its offset, and in one unit."""
        x = self.without_offset(self.uniform(x))
        if x.name in {spec.name for spec in self.inputs}:
            raise ConversionError(
                f"input '{x.name}' of '{self.graph.name}' is among its outputs, or "
                "what only scales it is, and an integer network computes each of its "
                "outputs. Remedy: a model without that output."
            )
        return x

    def output(self, x: ScaledTensor) -> integer.Output:
        """What the integers of an output mean."""
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
        """Appends an operation, which is emitted once its units are solved.

        Args:
            kind: Its class, an `integer.Operation`.
            x: What it reads, a `ScaledTensor` or a list of them.
            shape: Shape of what it makes.
            name: Its name, numbered where that is taken.
            origin: Where the unit of what it makes was chosen; that of the first that
                it reads by default.
            **arguments: Its attributes; a `Constant`, `Derived` or `Weights` in place
                of integers that depend on units.

        Returns:
            The name of what it makes.
        """
        tensors = x if isinstance(x, list) else [x]
        reads = tuple(t.name for t in tensors)
        name = self._names.unique(name)
        self._drafts[name] = kind, reads, tuple(shape), arguments
        self.origins[name] = tensors[0].origin if origin is None else origin
        return name

    def emitted(self, name: str) -> integer.Operation:
        """The operation of that name; it solves the units of its constants."""
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
        """Notes what is held otherwise than in the source, once."""
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
        """`x` with its offset added in the unit that it has."""
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
        """`x` fixed, in one unit for each entry of the last axis."""
        x = self.fixed(x)
        if max(np.ndim(x.factor), np.ndim(x.origin)) < 2:
            return x
        full = np.broadcast_to(x.factor, x.shape).reshape(-1, x.shape[-1])
        name = f"{x.name}/gain"
        return self.in_unit(x, self.chosen(fine_unit(*full), [x], name), name)

    def uniform(self, x: ScaledTensor) -> ScaledTensor:
        """`x` in one unit for all of its entries."""
        if x.is_open and np.ndim(x.factor) < 2:
            x.unit.make_uniform(x.factor)
            return x
        x = self.fixed(x)
        if np.ndim(x.factor) == np.ndim(x.origin) == 0:
            return x
        unit, name = fine_unit(*np.ravel(x.factor)), f"{x.name}/gain"
        return self.in_unit(x, self.chosen(unit, [x], name), name)

    def refined(
        self, x: ScaledTensor, gain: Array, beside: Array, name: str
    ) -> ScaledTensor:
        """`x`, whose unit is solved, in one that is `gain` times finer, or as may be.

        Args:
            x: A tensor.
            gain: Whole numbers.
            beside: Other numbers that 32 bits shall hold in this unit.
            name: For the operation.
        """
        scale, upstream = np.broadcast_arrays(x.scale, x.origin)
        least = largest(np.abs(beside), scale.shape) / INT32
        choice = self.choices.add(name, np.zeros(scale.shape), 0)
        least = np.maximum(least, choice.floor)
        fits = np.floor(scale / np.maximum(least, scale / INT32))
        # A unit that was chosen is made coarser where it was chosen.
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
        """A unit for tensors whose own are solved, as 32 bits allow.

        Args:
            unit: The finest that is of use.
            tensors: A list of `ScaledTensor`.
            name: What it is chosen for.
        """
        scales = [largest(x.scale, np.shape(unit)) for x in tensors]
        unit = np.maximum(unit, np.max(scales, axis=0) / INT32)
        spread = max(self.interval(x).largest for x in tensors)
        fine = np.maximum(unit, np.min(scales, axis=0) / 2**7)
        choice = self.choices.add(name, fine, spread)
        choice.unit = np.maximum(unit, choice.floor)
        return choice

    def in_unit(self, x: ScaledTensor, choice: Choice, name: str) -> ScaledTensor:
        """`x`, whose unit is solved, in the one that was chosen."""
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
        """`gain * x + offset`: no work for integers but where the sign changes."""
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
        """A layer of weights.

        Args:
            kind: `integer.Dense`, `Convolve` or `DepthwiseConvolve`.
            x: Its input, of one unit a channel, or one for each feature (`Dense`).
            real: Its kernel, as `kind` takes it.
            shape: Shape of its output.
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


def steps_on(coding: Coding) -> int | None:
    """Steps for which the input is on; None for all.

    Raises:
        ConversionError: if the coding has no such form of integers.
    """
    on = coding.input_steps
    for t in range(1, coding.timesteps + 1):
        if coding.gain(t) != (on is None or t <= on) or coding.divisor(t) != (on or t):
            raise ConversionError(
                f"the coding {type(coding).__name__} has no form of integers: they "
                "know inputs that are on or off, and means over steps. Remedy: neurons "
                '"if", "signed" or, in one pass, "bit_serial".'
            )
    return on
