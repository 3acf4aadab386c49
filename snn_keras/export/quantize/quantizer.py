"""The walk through a spiking network that makes integers of it."""

import numpy as np
from keras import tree

from snn_keras import graph as graph_lib
from snn_keras.errors import ConversionError
from snn_keras.export import integer
from snn_keras.export.calls import Rules, call_of, static_shape
from snn_keras.export.integer import INT32
from snn_keras.export.quantize.choices import Choices
from snn_keras.export.quantize.kernels import Weights
from snn_keras.export.quantize.overflow import Overflow
from snn_keras.export.quantize.units import (
    Signal,
    Unit,
    common_bit,
    fine_unit,
    largest,
    plain,
)

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


class Quantizer:
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

    def __init__(self, program, inputs, floors):
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
        self._order = []
        self._pending = {}
        self._built = {}
        self._intervals = {spec.name: spec.interval for spec in inputs}
        self._names = graph_lib.Names(self._intervals)

    def quantize(self):
        """Walks the graph; returns the operations and the outputs."""
        rule.check(self.graph, self.graph.name)
        signals = {}
        tensors = tree.flatten(self.graph.inputs)
        for spec, x in zip(self.inputs, tensors, strict=True):
            signals[x] = Signal(spec.name, spec.shape, np.float64(spec.scale))
        readers = [x for node in self.graph.nodes for x in node.inputs]
        for node in self.graph.nodes:
            count = readers.count(node.output)
            call = call_of(node, signals, self._timed, is_last=not count)
            signal = rule.apply(self, call)
            static_shape(node.name, node.output)
            if count > 1:
                signal = signal.with_(weights=None)  # not for this reader alone
            signals[node.output] = signal
        ends = [self.output(signals[x]) for x in tree.flatten(self.graph.outputs)]
        operations = [self.built(name) for name in self._order]
        return operations, [make() for make in ends]

    def floors(self, operations):
        """How coarse units have to be for 32 bits; None if they are."""
        Overflow(self, operations).press()
        return self.choices.floors()

    def output(self, x):
        """Makes `x` an output; returns what gives its `Output`."""
        divisor = self.input_steps if x.timed else 1
        x = self.settled(self.even(x))
        if x.name in self._intervals:
            raise ConversionError(
                f"input '{x.name}' of '{self.graph.name}' is among its outputs, or "
                "what only scales it is, and an integer network computes each of its "
                "outputs. Remedy: a model without that output."
            )
        return lambda: integer.Output(x.name, float(np.max(x.scale)), divisor)

    # --- Operations ------------------------------------------------------------------

    def add(self, kind, x, shape, name, origin=None, **arguments):
        """Appends an operation, which is made once the units it needs are known.

        Args:
            kind: Its class, an `integer.Operation`.
            x: What it reads, a `Signal` or a list of them.
            shape: Shape of what it makes.
            name: Its name, numbered where that is taken.
            origin: Where the unit of what it makes was chosen; that of the first that
                it reads by default.
            **arguments: Its attributes; a function, called once units are known, in
                place of what depends on them.

        Returns:
            The name of what it makes.
        """
        signals = x if isinstance(x, list) else [x]
        reads = tuple(s.name for s in signals)
        name = self._names.unique(name)
        self._order.append(name)
        self._pending[name] = kind, reads, tuple(shape), arguments
        self.origins[name] = signals[0].origin if origin is None else origin
        return name

    def built(self, name):
        """The operation of that name."""
        if name not in self._built:
            kind, reads, shape, arguments = self._pending[name]
            made = {k: v() if callable(v) else v for k, v in arguments.items()}
            self._built[name] = kind(name, reads, shape, **made)
        return self._built[name]

    def interval(self, x: Signal):
        """Bounds of a signal whose unit is closed."""
        name = x.name
        if name not in self._intervals:
            operation = self.built(name)
            reads = [x.with_(name=name) for name in operation.inputs]
            bounds = operation.bounds(*map(self.interval, reads), steps=self.steps)
            self._intervals[name] = bounds.within(INT32 + 1)
        return self._intervals[name]

    def whole(self, name, what, real):
        """The nearest integers; notes what rounding changes."""
        rounded = np.floor(np.asarray(real) + 0.5)
        lost = np.abs(rounded - real)
        if np.any(lost > 1e-9 * np.abs(real)):  # more than a quotient's own rounding
            most = np.max(np.abs(real))
            text = f"{what} of up to {most:.4g} rounded by up to {np.max(lost):.2g}"
            if (name, text) not in self.notes:
                self.notes.append((name, text))
        return rounded.astype(np.int64)

    # --- Signals ---------------------------------------------------------------------

    def settled(self, x: Signal) -> Signal:
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
        return self.shifted(x)

    def shifted(self, x: Signal) -> Signal:
        """`x` with its offset added in the unit that it has."""
        if not np.any(x.offset):
            return x.with_(offset=0.0)
        name = self.add(
            integer.Shift,
            x,
            x.shape,
            f"{x.name}/offset",
            offset=lambda: self.whole(x.name, "offsets", x.offset / x.scale),
            on=self.input_steps if x.timed else None,
        )
        return x.with_(name=name, offset=0.0, weights=None)

    def closed(self, x: Signal) -> Signal:
        """`x` with its unit closed."""
        return x.with_(factor=plain(x.scale), unit=None, weights=None)

    def fixed(self, x: Signal) -> Signal:
        """`x` with its offset added and its unit closed."""
        return self.closed(self.settled(x))

    def of_channels(self, x: Signal) -> Signal:
        """`x` fixed, in one unit for each entry of the last axis."""
        x = self.fixed(x)
        if max(np.ndim(x.factor), np.ndim(x.origin)) < 2:
            return x
        full = np.broadcast_to(x.factor, x.shape).reshape(-1, x.shape[-1])
        name = f"{x.name}/gain"
        return self.in_unit(x, self.chosen(fine_unit(*full), [x], name), name)

    def even(self, x: Signal) -> Signal:
        """`x` in one unit for all of its entries."""
        if x.is_open and np.ndim(x.factor) < 2:
            x.unit.make_even(x.factor)
            return x
        x = self.fixed(x)
        if np.ndim(x.factor) == np.ndim(x.origin) == 0:
            return x
        unit, name = fine_unit(*np.ravel(x.factor)), f"{x.name}/gain"
        return self.in_unit(x, self.chosen(unit, [x], name), name)

    def refined(self, x: Signal, gain, beside, name) -> Signal:
        """`x`, whose unit is closed, in one that is `gain` times finer, or as may be.

        Args:
            x: A signal.
            gain: Whole numbers.
            beside: Other numbers that 32 bits shall hold in this unit.
            name: For the operation.
        """
        scale, upstream = np.broadcast_arrays(x.scale, x.origin)
        least = largest(np.abs(beside), scale.shape) / INT32
        origin, floor = self.choices.add(name, np.zeros(scale.shape), 0, lambda: unit)
        least = np.maximum(least, floor)
        fits = np.floor(scale / np.maximum(least, scale / INT32))
        # A unit that was chosen is made coarser where it was chosen.
        gain = np.minimum(gain, np.maximum(fits, upstream > 0))
        unit = np.where(gain > 0, scale / np.maximum(gain, 1), least)
        if np.all(gain == 1):
            return x
        x = x.with_(origin=np.where(gain == 1, upstream, origin))
        scaled = self.scaled(x, plain(gain).astype(np.int64), name)
        return scaled.with_(factor=plain(unit), unit=None)

    def chosen(self, unit, signals, name):
        """A unit for signals whose own are closed: `(unit, origin)`, as 32 bits allow.

        Args:
            unit: The finest that is of use.
            signals: A list of `Signal`.
            name: What it is chosen for.
        """
        scales = [largest(x.scale, np.shape(unit)) for x in signals]
        unit = np.maximum(unit, np.max(scales, axis=0) / INT32)
        spread = max(self.interval(x).largest for x in signals)
        fine = np.maximum(unit, np.min(scales, axis=0) / 2**7)
        origin, floor = self.choices.add(name, fine, spread, lambda: unit)
        unit = np.maximum(unit, floor)
        return unit, origin

    def in_unit(self, x: Signal, choice, name) -> Signal:
        """`x`, whose unit is closed, in another: `(unit, origin)`, as chosen."""
        unit, origin = choice
        x = x.with_(origin=origin)
        if np.all(x.scale == unit):
            return x
        gain = self.whole(x.name, "gain", x.scale / unit)
        return self.scaled(x, gain, name).with_(factor=unit, unit=None)

    def scaled(self, x: Signal, factor, name) -> Signal:
        """`x` with its integers multiplied by `factor`."""
        name = self.add(integer.Scale, x, x.shape, name, factor=factor)
        return x.with_(name=name, weights=None)

    def affine(self, x: Signal, gain, offset=0.0) -> Signal:
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

    def weighted(self, kind, x, real, shape, call, offset=0.0, **arguments):
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
        weights = Weights(real, unit, self.interval(x), each)
        origin, floor = self.choices.add(
            call.name, weights.least, weights.spread, unit.close
        )
        unit.at_least(floor)

        def kernel():
            value = unit.close()
            self.notes += [(call.name, note) for note in weights.notes(value)]
            return weights.rounded(value).astype(np.int8)

        name = self.add(kind, x, shape, call.name, origin, kernel=kernel, **arguments)
        self.operands[name] = x.origin
        factor = np.ones(shape[-1])
        return Signal(name, shape, factor, unit, origin, x.timed, offset, weights)


def steps_on(coding) -> int | None:
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
