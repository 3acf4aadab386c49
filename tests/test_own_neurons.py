"""A neuron of one's own, whose spikes carry a size: no line of the package changes."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import ops

import snn_keras
from snn_keras import analysis, export
from snn_keras.export import integer
from snn_keras.export.rounding import NeuronForm, integer_form
from snn_keras.export.tflite.lowering import lower
from snn_keras.neurons import IFCell
from tests.graphs import chain

# --- Bursts: as many spikes a step as the potential holds thresholds, up to MOST ------

MOST = 3


@keras.saving.register_keras_serializable("tests")
class BurstCell(IFCell):
    most_spikes = MOST

    def call(self, inputs, states, training=False):
        theta = self.theta.value
        u = states[0] + ops.cast(inputs, self.state_dtype)
        y = theta * ops.clip(ops.floor(u / theta), 0, MOST)
        return ops.cast(y, self.compute_dtype), [u - y]

    def spikes(self, outputs):
        return ops.round(outputs / ops.cast(self.theta.value, outputs.dtype))


@dataclasses.dataclass(frozen=True, eq=False)
class FireBursts(integer.Fire):
    def run(self, values, state, step):
        u = state[0] + values[0]
        z = np.clip((u + self.initial) // self.threshold, 0, MOST)
        return z, (u - self.threshold * z,)

    def bounds(self, x, *, steps):
        return integer.Interval(np.int64(0), np.int64(MOST))


@integer_form(BurstCell)
def _burst(cell, layer):
    return NeuronForm(FireBursts)


@lower.register
def _(operation: FireBursts, to, x):
    shape, threshold = operation.shape, to.constant(operation.threshold)
    u, sent = to.plus(to.states[operation.name][0], x, shape), None
    for n in range(1, MOST + 1):
        bound = to.constant(n * operation.threshold - operation.initial)
        z = to.where("GREATER_EQUAL", u, bound, shape)
        sent = z if sent is None else to.binary("ADD", sent, z, shape)
    left = to.binary("SUB", u, to.binary("MUL", sent, threshold, shape), shape)
    to.states[operation.name] = [left]
    return sent


# -------------------------------------------------------------------------------------


TIMESTEPS = 4


def simulated(model, x):
    """Spikes that each layer sends, `(timesteps, batch, ...)`, and the output."""
    dense = [y for y in model.layers if hasattr(y, "kernel")]
    maps = [[w.astype("float64") for w in y.get_weights()] for y in dense]
    theta, potentials, sent, total = 1.0, {}, {"act1": [], "act2": []}, 0.0
    for _ in range(TIMESTEPS):
        signal = x.astype("float64")
        for name, (kernel, bias) in zip(("act1", "act2"), maps, strict=False):
            current = signal @ kernel + bias
            u = potentials.get(name, theta / 2) + current
            z = np.clip(np.floor(u / theta), 0, MOST)
            potentials[name] = u - theta * z
            sent[name].append(z)
            signal = theta * z
        kernel, bias = maps[2]
        total = total + signal @ kernel + bias
    return {name: np.stack(z) for name, z in sent.items()}, total / TIMESTEPS


def test_bursts_run_and_are_counted():
    model, x = chain(2)
    snn = snn_keras.convert(model, TIMESTEPS, BurstCell())
    spikes, output = simulated(model, x)
    assert max(z.max() for z in spikes.values()) == MOST
    assert np.array_equal(snn.predict(x, verbose=0), output)
    assert np.array_equal(snn(x, training=True), output)
    recorded = analysis.record(snn, x, traces=True)
    assert all(np.array_equal(recorded[name], z) for name, z in spikes.items())
    statistics = analysis.spike_statistics(snn, x)
    for name, z in spikes.items():
        assert statistics.layers[name].spikes == z.sum() / len(x)
    # A spike is an addition at each of the weights behind it.
    found = analysis.energy(snn, x).layers
    for layer, name, fan_out in (("second", "act1", 4), ("out", "act2", 3)):
        additions = fan_out * spikes[name].sum() / len(x)
        assert found[layer].spiking.add == additions, layer
    report = snn_keras.verify(model, snn, x)
    assert [layer.name for layer in report.layers] == ["act1", "act2"]


def test_bursts_stream_and_save(tmp_path):
    model, x = chain(2)
    snn = snn_keras.convert(model, TIMESTEPS, BurstCell())
    expected = snn.predict_over_time(x, verbose=0)
    stream = snn.stream()
    streamed = stream(np.repeat(x[:, None], TIMESTEPS, axis=1))
    assert np.array_equal(np.moveaxis(np.asarray(streamed), 1, 0), expected)
    snn.save(tmp_path / "bursts.keras")
    loaded = keras.models.load_model(tmp_path / "bursts.keras")
    assert np.array_equal(loaded.predict_over_time(x, verbose=0), expected)


def test_bursts_are_exported():
    model, x = chain(2)
    snn = snn_keras.convert(model, TIMESTEPS, BurstCell())
    whole = export.to_integers(snn, x)
    assert np.array_equal(whole.predict(x), snn.predict(x, verbose=0))


def test_bursts_run_in_a_file(tmp_path):
    pytest.importorskip("ai_edge_litert", reason="pip install .[export]")
    model, x = chain(2)
    snn = snn_keras.convert(model, TIMESTEPS, BurstCell())
    export.to_tflite(snn, tmp_path / "bursts.tflite", x)
    file = export.TFLiteNetwork(tmp_path / "bursts.tflite")
    assert np.array_equal(file.predict(x), snn.predict(x, verbose=0))
