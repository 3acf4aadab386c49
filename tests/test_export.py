"""Integer networks: the spiking network's, and the file's, spike for spike."""

import numpy as np
import pytest

import snn_keras
from snn_keras.errors import ConversionError
from snn_keras.export import FORMS, TFLiteNetwork, quantize_weights, to_tflite
from tests import reference
from tests.graphs import Maker, seeds


def network_of(seed, neuron):
    """A random network, converted; None where it has three-dimensional layers."""
    levels = (1, 3, 7) if neuron == "bit_serial" else (1, 2, 3, 4, 7)
    network = Maker(seed, levels=levels).make()
    timesteps = 3 if neuron == "bit_serial" else 2 + seed % 4
    return network, snn_keras.convert(network.model, timesteps, neuron)


def integers(network, snn):
    """The integer network, or None where layers of three dimensions have none."""
    try:
        return quantize_weights(snn, network.keras_inputs)
    except ConversionError as error:
        assert "3D" in str(error)
        return None


@pytest.mark.parametrize("neuron", ["if", "signed"])
@pytest.mark.parametrize("seed", seeds(200, quick=20))
def test_integers_are_the_spiking_network(seed, neuron):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    if not net.is_exact:
        return  # what 8 bits do not hold; see the next test
    phase = snn.program.input_steps
    expected = reference.simulate(
        network.nodes, network.inputs, snn.timesteps, neuron, phase
    )
    inputs = net.quantize(list(network.inputs.values()))
    for step, (values, _) in enumerate(net.run(inputs)):
        for layer in net.neurons:
            spikes = expected.spikes[layer.name][step]
            assert np.array_equal(values[layer.name], spikes), layer.name
        for name, out in zip(network.outputs, net.outputs, strict=True):
            total = expected.outputs[name][: step + 1].sum(0)
            assert np.array_equal(values[out.name] * out.scale, total), name


def test_dyadic_networks_are_kept_without_rounding():
    nets = [integers(*network_of(seed, "if")) for seed in range(30)]
    exact = [net.is_exact for net in nets if net is not None]
    assert len(exact) >= 20
    assert np.mean(exact) >= 0.9


# --- Files ---------------------------------------------------------------------------


def run_file(net, path, inputs):
    """What every layer sends, and every state, from a file with all of its traces.

    Returns:
        A list of `{name: array}`, one for each step.
    """
    pytest.importorskip("ai_edge_litert", reason="pip install snn_keras[export]")
    file = TFLiteNetwork(path)
    inputs = dict(zip((x.name for x in net.inputs), inputs, strict=True))
    if file.form == "streaming":
        state, steps = file.initial_state(), []
        for _ in range(net.timesteps):
            outputs = file.run(inputs, state)
            state = file.next_state(outputs)
            steps.append({**outputs, **state})
        return steps
    outputs = file.run(inputs)
    last = net.timesteps - 1
    steps = [
        {
            name.rsplit("/", 1)[0]: value
            for name, value in outputs.items()
            if name.endswith(f"/{step}")
        }
        for step in range(net.timesteps)
    ]
    steps[last] |= {out.name: outputs[out.name] for out in net.outputs}
    return steps


def assert_same(net, path, inputs):
    """Spikes, potentials and outputs of a file are the integer network's."""
    received = run_file(net, path, inputs)
    for step, (values, state) in enumerate(net.run(inputs)):
        for layer in net.neurons:
            assert np.array_equal(received[step][layer.name], values[layer.name])
        for operation in net.operations:
            states = zip(operation.state_names, state[operation.name], strict=True)
            for name, expected in states:
                name = f"{operation.name}/{name}"
                assert np.array_equal(received[step][name], expected), (step, name)
    for out in net.outputs:
        assert np.array_equal(received[-1][out.name], values[out.name])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", ["if", "signed", "bit_serial"])
@pytest.mark.parametrize("seed", seeds(100, quick=8))
def test_files_are_the_integers(seed, neuron, form, tmp_path):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    path = tmp_path / "net.tflite"
    to_tflite(net, path, form=form, batch_size=3, trace=True)
    assert_same(net, path, net.quantize(list(network.inputs.values())))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", seeds(100, quick=8))
def test_files_of_real_weights(seed, form, tmp_path):
    """Weights that 8 bits do not hold, and inputs that 8 bits round."""
    network = Maker(seed).make()
    rng = np.random.default_rng(seed)
    for layer in network.model.layers:
        noisy = [w * rng.uniform(0.8, 1.2, w.shape) for w in layer.get_weights()]
        layer.set_weights(noisy)
    snn = snn_keras.convert(network.model, 3, ["if", "signed"][seed % 2])
    net = integers(network, snn)
    if net is None:
        return
    assert not net.is_exact
    path = tmp_path / "net.tflite"
    to_tflite(net, path, form=form, batch_size=3, trace=True)
    inputs = [x * np.float32(0.93) for x in network.inputs.values()]
    assert_same(net, path, net.quantize(inputs))


@pytest.mark.parametrize("form", FORMS)
def test_there_is_no_float_in_a_file(form, tmp_path):
    network, snn = network_of(1, "signed")
    path = tmp_path / "net.tflite"
    to_tflite(snn, path, network.keras_inputs, form)
    kinds = {dtype.name for dtype in TFLiteNetwork(path).tensors().values()}
    assert kinds <= {"bool", "int8", "uint8", "int16", "int32", "int64"}
