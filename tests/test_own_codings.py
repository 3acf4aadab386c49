"""Codings of one's own: a class for each, and no line of the package changes."""

import keras
import numpy as np
import pytest
from keras import ops

import snn_keras
from snn_keras import analysis
from snn_keras.coding import Coding
from snn_keras.layers import LSQReLU
from snn_keras.neurons import ChargingCell, SpikingCell
from snn_keras.ops import level_of, spike
from tests.graphs import dyadic

BITS = 2


# --- Phase coding: spikes worth 1/2, 1/4, ... of the threshold, again and again -------


@keras.saving.register_keras_serializable("tests")
class Phase(Coding):
    """In every period of K steps, the k-th step is worth $2^{-k}$."""

    any_time = False  # but at the end of a period

    def gain(self, t):
        return 1 / BITS  # a period brings the input once

    def divisor(self, t):
        return t / BITS


@keras.saving.register_keras_serializable("tests")
class PhaseCell(SpikingCell):
    """Fires where the potential reaches what a spike is worth in this phase."""

    codings = (Phase,)
    num_states = 2

    def coding(self, timesteps, activations):
        return Phase(timesteps)

    def initial_state(self, shape):
        start = ops.broadcast_to(self.theta.value / 2 ** (BITS + 1), shape)
        return [start, ops.zeros((), "int32")]

    def call(self, inputs, states, training=False):
        u, t = states
        worth = self.theta.value * ops.power(2.0, -ops.cast(t % BITS + 1, u.dtype))
        u = u + ops.cast(inputs, u.dtype)
        y = worth * spike(u, worth)
        return ops.cast(y, self.compute_dtype), [u - y, t + 1]

    def adapted_to(self, activation, coding):
        return self.copy(activation, threshold=2**BITS * activation.step_value())

    def grid(self, coding):
        step = self.theta_value() / 2**BITS
        return step / coding.divisor(coding.timesteps), (2**BITS - 1) * coding.timesteps


# --- Time to first spike: one spike, the earlier the larger the number ----------------


@keras.saving.register_keras_serializable("tests")
class FirstSpike(Coding):
    """A spike at step t is worth T + 1 - t steps; there is one, or none."""

    any_time = False
    charges_first = True

    def gain(self, t):
        return t <= 1

    def divisor(self, t):
        return 1


@keras.saving.register_keras_serializable("tests")
class FirstSpikeCell(ChargingCell):
    """Once it is charged, it waits: the more it has, the less."""

    codings = (FirstSpike,)

    def coding(self, timesteps, activations):
        return FirstSpike(timesteps)

    def outputs(self, potential):
        step, last = self.theta.value / self.timesteps, self.timesteps
        level = level_of(potential, step, float(last))
        for t in range(1, last + 1):
            y = step * level * ops.cast(level == last + 1 - t, step.dtype)
            potential = potential - y
            yield y, potential

    def adapted_to(self, activation, coding):
        theta = coding.timesteps * activation.step_value()
        return self.copy(activation, threshold=theta, timesteps=coding.timesteps)

    def grid(self, coding):
        return self.theta_value() / self.timesteps, self.timesteps

    def approximation(self, activation, coding):
        return "" if coding.timesteps == activation.levels else "other levels"


def source(levels=3, seed=0):
    """A network of dyadic numbers with pooling between its neurons, and inputs."""
    rng = np.random.default_rng(seed)
    inputs = keras.Input((6, 6, 2))
    x = LSQReLU(levels, initial_step=0.5, name="act1")(
        keras.layers.Conv2D(4, 3)(inputs)
    )
    x = keras.layers.Conv2D(4, 2)(keras.layers.MaxPooling2D()(x))
    x = LSQReLU(levels, initial_step=0.25, name="act2")(x)
    model = keras.Model(
        inputs, keras.layers.Dense(3, name="head")(keras.layers.Flatten()(x))
    )
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model, dyadic(rng, (5, 6, 6, 2), 16, 32)


@pytest.mark.parametrize("fused", [True, False], ids=["one_pass", "steps"])
@pytest.mark.parametrize("levels", [1, 3, 5])
def test_one_spike_says_its_activation_exactly(levels, fused):
    model, x = source(levels)
    snn = snn_keras.convert(model, levels, FirstSpikeCell(), fused=fused)
    assert str(snn_keras.plan(model, levels, FirstSpikeCell())).endswith("source's")
    assert np.array_equal(snn.predict(x, verbose=0), model.predict(x, verbose=0))
    assert snn_keras.verify(model, snn, x).exact
    spikes = analysis.record(snn, x, traces=True)
    for name, z in spikes.items():
        level = activation_of(model, name, x) / model.get_layer(name).step_value()
        sent_at = np.where(level > 0, levels + 1 - level, 0)
        at = np.where(z.any(axis=0), z.argmax(axis=0) + 1, 0)
        assert z.sum(axis=0).max() == 1 and np.array_equal(at, sent_at), name
    found = analysis.spike_statistics(snn, x)
    assert found.spikes * len(x) == sum(z.sum() for z in spikes.values())
    # A spike is an addition at each of the three weights behind it.
    additions = analysis.energy(snn, x).layers["head"].spiking.add
    assert additions == 3 * spikes["act2"].sum() / len(x)
    with pytest.raises(ValueError, match=r"a whole run|one pass"):
        snn.stream()


@pytest.mark.parametrize("periods", [1, 2, 4])
def test_phases_are_those_of_the_equations(periods):
    model, x = source()
    timesteps = BITS * periods
    snn = snn_keras.convert(model, timesteps, PhaseCell())
    currents = analysis.record(snn, x, what="currents", traces=True)
    spikes = analysis.record(snn, x, traces=True)
    for name, current in currents.items():
        theta = 2**BITS * float(model.get_layer(name).step_value())
        u = np.full(current.shape[1:], theta / 2 ** (BITS + 1))
        for t in range(timesteps):
            worth = theta / 2 ** (t % BITS + 1)
            u = u + current[t]
            z = u >= worth
            u = u - z * worth
            assert np.array_equal(spikes[name][t], z), (name, t)
    first = model.layers[1](x)  # the image comes once a period, a share a step
    assert np.array_equal(currents["act1"].sum(0), periods * np.asarray(first))
    # What they sent decodes to the sum of what each was worth, over the periods.
    worth = 2.0 ** (BITS - 1 - np.arange(timesteps) % BITS)
    for layer in snn_keras.verify(model, snn, x).layers:
        step = float(model.get_layer(layer.name).step_value())
        levels = np.tensordot(worth, spikes[layer.name], 1) / periods
        errors = levels - activation_of(model, layer.name, x) / step
        assert layer.mean == errors.mean(), layer.name


def test_a_phase_coded_network_streams_saves_and_is_cut_anywhere(tmp_path):
    model, x = source()
    snn = snn_keras.convert(model, 6, PhaseCell())
    expected = snn.predict_over_time(x, verbose=0)
    snn.chunk_steps = 4
    assert np.array_equal(snn.predict_over_time(x, verbose=0), expected)
    stream = snn.stream()
    parts = [stream(np.repeat(x[:, None], n, axis=1)) for n in (1, 5)]
    streamed = np.concatenate([ops.convert_to_numpy(p) for p in parts], axis=1)
    assert np.array_equal(np.moveaxis(streamed, 1, 0), expected)
    snn.save(tmp_path / "phase.keras")
    loaded = keras.models.load_model(tmp_path / "phase.keras")
    assert np.array_equal(loaded.predict_over_time(x, verbose=0), expected)
    assert np.array_equal(snn.with_timesteps(4).predict(x, verbose=0), expected[3])


def test_one_network_is_of_one_coding():
    model, _ = source()
    neurons = {"act1": PhaseCell(), "act2": FirstSpikeCell()}
    with pytest.raises(snn_keras.ConversionError, match="a network is of one kind"):
        snn_keras.convert(model, 4, neurons)


def activation_of(model, name, x):
    inner = keras.Model(model.input, model.get_layer(name).output)
    return inner.predict(x, verbose=0)
