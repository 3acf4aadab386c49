"""`from_tf_keras`: converts a model of tf_keras into an equivalent Keras 3 model."""

from typing import TYPE_CHECKING

import keras

from snn_keras.interop import source, tfmot
from snn_keras.interop.guard import check
from snn_keras.interop.translator import Translator
from snn_keras.typing import Inputs

if TYPE_CHECKING:
    import tf_keras


def from_tf_keras(model: "tf_keras.Model", data: Inputs = None) -> keras.Model:
    """Converts a tf_keras model into a Keras 3 model.

    Both models are run on a small random batch, and the outputs of every layer are
    compared; if they differ in inference, an error is raised. Training may differ:
    initializers, constraints and regularizers of your own are left out, as are
    `RandomHeight`, `RandomWidth` and the random part of `RandomCrop`. States of
    stateful layers start at 0.

    Names stay, except that Keras 3 does not allow `/`: `block1/dense` becomes
    `block1_dense`, or `block1_dense_1` if there is a `block1_dense` already.

    Models of TensorFlow Model Optimization are supported:

    - Pruned and clustered models: the wrappers are removed; zeros and shared values
      stay (`weight_statistics` counts them).
    - Quantize-aware models: kernels become their quantized values, and every range of
      activations becomes a `LSQReLU` with its step. After a ReLU it has as many levels
      as the range has above 0. A range that reaches below 0 is shifted first, and has
      `2^8 - 1` levels. Converted with `neuron="bit_serial", timesteps=8`, the spiking
      network computes the integers of the quantized network.

    Args:
        model: A functional or Sequential `tf_keras.Model`; it is not changed.
        data: Inputs to compare the models on, as `predict` takes them; the first eight
            samples are used. None: a random batch.

    Returns:
        A functional `keras.Model` with the same layer names.

    Raises:
        ConversionError: if layers have no counterpart in Keras 3 (the message names
            all of them), or if the models differ (it names the first layer that does).
        ValueError: if `model` is not a tf_keras model, has no graph, or cannot
            compute the batch.
    """
    _check_model(model)
    stripped = tfmot.stripped(model)
    translator = Translator(stripped)
    translation = translator.translate(stripped)
    check(model, translation, translator.translations, data)
    return translation.model


def _check_model(model):
    if isinstance(model, (keras.Model, keras.layers.Layer)):
        raise ValueError(
            f"'{model.name}' is a Keras 3 model already. Remedy: use it as it is."
        )
    if not hasattr(model, "get_config") or not hasattr(model, "layers"):
        raise ValueError(
            "expected a tf_keras.Model. Remedy: tf_keras.models.load_model(path), "
            "inside tfmot's scope where it has wrappers. Received: "
            f"{model!r} of type {type(model).__name__}."
        )
    if not source.is_model(model):
        raise ValueError(
            f"'{model.name}' is a subclass of tf_keras.Model without a graph. Remedy: "
            "build it as a functional or Sequential model."
        )
    if not source.has_graph(model):
        raise ValueError(
            f"'{model.name}' is not built. Remedy: model.build(input_shape), or an "
            "Input as its first layer."
        )
