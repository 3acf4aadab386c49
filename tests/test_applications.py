"""The field's own networks convert unedited, and bit-serial ones are exact."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from apps.networks import IMAGES, NETWORKS, make
from snn_keras.conversion import normalize
from snn_keras.conversion.probe import SourceProbe, SpikingProbe
from snn_keras.time import Neurons

QUICK = ["MobileNetV2", "MobileNetV3Small"]
SLOW = [name for name in NETWORKS if name not in QUICK]
if keras.backend.backend() == "jax":  # it compiles every operation for every shape
    QUICK, SLOW = [], ["MobileNetV2", "MobileNetV3Small", "VGG16"]


def activations(ann, snn, x):
    """Each layer's activation in the source, and its decoded bits."""
    names = [layer.name for layer in snn.layers if isinstance(layer, Neurons)]
    source = SourceProbe(ann, normalize.normal_form(ann), names)
    expected, sums = source(x)[1], SpikingProbe(snn)(x)[1]
    return {
        name: tuple(map(ops.convert_to_numpy, (expected[name], sums[name][1])))
        for name in names
    }


def check(model, x):
    """Quantizes and converts a network, and checks shapes, decoding and the law."""
    ann = snn_keras.quantize_activations(model, 3, data=x, batch_size=len(x))
    few = ops.convert_to_tensor(x[:2])
    plan = snn_keras.plan(ann, 2)
    snn = snn_keras.convert(ann, 2)
    for step in plan.steps:
        if step.stage.has_time and str(step.form) != "dropped":
            output = snn.get_layer(step.node.name).output
            shapes = [tuple(y.shape) for y in keras.tree.flatten(output)]
            assert shapes == [(None, 2, *y.shape[1:]) for y in step.node.outputs]
    expected = ops.convert_to_numpy(ann(few))
    decoded = ops.convert_to_numpy(snn(few))
    assert decoded.shape == expected.shape and np.isfinite(decoded).all()
    serial = snn_keras.convert(ann, 2, neuron="bit_serial")
    found = activations(ann, serial, few)
    assert len(found) == sum(step.cell is not None for step in plan.steps)
    for name, (activation, bits) in found.items():
        step = ann.get_layer(name).step_value()
        assert np.array_equal(np.round(activation / step), np.round(bits / step)), name
        np.testing.assert_allclose(bits, activation, rtol=1e-12, atol=0, err_msg=name)
    np.testing.assert_allclose(
        ops.convert_to_numpy(serial(few)), expected, rtol=1e-9, atol=1e-12
    )


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(x, marks=pytest.mark.slow) for x in SLOW)]
)
def test_networks_of_keras_applications(name, float64):
    model, x = make(name)
    check(model, x[:IMAGES].astype("float64"))


class Positions(layers.Layer):
    """Adds a learned vector to each patch: an embedding of its position."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.embedding = None

    def build(self, input_shape):
        self.embedding = layers.Embedding(*input_shape[1:])
        self.embedding.build()

    def call(self, x):
        return x + self.embedding(ops.arange(x.shape[1]))


def vision_transformer(positions):
    """A small vision transformer: patches, two blocks, a mean, a head."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(16, 4, 4, name="patches")(inputs)
    x = positions(layers.Reshape((16, 16))(x))
    for i in range(2):
        y = layers.LayerNormalization(name=f"norm_{i}a")(x)
        y = layers.MultiHeadAttention(2, 8, name=f"attention_{i}")(y, y)
        x = layers.Add()([x, y])
        y = layers.LayerNormalization(name=f"norm_{i}b")(x)
        y = layers.Dense(32, activation="gelu", name=f"mlp_{i}a")(y)
        y = layers.Dense(16, name=f"mlp_{i}b")(y)
        x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(name="norm")(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def embedded(x):
    """Positions as an Embedding of a constant, added by an operator."""
    places = ops.expand_dims(ops.arange(x.shape[1]), 0)
    return x + layers.Embedding(*x.shape[1:])(places)


@pytest.mark.parametrize(
    "positions", [lambda x: Positions()(x), embedded], ids=["layer", "graph"]
)
def test_vision_transformer(positions, float64):
    model = vision_transformer(positions)
    x = np.random.default_rng(0).uniform(0, 1, (8, 16, 16, 3))
    check(model, x)
    plan = snn_keras.plan(snn_keras.quantize_activations(model, 3, data=x), 2)
    actions = {step.node.name: str(step.form) for step in plan.steps}
    assert actions["attention_1"] == actions["norm_1b"] == "temporal difference"
