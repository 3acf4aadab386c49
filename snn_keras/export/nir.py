"""NIR files: spiking networks for other simulators and for neuromorphic hardware.

NIR (Neuromorphic Intermediate Representation) has channels first, spikes of 1, sums
where several edges meet, and neurons described by differential equations. It says
nothing of how a neuron is reset (from v to v - threshold, here), of the potential it
starts from, and of how outputs are read: `to_nir` puts these into metadata, and tells.
"""

import dataclasses
import pathlib

import keras
import numpy as np
from keras import layers

from snn_keras import neurons
from snn_keras.convert._keras import operation_types
from snn_keras.errors import ConversionError
from snn_keras.export import files
from snn_keras.export.quantizer import Refusal, call_of, inner, is_left_out
from snn_keras.export.rules import (
    array,
    batch_norm_gain,
    bias_of,
    check_channels_last,
    pad_sides,
    slices,
    ungrouped,
    windows,
)
from snn_keras.graph import Names
from snn_keras.simulate import SpikingModel

_RULES = {}


def rule(*types):
    """Registers a function `(writer, call) -> Signal` for operations."""

    def register(function):
        _RULES.update(dict.fromkeys(types, function))
        return function

    return register


def _nir():
    try:
        import nir
    except ImportError as error:
        raise ImportError(
            "NIR files need the nir package. Remedy: pip install snn_keras[nir]"
        ) from error
    return nir


@dataclasses.dataclass(frozen=True, eq=False)
class Signal:
    """A tensor of the source: factor x (sum of the nodes' outputs) + offset.

    Attributes:
        nodes: Names of the NIR nodes that add up to it.
        shape: Its shape in Keras, without batch and time.
        factor, offset: A number, or one for each channel.
        order: Where features were flattened channels first: the place of each among
            features flattened channels last.
        padding: Zeros that still go around it, `(before, after)` for each axis.
        own: Whether its only node has weights that nothing else reads.
    """

    nodes: tuple
    shape: tuple
    factor: np.ndarray = 1.0
    offset: np.ndarray = 0.0
    order: np.ndarray | None = None
    padding: tuple = ()
    own: bool = False

    def with_(self, **changes):
        """A copy with other attributes."""
        return dataclasses.replace(self, **changes)


def to_nir(snn, path, *, unit_thresholds=False, overwrite=False) -> list:
    """Writes a spiking network as a NIR file.

    Args:
        snn: A `SpikingModel` of integrate-and-fire neurons.
        path: Where to write it.
        unit_thresholds: Whether to fold thresholds into the weights before them, so
            that every neuron has a threshold of 1.
        overwrite: Whether to replace a file that is there.

    Returns:
        What a reader of the file misses unless it reads our metadata: a list of texts.

    Raises:
        ConversionError: if layers have no NIR form; every one is named.
        ValueError, FileExistsError, FileNotFoundError: for other bad input.
    """
    path = files.check_target(path, overwrite)
    nir = _nir()
    if not hasattr(snn, "program") or not snn.program.during:
        raise ValueError(
            "expected a SpikingModel that runs over time. Remedy: "
            f'snn_keras.convert(model, timesteps, neuron="if"). Received: {snn!r}'
        )
    writer = Writer(snn, unit_thresholds)
    graph = writer.graph()
    with files.written_whole(path) as beside:
        nir.write(str(beside), graph)
    return writer.losses


class Writer:
    """Walks the graph of a spiking network and makes the nodes of NIR."""

    def __init__(self, snn, unit_thresholds):
        self.snn = snn
        self.unit_thresholds = unit_thresholds
        self.losses = [
            "reset: NIR has no subtraction of the threshold; a reader that sets the "
            "potential to v_reset loses what exceeds the threshold",
            f"output: the mean over {snn.timesteps} steps is left to the reader",
        ]
        self._names = Names()
        self._nodes = {}  # name -> (kind, settings)
        self._edges = []
        self._readers = []

    def graph(self):
        """The `nir.NIRGraph`."""
        program = self.snn.program
        nodes = program.graph.nodes
        offenders = [
            f"- '{n.name}' ({type(inner(n.operation)).__name__})"
            for n in nodes
            if type(inner(n.operation)) not in _RULES
        ]
        if offenders:
            raise ConversionError(
                f"'{self.snn.name}' has layers without a NIR form:\n"
                + "\n".join(offenders)
                + "\nRemedy: convolutions, dense layers, batch normalization, average "
                "pooling, sums, padding before convolutions and flattening have one, "
                'and the neurons "if"; quantize_activations(model, '
                "replace_max_pooling=True) replaces max pooling."
            )
        signals = {}
        tensors = keras.tree.flatten(program.graph.inputs)
        for name, x in zip(program.graph.input_names, tensors, strict=True):
            shape = tuple(x.shape[1:])
            node = self.add("Input", name, (), input_type=_first(shape))
            signals[x] = Signal((node,), shape)
        self._readers = [x for node in nodes for x in node.inputs]
        timed = set(program.during)
        for node in nodes:
            call = call_of(node, signals, timed, is_last=not self._count(node))
            try:
                signal = _RULES[type(call.operation)](self, call)
            except Refusal as refusal:
                raise ConversionError(
                    f"'{node.name}' ({type(call.operation).__name__}) has no NIR "
                    f"form: {refusal}"
                ) from refusal
            if self._count(node) > 1:
                signal = signal.with_(own=False)
            signals[node.output] = signal
        for i, x in enumerate(keras.tree.flatten(program.graph.outputs)):
            signal = self.plain(signals[x], "output")
            name = f"output_{i}" if i else "output"
            self.add("Output", name, signal, output_type=_first(signal.shape))
        return self._made()

    def _count(self, node):
        return self._readers.count(node.output)

    def _made(self):
        nir = _nir()
        nodes = {}
        for name, (kind, settings) in self._nodes.items():
            arrays = {
                k: v.astype("float32") if _is_float(v) else v
                for k, v in settings.items()
            }
            nodes[name] = getattr(nir, kind)(**arrays)
        metadata = {
            "made_by": "snn_keras",
            "timesteps": self.snn.timesteps,
            "reset": "subtract",
            "output": "mean",
        }
        return nir.NIRGraph(nodes=nodes, edges=self._edges, metadata=metadata)

    # --- What rules are made of ------------------------------------------------------

    def add(self, kind, name, x, **settings):
        """Adds a node that reads the signal `x`; returns its name."""
        name = self._names.unique(name)
        self._nodes[name] = kind, settings
        sources = x.nodes if isinstance(x, Signal) else x
        self._edges += [(source, name) for source in sources]
        return name

    def plain(self, x, name) -> Signal:
        """`x` with factor 1 and offset 0: folded into weights, or a node of its own."""
        if np.all(np.asarray(x.factor) == 1) and not np.any(x.offset):
            return x
        if x.own:
            _, settings = self._nodes[x.nodes[0]]
            weight = settings["weight"]
            channels = weight.shape[0]
            factor = np.broadcast_to(x.factor, channels)
            settings["weight"] = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
            settings["bias"] = settings["bias"] * factor + x.offset
            return x.with_(factor=1.0, offset=0.0)
        return self.scaled(x, x.factor, x.offset, f"{name}_scale")

    def scaled(self, x, factor, offset, name) -> Signal:
        """`factor * x + offset` by a node of its own; not the factor that `x` has."""
        channels = x.shape[-1]
        factor = np.broadcast_to(np.float64(factor), channels)
        offset = np.broadcast_to(np.float64(offset), channels)
        # Not every reader knows `Scale`; convolutions and `Affine` every one does.
        if len(x.shape) == 3:
            node = self.add(
                "Conv2d",
                name,
                x,
                input_shape=tuple(x.shape[:2]),
                weight=np.diag(factor)[:, :, None, None],
                stride=(1, 1),
                padding=(0, 0),
                dilation=(1, 1),
                groups=1,
                bias=np.array(offset),
            )
        elif len(x.shape) == 1:
            node = self.add(
                "Affine", name, x, weight=np.diag(factor), bias=np.array(offset)
            )
        elif not np.any(offset):
            full = np.broadcast_to(factor, x.shape)
            node = self.add("Scale", name, x, scale=_channels_first(full))
        else:
            raise Refusal("constants added to sequences have none.")
        return x.with_(nodes=(node,), factor=1.0, offset=0.0, own=False)

    def weighted(self, kind, name, x, shape, weight, bias, **settings) -> Signal:
        """A node of weights `(out, in, ...)`; the factor of `x` goes into them."""
        if np.any(x.offset):
            x = self.plain(x, name)
        factor = np.broadcast_to(x.factor, x.shape[-1])
        factor = factor.reshape(1, -1, *(1,) * (weight.ndim - 2))
        bias = np.broadcast_to(np.float64(bias), len(weight))
        node = self.add(
            kind, name, x, weight=weight * factor, bias=np.array(bias), **settings
        )
        return Signal((node,), shape, own=True)


def _is_float(x):
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _first(shape):
    """A shape with its channels first."""
    return np.array((shape[-1], *shape[:-1]))


def _channels_first(x):
    return np.moveaxis(np.asarray(x), -1, 0)


# --- Rules ---------------------------------------------------------------------------


@rule(neurons.Present)
def _present(writer, call):
    if call.layer.input_steps is not None:
        raise Refusal('NIR has no input that is switched off. Remedy: neuron="if".')
    return call.signal


@rule(neurons.Readout, layers.Identity)
def _nothing(writer, call):
    return call.signal


@rule(layers.Softmax, layers.Activation, *operation_types("Softmax", "Sigmoid"))
def _last_activation(writer, call):
    if not call.is_last or not is_left_out(call.operation):
        raise Refusal("only softmax and sigmoid at the end are left to the reader.")
    writer.losses.append(f"'{call.name}' is left to the reader")
    return call.signal


@rule(neurons.Spiking)
def _spiking(writer, call):
    cell = call.layer.cell
    if type(cell) is not neurons.IFCell:
        raise Refusal(
            f'its neurons are {type(cell).__name__}. Remedy: convert with neuron="if".'
        )
    x, theta = call.signal, cell.theta_value()
    amplitude = theta
    if writer.unit_thresholds:
        share = 1 / theta
        x = x.with_(factor=x.factor * share, offset=x.offset * share)
        theta = np.ones(())
    x = writer.plain(x, call.name)
    threshold = _channels_first(np.broadcast_to(theta, x.shape)).copy()
    node = writer.add(
        "IF",
        call.name,
        x,
        r=np.ones_like(threshold),
        v_threshold=threshold,
        v_reset=np.zeros_like(threshold),
        metadata={"reset": "subtract", "v_initial": cell.initial * threshold},
    )
    if cell.initial:
        writer.losses.append(
            f"'{call.name}' starts from {cell.initial:g} of its threshold"
        )
    return Signal((node,), x.shape, factor=amplitude, order=x.order)


@rule(layers.Dense)
def _dense(writer, call):
    x, layer = call.signal, call.operation
    if len(x.shape) != 1:
        raise Refusal("dense layers have one for flat inputs alone.")
    kernel = array(layer.kernel).T
    if x.order is not None:
        kernel = kernel[:, x.order]
        if np.ndim(x.factor):
            x = x.with_(factor=np.asarray(x.factor)[x.order])
    shape = (layer.units,)
    return writer.weighted("Affine", call.name, x, shape, kernel, bias_of(layer))


def _convolved(writer, call, name, x, weight, bias, layer, groups):
    """A convolution of images; `weight` is `(out, in, height, width)`."""
    check_channels_last(layer)
    strides, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
    sizes = [
        n + sum(p) for n, p in zip(x.shape, x.padding or ((0, 0), (0, 0)), strict=False)
    ]
    padding, places = windows(sizes, weight.shape[2:], strides, layer.padding, dilation)
    outer = x.padding or ((0, 0), (0, 0))
    if groups > 1:  # the shape inference of NIR knows one group alone
        kernel = weight.transpose(2, 3, 1, 0)
        weight = ungrouped(kernel, groups).transpose(3, 2, 0, 1)
    both = []
    for axis, (inside, outside) in enumerate(zip(padding, outer, strict=True)):
        before, after = (a + b for a, b in zip(inside, outside, strict=True))
        # NIR pads both sides alike: zeros in the kernel make up for the difference.
        taps, rest = divmod(abs(after - before), dilation[axis])
        if rest:
            raise Refusal("its padding has sides that differ by no dilated tap.")
        sides = [(0, 0)] * 4
        sides[2 + axis] = (taps, 0) if after > before else (0, taps)
        weight = np.pad(weight, sides)
        both.append(max(before, after))
    weight, both = _square(weight, both, dilation)
    shape = (*places, weight.shape[0])
    return writer.weighted(
        "Conv2d",
        name,
        x.with_(padding=()),
        shape,
        weight,
        bias,
        input_shape=tuple(x.shape[:2]),
        stride=strides,
        padding=tuple(both),
        dilation=dilation,
        groups=1,
    )


def _square(weight, padding, dilation):
    """The same convolution with a square kernel, as NIR's shape inference wants it."""
    lack = max(weight.shape[2:]) - np.array(weight.shape[2:])
    if np.any(lack % 2):
        raise Refusal(
            f"its kernel, {weight.shape[2:]} with the zeros that its padding takes, is "
            "not square, and NIR's shape inference takes kernels to be."
        )
    half = [int(n) // 2 for n in lack]
    weight = np.pad(weight, [(0, 0), (0, 0), *((n, n) for n in half)])
    sides = zip(padding, half, dilation, strict=True)
    return weight, [p + n * d for p, n, d in sides]


@rule(layers.Conv2D)
def _convolution(writer, call):
    layer = call.operation
    weight = array(layer.kernel).transpose(3, 2, 0, 1)
    arguments = (call.signal, weight, bias_of(layer), layer, layer.groups)
    return _convolved(writer, call, call.name, *arguments)


@rule(layers.DepthwiseConv2D)
def _depthwise(writer, call):
    layer, x = call.operation, call.signal
    kernel = array(layer.kernel)
    height, width, channels, _ = kernel.shape
    weight = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)
    arguments = (x, weight, bias_of(layer), layer, channels)
    return _convolved(writer, call, call.name, *arguments)


@rule(layers.BatchNormalization)
def _batch_normalization(writer, call):
    x = call.signal
    gain, offset = batch_norm_gain(call.operation, x.shape)
    if x.order is not None:
        gain, offset = gain[x.order], offset[x.order]
    return x.with_(factor=x.factor * gain, offset=x.offset * gain + offset)


@rule(layers.Rescaling)
def _rescaling(writer, call):
    x, layer = call.signal, call.operation
    return x.with_(
        factor=x.factor * np.float64(layer.scale),
        offset=x.offset * np.float64(layer.scale) + layer.offset,
    )


@rule(layers.Add)
def _add(writer, call):
    return _sum(writer, call.signals, call.name)


@rule(*operation_types("Add"))
def _plus(writer, call):
    if len(call.signals) != len(call.args):
        raise Refusal("sums with a constant have none.")
    return _sum(writer, call.signals, call.name)


def _sum(writer, signals, name):
    signals = [writer.plain(x, name) for x in signals]
    orders = {None if x.order is None else tuple(x.order) for x in signals}
    if len(orders) > 1 or len({x.shape for x in signals}) > 1:
        raise Refusal("sums of different shapes have none.")
    nodes = []
    for x in signals:
        if set(x.nodes) & set(nodes):  # NIR has no double edges
            x = writer.scaled(x, 1.0, 0.0, f"{name}_again")
        nodes += x.nodes
    return signals[0].with_(nodes=tuple(nodes), own=False)


@rule(layers.AveragePooling2D)
def _average_pooling(writer, call):
    x, layer = call.signal, call.operation
    check_channels_last(layer)
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    padding, places = windows(x.shape[:2], window, strides, layer.padding)
    if np.any(padding):
        raise Refusal('it pads. Remedy: padding="valid".')
    return _pooled(writer, call.name, x, window, strides, places)


def _pooled(writer, name, x, window, strides, places):
    node = writer.add(
        "AvgPool2d",
        name,
        x,
        kernel_size=np.array(window),
        stride=np.array(strides),
        padding=np.array((0, 0)),
    )
    return x.with_(nodes=(node,), shape=(*places, x.shape[-1]), own=False)


@rule(layers.GlobalAveragePooling2D)
def _global_average_pooling(writer, call):
    x = call.signal
    check_channels_last(call.operation)
    if call.operation.keepdims:
        raise Refusal("it keeps its axes. Remedy: keepdims=False.")
    pooled = _pooled(writer, call.name, x, x.shape[:2], x.shape[:2], (1, 1))
    return _flattened(writer, f"{call.name}_flat", pooled)


@rule(layers.Flatten)
def _flatten(writer, call):
    x = call.signal
    return x if len(x.shape) == 1 else _flattened(writer, call.name, x)


def _flattened(writer, name, x):
    if np.ndim(x.factor) or np.ndim(x.offset):
        x = writer.plain(x, name)
    size = int(np.prod(x.shape))
    order = _channels_first(np.arange(size).reshape(x.shape)).ravel()
    node = writer.add(
        "Flatten", name, x, input_type=_first(x.shape), start_dim=0, end_dim=-1
    )
    return x.with_(nodes=(node,), shape=(size,), order=order, own=False)


@rule(layers.ZeroPadding2D)
def _zero_padding(writer, call):
    x = call.signal
    check_channels_last(call.operation)
    if np.any(x.offset):
        x = writer.plain(x, call.name)
    before = x.padding or ((0, 0), (0, 0))
    padding = tuple(
        (a + c, b + d)
        for (a, b), (c, d) in zip(before, call.operation.padding, strict=True)
    )
    return x.with_(padding=padding)


@rule(*operation_types("GetItem"))
def _item(writer, call):
    """Every so many pixels, by a convolution of one tap."""
    x = writer.plain(call.signal, call.name)
    begin, strides = slices(call)
    if len(x.shape) != 3 or any(begin) or strides[-1] != 1:
        raise Refusal("of slices only x[:, ::a, ::b] has one.")
    weight = np.eye(x.shape[-1])[:, :, None, None]
    return _one_tap(writer, call, x, weight, strides[:2])


@rule(*operation_types("Pad"))
def _pad(writer, call):
    """Channels of zeros, by a convolution of one tap; or zeros around images."""
    x, sides = call.signal, pad_sides(call)
    if np.any(x.offset):
        x = writer.plain(x, call.name)
    if len(x.shape) != 3 or (np.any(sides[-1]) and (np.any(sides[:-1]) or x.padding)):
        raise Refusal("only images have one, padded in their channels or around.")
    if not np.any(sides[-1]):
        return x.with_(padding=sides[:-1])
    weight = np.pad(np.eye(x.shape[-1]), [sides[-1], (0, 0)])[:, :, None, None]
    return _one_tap(writer, call, x, weight, (1, 1))


def _one_tap(writer, call, x, weight, strides):
    return writer.weighted(
        "Conv2d",
        call.name,
        x,
        call.shape,
        weight,
        0.0,
        input_shape=tuple(x.shape[:2]),
        stride=strides,
        padding=(0, 0),
        dilation=(1, 1),
        groups=1,
    )


# --- Reading -------------------------------------------------------------------------


@keras.saving.register_keras_serializable("snn_keras")
class UnitIFCell(neurons.IFCell):
    """`IFCell` that sends 1 where it fires, as NIR's neurons do."""

    def call(self, inputs, states, training=False):
        sent, states = super().call(inputs, states, training)
        return keras.ops.cast(sent != 0, self.compute_dtype), states


def from_nir(path, timesteps=None) -> SpikingModel:
    """Reads a NIR file as a spiking network.

    Args:
        path: The file: IF neurons with `Conv1d`, `Conv2d`, `Affine`, `Linear`,
            `Scale`, `AvgPool2d`, `SumPool2d` and `Flatten`.
        timesteps: Time steps of a run; by default those that the file says.

    Returns:
        A `SpikingModel` with inputs channels last. Neurons are reset by subtraction;
        where the file does not say from what potential they start, from 0.

    Raises:
        ValueError: if it cannot be read, or holds what has no counterpart here.
        FileNotFoundError: if there is no file.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        graph = _nir().read(str(path))
    except Exception as error:
        raise ValueError(
            f"{path} is not a NIR file, or is damaged: {error}. Remedy: export it "
            "again."
        ) from error
    timesteps = timesteps or graph.metadata.get("timesteps")
    if timesteps is None:
        raise ValueError(
            f"{path} does not say for how many steps it runs. Remedy: "
            "from_nir(path, timesteps=T)."
        )
    return _Reader(graph, int(timesteps), path.stem).model()


class _Reader:
    """Builds a spiking network from a NIR graph."""

    def __init__(self, graph, timesteps, name):
        self.graph = graph
        self.timesteps = timesteps
        self.name = name
        self._values = {}
        self._inputs = []

    def model(self):
        """The `SpikingModel`."""
        outputs = []
        for name in self._order():
            node = self.graph.nodes[name]
            kind = type(node).__name__
            if kind == "Input":
                channels, *sizes = (int(n) for n in node.input_type["input"])
                x = keras.Input((*sizes, channels), name=name)
                self._inputs.append(x)
                self._values[name] = neurons.Present(self.timesteps)(x)
                continue
            read = [self._values[a] for a, b in self.graph.edges if b == name]
            x = read[0]
            if len(read) > 1:
                x = neurons.PerStep(layers.Add(), name=f"{name}_sum")(read)
            if kind == "Output":
                outputs.append(neurons.Readout(name=name)(x))
            else:
                self._values[name] = self._layer(name, kind, node, x)
        alone = [x[0] if len(x) == 1 else x for x in (self._inputs, outputs)]
        return SpikingModel(*alone, name=self.name)

    def _order(self):
        """Names of the nodes, each behind all that it reads."""
        waiting, done = dict.fromkeys(self.graph.nodes), []
        while waiting:
            ready = [
                name
                for name in waiting
                if all(a not in waiting for a, b in self.graph.edges if b == name)
            ]
            if not ready:
                raise ValueError(
                    f"'{self.name}' has loops, which have no counterpart here: "
                    f"{sorted(waiting)}."
                )
            for name in ready:
                del waiting[name]
            done += ready
        return done

    def _layer(self, name, kind, node, x):
        make = getattr(self, f"_{kind.lower()}", None)
        if make is None:
            raise ValueError(
                f"node '{name}' ({kind}) has no counterpart here. Read are IF, Conv1d, "
                "Conv2d, Affine, Linear, Scale, AvgPool2d, SumPool2d and Flatten."
            )
        return make(name, node, x)

    def _if(self, name, node, x):
        threshold = self._of_channels(name, "v_threshold", node.v_threshold)
        start = np.asarray(node.metadata.get("v_initial", 0.0 * node.v_threshold))
        share = self._of_channels(name, "v_initial", start) / threshold
        if np.any(node.r != 1) or np.ptp(share):
            raise ValueError(
                f"node '{name}' (IF) must have r = 1, and start from one share of its "
                "thresholds."
            )
        cell = UnitIFCell(threshold.tolist(), initial=float(np.ravel(share)[0]))
        return neurons.Spiking(cell, name=name)(x)

    def _of_channels(self, name, what, values):
        values = np.asarray(values, "float64")
        rows = values.reshape(len(values), -1)
        if np.ptp(rows, 1).any():
            raise ValueError(
                f"node '{name}': {what} must be the same in all of a channel."
            )
        return rows[:, 0]

    def _weighted(self, name, layer, weights, x):
        step = neurons.PerStep(layer, name=name)
        y = step(x)
        layer.set_weights(weights)
        return y

    def _affine(self, name, node, x):
        layer = layers.Dense(len(node.weight), name=f"{name}_weights")
        return self._weighted(name, layer, [node.weight.T, node.bias], x)

    def _linear(self, name, node, x):
        layer = layers.Dense(len(node.weight), use_bias=False, name=f"{name}_weights")
        return self._weighted(name, layer, [node.weight.T], x)

    def _conv2d(self, name, node, x):
        padding = node.padding
        if isinstance(padding, str):
            padding = padding if padding == "same" else (0, 0)
        if not isinstance(padding, str):
            sides = [(int(p), int(p)) for p in padding]
            if np.any(sides):
                pad = layers.ZeroPadding2D(sides, name=f"{name}_zeros")
                x = neurons.PerStep(pad, name=f"{name}_padding")(x)
            padding = "valid"
        layer = layers.Conv2D(
            len(node.weight),
            node.weight.shape[2:],
            strides=[int(n) for n in np.broadcast_to(node.stride, 2)],
            dilation_rate=[int(n) for n in np.broadcast_to(node.dilation, 2)],
            padding=padding,
            groups=int(node.groups),
            name=f"{name}_weights",
        )
        kernel = node.weight.transpose(2, 3, 1, 0)
        return self._weighted(name, layer, [kernel, node.bias], x)

    def _scale(self, name, node, x):
        scale = np.moveaxis(np.asarray(node.scale), 0, -1)
        rows = scale.reshape(-1, scale.shape[-1])
        if np.ptp(rows, 0).any():
            raise ValueError(f"node '{name}' (Scale) differs within a channel.")
        layer = layers.Rescaling(rows[0].tolist(), name=f"{name}_factor")
        return neurons.PerStep(layer, name=name)(x)

    def _avgpool2d(self, name, node, x, total=False):
        if np.any(node.padding):
            raise ValueError(f"node '{name}' pads its pool: no counterpart here.")
        window = [int(n) for n in node.kernel_size]
        layer = layers.AveragePooling2D(
            window, strides=[int(n) for n in node.stride], name=f"{name}_mean"
        )
        y = neurons.PerStep(layer, name=name)(x)
        if total:
            count = layers.Rescaling(float(np.prod(window)), name=f"{name}_count")
            y = neurons.PerStep(count, name=f"{name}_sum")(y)
        return y

    def _sumpool2d(self, name, node, x):
        return self._avgpool2d(name, node, x, total=True)

    def _flatten(self, name, node, x):
        rank = len(x.shape) - 2
        if rank > 1:
            order = (rank, *range(1, rank))
            permute = layers.Permute(order, name=f"{name}_order")
            x = neurons.PerStep(permute, name=f"{name}_channels_first")(x)
        return neurons.PerStep(layers.Flatten(name=f"{name}_flat"), name=name)(x)
