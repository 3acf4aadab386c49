"""Integer networks: the spiking network's, and the file's, spike for spike."""

import itertools

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from apps import data
from apps.sources import load_model
from snn_keras import applications
from snn_keras.errors import ConversionError
from snn_keras.export import (
    ARITHMETICS,
    FORMS,
    TFLiteNetwork,
    to_integers,
    to_tflite,
)
from snn_keras.layers import LSQReLU
from tests import reference
from tests.graphs import Maker, seeds
from tests.subjects import COUNTING, EXPORTED


def network_of(seed, neuron):
    """A random network, converted; None where it has three-dimensional layers."""
    levels = (1, 3, 5, 7) if neuron == "bit_serial" else (1, 2, 3, 4, 7)
    network = Maker(seed, levels=levels).make()
    timesteps = 3 if neuron == "bit_serial" else 2 + seed % 4
    return network, snn_keras.convert(network.model, timesteps, neuron)


def integers(network, snn):
    """The integer network, or None where layers of three dimensions have none."""
    try:
        return to_integers(snn, network.keras_inputs)
    except ConversionError as error:
        assert "3D" in str(error)
        return None


@pytest.mark.parametrize("neuron", COUNTING)
@pytest.mark.parametrize("seed", seeds(200, quick=10))
def test_integers_are_the_spiking_network(seed, neuron):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    if not net.is_exact:
        return  # what 8 bits do not hold; see the next test
    phase = snn.coding.input_steps
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


@pytest.mark.parametrize("timesteps", [2, 3, 5])
@pytest.mark.parametrize("seed", seeds(20, quick=3))
def test_integers_of_bit_serial_neurons_are_their_levels(seed, timesteps):
    for candidate in itertools.count(50 * seed):
        network = Maker(candidate, levels=(1, 3, 5, 7)).make()
        snn = snn_keras.convert(network.model, timesteps, "bit_serial")
        net = integers(network, snn)
        if net is not None and net.is_exact:
            break
    expected = reference.simulate(
        network.nodes, network.inputs, timesteps, "bit_serial"
    )
    inputs = net.quantize(list(network.inputs.values()))
    ((values, _),) = net.run(inputs)
    weights = 2 ** np.arange(timesteps - 1, -1, -1)
    for layer in net.neurons:
        levels = np.tensordot(weights, expected.spikes[layer.name], 1)
        assert np.array_equal(values[layer.name], levels), layer.name


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
    pytest.importorskip("ai_edge_litert", reason="pip install .[export]")
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


def write_file(net, path, form, arithmetic, batch_size):
    """Writes a file with all of its traces."""
    options = {"batch_size": batch_size, "trace": True, "overwrite": True}
    try:
        to_tflite(net, path, form=form, arithmetic=arithmetic, **options)
    except ConversionError as error:
        assert arithmetic == "float32" and "beyond 16,777,216" in str(error)
        to_tflite(net, path, form=form, **options)


def assert_same(net, path, inputs):
    """Spikes, potentials and outputs of a file are the integer network's."""
    received = run_file(net, path, inputs)
    return assert_same_steps(net, inputs, received, [net.timesteps - 1])


def assert_same_steps(net, inputs, received, shown):
    """Spikes and potentials of all steps are the integer network's.

    Args:
        net: The integer network.
        inputs: Its quantized inputs.
        received: `{name: array}` of each step.
        shown: The steps whose outputs are the integer network's, too.

    Returns:
        The number of spikes.
    """
    fired, counts = 0, {layer.name: 0 for layer in net.neurons}
    for step, (values, state) in enumerate(net.run(inputs)):
        found = received[step]
        for layer in net.neurons:
            assert np.array_equal(found[layer.name], values[layer.name]), layer.name
            fired += np.count_nonzero(values[layer.name])
            counts[layer.name] = counts[layer.name] + values[layer.name]
        for operation in net.operations:
            assert_same_states(operation, state[operation.name], counts, found)
        for out in net.outputs if step in shown else ():
            assert np.array_equal(found[out.name], values[out.name]), (step, out.name)
    return fired


def assert_same_states(operation, state, counts, found):
    """The states of an operation are the integer network's, or the sum of spikes."""
    name = operation.name
    if operation.state_names[:1] == ("potential",) and f"{name}/potential" not in found:
        merged = [
            found[f"{name}/{x}"] for x in ("count", "sent") if f"{name}/{x}" in found
        ]
        assert len(merged) == 1 and np.array_equal(*merged, counts[name]), name
        return
    for each, expected in zip(operation.state_names, state, strict=True):
        assert np.array_equal(found[f"{name}/{each}"], expected), (name, each)
    total = f"{name}/total/count"
    assert total not in found or np.array_equal(found[total], counts[name]), total


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", EXPORTED)
@pytest.mark.parametrize("seed", seeds(100, quick=4))
def test_files_are_the_integers(seed, neuron, form, arithmetic, tmp_path):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    path = tmp_path / "net.tflite"
    write_file(net, path, form, arithmetic, batch_size=3)
    assert_same(net, path, net.quantize(list(network.inputs.values())))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", seeds(100, quick=4))
def test_files_of_real_weights(seed, form, arithmetic, tmp_path):
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
    write_file(net, path, form, arithmetic, batch_size=3)
    inputs = [x * np.float32(0.93) for x in network.inputs.values()]
    assert_same(net, path, net.quantize(inputs))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", EXPORTED)
def test_a_residual_network_for_cifar(neuron, form, tmp_path):
    model = applications.resnet20(activation=LSQReLU(3, initial_step=0.4))
    images = np.random.default_rng(0).random((2, 32, 32, 3), "float32")
    net = to_integers(snn_keras.convert(model, 2, neuron), images)
    path = tmp_path / "net.tflite"
    to_tflite(net, path, form=form, batch_size=2, trace=True)
    assert assert_same(net, path, net.quantize(images)) > 1000


@pytest.mark.parametrize("form", FORMS)
def test_there_is_no_float_in_a_file(form, tmp_path):
    network, snn = network_of(1, "signed")
    path = tmp_path / "net.tflite"
    to_tflite(snn, path, network.keras_inputs, form)
    kinds = {dtype.name for dtype in TFLiteNetwork(path).tensors().values()}
    assert kinds <= {"bool", "int8", "uint8", "int16", "int32", "int64"}


# --- The network that ships ----------------------------------------------------------


def shipped(count):
    """The trained network, and so many test images."""
    images = data.preprocess(data.shipped_test_images().images[:count])
    return load_model(data.SHIPPED / "fashion_mnist_adaptor.keras"), images


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [4, pytest.param(1000, marks=pytest.mark.slow)])
def test_file_of_the_network_that_ships(count, form, tmp_path):
    model, images = shipped(count)
    size = min(count, 100)
    path = tmp_path / "net.tflite"
    snn = snn_keras.convert(model, 4)
    net = to_tflite(snn, path, images, form, batch_size=size, trace=True)
    for start in range(0, count, size):
        assert_same(net, path, net.quantize(images[start : start + size]))


@pytest.mark.slow
@pytest.mark.parametrize("timesteps", [1, 4, 8])
def test_integers_keep_the_accuracy(timesteps):
    model, images = shipped(10_000)
    labels = data.shipped_test_images().labels
    snn = snn_keras.convert(model, timesteps)
    net = to_integers(snn, images)
    accuracy = [
        np.mean(network.predict(images).argmax(-1) == labels) for network in (snn, net)
    ]
    assert accuracy[1] >= accuracy[0] - 0.003


def test_a_file_predicts_as_its_integers(tmp_path):
    model, images = shipped(5)
    snn = snn_keras.convert(model, 3)
    for form in FORMS:
        net = to_tflite(snn, tmp_path / f"{form}.tflite", images, form, batch_size=2)
        file = TFLiteNetwork(tmp_path / f"{form}.tflite")
        assert np.array_equal(file.predict(images), net.predict(images))
    over_time = file.predict_over_time(images)
    assert np.array_equal(over_time, net.predict_over_time(images))
    unrolled = TFLiteNetwork(tmp_path / "unrolled.tflite")
    with pytest.raises(ValueError, match='form="streaming"'):
        unrolled.predict_over_time(images)


def test_files_are_small(tmp_path):
    model, images = shipped(4)
    to_tflite(snn_keras.convert(model, 4), tmp_path / "net.tflite", images)
    floats = 4 * sum(np.prod(w.shape) for w in model.weights)
    assert (tmp_path / "net.tflite").stat().st_size <= 0.3 * floats


# --- Bad input -----------------------------------------------------------------------


def small(*between, neuron="if", timesteps=2):
    """A converted network with layers between its neurons."""
    x = inputs = keras.Input((6, 6, 2))
    x = LSQReLU(3, initial_step=0.5, name="first")(layers.Conv2D(4, 3, name="in")(x))
    for layer in between:
        x = layer(x)
    x = LSQReLU(3, initial_step=0.5, name="last")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    return snn_keras.convert(model, timesteps, neuron)


IMAGES = np.random.default_rng(0).random((3, 6, 6, 2), "float32")


def test_every_layer_without_a_form_is_named(tmp_path):
    snn = small(
        layers.Activation("tanh", name="curve"),
        layers.LayerNormalization(name="norm"),
    )
    with pytest.raises(ConversionError, match=r"(?s)'curve'.*'norm'.*Remedy"):
        to_tflite(snn, tmp_path / "net.tflite", IMAGES)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("neuron", ["lif", "noisy_lif", "srp"])
def test_neurons_without_a_form_are_named(neuron, tmp_path):
    snn = small(neuron=neuron)
    with pytest.raises(ConversionError, match=r"'first'.*Cell.*Remedy"):
        to_tflite(snn, tmp_path / "net.tflite", IMAGES)


def test_literal_bit_serial_networks_are_refused():
    network, _ = network_of(1, "bit_serial")
    snn = snn_keras.convert(network.model, 3, "bit_serial", fused=False)
    with pytest.raises(ConversionError, match="fused=True"):
        to_integers(snn, network.keras_inputs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "rolled"}, "form must be one of"),
        ({"input_dtype": "float32"}, "input_dtype must be"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1"),
        ({"data": None}, "data is missing"),
        ({"data": IMAGES[:, :5]}, "wrong shape"),
        ({"snn": keras.Sequential([layers.Dense(1)])}, "expected a SpikingModel"),
        ({"snn": "settle"}, "with_timesteps"),
        ({"path": "no/such/folder/net.tflite"}, "no folder"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    given = {"snn": small(), "path": "net.tflite", "data": IMAGES, **arguments}
    if given["snn"] == "settle":
        given["snn"] = small(neuron="signed", timesteps="settle")
    given["path"] = tmp_path / given["path"]
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        to_tflite(**given)
    assert not list(tmp_path.iterdir())


def test_files_are_not_replaced_unasked(tmp_path):
    path = tmp_path / "net.tflite"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_tflite(small(), path, IMAGES)
    assert path.read_text() == "mine"
    to_tflite(small(), path, IMAGES, overwrite=True)
    assert [x.name for x in tmp_path.iterdir()] == ["net.tflite"]


def test_what_fails_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        to_tflite(small(), tmp_path / "net.tflite", IMAGES)
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_refused(tmp_path):
    path = tmp_path / "net.tflite"
    to_tflite(small(), path, IMAGES)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for content in (whole[:-20], whole[:middle], flipped, b"", b"0000TFL3" * 9):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="Remedy"):
            TFLiteNetwork(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        TFLiteNetwork(tmp_path / "other.tflite")


def test_overflow_is_reported():
    snn = small(timesteps=2**20)
    with pytest.raises(ConversionError, match=r"32 bits hold .* Remedy: fewer steps"):
        to_integers(snn, IMAGES)
