"""Translates the wrappers of TensorFlow Model Optimization."""

from typing import TYPE_CHECKING

import keras
import numpy as np

from snn_keras.interop.activations import activation_of
from snn_keras.interop.errors import Untranslatable
from snn_keras.interop.layers import Step, layer_of, legal
from snn_keras.interop.source import layers_of
from snn_keras.layers import LSQReLU

if TYPE_CHECKING:
    import tf_keras

_WRAPPERS = {
    "PruneLowMagnitude": "sparsity",
    "ClusterWeights": "clustering",
    "ClusterWeightsMHA": "clustering",
}


def stripped(model: "tf_keras.Model") -> "tf_keras.Model":
    """`model` without the wrappers of pruning and clustering."""
    kinds = {_WRAPPERS.get(type(x).__name__) for x in layers_of(model)} - {None}
    if not kinds:
        return model
    import tensorflow_model_optimization as tfmot

    if "sparsity" in kinds:
        model = tfmot.sparsity.keras.strip_pruning(model)
    if "clustering" in kinds:
        model = tfmot.clustering.keras.strip_clustering(model)
    return model


def is_quantizing(layer: "tf_keras.layers.Layer") -> bool:
    """Whether `layer` is a wrapper or a layer of quantize-aware training."""
    names = {cls.__name__ for cls in type(layer).mro()}
    return bool(names & {"QuantizeLayer", "QuantizeWrapper"})


def operations_of(layer: "tf_keras.layers.Layer") -> list[Step]:
    """Steps that compute what a quantizing layer does in inference."""
    if type(layer).__name__ == "QuantizeLayer":
        name = legal(layer.name)
        if not layer.quantizer:
            return [Step(keras.layers.Identity(name=name))]
        limits = _range(layer, layer.quantizer, f"{layer.name}_")
        return _steps(quantization(limits, name))
    inner, config, name = layer.layer, layer.quantize_config, legal(layer.layer.name)
    quantizers = [q for _, q in config.get_activations_and_quantizers(inner)]
    quantizers += config.get_output_quantizers(inner)
    before, after, output = (
        _range(layer, quantizers[0], f"{place}_") if quantizers else None
        for place in ("pre_activation", "post_activation", "output")
    )
    after = after or output
    first = _with_quantized_weights(layer)
    steps, function, highest = [first], _function_of(inner), None
    made, relu = first.operation, keras.activations.relu
    is_relu = isinstance(made, keras.layers.ReLU)
    if is_relu and after and not (made.negative_slope or made.threshold):
        steps, function, highest = [], relu, made.max_value
    if before:
        steps += _steps(quantization(before, f"{name}_before"))
    if after and function in (relu, keras.activations.relu6):
        highest = highest if function is relu else 6.0
        name = name if not steps else f"{name}_{function.__name__}"
        return [*steps, Step(positive(after, name, highest))]
    if function:
        name_of_curve = f"{name}_{function.__name__}"
        steps.append(Step(keras.layers.Activation(function, name=name_of_curve)))
    if after:
        steps += _steps(quantization(after, f"{name}_after"))
    return steps


def _steps(operations):
    return [Step(operation) for operation in operations]


def _with_quantized_weights(wrapper):
    """The layer inside, with its quantized weights."""
    inner = wrapper.layer
    quantized = {id(w): q(w, False, weights=v) for w, q, v in wrapper._weight_vars if q}
    weights = [quantized.get(id(w), w).numpy() for w in _own_weights(inner, wrapper)]
    return layer_of(inner, weights=weights, activation="linear")


def _own_weights(inner, wrapper):
    """The layer's variables, in its own order.

    A wrapper replaces kernels by tensors when it is called, so the layer's list no
    longer contains them.
    """
    quantized = [w for w, _, _ in wrapper._weight_vars]
    found = [w for w in inner.weights if not any(w is q for q in quantized)]
    return [*quantized, *found]


def _function_of(inner):
    """Keras 3's function for a layer's activation; None if it has none."""
    activation = getattr(inner, "activation", None)
    while hasattr(activation, "activation"):  # a wrapper around the activation
        activation = activation.activation
    if activation is None or "NoOp" in type(activation).__name__:
        return None
    function = activation_of(activation)
    return None if function is keras.activations.linear else function


class Range:
    """A range of `levels` steps with a whole zero point, adjusted as in TensorFlow."""

    def __init__(self, lowest: float, highest: float, levels: int) -> None:
        lowest, highest = np.float32(lowest), np.float32(highest)
        if not lowest < highest:
            raise Untranslatable(f"its range is empty, from {lowest} to {highest}")
        self.levels = levels
        self.step = (highest - lowest) / np.float32(levels)
        zero = np.floor(-lowest / self.step + np.float32(0.5))
        self.zero = int(np.clip(zero, 0, levels))


def _range(layer, quantizer, prefix):
    """The range that a layer has learned under this name, or None."""
    values = {w.name.split("/")[-1].split(":")[0]: w for w in layer.weights}
    if f"{prefix}min" not in values:
        return None
    lowest, highest = (values[f"{prefix}{end}"].numpy() for end in ("min", "max"))
    config = quantizer.get_config()
    levels = 2 ** config["num_bits"] - 1 - bool(config["narrow_range"])
    return Range(min(lowest, 0), max(highest, 0), levels)


def quantization(limits: Range, name: str) -> list[keras.layers.Layer]:
    """Layers that quantize to a range that may reach below 0."""
    step = float(limits.step)
    quantizer = LSQReLU(limits.levels, initial_step=step, name=f"{name}_quantizer")
    if not limits.zero:
        return [quantizer]
    shift = limits.zero * step
    return [
        keras.layers.Rescaling(1.0, shift, name=f"{name}_shift"),
        quantizer,
        keras.layers.Rescaling(1.0, -shift, name=f"{name}_shift_back"),
    ]


def positive(limits: Range, name: str, highest: float | None = None) -> LSQReLU:
    """The quantized activation for a ReLU, with the levels of the range above 0."""
    levels = limits.levels - limits.zero
    if highest is not None:
        levels = min(levels, int(np.floor(np.float32(highest) / limits.step + 0.5)))
    if levels < 1:
        raise Untranslatable("nothing of its range is above 0")
    return LSQReLU(levels, initial_step=float(limits.step), name=name)
