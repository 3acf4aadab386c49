"""Operations and energy, against networks that are counted by hand."""

import dataclasses
import json
import math

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import analysis
from snn_keras.layers import LSQReLU

EYE = np.eye(3, dtype="float32")


def spikes_of(snn, x):
    """The spikes of every neuron of every layer, by the monitor of `verify`."""
    from snn_keras.analysis.operations import OperationCounter

    return OperationCounter(snn).predict_on_batch(x)[1]


def two_layers(levels=4):
    """Three inputs, three neurons of threshold 1, two outputs."""
    inputs = keras.Input((3,))
    hidden = layers.Dense(3, name="fc1")(inputs)
    hidden = LSQReLU(levels, initial_step=0.25, name="act")(hidden)
    model = keras.Model(inputs, layers.Dense(2, name="fc2")(hidden))
    model.get_layer("fc1").set_weights([EYE, np.zeros(3, "float32")])
    return model


# Prices that are sums of powers of two, so that float64 holds every sum of them. A
# product of a and b bits costs sqrt(a b) / 4: of 2 and 8 bits 1, of 8 and 8 bits 2.
EXACT = analysis.Hardware(
    name="exact",
    source="made up",
    operations={
        "multiply": {8: 2.0},
        "add": {16: 0.5},
        "shift": {16: 0.25},
        "compare": {16: 0.125},
    },
    floats={"multiply": 16.0, "add": 8.0, "shift": 4.0, "compare": 2.0},
    memory=(
        analysis.MemoryLevel("near", 8, read=1.0, write=2.0),
        analysis.MemoryLevel("far", math.inf, read=32.0),
    ),
)


FREE = analysis.MemoryLevel("pays back", math.inf, read=-1.0)


def accesses(cost):
    """`{words: (reads, writes, bits, energy, level)}`, of those that are used."""
    return {
        name: tuple(found.as_dict().values())
        for name, found in cost.memory.items()
        if found.bits
    }


def operations(cost):
    kinds = ("multiply", "add", "shift", "compare", "operations")
    return tuple(getattr(cost, kind) for kind in kinds)


def by_hand(hardware=EXACT):
    """Six spikes, of two neurons.

    Of threshold 1 and currents 1, 1/2, 0 from potential 1/2, the neurons fire at steps
    1, 2, 3, 4; at 1, 3; never.
    """
    snn = snn_keras.convert(two_layers(), 4)
    x = np.array([[1.0, 0.5, 0.0]], "float32")
    return analysis.energy(snn, x, hardware=hardware, levels=3)


def test_two_layers_by_hand():
    found = by_hand()
    fc1, act, fc2 = (found.layers[name] for name in ("fc1", "act", "fc2"))
    assert (act.spikes, act.neurons, found.steps) == (6, 3, 4)
    # 9 weights of a byte, 9 numbers of a byte, once a run. 9 weights are too many for 8
    # bytes; 3 numbers are not.
    assert operations(fc1.spiking) == (9, 9, 0, 0, 9 * 2 + 9 / 2)
    assert accesses(fc1.spiking) == {
        "weights": (9, 0, 72, 9 * 32.0, "far"),
        "numbers": (9, 0, 72, 9 * 1.0, "near"),
    }
    # At each of 4 steps each of 3 neurons adds its current and compares, which reads a
    # current and a potential of 2 bytes and writes the potential; each of 6 spikes
    # subtracts the threshold, and is written with an address of 2 bits.
    cost = (12 + 6) / 2 + 12 / 8
    assert operations(act.spiking) == (0, 18, 0, 12, cost)
    assert accesses(act.spiking) == {
        "constants": (12, 0, 192, 12 * 2.0, "near"),
        "potentials": (12, 12, 384, 12 * (2 + 4.0), "near"),
        "spikes": (0, 6, 12, 6 / 4 * 2, "near"),
    }
    # Each of 6 spikes is read, and at each of 2 weights a byte is read, and a potential
    # is read and written.
    assert operations(fc2.spiking) == (0, 12, 0, 0, 12 / 2)
    assert accesses(fc2.spiking) == {
        "spikes": (6, 0, 12, 6 / 4, "near"),
        "sums": (12, 12, 384, 12 * (2 + 4.0), "near"),
        "weights": (12, 0, 96, 12 * 1.0, "near"),
    }
    assert [layer.rate for layer in (fc1, act, fc2)] == [None, None, 6 / (3 * 4)]
    assert found.rate == 6 / (3 * 4)


def test_the_opponents_of_two_layers_by_hand():
    found = by_hand()
    assert found.bits == 2  # of three levels and 0
    fc1, act, fc2 = (found.layers[name].opponents for name in ("fc1", "act", "fc2"))
    for name in ("quantized", "zeros skipped"):  # the input is not skipped
        cost = fc1[name].cost
        assert operations(cost) == (9, 9, 0, 0, 9 * 2 + 9 / 2)
        assert accesses(cost) == {
            "weights": (9, 0, 72, 9 * 32.0, "far"),
            "activations": (9, 0, 72, 9 * 1.0, "near"),
        }
        # Each activation reads a bias of 2 bytes, is multiplied (16 by 16 bits),
        # shifted, compared, and written with 2 bits.
        cost = act[name].cost
        assert operations(cost) == (3, 0, 3, 3, 3 * 4 + 3 / 4 + 3 / 8)
        assert accesses(cost) == {
            "constants": (3, 0, 48, 3 * 2.0, "near"),
            "activations": (0, 3, 6, 3 / 4 * 2, "near"),
        }
    dense, skipping = (fc2[name].cost for name in ("quantized", "zeros skipped"))
    assert operations(dense) == (6, 6, 0, 0, 6 * 1 + 6 / 2)
    read = {"activations": (6, 0, 12, 6 / 4, "near")}
    assert accesses(dense) == {"weights": (6, 0, 48, 6 * 1.0, "near"), **read}
    # One of three neurons is silent: two of six weights are neither read nor met.
    assert operations(skipping) == (4, 4, 0, 0, 4 * 1 + 4 / 2)
    assert accesses(skipping) == {"weights": (4, 0, 32, 4 * 1.0, "near"), **read}
    # Floats have 4 bytes; each activation is compared with 0.
    assert operations(fc1["float"].cost) == (9, 9, 0, 0, 9 * 24)
    assert operations(act["float"].cost) == (0, 0, 0, 3, 3 * 2)
    assert accesses(fc2["float"].cost) == {
        "weights": (6, 0, 192, 6 * 128.0, "far"),
        "activations": (6, 0, 192, 6 * 128.0, "far"),
    }


def test_the_whole_is_the_sum_of_its_layers_and_crosses_where_it_says():
    found = by_hand()
    layers = found.layers.values()
    for part in ("energy", "operations", "add", "multiply"):
        assert found.spiking[part] == sum(x.spiking[part] for x in layers)
    assert found.spiking.energy == found.spiking.operations + sum(
        x.energy for x in found.spiking.memory.values()
    )
    # Six spikes cost a subtraction and an event each, and all that fc2 costs.
    by_spikes = 6 / 2 + 6 / 4 * 2 + found.layers["fc2"].spiking.energy
    silent = found.spiking.energy - by_spikes
    for name, opponent in found.opponents.items():
        cost = sum(x.opponents[name].cost.energy for x in layers)
        assert opponent.cost.energy == cost
        assert opponent.ratio == found.spiking.energy / cost
        assert opponent.with_memory.silent == silent / cost
        at = found.rate * max(cost - silent, 0) / by_spikes
        assert opponent.crossing == at
    fair = min(found.opponents[k].cost.energy for k in ("quantized", "zeros skipped"))
    assert found.ratio == found.spiking.energy / fair
    # The last layer alone: whatever arrives costs in proportion.
    alone = found.layers["fc2"]
    assert alone.opponents["quantized"].with_memory.silent == 0
    share = alone.rate / alone.opponents["quantized"].ratio
    assert alone.opponents["quantized"].crossing == pytest.approx(share, rel=1e-15)


def test_bit_maps_and_reuse_by_hand():
    maps = by_hand(dataclasses.replace(EXACT, spikes="bit maps")).layers
    # A place of a bit for each of three neurons at each of four steps, which each of
    # two synapses reads; a weight is read where there is a spike.
    assert accesses(maps["act"].spiking)["bit maps"] == (0, 12, 12, 12 / 8 * 2, "near")
    assert "spikes" not in maps["act"].spiking.memory
    assert accesses(maps["fc2"].spiking) == {
        "bit maps": (24, 0, 24, 24 / 8, "near"),
        "weights": (12, 0, 96, 12 * 1.0, "near"),
    }
    both = by_hand(dataclasses.replace(EXACT, spikes="bit maps", reuse=True)).layers
    assert accesses(both["fc2"].spiking)["bit maps"] == (12, 0, 12, 12 / 8, "near")
    again = by_hand(dataclasses.replace(EXACT, reuse=True)).layers
    # What is multiplied is read once a pass; what spikes meet, at each spike.
    assert accesses(again["fc1"].spiking)["numbers"] == (3, 0, 24, 3.0, "near")
    assert accesses(again["fc2"].spiking)["weights"][0] == 12
    for name in ("quantized", "zeros skipped"):
        assert accesses(again["fc2"].opponents[name].cost) == {
            "weights": (6, 0, 48, 6.0, "near"),
            "activations": (3, 0, 6, 3 / 4, "near"),
        }


def test_widths_price_operations():
    whole = analysis.HARDWARE["45 nm"]
    assert whole.operation("add", 8) == 0.03 and whole.operation("add", 32) == 0.1
    assert whole.operation("multiply", 32, 32) == 3.1
    assert whole.operation("multiply", "weight", 8) == 0.2
    assert whole.operation("multiply") == 3.7
    # Between them, a power of the width: at 16 bits, the geometric mean.
    for kind, (low, high) in {"add": (0.03, 0.1), "multiply": (0.2, 3.1)}.items():
        wanted = pytest.approx(math.sqrt(low * high), rel=1e-12)
        assert whole.operation(kind, 16) == wanted
    assert whole.operation("multiply", 2, 8) == whole.operation("multiply", 4)


def test_what_is_printed():
    found = by_hand()
    lines = str(found).splitlines()
    assert "on exact; 4 steps" in lines[0]
    rows = [line.split() for line in lines]
    energy = f"{found.layers['fc2'].spiking.energy / 1e3:,.3f}"
    (row,) = [row for row in rows if row[:1] == ["fc2"]]
    assert row[6] == energy and row[-1] == "50.00%"
    opponent = found.opponents["quantized"]
    assert opponent.crossing == 0  # potentials are read and written all the same
    alone = opponent.without_memory
    assert (
        f"over quantized, 2 bits: {opponent.ratio:.3f}, more at every spike rate "
        f"(without memory: {alone.ratio:.3f}, equal at a spike rate of "
        f"{alone.crossing:.2%})"
    ) in lines
    silent = analysis.energy(
        snn_keras.convert(two_layers(), 4), np.zeros((1, 3), "float32")
    )
    assert "over quantized, 3 bits" in str(silent)
    assert "without spikes (without memory: " in str(silent)
    # On free memory, spikes cost less than floats at any rate.
    free = (analysis.MemoryLevel("free", math.inf, read=0.0),)
    cheap = by_hand(dataclasses.replace(EXACT, memory=free))
    assert cheap.opponents["float"].crossing > 1
    assert "over float: " in str(cheap) and "less at every spike rate" in str(cheap)


def test_figures_are_ready_for_json():
    snn = snn_keras.convert(two_layers(), 4)
    found = analysis.energy(snn, np.ones((2, 3), "float32"))
    content = json.loads(json.dumps(found.as_dict()))
    assert list(content) == [
        *("spiking", "opponents", "rate", "steps", "bits", "layers", "hardware")
    ]
    add = found.layers["act"].spiking.add
    assert content["layers"]["act"]["spiking"]["add"] == add > 0


def test_means_over_samples_and_batches():
    snn = snn_keras.convert(two_layers(), 4)
    x = np.random.default_rng(0).integers(0, 5, (7, 3)).astype("float32") / 4
    apart = [analysis.energy(snn, x[i : i + 1]).spiking.add for i in range(7)]
    assert analysis.energy(snn, x, batch_size=3).spiking.add == np.mean(apart)


def convolutions(padding, strides, pooling):
    inputs = keras.Input((6, 6, 2))
    x = LSQReLU(4, initial_step=0.25, name="act1")(inputs)
    shortcut = x
    if pooling:
        x = layers.AveragePooling2D(2, padding="same", name="pool")(x)
        x = layers.UpSampling2D(2, name="up")(x)
    x = layers.Conv2D(2, 3, strides, padding, use_bias=False, name="conv")(x)
    x = layers.BatchNormalization(name="norm")(x)
    if padding == "same" and strides == 1:
        x = layers.Add(name="add")([x, shortcut])
    x = LSQReLU(4, initial_step=0.25, name="act2")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("pooling", [False, True])
@pytest.mark.parametrize(
    "padding, strides", [("same", 1), ("same", 2), ("valid", 1), ("valid", 2)]
)
def test_convolutions_synapse_by_synapse(padding, strides, pooling):
    snn = snn_keras.convert(convolutions(padding, strides, pooling), 4)
    x = np.random.default_rng(0).integers(-4, 9, (2, 6, 6, 2)).astype("float32") / 8
    spikes = spikes_of(snn, x)
    sent = spikes["act1"].astype(float)
    if pooling:  # every spike of a window reaches its four copies
        pooled = sent.reshape(2, 3, 2, 3, 2, 2).sum((2, 4))
        sent = pooled.repeat(2, axis=1).repeat(2, axis=2)
    size = -(-6 // strides) if padding == "same" else (6 - 3) // strides + 1
    missing = (size - 1) * strides + 3 - 6 if padding == "same" else 0
    before = max(missing, 0) // 2
    additions, weights = 0, 0
    for i, j in np.ndindex(size, size):
        for a, b in np.ndindex(3, 3):
            row, column = i * strides + a - before, j * strides + b - before
            if 0 <= row < 6 and 0 <= column < 6:
                additions = additions + 2 * sent[:, row, column].sum(-1)
                weights += 2 * 2
    found = analysis.energy(snn, x).layers
    assert found["conv"].spiking.add == additions.mean()
    assert found["conv"].spiking.multiply == 0
    assert found["conv"].opponents["float"].cost.multiply == weights
    # Each spike of the last layer reaches three outputs past the mean.
    assert found["head"].spiking.add == 3 * spikes["act2"].sum((1, 2, 3)).mean()
    neurons, last = spikes["act2"][0].size, spikes["act2"].sum((1, 2, 3)).mean()
    by_shortcut = 0
    if padding == "same" and strides == 1:  # past all weights
        by_shortcut = spikes["act1"].sum((1, 2, 3)).mean()
    updates = 4 * neurons + last + by_shortcut
    assert found["act2"].spiking.add == updates


def test_bit_serial_neurons_shift():
    snn = snn_keras.convert(two_layers(levels=7), 3, "bit_serial")  # one pass
    x = np.array([[1.25, 0.5, 0.0]], "float32")  # levels 5, 2, 0: bits 101, 010, 000
    found = analysis.energy(snn, x).layers
    assert found["act"].spikes == 3
    expected = {"multiply": 0, "add": 9 + 3, "shift": 9, "compare": 9}
    received = found["act"].spiking
    assert {k: getattr(received, k) for k in expected} == expected
    assert found["fc2"].spiking.add == 6


def test_numbers_behind_a_temporal_difference_multiply_at_every_step():
    inputs = keras.Input((4, 4, 1))
    x = LSQReLU(4, initial_step=0.25, name="act")(inputs)
    x = layers.MaxPooling2D(2, name="pool")(x)
    x = layers.Dense(3, name="fc")(layers.Flatten()(x))
    x = LSQReLU(4, initial_step=0.25, name="last")(x)
    snn = snn_keras.convert(keras.Model(inputs, x), 5)
    found = analysis.energy(snn, np.ones((1, 4, 4, 1), "float32")).layers["fc"]
    assert found.spiking.multiply == 5 * 4 * 3
    assert found.opponents["float"].cost.multiply == 4 * 3


def test_separable_convolution():
    inputs = keras.Input((5, 5, 2))
    x = LSQReLU(4, initial_step=0.25, name="act")(inputs)
    x = layers.SeparableConv2D(3, 3, name="conv")(x)
    snn = snn_keras.convert(keras.Model(inputs, x), 2)
    x = np.ones((1, 5, 5, 2), "float32")
    found = analysis.energy(snn, x).layers["conv"]
    # Every neuron fires twice; nine 3x3 windows, two channels. Behind the depthwise
    # part there are numbers: 9 places, 2 x 3 weights, 2 steps.
    assert found.spiking.multiply == 2 * 9 * 2 * 3
    assert found.spiking.add == 2 * 9 * 9 * 2 + 2 * 9 * 2 * 3
    assert found.opponents["float"].cost.multiply == 9 * 9 * 2 + 9 * 2 * 3


def test_settling_networks_count_their_own_steps():
    snn = snn_keras.convert(two_layers(), "settle", "signed")
    x = np.array([[1.0, 0.5, 0.0], [0.25, 0.0, 0.0]], "float32")
    steps = snn.settling_steps(x, verbose=0)
    expected = np.maximum(steps, snn.coding.input_steps).mean()
    assert analysis.energy(snn, x).steps == expected


def test_corrected_biases_cost_nothing_more():
    inputs = keras.Input((3,))
    x = layers.ReLU(name="act")(layers.Dense(3, name="fc1")(inputs))
    model = keras.Model(inputs, layers.Dense(2, name="fc2")(x))
    x = np.random.default_rng(0).normal(size=(16, 3)).astype("float32")
    plain, corrected = (
        snn_keras.convert(model, 4, data=x, levels=4, bias_correction=b)
        for b in (False, True)
    )
    one, other = (analysis.energy(snn, x).layers for snn in (plain, corrected))
    assert one["fc1"].spiking == other["fc1"].spiking
    for name, found in (("plain", one), ("corrected", other)):
        assert found["fc2"].spiking.add == 2 * found["act"].spikes, name


def changed(**changes):
    return lambda: dataclasses.replace(EXACT, **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (changed(memory=()), r"growing sizes.*Received: \(\)"),
        (changed(memory=EXACT.memory[0]), "must be a tuple of MemoryLevel"),
        (changed(memory=(FREE,)), "costs of 0 or more"),
        (changed(apart={"spikez": EXACT.memory}), r"keys among \['weights'"),
        (changed(operations={**EXACT.operations, "shift": {}}), "one or two widths"),
        (changed(operations={**EXACT.operations, "add": 0.1}), r"\['add'\] must be"),
        (changed(floats={**EXACT.floats, "add": -1.0}), r"floats\['add'\]"),
        (changed(memory=EXACT.memory[:1]), r"the last one of size math.inf"),
        (changed(memory=EXACT.memory[::-1]), "growing sizes"),
        (changed(apart={"spikes": EXACT.memory[:1]}), "the last one of size math.inf"),
        (changed(floats={"add": 1.0}), "floats must be a dict with the keys"),
        (changed(spikes="addresses"), r"one of \['events', 'bit maps'\]"),
        (changed(weight_bits=0), "weight_bits must be an integer >= 1"),
    ],
)
def test_hardware_that_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=f"Hardware 'exact': .*{message}"):
        make()


def test_operations_may_be_free():
    free = {"shift": {8: 0.0, 32: 0.0}, "compare": {16: 0.0}}
    hardware = changed(operations={**EXACT.operations, **free})()
    assert [hardware.operation(kind, "sum") for kind in free] == [0.0, 0.0]


def test_hardware_is_named_or_given():
    snn = snn_keras.convert(two_layers(), 4)
    x = np.ones((1, 3), "float32")
    for name in analysis.HARDWARE:
        assert analysis.energy(snn, x, hardware=name).hardware == name
    with pytest.raises(ValueError, match=r"'45 nm'.*Received: 'joule'"):
        analysis.energy(snn, x, hardware="joule")
    with pytest.raises(ValueError, match="levels must be an integer >= 1"):
        analysis.energy(snn, x, levels=0)
    for counts in (analysis.energy, analysis.neurobench):
        with pytest.raises(ValueError, match="batch_size must be an integer >= 1"):
            counts(snn, x, batch_size=0)
    with pytest.raises(ValueError, match=r"data for input .* is empty"):
        analysis.energy(snn, x[:0])


def test_levels_of_the_opponent():
    x = np.random.default_rng(0).normal(size=(8, 3)).astype("float32")
    ann = two_layers(levels=5)
    wanted = {"if": (4, 3), "signed": (4, 3), "bit_serial": (15, 4)}
    wanted |= {"differential": (5, 3), "multi_threshold": (255, 8), "srp": (4, 3)}
    for neuron, (levels, bits) in wanted.items():
        snn = snn_keras.convert(ann, 4, neuron)
        found = analysis.energy(snn, x)
        assert found.bits == bits == math.ceil(math.log2(levels + 1)), neuron
    for neuron in ("signed", "differential"):  # as many as the activation has
        found = analysis.energy(snn_keras.convert(ann, "settle", neuron), x)
        assert found.bits == 3


def pooled():
    """4 x 4 neurons, a pool of 2 x 2, three outputs; and a run of all neurons."""
    inputs = keras.Input((4, 4, 1))
    x = LSQReLU(1, initial_step=1.0, name="sent")(inputs)
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    model = keras.Model(inputs, layers.Dense(3, use_bias=False, name="head")(x))
    return snn_keras.convert(model, 2, "if"), np.ones((1, 4, 4, 1), "float32")


def test_a_pool_gathers_neurons_by_hand():
    found = analysis.energy(*pooled(), hardware="45 nm, bit maps")
    head = found.layers["head"]
    # 16 neurons with 3 synapses each, at 2 steps, all of which spike.
    assert head.rate == 1
    assert head.spiking.add == head.spiking.memory["weights"].reads == 16 * 3 * 2
    assert head.spiking.memory["bit maps"].reads == 16 * 3 * 2
    # The opponent reads 16 activations of levels 0, 1, 2 and adds them up to 4 sums of
    # levels 0 to 8, each of which it writes and multiplies by 3 weights.
    for name in ("quantized", "zeros skipped"):
        cost = head.opponents[name].cost
        summed, sums = cost.memory["summed"], cost.memory["activations"]
        assert (summed.reads, summed.bits) == (16, 16 * 2)
        assert (sums.reads, sums.writes, sums.bits) == (12, 4, 16 * 4)
        assert (cost.multiply, cost.add) == (12, 12 + 16 - 4)


def test_a_shortcut_is_read_and_added_by_hand():
    inputs = keras.Input((3,))
    x = LSQReLU(1, initial_step=1.0, name="sent")(inputs)
    y = layers.Dense(3, use_bias=False, name="branch")(x)
    y = LSQReLU(1, initial_step=1.0, name="joined")(layers.Add()([x, y]))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="head")(y))
    snn = snn_keras.convert(model, 2, "if")
    joined = analysis.energy(snn, np.ones((1, 3), "float32")).layers["joined"]
    assert joined.spiking.memory["spikes"].reads == 3 * 2
    for name in ("float", "quantized", "zeros skipped"):
        cost = joined.opponents[name].cost
        assert (cost.add, cost.memory["summed"].reads) == (3, 3)


def test_a_layer_that_is_called_twice_reads_events_of_one_call():
    inputs = keras.Input((3,))
    shared = layers.Dense(3, use_bias=False, name="shared")
    x = LSQReLU(1, initial_step=1.0, name="first")(inputs)
    x = LSQReLU(1, initial_step=1.0, name="second")(shared(x))
    x = LSQReLU(1, initial_step=1.0, name="third")(shared(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    shared.kernel.assign(np.eye(3))
    x = np.ones((1, 3), "float32")
    found = analysis.energy(snn_keras.convert(model, 2, "if"), x)
    # 3 neurons have addresses of 2 bits, in each of both calls.
    read = found.layers["shared"].spiking.memory["spikes"]
    assert (read.reads, read.bits) == (2 * 3 * 2, 2 * 3 * 2 * 2)
