"""Additions and multiplications of a spiking network, counted from its spikes."""

import dataclasses
import math

import numpy as np
from keras import layers, ops, tree

from snn_keras.analysis.recording import Neurons, Recorder
from snn_keras.convert import normalize
from snn_keras.convert._keras import LayerScale, operation_types
from snn_keras.graph import fill, run_nodes
from snn_keras.neurons import (
    BiasCorrection,
    PerStep,
    Present,
    Readout,
    Spiking,
    TemporalDifference,
)
from snn_keras.simulate import Monitored

# What does not change how many synapses a spike reaches.
_KEEP = (
    layers.BatchNormalization,
    layers.Normalization,
    layers.Rescaling,
    layers.Dropout,
    LayerScale,
    BiasCorrection,
    *operation_types("Multiply", "Divide", "TrueDivide", "Negative"),
)
_POOLING = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
_MEANS = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    *operation_types("Mean"),
)
_SUBTRACT = (layers.Subtract, *operation_types("Subtract"))
_PADDING = (layers.ZeroPadding1D, layers.ZeroPadding2D, layers.ZeroPadding3D)
_SEPARABLE = {
    layers.SeparableConv1D: (layers.DepthwiseConv1D, layers.Conv1D),
    layers.SeparableConv2D: (layers.DepthwiseConv2D, layers.Conv2D),
}


@dataclasses.dataclass(frozen=True)
class Signal:
    """What travels along an edge: which of its elements cost something.

    Attributes:
        maps: `(batch + 2, ...)`: for every sample the spikes that arrive at each
            element in a run, not yet added up anywhere; then 1 where the element holds
            a number at every step, and 1 where the source network's holds one.
        is_static: Whether these numbers are the same at all steps.
    """

    maps: object
    is_static: bool

    @property
    def events(self):
        """Spikes that arrive in a run, of each sample."""
        return self.maps[:-2]


class Count(Monitored):
    """Counts the operations of a run, layer by layer.

    Additions: each spike is one at every synapse that it reaches. Linear layers
    without weights pass spikes on (average pooling folds into the weights behind it).
    Multiply-accumulates: numbers that reach a weight layer are one at each of its
    weights; numbers from before the first neuron once a run, others at every step.
    Weights on zero padding are not counted.

    Args:
        snn: A `SpikingModel`.
    """

    def __init__(self, snn):
        super().__init__(snn, Recorder(Neurons()))
        self._ones = {}

    def of_batch(self, x, steps):
        """The operations of each layer on a batch.

        Args:
            x: Inputs, as for `predict_on_batch`.
            steps: Steps of the run, of each sample.

        Returns:
            `{name: {"add": (batch,), "multiply_accumulate": (batch,), "source":
            multiply-accumulates of the source's layer, "spikes": (batch,), "neurons":
            number}}`, with what each has.
        """
        _, spikes = self.predict_on_batch(x)
        found, values = {}, {}
        graph = self.model.program.graph
        steps = np.asarray(steps)
        batch = len(steps)
        for tensor in tree.flatten(graph.inputs):
            values[tensor] = _numbers(batch, tensor.shape[1:], static=True)

        def call(node, values):
            figures, outputs = self._node(node, values, spikes, steps)
            if figures:
                name = getattr(node.operation, "name", node.name)
                before = found.setdefault(name, {})
                for key, value in figures.items():
                    before[key] = before.get(key, 0) + value
            return outputs

        run_nodes(graph.nodes, values, call)
        return found

    def _node(self, node, values, spikes, steps):
        """What a node costs, and its outputs' signals."""
        operation = node.operation
        signals = [values[x] for x in node.inputs]
        batch = len(steps)
        if isinstance(operation, Spiking):
            return self._fire(operation, signals[0], spikes[operation.name])
        if isinstance(operation, Present):
            return {}, Signal(signals[0].maps, is_static=False)
        if isinstance(operation, Readout):
            figures = {"add": _sums(signals[0].events)}
            return figures, _numbers(batch, node.output.shape[1:], static=True)
        is_timed = isinstance(operation, PerStep)
        inner = operation.operation if is_timed else operation
        static = all(signal.is_static for signal in signals)
        figures = {}
        if isinstance(inner, normalize.FUSING):
            figures = self._weigh(inner, signals[0], steps)
        # What a function of numbers costs itself is not counted.
        is_function = isinstance(operation, TemporalDifference)
        if figures or is_function or (static and not isinstance(inner, _PADDING)):
            shapes = [x.shape[2 if is_timed else 1 :] for x in node.outputs]
            return figures, [_numbers(batch, shape, static) for shape in shapes]
        reached = _reached(node, inner, [signal.maps for signal in signals])
        return {}, [Signal(_marked(y), static) for y in tree.flatten(reached)]

    def _fire(self, layer, signal, spikes):
        """Neurons: what they add up that no weight layer did, and what they send."""
        shape = (1, *spikes.shape[1:])
        figures = {
            "add": _sums(signal.events),
            "spikes": _sums(spikes),
            "neurons": math.prod(shape),
        }
        rows = [spikes.astype("float32"), np.zeros(shape), np.ones(shape)]
        maps = ops.convert_to_tensor(np.concatenate(rows).astype("float32"))
        return figures, Signal(maps, is_static=False)

    def _weigh(self, layer, signal, steps):
        """What a layer with weights adds, and multiplies and adds."""
        figures = {"add": 0.0, "multiply_accumulate": 0.0, "source": 0.0}
        maps = signal.maps
        for part in self._with_ones(layer, maps.shape):
            sums = _sums(part(maps))
            times = 1 if signal.is_static else steps
            figures["add"] = figures["add"] + sums[:-2]
            figures["multiply_accumulate"] += sums[-2] * times
            figures["source"] += sums[-1]
            shape = part.compute_output_shape(maps.shape)
            maps = _numbers(len(steps), shape[1:], signal.is_static).maps
        return figures

    def _with_ones(self, layer, shape):
        """Copies of a layer's parts, whose weights are all 1."""
        if id(layer) not in self._ones:
            self._ones[id(layer)] = list(_parts(layer, shape))
        return self._ones[id(layer)]


def _parts(layer, shape):
    """A layer as layers whose weights are all 1, without constant parts."""
    config = normalize.linear_config(layer)
    pair = next((v for k, v in _SEPARABLE.items() if isinstance(layer, k)), None)
    if pair is None:
        kinds = [(type(layer), config)]
    else:
        names = ("kernel_size", "strides", "padding", "data_format", "dilation_rate")
        first = {k: config[k] for k in (*names, "depth_multiplier")}
        last = {"filters": config["filters"], "kernel_size": 1}
        last["data_format"] = config["data_format"]
        kinds = zip(pair, (first, last), strict=True)
    for kind, settings in kinds:
        settings = {**settings, "dtype": "float32"}
        settings |= {"use_bias": False} if "use_bias" in config else {}
        settings |= {"bias_axes": None} if "bias_axes" in config else {}
        copy = kind.from_config(settings)
        copy.build(shape)
        copy.set_weights([np.ones(w.shape, "float32") for w in copy.weights])
        shape = copy.compute_output_shape(shape)
        yield copy


def _reached(node, inner, maps):
    """Runs a linear layer without weights on counts: what arrives at its outputs."""

    def call(function, inputs):
        if isinstance(node.operation, PerStep):
            args, kwargs = node.operation.arguments_of(inputs)
        else:
            pairs = dict(zip(node.inputs, inputs, strict=True))
            args, kwargs = fill((node.args, node.kwargs), pairs)
        return function(*args, **kwargs)

    if isinstance(inner, _KEEP) and len(maps) == 1:
        return maps[0]
    if isinstance(inner, _SUBTRACT) and len(maps) > 1:
        return maps[0] + maps[1]
    if isinstance(inner, _POOLING):
        return _sum_pool(inner, maps[0])
    reached = call(inner, maps)
    if isinstance(inner, layers.Average):
        return ops.round(reached * len(maps))
    if isinstance(inner, _MEANS):
        size = math.prod(maps[0].shape[1:]) // math.prod(reached.shape[1:])
        return ops.round(reached * size)
    constant = call(inner, [ops.zeros_like(x) for x in maps])
    return tree.map_structure(lambda y, c: y - c, reached, constant)


def _sum_pool(layer, x):
    """Sums where an average pooling averages."""
    first = 1 if layer.data_format == "channels_last" else 2
    padding = [[0, 0]] * len(x.shape)
    if layer.padding == "same":
        for i, (size, stride) in enumerate(
            zip(layer.pool_size, layer.strides, strict=True)
        ):
            length = x.shape[first + i]
            missing = (-(-length // stride) - 1) * stride + size - length
            padding[first + i] = [max(missing, 0) // 2, -(-max(missing, 0) // 2)]
    y = ops.average_pool(
        ops.pad(x, padding),
        layer.pool_size,
        layer.strides,
        "valid",
        layer.data_format,
    )
    return ops.round(y * math.prod(layer.pool_size))


def _numbers(batch, shape, static):
    """A signal of numbers everywhere, and no spikes."""
    rows = np.zeros((batch + 2, *shape), "float32")
    rows[-2:] = 1
    return Signal(ops.convert_to_tensor(rows), static)


def _marked(maps):
    """Counts of spikes as they are; of numbers, whether there are any."""
    return ops.concatenate([maps[:-2], ops.cast(maps[-2:] != 0, maps.dtype)])


def _sums(maps):
    """The sum of each row, exactly."""
    rows = ops.convert_to_numpy(maps).astype("float64")
    return rows.reshape(len(rows), -1).sum(axis=1)
