"""From a spiking network to an integer one."""

import numpy as np
from keras import tree

from snn_keras import graph as graph_lib
from snn_keras.export import integer
from snn_keras.export.calls import Rules, call_of, static_shape
from snn_keras.export.quantize.units import (
    Signal,
    Unit,
    Weights,
    common_bit,
    fine_unit,
    lowest_bit,
    plain,
)
from snn_keras.inputs import CALIBRATION_SAMPLES, check_data

rule = Rules("integer form")


def quantize_weights(snn, data, input_dtype="int8") -> integer.IntegerNetwork:
    """Turns a spiking network into one of integers.

    Weights become int8, each channel in a unit of its own; thresholds, potentials and
    biases int32 in that same unit, which is chosen so that thresholds are whole where
    possible and 16-bit sums cannot overflow. Thresholds of the layer before are folded
    into the weights, batch normalization into units, average pools into sums. What is
    a multiple of a power of two, within 8 bits, is kept without rounding.

    Args:
        snn: A `SpikingModel` of integrate-and-fire, signed or fused bit-serial
            neurons, with a fixed number of time steps.
        data: Inputs as `predict` takes them: their range sets the input's scale. A
            thousand typical samples serve well; of a dataset or a generator, which
            may be endless, the first 4,096 are read.
        input_dtype: What the input is held in, `"int8"`, `"uint8"` or `"int16"`.

    Returns:
        An `IntegerNetwork`.

    Raises:
        ConversionError: if layers have no integer form; every one is named.
        ValueError: for other bad input.
    """
    if not hasattr(snn, "program"):
        raise ValueError(
            "expected a SpikingModel. Remedy: snn_keras.convert(model, timesteps). "
            f"Received: {snn!r} of type {type(snn).__name__}."
        )
    if snn.program.during and snn.timesteps == "settle":
        raise ValueError(
            "an exported network runs for a fixed number of steps. Remedy: "
            "snn.with_timesteps(T); snn.settling_steps(x) tells how many it takes."
        )
    if input_dtype not in ("int8", "uint8", "int16"):
        raise ValueError(
            'input_dtype must be "int8", "uint8" or "int16". Received: '
            f"input_dtype={input_dtype!r}"
        )
    return Quantizer(snn, data, input_dtype).network()


class Quantizer:
    """Walks the graph of a spiking network and makes the operations of integers.

    Attributes:
        steps: Time steps of a run; 1 for a network without time.
        input_steps: Steps for which the input and constants are on, or None.
        notes: `(layer, what is held otherwise than in the source)`.
        left_out: Layers behind the network that are left to the caller.
    """

    def __init__(self, snn, data, input_dtype):
        program = snn.program
        self.name = snn.name
        self.graph = program.graph
        self.steps = program.timesteps if program.during else 1
        self.input_steps = program.input_steps if program.during else None
        self.notes = []
        self.left_out = []
        self._timed = set(program.during)
        self._order = []
        self._pending = {}
        self._built = {}
        data = tree.flatten(check_data(data, self.graph, CALIBRATION_SAMPLES))
        tensors = tree.flatten(self.graph.inputs)
        named = zip(self.graph.input_names, tensors, data, strict=True)
        self.inputs = [
            input_spec(name, static_shape(name, x), values, input_dtype)
            for name, x, values in named
        ]
        self._intervals = {spec.name: spec.interval for spec in self.inputs}
        self._names = graph_lib.Names(self._intervals)

    def network(self):
        """The integer network."""
        rule.check(
            self.graph,
            self.name,
            remedy="convolutions, dense layers, batch normalization, pooling, sums, "
            "concatenation, padding and reshaping have one, and the neurons "
            '"if", "signed" and, fused, "bit_serial".',
        )
        signals = {}
        tensors = tree.flatten(self.graph.inputs)
        for spec, x in zip(self.inputs, tensors, strict=True):
            signals[x] = Signal(spec.name, spec.shape, np.float64(spec.scale))
        readers = [x for node in self.graph.nodes for x in node.inputs]
        for node in self.graph.nodes:
            count = readers.count(node.output)
            call = call_of(node, signals, self._timed, is_last=not count)
            static_shape(node.name, node.output)
            signal = rule.apply(self, call)
            if count > 1:
                signal = signal.with_(weights=None)  # not for this reader alone
            signals[node.output] = signal
        ends = [self.output(signals[x]) for x in tree.flatten(self.graph.outputs)]
        operations = [self.built(name) for name in self._order]
        outputs = [make() for make in ends]
        return integer.IntegerNetwork(
            self.name,
            self.inputs,
            operations,
            outputs,
            self.steps,
            self.notes,
            self.left_out,
        )

    def output(self, x):
        """Makes `x` an output; returns what gives its `Output`."""
        divisor = self.input_steps if x.timed else 1
        x = self.settled(self.even(x))
        return lambda: integer.Output(x.name, float(np.max(x.scale)), divisor)

    # --- Operations ------------------------------------------------------------------

    def add(self, kind, x, shape, name, **arguments):
        """Appends an operation, which is made once the units it needs are known.

        Args:
            kind: Its class, an `integer.Operation`.
            x: What it reads, a `Signal` or a list of them.
            shape: Shape of what it makes.
            name: Its name, numbered where that is taken.
            **arguments: Its attributes; a function, called once units are known, in
                place of what depends on them.

        Returns:
            The name of what it makes.
        """
        reads = tuple(s.name for s in (x if isinstance(x, list) else [x]))
        name = self._names.unique(name)
        self._order.append(name)
        self._pending[name] = kind, reads, tuple(shape), arguments
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
            self._intervals[name] = bounds
        return self._intervals[name]

    def whole(self, name, what, real):
        """The nearest integers; notes what rounding changes."""
        rounded = np.floor(np.asarray(real) + 0.5)
        lost = np.abs(rounded - real)
        if np.any(lost > 1e-9 * np.abs(real)):  # more than a quotient's own rounding
            largest = np.max(np.abs(real))
            text = f"{what} of up to {largest:.4g} rounded by up to {np.max(lost):.2g}"
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
            unit = np.float64(bit) if exact else x.scale / 2**8
            x = self.in_unit(x, unit, f"{x.name}/gain")
        name = self.add(
            integer.Shift,
            x,
            x.shape,
            f"{x.name}/offset",
            offset=lambda: self.whole(x.name, "offsets", x.offset / x.scale),
            on=self.input_steps if x.timed else None,
        )
        return x.with_(name=name, offset=0.0, weights=None)

    def fixed(self, x: Signal) -> Signal:
        """`x` with its offset added and its unit closed."""
        x = self.settled(x)
        return x.with_(factor=plain(x.scale), unit=None, weights=None)

    def of_channels(self, x: Signal) -> Signal:
        """`x` fixed, in one unit for each entry of the last axis."""
        x = self.fixed(x)
        if np.ndim(x.factor) < 2:
            return x
        rows = x.factor.reshape(-1, x.shape[-1])
        return self.in_unit(x, fine_unit(*rows), f"{x.name}/gain")

    def even(self, x: Signal) -> Signal:
        """`x` in one unit for all of its entries."""
        if x.is_open and np.ndim(x.factor) < 2:
            x.unit.make_even(x.factor)
            return x
        x = self.fixed(x)
        if np.ndim(x.factor) == 0:
            return x
        return self.in_unit(x, fine_unit(*np.ravel(x.factor)), f"{x.name}/gain")

    def in_unit(self, x: Signal, unit, name) -> Signal:
        """`x`, whose unit is closed, in another; `unit` may be a function."""

        def gain():
            to = unit() if callable(unit) else unit
            return self.whole(x.name, "gain", x.scale / to)

        if not callable(unit):
            if np.array_equal(x.scale, unit):
                return x
            gain = gain()
        scaled = self.scaled(x, gain, name)
        return scaled if callable(unit) else scaled.with_(factor=unit, unit=None)

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
        digits = [d for _, d in integer.digits(self.interval(x), real.shape[-2])]
        weights = Weights(real, unit, digits, each)

        def kernel():
            value = unit.close()
            if error := weights.error(value):
                self.notes.append(
                    (call.name, f"weights rounded by {100 * error:.2g} %")
                )
            return weights.rounded(value).astype(np.int8)

        name = self.add(kind, x, shape, call.name, kernel=kernel, **arguments)
        factor = np.ones(shape[-1])
        return Signal(name, shape, factor, unit, x.timed, offset, weights)


def input_spec(name, shape, values, dtype):
    """An `integer.Input` that holds the range of `values`, exactly if it can."""
    values = np.asarray(values, "float64")
    limits = np.iinfo(dtype)
    low, high = min(values.min(), 0.0), max(values.max(), 0.0)
    span = limits.max - limits.min
    bit = float(np.min(lowest_bit(values)))
    if np.isinf(bit):
        bit = 1.0
    scale = bit if (high - low) / bit <= span else (high - low) / span
    lowest, highest = np.floor(low / scale + 0.5), np.floor(high / scale + 0.5)
    # No zero point where the numbers fit without.
    fits = limits.min <= lowest and highest <= limits.max
    zero_point = 0 if fits else int(limits.min - lowest)
    return integer.Input(name, shape, dtype, scale, zero_point)
