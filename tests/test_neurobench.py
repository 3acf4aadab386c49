"""The metrics of NeuroBench, by hand and against NeuroBench's own program."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import analysis
from snn_keras.layers import LSQReLU

PROGRAM = pathlib.Path(__file__).with_name("neurobench_program.py")
STEPS = 4


def dense():
    inputs = keras.Input((6,))
    x = layers.Dense(5, name="first")(inputs)
    x = LSQReLU(STEPS, initial_step=0.25, name="act1")(x)
    x = layers.Dense(4, name="second")(x)
    x = LSQReLU(STEPS, initial_step=0.25, name="act2")(x)
    return keras.Model(inputs, layers.Dense(3, name="third")(x))


def convolutional():
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(3, 3, name="first")(inputs)
    x = LSQReLU(STEPS, initial_step=0.25, name="act1")(x)
    x = layers.Conv2D(4, 3, 1, "same", name="second")(x)
    x = LSQReLU(STEPS, initial_step=0.25, name="act2")(x)
    return keras.Model(inputs, layers.Dense(3, name="third")(layers.Flatten()(x)))


def network(make):
    """A network of dyadic weights, a quarter of them 0, and its input, also with 0."""
    rng = np.random.default_rng(0)
    model = make()
    for w in model.weights:
        if "step" not in w.path:
            values = rng.integers(-6, 7, w.shape) * (rng.random(w.shape) < 0.75)
            w.assign(values / 16)
    x = rng.integers(-6, 9, (3, *model.input_shape[1:]))
    x = x * (rng.random(x.shape) < 0.7) / 8
    return model, x.astype("float32")


def spikes_by_hand(model, x):
    """Spikes and potentials of every layer, step by step, in NumPy and float64."""
    traces = {}
    potentials = {}
    for _ in range(STEPS):
        signal = x.astype("float64")
        for layer in model.layers[1:]:
            if isinstance(layer, LSQReLU):
                before = potentials.get(layer.name, np.full_like(signal, 0.5))
                u = before + signal
                z = (u >= 1.0).astype("float64")
                potentials[layer.name] = u - z
                traces.setdefault(layer.name, []).append((z, before != u - z))
                signal = z
            else:
                signal = np.asarray(layer(signal.astype("float32")), "float64")
    return {
        name: [np.stack(part, axis=1) for part in zip(*pairs, strict=True)]
        for name, pairs in traces.items()
    }


@pytest.mark.parametrize("make", [dense, convolutional])
def test_metrics_by_hand(make):
    model, x = network(make)
    traces = spikes_by_hand(model, x)
    found = analysis.neurobench(snn_keras.convert(model, STEPS), x)
    weights = [model.get_layer(n).kernel for n in ("first", "second", "third")]
    zeros = sum(int(np.sum(np.asarray(w) == 0)) for w in weights)
    count = sum(int(np.prod(w.shape)) for w in weights)
    assert zeros and found.connection_sparsity == zeros / count
    sent = sum(z.sum() for z, _ in traces.values())
    places = sum(z.size for z, _ in traces.values())
    assert found.activation_sparsity == 1 - sent / places
    # At the first step every potential counts as changed.
    changes = sum(c[:, 0].size + c[:, 1:].sum() for _, c in traces.values())
    assert found.membrane_updates == changes / len(x)

    def products(name, counts, ones=False):
        """Products of elements with weights that are not 0, by the layer itself."""
        layer = model.get_layer(name)
        kernel, bias = layer.get_weights()
        binary = np.ones_like(kernel) if ones else (kernel != 0).astype("float32")
        layer.set_weights([binary, np.zeros_like(bias)])
        total = float(np.sum(layer(counts.astype("float32"))))
        layer.set_weights([kernel, bias])
        return total

    def flat(z):
        return z.reshape(len(z), -1)

    operations = found.synaptic_operations
    assert operations["Effective_MACs"] == products("first", x != 0) / len(x)
    spikes = {name: z.sum(axis=1) for name, (z, _) in traces.items()}
    accumulations = products("second", spikes["act1"])
    accumulations += products("third", flat(spikes["act2"]))
    assert operations["Effective_ACs"] == accumulations / len(x)
    every = products("first", np.ones_like(x), True)
    every += STEPS * products("second", np.ones_like(spikes["act1"]), True)
    every += STEPS * products("third", flat(np.ones_like(spikes["act2"])), True)
    assert operations["Dense"] == every / len(x)
    parameters = sum(int(np.prod(w.shape)) for y in model.layers for w in y.weights)
    assert found.footprint == 4 * parameters  # a step size each; a threshold each


def test_binary_inputs_are_accumulated_and_sizes_multiplied():
    model, x = network(dense)
    spikes = (x > 0).astype("float32")
    found = analysis.neurobench(snn_keras.convert(model, STEPS), spikes)
    assert found.synaptic_operations["Effective_MACs"] == 0
    sized = snn_keras.convert(model, STEPS, "differential")
    found = analysis.neurobench(sized, spikes)
    assert found.synaptic_operations["Effective_MACs"] > 0


def test_metrics_are_means_and_printed():
    model, x = network(dense)
    snn = snn_keras.convert(model, STEPS)
    found = analysis.neurobench(snn, x, batch_size=2)
    apart = [analysis.neurobench(snn, x[i : i + 1]) for i in range(3)]
    for name in ("Effective_MACs", "Effective_ACs", "Dense"):
        mean = np.mean([one.synaptic_operations[name] for one in apart])
        assert found.synaptic_operations[name] == pytest.approx(mean, rel=1e-12)
        assert f"synaptic operations, {name}" in str(found)
    assert json.loads(json.dumps(found.as_dict()))["footprint"] == found.footprint


@pytest.mark.parametrize("make", [dense, convolutional])
def test_metrics_are_those_of_neurobench(make, tmp_path):
    if importlib.util.find_spec("neurobench") is None:
        pytest.skip("neurobench is not installed. Remedy: pip install neurobench")
    model, x = network(make)
    arrays = {
        f"{name}_{part}": values
        for name in ("first", "second", "third")
        for part, values in zip(
            ("kernel", "bias"), model.get_layer(name).get_weights(), strict=True
        )
    }
    np.savez(tmp_path / "net.npz", x=x, **arrays)
    # TensorFlow and PyTorch would clash in one process.
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path / "net.npz"), str(STEPS)],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = analysis.neurobench(snn_keras.convert(model, STEPS), x)
    assert ours.synaptic_operations == theirs["SynapticOperations"]
    assert ours.activation_sparsity == pytest.approx(
        theirs["ActivationSparsity"], rel=1e-12
    )
    assert ours.membrane_updates == theirs["MembraneUpdates"]
    # Theirs is rounded to four places.
    assert round(ours.connection_sparsity, 4) == theirs["ConnectionSparsity"]
    # snnTorch's neurons also hold how they leak, reset, and their last potentials.
    assert ours.footprint == theirs["Footprint"] - theirs["of neurons"] + 4 * 2
