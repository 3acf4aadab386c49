"""Makes the weights, biases and steps of a network numbers of few bits."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops, tree

from snn_keras.conversion import normalize
from snn_keras.conversion.building import Copies, new_inputs, policy
from snn_keras.conversion.rules import Affine, Neuron, rule_for
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Names, Node, computes_as
from snn_keras.inputs import CALIBRATION_SAMPLES, check_data
from snn_keras.layers import QuantizedActivation, QuantizedInput, QuantizedWeights
from snn_keras.layers.kernel_axes import channel_axes
from snn_keras.layers.quantized_weights import check_weight_settings
from snn_keras.typing import Inputs


def quantize_weights(
    model: keras.Model | Graph,
    bits: int = 8,
    axis: int | None = -1,
    method: str = "lsq",
    sparsity: float | None = None,
    data: Inputs = None,
) -> keras.Model:
    """Makes a network compute with weights of few bits, to be trained so.

    Every layer with a kernel is wrapped in a `snn_keras.layers.QuantizedWeights`:
    kernels and biases are rounded in every call, and gradients train the float ones.
    Batch normalization behind such a layer is folded into it. The steps of quantized
    activations become powers of two, and stay trainable. With `data`, inputs are
    rounded to 8 bits. Layers whose outputs are outputs of the network have one step for
    all channels, because outputs have one unit.

    So all numbers of the network are whole multiples of powers of two, sums of them
    are exact in floats, and `snn_keras.export.to_integers` rounds nothing:
    `net.is_exact`. See docs/export.md for the networks for which this does not hold.

    `quantize_activations` may be called before or after it. Weights are copied; the
    given model is not changed.

    Args:
        model: A functional or Sequential `keras.Model`, or its graph in normal form.
        bits: Bits of a weight, 2 to 8, of which one is the sign.
        axis: -1 for a step per output channel, None for one per kernel.
        method: `"lsq"`, trained steps, or `"straight_through"`, steps at which nothing
            is clipped.
        sparsity: The share of weights, the smallest of each kernel, that are 0; None
            for no pruning. `snn_keras.callbacks.Pruning` raises it while training.
        data: Inputs as `model.predict` takes them, for the range of the input. None:
            the input is not rounded; the network is exact if it is dyadic.

    Returns:
        A functional `keras.Model` to train further, or to convert.

    Raises:
        ValueError: if an argument is not valid.
        ConversionError: if no layer has a kernel, or all have been quantized.

    Source: Esser et al. 2020 (learned steps), Jacob et al. 2018 (folding before
        quantizing), Zhu and Gupta 2017 (pruning by magnitude).
    """
    check_weight_settings(bits, axis, method, sparsity)
    graph = normalize.normal_form(model, keep_quantizers=True)
    weighted = [node for node in graph.nodes if _is_weighted(node)]
    if not weighted:
        kinds = sorted({type(node.operation).__name__ for node in graph.nodes})
        raise ConversionError(
            f"Model '{graph.name}' has no layer with a kernel to quantize. Its layers "
            f"are of the types {kinds}. Remedy: a model with layers such as "
            "keras.layers.Dense that are not quantized already."
        )
    if data is not None:
        data = tree.flatten(check_data(data, graph, CALIBRATION_SAMPLES))
    settings = {"bits": bits, "method": method, "sparsity": sparsity}
    made = _Layers(graph, weighted, settings, axis)

    def call(node, values):
        if node in made.folded:
            return values[node.inputs[0]]
        return node.call(made.of(node), values)

    inputs = new_inputs(graph)
    starts = inputs if data is None else _rounded_inputs(graph, inputs, data)
    return keras.Model(inputs, graph.run(starts, call), name=graph.name)


def _rounded_inputs(graph, inputs, data):
    """The inputs of the new model behind a `QuantizedInput` each."""
    names = Names([*graph.input_names, *(node.name for node in graph.nodes)])
    read = [node.operation for node in graph.nodes if set(node.inputs) & _starts(graph)]
    if any(isinstance(operation, QuantizedInput) for operation in read):
        return inputs
    found = [
        QuantizedInput.covering(values, name=names.unique(f"{name}_quantized"))(x)
        if "float" in x.dtype
        else x
        for x, values, name in zip(
            tree.flatten(inputs), data, graph.input_names, strict=True
        )
    ]
    return tree.pack_sequence_as(inputs, found)


def _starts(graph):
    return set(tree.flatten(graph.inputs))


def _is_weighted(node):
    """Whether a node is a linear layer with a kernel that is not quantized yet."""
    operation = node.operation
    if not isinstance(operation, keras.layers.Layer) or len(node.inputs) != 1:
        return False
    inside = operation
    while isinstance(inside, normalize.WRAPPERS):
        if not isinstance(inside, keras.layers.TimeDistributed):
            return False
        inside = inside.layer
    has_kernel = any(w.name.endswith("kernel") for w in operation.weights)
    return has_kernel and isinstance(rule_for(operation), Affine)


class _Layers:
    """The layers of the new network, one for each of the source.

    Attributes:
        folded: The batch normalizations that became part of the layer before.
    """

    def __init__(
        self, graph: Graph, weighted: Sequence[Node], settings: dict, axis: int | None
    ) -> None:
        self.graph = graph
        self.settings = settings
        self.axis = axis
        self.weighted = set(weighted)
        self.copies = Copies(graph.nodes)
        self.at_end = _before_outputs(graph)
        self.scale_of = _foldable(graph, weighted)
        self.folded = set(self.scale_of.values())
        self._made = {}

    def of(self, node: Node) -> keras.Operation:
        """The layer for a node."""
        operation = node.operation
        if id(operation) not in self._made:
            self._made[id(operation)] = operation, self._layer(node)
        return self._made[id(operation)][1]

    def _layer(self, node):
        copy = self.copies.own(node)
        if isinstance(copy, QuantizedActivation):
            copy.dyadic = True
        if node not in self.weighted:
            return copy
        scale = self.scale_of.get(node)
        if scale is not None:
            copy = with_scale(copy, node, scale)
        axis = None if node in self.at_end else self.axis
        penalty, copy.activity_regularizer = copy.activity_regularizer, None
        return QuantizedWeights(
            copy,
            axis=axis,
            name=node.name,
            dtype=policy(node),
            activity_regularizer=penalty,
            **self.settings,
        )


def _before_outputs(graph):
    """Nodes between which and an output of the network there is no activation."""
    open_tensors, found = set(tree.flatten(graph.outputs)), set()
    for node in reversed(graph.nodes):
        if not open_tensors.isdisjoint(node.outputs):
            found.add(node)
            if not isinstance(rule_for(node.operation), Neuron):
                open_tensors.update(node.inputs)
    return found


def _foldable(graph, weighted):
    """`{node: the batch normalization that is all that reads it}`."""
    calls = [id(node.operation) for node in graph.nodes]
    reads = [x for node in graph.nodes for x in node.inputs]
    ends = set(tree.flatten(graph.outputs))
    made = {node.output: node for node in weighted}
    found = {}
    for node in graph.nodes:
        if not computes_as(node.operation, keras.layers.BatchNormalization):
            continue
        before = made.get(node.inputs[0])
        if before is None or reads.count(before.output) > 1 or before.output in ends:
            continue
        once = calls.count(id(before.operation)) == calls.count(id(node.operation)) == 1
        if once and _can_fold(before, node.operation):
            found[before] = node
    return found


def _can_fold(node, scale):
    """Whether a layer has a bias for each channel that this layer scales."""
    layer = node.operation
    if isinstance(layer, keras.layers.Wrapper) or not hasattr(layer, "use_bias"):
        return False
    rank = len(node.output.shape)
    first = getattr(layer, "data_format", None) == "channels_first"
    return (
        scale.axis % rank == (1 if first else rank - 1) and scale.moving_mean.ndim == 1
    )


def with_scale(
    layer: keras.layers.Layer, node: Node, scale: Node
) -> keras.layers.Layer:
    """A layer that computes what `layer` and batch normalization behind it compute.

    Args:
        layer: A layer with a kernel.
        node: The node of which it is the copy.
        scale: The node of the batch normalization.
    """
    norm = scale.operation
    value = ops.convert_to_numpy
    gain = 1.0 / np.sqrt(value(norm.moving_variance).astype("float64") + norm.epsilon)
    gain = gain * (value(norm.gamma) if norm.scale else 1.0)
    offset = (value(norm.beta) if norm.center else 0.0) - gain * value(norm.moving_mean)
    made = type(layer).from_config({**layer.get_config(), "use_bias": True})
    made.build(node.inputs[0].shape)
    theirs = {w.name: value(w) for w in layer.weights}
    kernels = [w for w in made.weights if w.name.endswith("kernel")]
    for kernel in kernels:
        kernel.assign(theirs[kernel.name])
    last = kernels[-1]
    axes = channel_axes(layer, last.name, len(last.shape))
    shape = [n if i in axes else 1 for i, n in enumerate(last.shape)]
    last.assign(theirs[last.name] * gain.reshape(shape))
    made.bias.assign(gain * theirs.get("bias", 0.0) + offset)
    return made
