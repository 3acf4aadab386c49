"""From a float network to a quantized source network."""

import dataclasses
import itertools
import warnings

import keras
import numpy as np
from keras import ops, tree

from snn_keras import graph as graph_lib
from snn_keras.convert import normalize
from snn_keras.convert.build import Copies, new_inputs
from snn_keras.convert.data import batches, check_data
from snn_keras.convert.rules import Refusal, check_plain_relu
from snn_keras.errors import ConversionError
from snn_keras.layers import QCFS, LSQReLU, QuantizedActivation, SlipReLU
from snn_keras.layers import noise as noise_lib
from snn_keras.simulate.model import check_count

_QUANTIZERS = {"lsq": LSQReLU, "qcfs": QCFS, "slip_relu": SlipReLU}
_POOLING = {
    keras.layers.MaxPooling1D: keras.layers.AveragePooling1D,
    keras.layers.MaxPooling2D: keras.layers.AveragePooling2D,
    keras.layers.MaxPooling3D: keras.layers.AveragePooling3D,
    keras.layers.GlobalMaxPooling1D: keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling2D: keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling3D: keras.layers.GlobalAveragePooling3D,
}
# Values of a layer's pre-activation that calibration looks at.
_SAMPLE = 100_000


def quantize_activations(
    model,
    levels=3,
    quantizer="lsq",
    noise=None,
    data=None,
    replace_max_pooling=False,
    *,
    calibration="mse",
    axis=None,
    batch_size=64,
):
    """Replaces every ReLU of a model by a quantized activation.

    ReLUs are found in every form: `ReLU` layers, `Activation("relu")`,
    `activation="relu"` inside a layer, `keras.ops.relu`, and ReLUs that saturate.
    Nested models are laid open. Weights are copied; the model given stays as it
    was.

    Args:
        model: A float functional or Sequential `keras.Model`.
        levels: Positive levels `p` of every activation, an integer >= 1.
        quantizer: `"lsq"` (`LSQReLU`), `"qcfs"` (`QCFS`) or `"slip_relu"`
            (`SlipReLU`).
        noise: Noise added in training: None, `"adaptor"`, `"residual"` or a
            `snn_keras.layers.Noise`, of which every activation gets a copy.
        data: Inputs to calibrate the steps on, as `model.predict` takes them; a
            thousand samples do. None: each step comes from the first training
            batch, and where a ReLU saturates is forgotten.
        replace_max_pooling: Whether to put average pooling in place of max
            pooling, which integrate-and-fire neurons cannot compute.
        calibration: How `data` sets a threshold: `"mse"` (least squared error of
            the quantized activation), `"max"`, `"percentile"` (the 99.9th) or
            `"lsq"` (`s = 2 mean(|v|) / sqrt(p)`).
        axis: None for one step a layer, -1 for one a channel.
        batch_size: Samples a calibration batch.

    Returns:
        A functional `keras.Model` to train further, or to convert.

    Raises:
        ValueError: if an argument is not valid, or `data` is empty, not finite
            or of the wrong shape.
        ConversionError: if the model holds no ReLU that can be quantized, or one
            that cannot.
    """
    for name, given, known in (
        ("quantizer", quantizer, _QUANTIZERS),
        ("calibration", calibration, _CALIBRATIONS),
    ):
        if given not in known:
            raise ValueError(
                f"{name} must be one of {sorted(known)}. Received: {name}={given!r}"
            )
    check_count("batch_size", batch_size)
    graph = _read(model)
    if data is not None:
        data = check_data(data, graph)
    noise = noise_lib.get(noise)
    copies, numbers = Copies(), itertools.count()

    def activation(name):
        own = noise and noise.copy(next(numbers))
        start = {} if data is None else {f"initial_{kind.parameter}": 1.0}
        return kind(levels, own, axis=axis, name=name, **start)

    def call(node, values):
        operation = node.operation
        if isinstance(operation, keras.layers.ReLU):
            operation = activation(node.name)
        elif replace_max_pooling and type(operation) in _POOLING:
            operation = _POOLING[type(operation)].from_config(operation.get_config())
        else:
            operation = copies.own(node)
        return node.call(operation, values)

    kind = _QUANTIZERS[quantizer]
    inputs = new_inputs(graph)
    quantized = keras.Model(inputs, graph.run(inputs, call), name=model.name)
    copies.copy_weights()
    if data is not None:
        ceilings = {
            node.name: node.operation.max_value
            for node in graph.nodes
            if isinstance(node.operation, keras.layers.ReLU)
        }
        calibrate(quantized, data, ceilings, calibration, batch_size)
    return quantized


def has_plain_relu(model) -> bool:
    """Whether the model, which may be of any kind, holds a ReLU to quantize."""
    try:
        graph = normalize.read(model)
    except ValueError:
        return True  # quantize_activations says what is wrong with it
    return any(isinstance(n.operation, keras.layers.ReLU) for n in graph.nodes)


def _read(model):
    """The graph of `model`, once it is sure that its ReLUs can be quantized."""
    try:
        graph = normalize.read(model)
    except ValueError as error:
        raise ConversionError(str(error)) from error
    relus = [n for n in graph.nodes if isinstance(n.operation, keras.layers.ReLU)]
    refusals = []
    for node in relus:
        try:
            check_plain_relu(node.operation)
        except Refusal as refusal:
            refusals.append(f"  {node.describe()}: {refusal}")
    if refusals:
        raise ConversionError(
            f"Model '{model.name}' has activations that cannot be quantized:\n"
            + "\n".join(refusals)
        )
    if not relus:
        raise ConversionError(
            f"Model '{model.name}' has no ReLU to quantize. Its layers are of the "
            f"types {sorted({type(n.operation).__name__ for n in graph.nodes})}. "
            "Remedy: train it with ReLU activations, or put snn_keras.layers.LSQReLU "
            "in their place."
        )
    return graph


def calibrate(model, data, ceilings, calibration, batch_size):
    """Sets the step of each quantized activation from float activations.

    Args:
        model: The quantized model.
        data: Inputs, a structure of arrays.
        ceilings: Where the float activation of each name saturates, or None.
        calibration: A key of `_CALIBRATIONS`.
        batch_size: Samples a batch.
    """
    graph = graph_lib.trace(model)
    samples = {
        n.name: _Sample(n.operation.axis)
        for n in graph.nodes
        if isinstance(n.operation, QuantizedActivation) and n.name in ceilings
    }
    count = len(tree.flatten(data)[0])
    quota = max(1, _SAMPLE * batch_size // count)

    def call(node, values):
        if node.name not in samples:
            return node.call(node.operation, values)
        v = values[node.inputs[0]]
        samples[node.name].add(ops.convert_to_numpy(v), quota)
        return ops.clip(v, 0, ceilings[node.name] or float("inf"))

    for batch in batches(data, batch_size):
        graph.run(tree.map_structure(ops.convert_to_tensor, batch), call)
    for node in graph.nodes:
        if node.name in samples:
            layer, sample = node.operation, samples[node.name]
            theta = sample.thresholds(
                _CALIBRATIONS[calibration], layer.levels, ceilings[node.name]
            )
            if not np.all(theta > 0):
                warnings.warn(
                    f"'{node.name}' is silent on the calibration data; its step is "
                    "set to 1. Calibrate on more data.",
                    stacklevel=3,
                )
                theta = np.where(theta > 0, theta, layer.levels)
            layer.set_threshold(theta)


@dataclasses.dataclass
class _Sample:
    """Pre-activations of one layer: some of the values, and their extremes."""

    axis: int | None
    parts: list = dataclasses.field(default_factory=list)
    highest: np.ndarray | float = 0.0

    def __post_init__(self):
        self._rng = np.random.default_rng(0)

    def add(self, v, quota):
        """Keeps up to `quota` of the values, or of the positions, of `v`."""
        channels = 1 if self.axis is None else v.shape[self.axis]
        if self.axis is not None:
            v = np.moveaxis(v, self.axis, -1)
        v = v.reshape(-1, channels)
        self.highest = np.maximum(self.highest, v.max(axis=0))
        quota = max(1, quota // channels)
        if len(v) > quota:
            v = v[self._rng.integers(0, len(v), quota)]
        self.parts.append(v.astype("float32"))

    def thresholds(self, rule, levels, ceiling):
        """A threshold for the layer, or for each channel."""
        values = np.concatenate(self.parts)
        highest = np.minimum(self.highest, ceiling or np.inf)
        thetas = [rule(values[:, c], levels, top) for c, top in enumerate(highest)]
        thetas = np.where(np.greater(thetas, 0), np.minimum(thetas, highest), highest)
        return np.asarray(thetas[0] if self.axis is None else thetas, "float32")


def _by_mse(v, levels, highest):
    """The threshold with the least squared error of the quantized ReLU."""
    v = np.clip(v[v > 0], 0, highest)
    if not len(v):
        return highest
    candidates = highest * np.linspace(0.02, 1.0, 99)

    def error(theta):
        step = theta / levels
        a = step * np.floor(np.clip(v / step, 0, levels) + 0.5)
        return np.mean(np.square(a - v))

    return min(candidates, key=error)


def _by_max(v, levels, highest):
    return highest


def _by_percentile(v, levels, highest):
    return np.percentile(v, 99.9)


def _by_lsq(v, levels, highest):
    return 2.0 * np.mean(np.abs(v)) * np.sqrt(levels)


_CALIBRATIONS = {
    "mse": _by_mse,
    "max": _by_max,
    "percentile": _by_percentile,
    "lsq": _by_lsq,
}
