"""Memory of spiking networks, against a walk through every event of a run."""

import dataclasses

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import analysis
from snn_keras.layers import LSQReLU

# Bits that a spike carries besides its address, by neuron.
CARRIED = {"if": 0, "signed": 1, "bit_serial": 0, "multi_threshold": 4}
CARRIED["differential"] = 3  # 1 bit of sign, 2 of 3 sizes
# Words that a spike adds: signed neurons and those with sizes count what they sent.
COUNTED = {"if": 0, "signed": 1, "bit_serial": 0, "multi_threshold": 1}
COUNTED["differential"] = 1
LEVELS, STEPS = 7, 3


def activation(name):
    return LSQReLU(LEVELS, initial_step=0.25, name=name)


def dense():
    inputs = keras.Input((5,))
    x = activation("act1")(layers.Dense(6, name="first")(inputs))
    x = activation("act2")(layers.Dense(4, name="second")(x))
    return keras.Model(inputs, layers.Dense(3, name="third")(x))


def convolutional():
    inputs = keras.Input((5, 4, 2))
    x = layers.Conv2D(3, 3, padding="same", name="first")(inputs)
    x = activation("act1")(x)
    x = layers.Conv2D(2, 2, strides=2, padding="same", name="second")(x)
    x = layers.Flatten()(activation("act2")(x))
    return keras.Model(inputs, layers.Dense(3, name="third")(x))


def on_dyadic_weights(model):
    rng = np.random.default_rng(0)
    for w in model.weights:
        if "step" not in w.path:
            w.assign(rng.integers(-4, 5, w.shape) / 8)
    return model


def synapses(layer):
    """The targets of each input element: `[input, target]`, whether there is a weight.

    From the layer itself: it is called on one element at a time, with weights of 1.
    """
    shape = layer.input.shape[1:]
    size = int(np.prod(shape))
    kept = layer.get_weights()
    layer.set_weights([np.ones_like(kept[0]), np.zeros_like(kept[1])])
    one_by_one = np.eye(size, dtype="float32").reshape(size, *shape)
    reached = np.asarray(layer(one_by_one)).reshape(size, -1) != 0
    layer.set_weights(kept)
    return reached


def bits(count):
    """Bits of an address."""
    return len(bin(count - 1)) - 2


def walked(model, spikes, neuron):
    """Every read and write of a run, event by event: `{layer: {words: [r, w, bits]}}`.

    Args:
        model: The source network.
        spikes: `{layer of neurons: (steps, neurons)}`, of one sample.
    """
    behind = {"act1": "second", "act2": "third"}
    once_a_run = neuron == "bit_serial"
    found = {}
    first = synapses(model.get_layer("first"))
    found["first"] = {
        "weights": [int(first.sum()), 0, 8],
        "numbers": [int(first.sum()), 0, 8],
    }
    for name, target in behind.items():
        reached = synapses(model.get_layer(target))
        steps, count = spikes[name].shape
        own = {"potentials": [0, 0, 16], "constants": [0, 0, 16]}
        own["spikes"] = [0, 0, bits(count) + CARRIED[neuron]]
        there = {"weights": [0, 0, 8], "sums": [0, 0, 16]}
        there["spikes"] = [0, 0, bits(count) + CARRIED[neuron]]
        for t in range(steps):
            for i in range(count):
                if t == 0 or not once_a_run:
                    own["potentials"][0] += 1
                    own["potentials"][1] += 1
                    own["constants"][0] += 1
                if not spikes[name][t, i]:
                    continue
                own["spikes"][1] += 1
                own["potentials"][0] += COUNTED[neuron]
                own["potentials"][1] += COUNTED[neuron]
                there["spikes"][0] += 1
                for _ in range(int(reached[i].sum())):
                    there["weights"][0] += 1
                    there["sums"][0] += 1
                    there["sums"][1] += 1
        found[name], found[target] = own, there
    return found


@pytest.mark.parametrize("neuron", CARRIED)
@pytest.mark.parametrize("make", [dense, convolutional])
def test_every_access_is_that_of_the_walk(make, neuron):
    model = on_dyadic_weights(make())
    snn = snn_keras.convert(model, STEPS, neuron)
    snn.run_eagerly = keras.backend.backend() == "tensorflow"
    x = np.random.default_rng(1).integers(-4, 9, (2, *model.input_shape[1:])) / 8
    x = x.astype("float32")
    traces = analysis.record(snn, x, traces=True)
    both = [
        walked(
            model,
            {name: z[:, i].reshape(STEPS, -1) for name, z in traces.items()},
            neuron,
        )
        for i in range(2)
    ]
    found = analysis.energy(snn, x).layers
    assert set(found) - {"readout"} == set(both[0])
    for name, expected in both[0].items():
        memory = found[name].spiking.memory
        for words, (reads, writes, width) in expected.items():
            pairs = [(reads, writes), both[1][name][words][:2]]
            mean = np.mean(pairs, axis=0).tolist()
            assert [memory[words].reads, memory[words].writes] == mean, (name, words)
            assert memory[words].bits == sum(mean) * width, (name, words)
        unused = [k for k, v in memory.items() if v.bits and k not in expected]
        assert not unused, name


@pytest.mark.parametrize("neuron", CARRIED)
def test_bit_maps_have_a_place_for_every_neuron_at_every_step(neuron):
    snn = snn_keras.convert(on_dyadic_weights(dense()), STEPS, neuron)
    snn.run_eagerly = keras.backend.backend() == "tensorflow"
    hardware = snn_keras.analysis.HARDWARE["45 nm"]
    maps = dataclasses.replace(hardware, spikes="bit maps")
    x = np.ones((1, 5), "float32")
    found = analysis.energy(snn, x, hardware=maps).layers
    width = 1 + CARRIED[neuron]
    for sender, count, receiver, targets in (
        ("act1", 6, "second", 4),
        ("act2", 4, "third", 3),
    ):
        written, read = (
            found[name].spiking.memory["bit maps"] for name in (sender, receiver)
        )
        assert (written.writes, written.reads) == (count * STEPS, 0)
        assert (read.writes, read.reads) == (0, count * targets * STEPS)
        assert written.bits == count * STEPS * width
        assert read.bits == count * targets * STEPS * width
        assert "sums" not in found[receiver].spiking.memory


def test_a_shortcut_is_read_and_added_to_a_potential():
    inputs = keras.Input((3,))
    sent = activation("sent")(inputs)
    x = layers.Add()([layers.Dense(3, name="between")(sent), sent])
    model = keras.Model(inputs, layers.Dense(2, name="last")(activation("act")(x)))
    found = analysis.energy(snn_keras.convert(model, 4), np.ones((1, 3), "float32"))
    spikes = found.layers["sent"].spikes
    memory = found.layers["act"].spiking.memory
    assert spikes and memory["spikes"].reads == spikes
    updates = 4 * 3
    assert memory["potentials"].reads == updates and memory["sums"].reads == spikes
    assert found.layers["act"].rate == spikes / updates


def test_the_level_is_the_first_that_holds_all_words():
    near = analysis.MemoryLevel("near", 20, 1.0)
    far = analysis.MemoryLevel("far", float("inf"), 3.0)
    hardware = dataclasses.replace(
        analysis.HARDWARE["45 nm"], memory=(near, far), apart={"spikes": (far,)}
    )
    snn = snn_keras.convert(on_dyadic_weights(dense()), STEPS)
    found = analysis.energy(snn, np.ones((1, 5), "float32"), hardware=hardware).layers
    # 30, 24 and 12 weights of a byte; 6 and 4 potentials of two; spikes apart.
    levels = {
        (name, words): x.level
        for name, layer in found.items()
        for words, x in layer.spiking.memory.items()
    }
    assert levels["first", "weights"] == levels["second", "weights"] == "far"
    assert levels["third", "weights"] == levels["act1", "potentials"] == "near"
    assert levels["act1", "spikes"] == levels["second", "spikes"] == "far"
    assert found["third"].spiking.memory["weights"].energy == (
        found["third"].spiking.memory["weights"].reads * 1.0
    )


def test_the_opponent_skips_what_silent_neurons_would_have_met():
    model = on_dyadic_weights(convolutional())
    snn = snn_keras.convert(model, STEPS)
    x = np.random.default_rng(2).integers(-4, 9, (2, 5, 4, 2)).astype("float32") / 8
    found = analysis.energy(snn, x).layers
    sent = analysis.record(snn, x)
    for sender, receiver in (("act1", "second"), ("act2", "third")):
        reached = synapses(model.get_layer(receiver))
        fires = sent[sender].reshape(2, -1) > 0
        kept = found[receiver].opponents["zeros skipped"].cost
        assert kept.multiply == (fires @ reached.sum(axis=1)).mean()
        assert kept.memory["weights"].reads == kept.multiply
        dense_one = found[receiver].opponents["quantized"].cost
        assert dense_one.multiply == reached.sum() == dense_one.memory["weights"].reads
