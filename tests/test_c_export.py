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
from snn_keras.export import FORMS, CNetwork, to_c, to_integers
from snn_keras.export.c.elementwise import reciprocals
from snn_keras.layers import LSQReLU
from tests.graphs import seeds
from tests.subjects import EXPORTED
from tests.test_export import IMAGES, assert_same_steps, integers, network_of, small

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
    return assert_same_steps(net, inputs, received, range(net.timesteps))


@compiled
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", EXPORTED)
@pytest.mark.parametrize("seed", seeds(100, quick=2))
def test_c_is_the_integers(seed, neuron, form, tmp_path):
    network, snn = network_of(seed, neuron)
    net = integers(network, snn)
    if net is None:
        return
    simd = bool(seed % 3)
    to_c(net, tmp_path / "net", network.keras_inputs, form, simd=simd)
    assert_same(net, tmp_path / "net", net.quantize(list(network.inputs.values())))


WARNINGS = ["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Werror"]


@compiled
@pytest.mark.parametrize("neuron", EXPORTED)
def test_compilers_warn_of_nothing(neuron, tmp_path):
    inputs = keras.Input((6, 6, 2))
    x = LSQReLU(3, initial_step=0.2)(layers.Conv2D(4, 3)(inputs))
    x = LSQReLU(3, initial_step=0.2)(layers.Dense(3)(layers.Flatten()(x)))
    snn = snn_keras.convert(keras.Model(inputs, layers.Dense(2)(x)), 3, neuron)
    to_c(snn, tmp_path / "net", np.ones((1, 6, 6, 2)))
    for compiler in filter(shutil.which, ("gcc", "clang")):
        subprocess.run(
            [compiler, *WARNINGS, "-fsyntax-only", tmp_path / "net/net.c"], check=True
        )


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("compiler", ["gcc", "clang"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(10))
def test_c_is_clean(seed, form, compiler, tmp_path):
    """No warning of either compiler, and nothing that sanitizers find."""
    if shutil.which(compiler) is None:
        pytest.skip(f"needs {compiler}: apt-get install {compiler}")
    network, snn = network_of(seed, EXPORTED[seed % len(EXPORTED)])
    net = integers(network, snn)
    if net is None:
        return
    folder = tmp_path / "net"
    to_c(net, folder, network.keras_inputs, form)
    subprocess.run(["make", "check", f"CC={compiler}"], cwd=folder, check=True)
    quantized = net.quantize(list(network.inputs.values()))
    names = []
    for number, q in enumerate(quantized):
        names.append(f"{number}.raw")
        q[:1].tofile(folder / names[-1])
    done = subprocess.run(
        ["build/check", *names], cwd=folder, check=True, capture_output=True, text=True
    )
    *_, (values, _) = net.run([q[:1] for q in quantized])
    lines = [x for x in done.stdout.splitlines() if not x.startswith("largest")]
    found = [list(map(int, line.split(":")[1].split())) for line in lines]
    expected = {out.name: values[out.name].ravel().tolist() for out in net.outputs}
    assert found == list(expected.values())


# --- Kernels that random networks seldom need ----------------------------------------


def assert_layers(make, shape, tmp_path, neuron="if", density=0.5):
    """A network of these layers, on inputs of this density, is its integers."""
    rng = np.random.default_rng(0)
    inputs = keras.Input(shape)
    x = make(inputs)
    x = LSQReLU(3, initial_step=0.5, name="last")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    images = rng.integers(-8, 9, (3, *shape)) * (rng.random((3, *shape)) < density)
    images = (images / 8).astype("float32")
    net = to_integers(snn_keras.convert(model, 3, neuron), images)
    for form in FORMS:
        path = tmp_path / form
        program = to_c(net, path, images, form)
        assert_same(net, path, net.quantize(images))
    return program


WINDOWS = {
    "conv": lambda **a: layers.Conv2D(6, 3, **a),
    "grouped": lambda **a: layers.Conv2D(6, 3, groups=2, **a),
    "depthwise": lambda **a: layers.DepthwiseConv2D(3, depth_multiplier=2, **a),
    "separable": lambda **a: layers.SeparableConv2D(6, 3, **a),
    "transposed": lambda **a: layers.Conv2DTranspose(3, 3, **a),
}


@compiled
@pytest.mark.parametrize("density", [0.05, pytest.param(1.0, marks=pytest.mark.slow)])
@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("window", [{}, {"strides": 2}, {"dilation_rate": 2}])
@pytest.mark.parametrize("kind", WINDOWS)
def test_windows(kind, window, padding, density, tmp_path):
    layer = WINDOWS[kind](padding=padding, **window)
    assert_layers(layer, (7, 8, 4), tmp_path, density=density)


@compiled
def test_places_that_need_more_than_16_bits(tmp_path):
    program = assert_layers(layers.Dense(3), (70001,), tmp_path, density=0.01)
    assert "const int32_t *restrict places" in (program.path / "net.c").read_text()


@compiled
@pytest.mark.parametrize("neuron", EXPORTED)
def test_names_that_are_no_identifiers(neuron, tmp_path):
    def make(x):
        x = layers.Dense(3, name="int")(x)
        x = LSQReLU(3, initial_step=0.5, name="a b")(x)
        x = layers.Dense(3, name="*!")(x)
        x = LSQReLU(3, initial_step=0.5, name="a-b")(x)
        return layers.Dense(3, name="memset")(x)

    assert_layers(make, (5,), tmp_path, neuron)


@compiled
@pytest.mark.parametrize("simd", [True, False])
def test_rows_that_16_bits_add(simd, tmp_path):
    """Sums of 32 bits take up several rows at once, as many as 16 bits surely hold."""
    x = inputs = keras.Input((6, 6, 2))
    x = LSQReLU(15, initial_step=0.125)(layers.Conv2D(40, 3)(x))
    x = layers.AveragePooling2D(2)(x)
    x = LSQReLU(15, initial_step=0.125)(layers.Conv2D(5, 2)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    net = to_integers(snn_keras.convert(model, 4, "bit_serial"), IMAGES)
    program = to_c(net, tmp_path / "net", IMAGES, simd=simd)
    assert ("_int32_5_by_" in (program.path / "net.c").read_text()) == simd
    assert assert_same(net, program.path, net.quantize(IMAGES)) > 100


@pytest.mark.parametrize("bits", [1, 2, 4, 6])
def test_levels_at_once_are_those_of_the_bits(bits):
    """The product with a reciprocal is the quotient, of all potentials."""
    steps = np.random.default_rng(bits).integers(1, 500, 50)
    factor, shift = reciprocals(steps << bits, bits)
    for m, step in zip(factor, steps, strict=True):
        u = np.arange(step << bits)
        assert np.max(u * m) < 2**32
        assert np.array_equal(u * m >> shift, u // step)


def test_steps_too_large_for_32_bits_have_no_reciprocal():
    assert reciprocals(np.array([5 << 20, 77777 << 8]), 8) is None


def test_the_share_of_events_is_told(tmp_path):
    notes = []
    for density in (0.0, 1.0):
        images = IMAGES * density
        lines = str(to_c(small(), tmp_path / str(density), images)).splitlines()
        notes.append(lines[3].rstrip())
    assert notes[0].endswith(" 0% of inputs are not 0")
    assert not notes[1].endswith(" 0% of inputs are not 0")


# --- Whole networks ------------------------------------------------------------------


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("neuron", EXPORTED)
def test_a_residual_network_for_cifar(neuron, form, tmp_path):
    model = applications.resnet20(activation=LSQReLU(3, initial_step=0.4))
    images = np.random.default_rng(0).random((2, 32, 32, 3), "float32")
    net = to_integers(snn_keras.convert(model, 2, neuron), images)
    to_c(net, tmp_path / "net", images, form)
    assert assert_same(net, tmp_path / "net", net.quantize(images)) > 1000


@compiled
@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "neuron"),
    [("adaptor", "if"), ("bits", "bit_serial"), ("sparse", "bit_serial")],
)
def test_networks_that_ship(name, neuron, form, tmp_path):
    """Of 1,000 images all outputs; of the first 100 every spike and potential."""
    images = data.preprocess(data.shipped_test_images().images[:1000])
    model = load_model(data.SHIPPED / f"fashion_mnist_{name}.keras")
    net = to_integers(snn_keras.convert(model, 4, neuron), images)
    folder = tmp_path / "net"
    program = to_c(net, folder, images, form)
    assert np.array_equal(program.predict(images), net.predict(images))
    assert assert_same(net, folder, net.quantize(images[:100]), flags=["-O3"]) > 1000


@compiled
def test_c_predicts_as_its_integers(tmp_path):
    net = to_integers(small(), IMAGES)
    programs = [to_c(net, tmp_path / form, IMAGES, form) for form in FORMS]
    for program in programs:
        assert np.array_equal(program.predict(IMAGES), net.predict(IMAGES))
    unrolled, streaming = programs
    over_time = streaming.predict_over_time(IMAGES)
    assert np.array_equal(over_time, net.predict_over_time(IMAGES))
    assert streaming.seconds(IMAGES) > 0
    with pytest.raises(ValueError, match='form="streaming"'):
        unrolled.predict_over_time(IMAGES)


@compiled
def test_the_struct_has_the_size_that_is_printed(tmp_path):
    program = to_c(small(), tmp_path / "net", IMAGES)
    assert f"{program.ram:,} bytes" in str(program)
    size = tmp_path / "size.c"
    size.write_text(
        '#include "net.h"\ntypedef char same[sizeof(struct net) == NET_RAM ? 1 : -1];\n'
    )
    command = [
        "cc",
        "-c",
        "-I",
        str(program.path),
        str(size),
        "-o",
        str(tmp_path / "o"),
    ]
    subprocess.run(command, check=True)


# --- Bad input -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"form": "rolled"}, "form must be one of"),
        ({"data": None}, "data is missing"),
        ({"max_ram": 0}, "max_ram must be an integer >= 1"),
        ({"max_ram": 100}, r"exceed max_ram=100 \(most: '.*first' "),
        ({"max_flash": 100, "max_ram": 100}, "max_flash=100.*max_ram=100"),
        ({"path": "no/such/net"}, "no folder"),
    ],
)
def test_bad_arguments(arguments, message, tmp_path):
    given = {"snn": small(), "path": "net", "data": IMAGES, **arguments}
    given["path"] = tmp_path / given["path"]
    with pytest.raises((ValueError, FileNotFoundError, ConversionError), match=message):
        to_c(**given)
    assert not list(tmp_path.iterdir())


def test_every_layer_without_a_form_is_named(tmp_path):
    snn = small(
        layers.Activation("tanh", name="curve"), layers.LayerNormalization(name="norm")
    )
    with pytest.raises(ConversionError, match=r"(?s)'curve'.*'norm'.*Remedy"):
        to_c(snn, tmp_path / "net", IMAGES)
    assert not list(tmp_path.iterdir())


def test_every_operation_without_c_is_named(tmp_path):
    net = to_integers(small(), IMAGES)

    class Own(type(net.neurons[0])):
        """Neurons of a user, without C."""

    for neuron in net.neurons:
        place = net.operations.index(neuron)
        net.operations[place] = Own(**vars(neuron))
    with pytest.raises(ConversionError, match=r"'first' \(Own\), 'last' \(Own\)"):
        to_c(net, tmp_path / "net", IMAGES)
    assert not list(tmp_path.iterdir())


def test_folders_are_not_replaced_unasked(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_c(small(), folder, IMAGES)
    (folder / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"other files, such as mine\.txt"):
        to_c(small(), folder, IMAGES, overwrite=True)
    (folder / "mine.txt").unlink()
    to_c(small(), folder, IMAGES, overwrite=True)
    to_c(small(), folder, IMAGES, overwrite=True)
    assert [x.name for x in tmp_path.iterdir()] == ["net"]


def test_what_fails_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    folder = tmp_path / "net"
    to_c(small(), folder, IMAGES)
    before = {x.name: x.read_text() for x in folder.iterdir()}

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="no space"):
        to_c(small(neuron="signed"), folder, IMAGES, overwrite=True)
    assert {x.name: x.read_text() for x in folder.iterdir()} == before
    assert [x.name for x in tmp_path.iterdir()] == ["net"]


def test_a_missing_compiler_is_named(tmp_path):
    to_c(small(), tmp_path / "net", IMAGES)
    network = CNetwork(tmp_path / "net", compiler="no_such_cc")
    with pytest.raises(RuntimeError, match=r"no C compiler 'no_such_cc'.*Remedy"):
        network.predict(IMAGES)


@compiled
def test_flags_that_a_compiler_does_not_have(tmp_path):
    to_c(small(), tmp_path / "net", IMAGES)
    with pytest.raises(RuntimeError, match=r"-fno-such-flag.*Remedy"):
        CNetwork(tmp_path / "net", flags=["-fno-such-flag"]).predict(IMAGES)


def test_a_folder_without_a_network(tmp_path):
    with pytest.raises(FileNotFoundError, match="to_c"):
        CNetwork(tmp_path)


@compiled
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda q: q.astype(np.int16) + 300, "'.*' is out of range: int8"),
        (lambda q: q / 2, "expected integers of the shape"),
        (lambda q: q[:, 1:], "expected integers of the shape"),
    ],
)
def test_inputs_out_of_range(change, message, tmp_path):
    network = to_c(small(), tmp_path / "net", IMAGES)
    (q,) = network.quantize(IMAGES)
    with pytest.raises(ValueError, match=message):
        network.run([change(q)])
    with pytest.raises(ValueError, match="for each input"):
        network.run([q, q])
