"""Keras's own exports of a converted network: they run without Keras."""

import keras
import numpy as np
import pytest

import snn_keras
from tests.graphs import Maker
from tests.subjects import EXPORTED

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="a file is the same whatever backend it comes from: tested once",
)


@pytest.fixture(params=EXPORTED)
def converted(request):
    """A spiking network, its inputs as a list, and its outputs, flat."""
    network = Maker(1, levels=(1, 3, 7)).make()
    snn = snn_keras.convert(network.model, 3, request.param)
    outputs = snn.predict(network.keras_inputs, verbose=0)
    return snn, list(network.inputs.values()), keras.tree.flatten(outputs)


def test_a_saved_model_gives_the_same(converted, tmp_path):
    import tensorflow as tf

    snn, inputs, expected = converted
    snn.export(str(tmp_path / "net"), format="tf_saved_model", verbose=False)
    loaded = tf.saved_model.load(str(tmp_path / "net"))
    received = loaded.serve([tf.constant(x) for x in inputs])
    for y, wanted in zip(keras.tree.flatten(received), expected, strict=True):
        assert np.array_equal(y, wanted)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # tf2onnx's own
def test_onnx_gives_the_same(converted, tmp_path):
    pytest.importorskip("tf2onnx", reason="pip install tf2onnx onnx onnxruntime")
    import onnxruntime

    snn, inputs, expected = converted
    snn(inputs)  # Keras wants the model called before
    snn.export(str(tmp_path / "net.onnx"), format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(str(tmp_path / "net.onnx"))
    named = zip((x.name for x in session.get_inputs()), inputs, strict=True)
    for y, wanted in zip(session.run(None, dict(named)), expected, strict=True):
        assert np.array_equal(y, wanted)
