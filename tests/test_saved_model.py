"""Keras's own export of a converted network: it runs without Keras."""

import keras
import numpy as np
import pytest

import snn_keras
from tests.graphs import Maker

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="SavedModel is TensorFlow's"
)


@pytest.mark.parametrize("neuron", ["if", "signed", "bit_serial"])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_saved_model_gives_the_same(seed, neuron, tmp_path):
    import tensorflow as tf

    network = Maker(seed, levels=(1, 3, 7)).make()
    snn = snn_keras.convert(network.model, 3, neuron)
    snn.export(str(tmp_path / "net"), format="tf_saved_model", verbose=False)
    inputs = [tf.constant(x) for x in network.inputs.values()]
    alone = inputs if len(inputs) > 1 else inputs[0]
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    received = loaded.serve(alone)
    expected = snn.predict(network.keras_inputs, verbose=0)
    pairs = zip(keras.tree.flatten(received), keras.tree.flatten(expected), strict=True)
    for y, wanted in pairs:
        assert np.array_equal(y, wanted)
