"""What Keras exports as ONNX is read back: the same axes, the same numbers."""

import keras
import numpy as np
import pytest
from keras import layers

from snn_keras.interop import from_onnx
from tests.onnx_files import TOLERANCE, differences, outputs_of, session

pytestmark = [
    pytest.mark.skipif(
        keras.backend.backend() != "tensorflow",
        reason="a file is the same whatever backend it comes from: tested once",
    ),
    pytest.mark.filterwarnings("ignore::FutureWarning"),  # tf2onnx's own
]


def images():
    """Images, with most layers that an image network has."""
    x = inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, strides=2, padding="same", activation="relu6")(x)
    x = layers.BatchNormalization()(x)
    y = layers.DepthwiseConv2D(3, padding="same")(x)
    y = layers.BatchNormalization()(y)
    x = layers.Add()([x, layers.Activation("silu")(y)])
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    x = layers.SeparableConv2D(12, 3, padding="same", activation="leaky_relu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))


def segmentation():
    """An output that is an image."""
    x = inputs = keras.Input((8, 8, 3))
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = layers.Conv2D(6, 3, padding="same", dilation_rate=2)(layers.MaxPooling2D(2)(a))
    c = layers.UpSampling2D(2, interpolation="bilinear")(b)
    d = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="tanh")(b)
    x = layers.Concatenate()([a, c, d, layers.UpSampling2D(2)(b)])
    return keras.Model(inputs, layers.Conv2D(2, 1, activation="sigmoid")(x))


def sequences():
    x = inputs = keras.Input((12, 4))
    x = layers.Conv1D(6, 3, padding="causal", activation="elu")(x)
    x = layers.GlobalMaxPooling1D()(layers.MaxPooling1D(2)(x))
    return keras.Model(inputs, layers.Dense(3)(x))


def transformer():
    x = inputs = keras.Input((9, 8))
    y = layers.MultiHeadAttention(2, 4)(x, x, use_causal_mask=True)
    x = layers.LayerNormalization()(x + y)
    x = layers.LayerNormalization()(x + layers.Dense(8, activation="silu")(x))
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def test_a_layer_normalization_is_one_again(tmp_path):
    model = transformer()
    outputs_of(model, [np.zeros((1, 9, 8), "float32")])
    model.export(str(tmp_path / "net.onnx"), format="onnx", verbose=False)
    kinds = [type(x) for x in from_onnx(tmp_path / "net.onnx").layers]
    assert kinds.count(layers.LayerNormalization) == 2


def several():
    """Several inputs and outputs."""
    a, b = keras.Input((4,), name="first"), keras.Input((6,), name="second")
    x = layers.Concatenate()([layers.Dense(5)(b), a])
    return keras.Model([a, b], [layers.Dense(2)(x), layers.Dense(3)(x)])


@pytest.mark.parametrize(
    "make", [images, segmentation, sequences, transformer, several]
)
def test_what_keras_exports_is_read_back(make, tmp_path):
    model = make()
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            weights = layer.get_weights()
            layer.set_weights([w + rng.uniform(0.05, 0.3, w.shape) for w in weights])
    inputs = [
        rng.normal(0, 1, (3, *x.shape[1:])).astype("float32") for x in model.inputs
    ]
    outputs_of(model, inputs)  # Keras wants the model called before
    path = tmp_path / "net.onnx"
    model.export(str(path), format="onnx", verbose=False)
    read = from_onnx(path)
    assert [x.shape for x in read.inputs] == [x.shape for x in model.inputs]
    wanted = session(path.read_bytes())
    names = [x.name for x in wanted.get_inputs()]
    expected = wanted.run(None, dict(zip(names, inputs, strict=True)))
    found = differences(outputs_of(read, inputs), expected)
    assert max(found) <= TOLERANCE, found
