"""Neurons that spend extra steps on correcting themselves: SRP, offset spikes."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.neurons import OffsetSpikesCell, SRPCell
from tests import reference
from tests.graphs import Maker, seeds

METHODS = {
    "srp": (SRPCell, reference.simulate_srp),
    "cos": (OffsetSpikesCell, reference.simulate_cos),
}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("seed", seeds(40, quick=6))
def test_outputs_are_the_references(seed, name):
    cell, simulate = METHODS[name]
    network = Maker(seed).make()
    extra, timesteps = 1 + seed % 5, 8
    snn = snn_keras.convert(network.model, timesteps, neuron=cell(extra_steps=extra))
    assert snn.extra_steps == extra
    trace = simulate(network.nodes, network.inputs, timesteps, extra)
    received = snn.predict_over_time(network.keras_inputs, verbose=0)
    for name, y in zip(network.outputs, keras.tree.flatten(received), strict=True):
        sums = np.cumsum(trace.outputs[name], axis=0).astype("float32")
        for t in range(1, timesteps + 1):
            assert np.array_equal(y[t - 1], sums[t - 1] * np.float32(1 / t)), (name, t)


@pytest.mark.parametrize("name", METHODS)
def test_by_name_and_after_loading(name, tmp_path):
    network = Maker(2).make()
    snn = snn_keras.convert(network.model, 3, neuron=name)
    assert snn.extra_steps == METHODS[name][0]().extra_steps
    assert f"after {snn.extra_steps} extra steps" in str(
        snn_keras.plan(network.model, 3, neuron=name)
    )
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    for a, b in zip(
        keras.tree.flatten(loaded.predict(network.keras_inputs, verbose=0)),
        keras.tree.flatten(snn.predict(network.keras_inputs, verbose=0)),
        strict=True,
    ):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("extra_steps", [0, -1, 2.5])
def test_extra_steps_are_checked(extra_steps):
    with pytest.raises(ValueError, match=r"extra_steps must be an integer >= 1"):
        SRPCell(extra_steps=extra_steps)
