"""Replaces the activations of a float network by quantized ones."""

import dataclasses
from collections.abc import Callable, Hashable
from typing import Any

import keras
from keras import tree

from snn_keras._keras import copy_of, operation_types
from snn_keras.conversion import normalize
from snn_keras.conversion.building import Copies, new_inputs, policy
from snn_keras.conversion.calibration import RULES, calibrate
from snn_keras.conversion.composite.closed import closed_layers
from snn_keras.conversion.composite.scores import ATTENTION
from snn_keras.conversion.operands import with_operands
from snn_keras.conversion.rules import is_quantized, neurons_of
from snn_keras.conversion.wrapped import Wrapped
from snn_keras.errors import ConversionError
from snn_keras.graph import Graph, Names, Node, computes_as
from snn_keras.inputs import CALIBRATION_SAMPLES, check_count, check_data
from snn_keras.layers import QCFS, LSQReLU, NoisySpike, QuantizedWeights, SlipReLU
from snn_keras.layers import noise as noise_lib
from snn_keras.layers.noise import Noise
from snn_keras.typing import Inputs

_QUANTIZERS = {
    "lsq": LSQReLU,
    "qcfs": QCFS,
    "slip_relu": SlipReLU,
    "noisy_spike": NoisySpike,
}
PRODUCTS = ("numbers", "spikes")
_POOLING = {
    keras.layers.MaxPooling1D: keras.layers.AveragePooling1D,
    keras.layers.MaxPooling2D: keras.layers.AveragePooling2D,
    keras.layers.MaxPooling3D: keras.layers.AveragePooling3D,
    keras.layers.GlobalMaxPooling1D: keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling2D: keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling3D: keras.layers.GlobalAveragePooling3D,
    keras.layers.AdaptiveMaxPooling1D: keras.layers.AdaptiveAveragePooling1D,
    keras.layers.AdaptiveMaxPooling2D: keras.layers.AdaptiveAveragePooling2D,
    keras.layers.AdaptiveMaxPooling3D: keras.layers.AdaptiveAveragePooling3D,
}
_POOLING_FUNCTIONS = dict(
    zip(
        operation_types("MaxPool", "AdaptiveMaxPool"),
        operation_types("AveragePool", "AdaptiveAveragePool"),
        strict=True,
    )
)


def quantize_activations(
    model: keras.Model | Graph,
    levels: int = 3,
    quantizer: str = "lsq",
    noise: str | dict | Noise | None = None,
    data: Inputs = None,
    replace_max_pooling: bool = False,
    *,
    calibration: str = "mse",
    axis: int | None = None,
    scale_gradient: bool = False,
    shared: bool = True,
    batch_size: int | None = None,
    products: str = "numbers",
) -> keras.Model:
    """Replaces every ReLU of a model by a quantized activation.

    ReLUs are found however they are written: `ReLU` layers, `Activation("relu")`,
    `activation="relu"` inside a layer, `keras.ops.relu`, `keras.ops.maximum(x, 0)`,
    any function that computes the same (`tf.nn.relu`), and ReLUs that saturate.
    Nested models, also inside `TimeDistributed`, are unpacked. Weights are copied;
    the given model is not changed.

    Behind `quantize_weights`, steps are powers of two, as there.

    If the network has quantized activations already, these stay, and so does every
    ReLU without one of them before it: such a ReLU preprocesses the input
    (`clip(image, 0, 1)`), and spiking networks compute it once.

    `quantizer="noisy_spike"` uses `NoisySpike`, scaled by a threshold theta from
    `data`: after training, its mean is the ReLU clipped at theta. `levels` is ignored.

    Other activation functions (swish, GELU, leaky ReLU, tanh, ...) stay, and their
    output is quantized: it is shifted by a whole number of steps so that it is
    positive, quantized, and shifted back. This needs `data`. Sigmoids, softmax, and
    other activation functions at the outputs of the model stay as they are.

    Other functions between neurons stay, and send numbers. With `products="spikes"`
    every number that enters a product is quantized, too, to levels of either sign if
    it may be negative: what layers with weights take (behind layer normalization, say)
    and both operands of a product of two signals. `MultiHeadAttention` and
    `GroupQueryAttention` are laid open for it: query, key, value and the output of the
    softmax are quantized.

    Args:
        model: A float functional or Sequential `keras.Model`; or its graph in normal
            form.
        levels: Positive levels `p` of every activation, an integer >= 1.
        quantizer: `"lsq"` (`LSQReLU`), `"qcfs"` (`QCFS`), `"slip_relu"`
            (`SlipReLU`) or `"noisy_spike"` (`NoisySpike`).
        noise: Noise added in training: None, `"adaptor"`, `"residual"` or a
            `snn_keras.layers.Noise`, of which every activation gets a copy.
        data: Inputs to calibrate the steps on, as `model.predict` takes them; a
            thousand samples are enough. Of a dataset or a generator, which may be
            endless, the first 4,096 samples are used. None: each step comes from the
            first training batch, and the ceilings of ReLUs are ignored.
        replace_max_pooling: Whether to replace max pooling, which
            integrate-and-fire neurons cannot compute, by average pooling.
        calibration: How `data` sets a threshold: `"mse"` (least squared error of
            the quantized activation), `"max"`, `"percentile"` (the 99.9th) or
            `"lsq"` (`s = 2 mean(|v|) / sqrt(p)`).
        axis: None for one step per layer, -1 for one per channel.
        scale_gradient: Whether to multiply the gradient of each step by
            `1 / sqrt(N * p)`, as the LSQ paper does (N features per sample).
        shared: Whether all uses of a submodel, or of a layer with a ReLU inside, share
            the steps of its ReLUs, so that a siamese network gives the same answers
            for the same images. False gives every use steps of its own. Each use of a
            plain `ReLU` layer always has its own step.
        batch_size: Samples per calibration batch; None chooses it by the memory that
            the network's layers need.
        products: What products between neurons take: `"numbers"`, as they are, or
            `"spikes"`; see above. The latter needs `data`.

    Returns:
        A functional `keras.Model` to train further, or to convert.

    Raises:
        ValueError: if an argument is not valid, or `data` is empty, not finite
            or of the wrong shape.
        ConversionError: if the model has no activation function that can be
            quantized, or has one that needs `data` and `data` is None; or if
            `products` asks for spikes where a layer does not show its products.
    """
    opens = ATTENTION if products == "spikes" else ()
    graph = normalize.normal_form(model, keep_quantizers=True, opens=opens)
    for name, given, known in (
        ("quantizer", quantizer, _QUANTIZERS),
        ("calibration", calibration, RULES),
        ("products", products, PRODUCTS),
    ):
        if given not in known:
            raise ValueError(
                f"{name} must be one of {sorted(known)}. Received: {name}={given!r}"
            )
    if batch_size is not None:
        check_count("batch_size", batch_size)
    kind = _QUANTIZERS[quantizer]
    if data is not None:
        data = check_data(data, graph, CALIBRATION_SAMPLES)
    curves = {node.name for node in _curves(graph)} if kind.has_size else set()
    operands: set[str] = set()
    if products == "spikes":
        if not kind.has_size:
            raise ValueError(
                'products="spikes" needs levels of either sign, which quantizer='
                f"{quantizer!r} does not have. Remedy: one of 'lsq', 'qcfs', "
                "'slip_relu'."
            )
        neurons = {node.name for node in neurons_of(graph)}
        graph, operands = with_operands(graph, neurons | curves)
        curves |= operands
    if not operands:
        check_has_activations(graph, with_curves=kind.has_size)
    if curves and data is None:
        raise ConversionError(
            f"Model '{graph.name}' has activation functions whose range must be "
            f"measured before they can be quantized: {sorted(curves)}. Remedy: "
            "quantize_activations(..., data=x), a thousand inputs."
        )
    if not kind.has_size and (data is None or noise is not None):
        raise ValueError(
            f"quantizer={quantizer!r} needs data, for its thresholds, and brings its "
            f"own noise. Received: data={'None' if data is None else '...'}, "
            f"noise={noise!r}"
        )
    made = _Activations(
        kind, levels, noise_lib.get(noise), axis, scale_gradient, data is not None
    )
    if kind.has_size:  # weights of few bits go with steps that are powers of two
        made.settings["dyadic"] = has_quantized_weights(graph)
    ends = set(tree.flatten(graph.outputs))
    copies = Copies(graph.nodes)
    names = Names([*graph.input_names, *map(_name, graph.nodes)])
    pools = _Pools()
    relus = {node.name for node in _relus(graph)}

    def call(node, values):
        place = node.site if shared and node.site is not None else node.name
        if node.name in curves:
            if node.name in operands:
                (x,) = (values[x] for x in node.inputs)
                return made.between_maps(place, node, names, node.name, signed=True)(x)
            x = node.call(copies.own(made.curve(node)), values)
            return made.between_maps(place, node, names, f"{node.name}_quantized")(x)
        if node.name in relus:
            (x,) = (values[x] for x in node.inputs)
            if not kind.has_size:
                if node.output not in ends:
                    return made.between_maps(place, node, names, node.name)(x)
                own = f"{node.name}_inner"  # the scaling after it gives the output
                return made.between_maps(place, node, names, own, node.name)(x)
            return made.layer(place, node, node.name)(x)
        average = pools.average(node) if replace_max_pooling else None
        return node.call(average or copies.own(node), values)

    inputs = new_inputs(graph)
    model = keras.Model(inputs, graph.run(inputs, call), name=graph.name)
    if data is not None:
        ceilings, wrapped, signed = made.ceilings, made.wrapped, made.signed
        calibrate(model, data, ceilings, wrapped, calibration, batch_size, signed)
    return model


def _name(node):
    return node.name


class _Pools:
    """Replaces max pooling by average pooling, one layer for each layer."""

    def __init__(self) -> None:
        self._made = {}

    def average(self, node: Node) -> keras.Operation | None:
        """The average pooling for the node; None if it is no max pooling."""
        operation = node.operation
        if id(operation) not in self._made:
            made = self._averaging(operation, node.name)
            self._made[id(operation)] = operation, made
        return self._made[id(operation)][1]

    def _averaging(self, operation, name):
        if type(operation) in _POOLING_FUNCTIONS:
            made = object.__new__(_POOLING_FUNCTIONS[type(operation)])
            vars(made).update(vars(copy_of(operation)))
            made.name = name
            return made
        if computes_as(operation, keras.layers.TimeDistributed):
            inner = self._averaging(operation.layer, operation.layer.name)
            config = keras.layers.TimeDistributed.get_config(operation)
            config = {k: v for k, v in config.items() if k != "layer"}
            return inner and keras.layers.TimeDistributed(
                inner, **{**config, "name": name}
            )
        for kind, average in _POOLING.items():
            if computes_as(operation, kind):
                return average.from_config({**kind.get_config(operation), "name": name})
        return None


class _Activations:
    """The quantized activations of a network, one for each place in the source.

    Args:
        kind: Their class.
        levels, noise, axis, scale_gradient: As for `quantize_activations`.
        calibrated: Whether data will set their steps.

    Attributes:
        ceilings: `{name: value}` at which the replaced ReLU saturates, or None.
        wrapped: `{name: (before, after)}`, the affine maps around an activation.
        signed: Names of activations with half of their levels below 0, if there is
            anything below.
    """

    def __init__(
        self,
        kind: Any,
        levels: int,
        noise: Noise | None,
        axis: int | None,
        scale_gradient: bool,
        calibrated: bool,
    ) -> None:
        self.kind = kind
        self.noise = noise
        self.settings = {}
        if kind.has_size:
            self.settings = {
                "levels": levels,
                "axis": axis,
                "scale_gradient": scale_gradient,
            }
            if calibrated:
                self.settings[f"initial_{kind.parameter}"] = 1.0
        self.ceilings, self.wrapped, self.signed = {}, {}, set()
        self._made, self._between = {}, {}
        self._wrapped = Wrapped(Names())

    def layer(self, place: Hashable, node: Node, name: str) -> keras.layers.Layer:
        """The activation of a place, created when first used."""
        if place not in self._made:
            settings = {**self.settings, "name": name, "dtype": policy(node)}
            if self._is_weighed(node):
                settings["activity_regularizer"] = node.operation.activity_regularizer
            if self.noise is not None:
                settings["noise"] = self.noise.copy(len(self._made))
            self._made[place] = self.kind(**settings)
            if normalize.is_relu(node.operation):
                self.ceilings[name] = node.operation.max_value
        return self._made[place]

    def _is_weighed(self, node):
        """Whether the node's activity regularizer goes to the quantized activation.

        A curve keeps its regularizer unless that is for levels (it has `bound_to`).
        """
        if not self.kind.has_size:
            return False
        penalty = getattr(node.operation, "activity_regularizer", None)
        return normalize.is_relu(node.operation) or hasattr(penalty, "bound_to")

    def curve(self, node: Node) -> Node:
        """The curve's node, without a regularizer that goes to the activation."""
        if not isinstance(node.operation, keras.layers.Layer):
            return node
        penalty = node.operation.activity_regularizer
        penalty = None if self._is_weighed(node) else penalty
        operation = self._wrapped.with_penalty(node.operation, penalty)
        return dataclasses.replace(node, operation=operation)

    def between_maps(
        self,
        place: Hashable,
        node: Node,
        names: Names,
        name: str,
        end: str | None = None,
        signed: bool = False,
    ) -> Callable:
        """The place's activation between two affine maps, which calibration sets.

        `end` is the name of the second map; None derives it from `name`. `signed` is
        whether it has levels of either sign.
        """
        if place not in self._between:
            name = name if name == node.name else names.unique(name)
            middle = self.layer(place, node, name)
            own = [names.unique(f"{name}_before"), end or names.unique(f"{name}_after")]
            before, after = (
                keras.layers.Rescaling(1.0, name=one, dtype=policy(node)) for one in own
            )
            if not self.kind.has_size:  # it sends 0 or 1, and the map after it scales
                after.activity_regularizer = node.operation.activity_regularizer
            self.wrapped[name] = before, after
            self.signed.update([name] if signed else ())
            self._between[place] = lambda x: after(middle(before(x)))
        return self._between[place]


def _curves(graph):
    """The activation functions other than ReLU that are to be quantized.

    There are none in a network that is quantized already.
    """
    if is_quantized(graph):
        return []
    ends = set(tree.flatten(graph.outputs))
    return [
        node
        for node in graph.nodes
        if normalize.is_curved_activation(node.operation)
        and not ends.intersection(node.outputs)
    ]


def _relus(graph):
    """The ReLUs that are to be quantized."""
    return [node for node in neurons_of(graph) if normalize.is_relu(node.operation)]


def has_quantized_weights(graph: Graph) -> bool:
    """Whether a layer of the network has been through `quantize_weights`."""
    return any(isinstance(node.operation, QuantizedWeights) for node in graph.nodes)


def has_unquantized(graph: Graph) -> bool:
    """Whether a network has ReLUs to quantize, or no quantized activation."""
    return bool(_relus(graph)) or not is_quantized(graph)


def check_has_activations(graph: Graph, with_curves: bool) -> None:
    """Raises a ConversionError if there is no activation to quantize."""
    if not _relus(graph) and not (with_curves and _curves(graph)):
        raise ConversionError(
            f"Model '{graph.name}' has no ReLU, and no other activation function, to "
            "quantize. Its layers are of the types "
            f"{sorted({type(n.operation).__name__ for n in graph.nodes})}. "
            f"{closed_layers(graph.nodes)}Remedy: "
            "train it with ReLU activations, or put snn_keras.layers.LSQReLU in their "
            "place; a model that is quantized already converts without data."
        )
