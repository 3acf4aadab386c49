"""C networks: spike for spike and potential for potential the integer network's."""

import shutil
import subprocess

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from apps import data
from apps.sources import load_model
from snn_keras import applications
from snn_keras.errors import ConversionError
from snn_keras.export import FORMS, CNetwork, quantize_weights, to_c
from snn_keras.layers import LSQReLU
from tests.graphs import Maker, seeds
from tests.subjects import EXPORTED
from tests.test_export import IMAGES, integers, network_of, small

WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror")
QUICK = ("-O1", *WARNINGS)
compiled = pytest.mark.skipif(
    shutil.which("cc") is None, reason="needs a C compiler: apt-get install gcc"
)


def assert_same(net, path, inputs, **settings):
    """Spikes, potentials and outputs of the C are the integer network's.

    Returns:
        The number of spikes.
    """
    received = CNetwork(path, trace=True, **{"flags": QUICK, **settings}).run(inputs)
    fired = 0
    for step, (values, state) in enumerate(net.run(inputs)):
        found = received[step]
        for layer in net.neurons:
            assert np.array_equal(found[layer.name], values[layer.name]), layer.name
            fired += np.count_nonzero(values[layer.name])
        for operation in net.operations:
            states = zip(operation.state_names, state[operation.name], strict=True)
            for name, expected in states:
                name = f"{operation.name}/{name}"
                assert np.array_equal(found[name], expected), (step, name)
        for out in net.outputs:
            assert np.array_equal(found[out.name], values[out.name]), (step, out.name)
    return fired


@compiled
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", EXPORTED)
@pytest.mark.parametrize("seed", seeds(100, quick=3))
def test_c_is_the_integers(seed, neuron, form, tmp_path):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    to_c(net, tmp_path / "net", network.keras_inputs, form)
    assert_same(net, tmp_path / "net", net.quantize(list(network.inputs.values())))
