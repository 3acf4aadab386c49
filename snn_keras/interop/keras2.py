"""From a model of tf_keras to one of Keras 3, which computes the same."""

import keras

from snn_keras.interop import source, tfmot
from snn_keras.interop.guard import check
from snn_keras.interop.translator import Translator


def from_tf_keras(model, data=None):
    """Makes a Keras 3 model of a tf_keras model.

    What is made computes the same at inference, or is refused: both models are run on
    a small random batch, and every layer's outputs are compared. What layers do in
    training alone may differ: initializers, constraints and regularizers of your own
    are left out, as are `RandomHeight`, `RandomWidth` and the random part of
    `RandomCrop`. States of stateful layers begin at 0.

    Names stay, but that Keras 3 has no `/` in them: `block1/dense` becomes
    `block1_dense`, and `block1_dense_1` where there is a `block1_dense`.

    Models of TensorFlow Model Optimization are understood:

    - pruned and clustered ones: the wrappers are taken off, zeros and shared values
      stay (`weight_statistics` counts them);
    - quantize-aware ones: kernels become what they are quantized to, and every range
      of activations a `LSQReLU` of its step, with `2^8 - 1` levels where it reaches
      below 0 (there it is shifted first) and as many as are above 0 behind a ReLU.
      Converted with `neuron="bit_serial", timesteps=8`, the spiking network computes
      the integers that the quantized network does.

    Args:
        model: A functional or Sequential `tf_keras.Model`; it stays as it was.
        data: Inputs to compare the models on, as `predict` takes them; the first eight
            samples are used. None: a random batch.

    Returns:
        A functional `keras.Model` with the same layer names.

    Raises:
        ConversionError: if layers have no counterpart in Keras 3, and every one is
            named; or if the model made computes something else, and the first layer
            that does is named.
        ValueError: if `model` is no tf_keras model, one without a graph, or one that
            cannot compute the random batch.
    """
    _check_model(model)
    stripped = tfmot.stripped(model)
    translator = Translator(stripped)
    taken = translator.take(stripped)
    check(model, taken, translator.taken, data)
    return taken.model


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
