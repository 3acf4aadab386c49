"""Training goes on after every accident, and is the same on many devices as on one."""

import contextlib
import csv
import json
import re
import resource
import shutil
import socket
import time

import keras
import numpy as np
import pytest
from absl import app
from absl import flags as absl_flags

import snn_keras
from apps import data
from apps.train import Stage, build_model, measured_noise
from apps.training import flags, schedules, uses
from apps.training.backup import Backup
from apps.training.sources import InMemory
from snn_keras.layers import LSQReLU, SourceActivation
from tests.programs import once, program, start
from tests.tiny import make_tiny

FEW = ["--train_images=640", "--batch_size=32", "--progress=none", "--held_out=64"]


def weights_of(path):
    return keras.models.load_model(path, compile=False).get_weights()


def table_of(path):
    """All figures of all epochs, but how long they took."""
    with open(path) as file:
        rows = list(csv.DictReader(file))
    assert all(float(row.pop("seconds")) > 0 for row in rows)
    return rows


def wait_for(path, process):
    """Waits until `path` is there, while `process` runs."""
    while not path.exists() and process.poll() is None:
        time.sleep(0.02)
    assert path.exists(), process.communicate()[0]


# The digits are grey, and of eight pixels a side.
NQ = ["--recipe=nq", "--noauto_augment", "--cutout=2"]
METHODS = {
    "nq": [*NQ, "--learning_rate=0.01", "--snn_timesteps=2", "--epochs=4"],
    "adaptor": [
        *("--recipe=noise_adaptor", "--learning_rate=0.02", "--schedule=warm_restarts"),
        *("--restart_epochs=2", "--warmup_epochs=0.5", "--ema=0.9", "--epochs=4"),
        *("--crop=1", "--cutout=2", "--mixup=0.2", "--label_smoothing=0.1"),
    ],
    "two_stages": ["--float_epochs=2", "--levels=15", "--epochs=3", "--flip"],
    "lif": ["--recipe=noisy_lif", "--restart_epochs=3", "--epochs=4"],
    "direct": ["--timesteps=2", "--levels=4", "--epochs=4"],
    "direct_lif": [
        *("--quantizer=noisy_spike", "--timesteps=2", "--snn_neuron=lif"),
        "--epochs=4",
    ],
    "stream": ["--dataset=tiny", "--image_size=12", "--flip", "--epochs=8"],
}


@once
@pytest.mark.parametrize(
    "method",
    [
        "two_stages",
        *(
            pytest.param(m, marks=pytest.mark.slow)
            for m in METHODS
            if m != "two_stages"
        ),
    ],
)
def test_a_killed_training_goes_on_to_the_same_weights(method, tmp_path):
    def arguments(name):
        places = f"--output={tmp_path / name}.keras", f"--data_dir={folder}"
        return ["train", *FEW, *METHODS[method], *places]

    folder = tmp_path / "data"
    if method == "stream":
        images = np.random.default_rng(0).integers(0, 255, (640, 20, 16, 3), "uint8")
        make_tiny(folder, images, (None, None, 3))
    program(*arguments("whole"))
    killed = start(*arguments("killed"))
    backup = tmp_path / ".killed.backup.npz"
    wait_for(backup, killed)
    epochs = set()
    while killed.poll() is None and len(epochs) < 2:  # whole at every moment
        try:
            with np.load(backup) as file:
                epochs.add(json.loads(str(file["about"]))["epoch"])
        except FileNotFoundError:
            break  # the training has ended, or gone on to the next
        time.sleep(0.02)
    killed.kill()
    killed.communicate()
    assert len(epochs) == 2
    assert "goes on after epoch" in program(*arguments("killed"))
    one, other = (table_of(tmp_path / f"{name}.csv") for name in ("whole", "killed"))
    assert len(one) >= 3 and one == other
    assert (method == "nq") == {"delta_mean", "snn_accuracy_2"}.issubset(one[0])
    kept = json.loads((tmp_path / "killed.json").read_text())["kept_epoch"]
    assert kept in ((3, 4) if method == "nq" else (len(one),))
    one, other = (
        weights_of(tmp_path / f"{name}.keras") for name in ("whole", "killed")
    )
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


# Eight steps in float64, where rounding does not grow. In float32 a ReLU soon opens in
# one run and not in the other, so there it is a single step; Keras's batch
# normalization computes in float32 on JAX whatever it is told.
EQUAL = [
    *("--batch_size=64", "--optimizer=sgd", "--progress=none", "--precision=float64"),
]
STEPS = {
    "tensorflow": ["--train_images=256", "--epochs=2", "--learning_rate=0.05"],
    "jax": ["--train_images=64", "--epochs=1", "--learning_rate=0.05"],
}
CLOSE = {"tensorflow": 1e-8, "jax": 1e-6}


def assert_close(one, other, backend):
    for a, b in zip(weights_of(one), weights_of(other), strict=True):
        # Written in float32, whose last bit may differ.
        assert np.max(np.abs(a - b) - 2e-7 * np.abs(a)) < CLOSE[backend]


def train_together(output, *arguments):
    """Starts two processes that train one network."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    together = [
        *("train", *arguments, f"--output={output}"),
        *(f"--coordinator=localhost:{port}", "--processes=2"),
    ]
    return [start(*together, f"--process={i}", backend="jax") for i in (0, 1)]


@once
@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize(
    "options",
    [
        ["--quantizer=none"],
        ["--levels=2", "--crop=1", "--mixup=0.2", "--reestimate=128"],
    ],
)
def test_two_replicas_reach_the_weights_of_one(backend, options, tmp_path):
    flag = "--xla_force_host_platform_device_count=2"
    for n in (1, 2):
        program(
            *("train", *EQUAL, *STEPS[backend], *options, f"--replicas={n}"),
            f"--output={tmp_path / str(n)}.keras",
            backend=backend,
            env={"XLA_FLAGS": flag} if backend == "jax" else {},
        )
    assert_close(tmp_path / "1.keras", tmp_path / "2.keras", backend)


@once
@pytest.mark.slow
@pytest.mark.parametrize("method", ["--noise=adaptor", "--recipe=nq"])
def test_an_epoch_as_one_program_reaches_the_same_weights(method, tmp_path):
    own = [*NQ, "--snn_timesteps=2", "--held_out=64"] if method == "--recipe=nq" else []
    for whole in ("no", "yes"):
        program(
            *("train", *EQUAL, *STEPS["tensorflow"], "--levels=2", "--crop=1"),
            *("--cutout=2", method, *own),
            *(f"--whole_epochs={whole}", f"--output={tmp_path / whole}.keras"),
            backend="jax",
        )
    one, other = (weights_of(tmp_path / f"{w}.keras") for w in ("no", "yes"))
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@once
@pytest.mark.slow
def test_two_processes_reach_the_weights_of_one(tmp_path):
    one, two = tmp_path / "one.keras", tmp_path / "two.keras"
    options = [*EQUAL, *STEPS["jax"], "--levels=2", "--noise=adaptor"]
    options.append("--reestimate=64")
    program("train", *options, f"--output={one}", backend="jax")
    for process in train_together(two, *options):
        printed, _ = process.communicate()
        assert process.returncode == 0, printed
    assert_close(one, two, "jax")
    assert len(list(tmp_path.iterdir())) == 6  # each with its .json and .csv


@once
@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_is_reported(victim, tmp_path):
    options = [*NQ, *FEW, "--learning_rate=0.01", "--epochs=12"]
    output = tmp_path / "net.keras"
    processes = train_together(output, *options)
    wait_for(tmp_path / ".net.backup.npz", processes[0])
    processes[victim].kill()
    printed, _ = processes[1 - victim].communicate(timeout=60)
    assert processes[1 - victim].returncode != 0
    assert "cannot go on" in printed and "same command again" in printed
    processes[victim].communicate()
    for process in train_together(output, *options):
        printed, _ = process.communicate()
        assert process.returncode == 0 and "goes on after epoch" in printed, printed
    assert len(json.loads(output.with_suffix(".json").read_text())["epochs"]) == 12


@contextlib.contextmanager
def files_of_at_most(size):
    """Makes this process fail to write longer files, as a full disk would."""
    least, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (least, most))


@once
@pytest.mark.slow
def test_a_training_on_a_full_disk_ends_and_leaves_its_last_backup(tmp_path):
    output = tmp_path / "net.keras"
    arguments = ["train", *FEW, "--epochs=30", f"--output={output}"]
    backup = tmp_path / ".net.backup.npz"
    killed = start(*arguments)
    wait_for(backup, killed)
    killed.kill()
    killed.communicate()
    before = backup.read_bytes()

    with files_of_at_most(len(before) // 2):  # programs inherit it
        printed = program(*arguments, ok=False)
    assert f"cannot write {backup}" in printed and "Remedy: room" in printed
    assert backup.read_bytes() == before
    assert {p.name for p in tmp_path.iterdir()} <= {backup.name, "net.csv"}


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def written(path, model, **settings):
    backup = Backup(path, settings)
    backup.set_model(model)
    backup.on_epoch_end(0, {"loss": 0.5})
    return path.read_bytes()


def test_a_backup_holds_all_that_training_changes(model, tmp_path):
    path = tmp_path / "backup.npz"
    model.fit(np.eye(3), np.ones((3, 2)), verbose=0)
    expected = [np.array(v) for v in (*model.variables, *model.optimizer.variables)]
    written(path, model, epochs=3)
    model.fit(np.eye(3), np.ones((3, 2)), verbose=0)
    backup = Backup(path, {"epochs": 3})
    assert backup.restore(model) == 1 and backup.history == {"loss": [0.5]}
    received = (*model.variables, *model.optimizer.variables)
    assert all(map(np.array_equal, expected, received))


def test_a_backup_that_does_not_name_a_flag_had_its_default(model, tmp_path):
    path, now = tmp_path / "backup.npz", {"epochs": 3, "later": 0.5}
    written(path, model, epochs=3)
    assert Backup(path, now, {"epochs": 1, "later": 0.5}).restore(model) == 1
    with pytest.raises(ValueError, match=r"--later: 0.25 -> 0.5"):
        Backup(path, now, {"epochs": 1, "later": 0.25}).restore(model)


def test_a_backup_of_another_training_is_refused(model, tmp_path):
    path = tmp_path / "backup.npz"
    content = written(path, model, epochs=3, levels=2)
    with pytest.raises(ValueError, match=r"--levels: 2 -> 4.*Remedy: remove"):
        Backup(path, {"epochs": 3, "levels": 4}).restore(model)
    other = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5)])
    other.compile("adam", "mse")
    with pytest.raises(ValueError, match="another network: variable 0 has the shape"):
        Backup(path, {"epochs": 3, "levels": 2}).restore(other)
    assert path.read_bytes() == content
    for damaged in (content[:-30], content[: len(content) // 2], b""):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="as the backup of a training"):
            Backup(path, {"epochs": 3, "levels": 2}).restore(model)


def test_a_full_disk_leaves_the_last_backup(model, tmp_path):
    path = tmp_path / "backup.npz"
    before = written(path, model, epochs=3)
    message = r"cannot write .*backup\.npz.*Remedy: room"
    with (
        files_of_at_most(len(before) // 2),
        pytest.raises(OSError, match=message),
    ):
        written(path, model, epochs=3)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_networks_and_data_that_do_not_match(tmp_path):
    path = tmp_path / "net.keras"
    source = InMemory("digits", None, 100)
    for shape, classes in (((8, 8, 1), 7), ((4, 4, 1), 10)):
        x = inputs = keras.Input(shape)
        x = keras.layers.Dense(classes, "relu")(keras.layers.Flatten()(x))
        keras.Model(inputs, keras.layers.Dense(classes)(x)).save(path)
        message = f"{path} maps {shape} to ({classes},); the data set 'digits'"
        with pytest.raises(ValueError, match=re.escape(message)):
            build_model(stage_of(tmp_path / "m.keras", path, dataset="digits"), source)


@once
def test_data_sets_on_disk(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1), "uint8")
    make_tiny(tmp_path, images, (8, 8, 1))
    split = data.load("tiny", "train", tmp_path)
    assert np.array_equal(split.images, images)
    assert np.array_equal(split.labels, np.arange(40) % 4)
    (record,) = tmp_path.rglob("*train.tfrecord*")
    content = record.read_bytes()
    broken = [
        lambda: record.write_bytes(content[:-40]),
        lambda: record.write_bytes(content[:90] + b"\0" + content[91:]),
        record.unlink,
        lambda: next(tmp_path.rglob("dataset_info.json")).write_text("{"),
        lambda: shutil.rmtree(record.parent),
    ]
    for break_it in broken:
        break_it()
        with pytest.raises(ValueError, match=r"'tiny' is not prepared.*Remedy"):
            data.load("tiny", "train", tmp_path)


def test_data_sets_of_arrays(tmp_path):
    images = np.random.default_rng(0).integers(0, 255, (12, 8, 8), "uint8")
    arrays = {"x_train": images[:8], "y_train": np.arange(8)[:, None]}
    arrays |= {"x_test": images[8:], "y_test": np.arange(4)}
    path = tmp_path / "tiny.npz"
    np.savez(path, **arrays)
    for split, part in (("train", images[:8]), ("test", images[8:])):
        found = data.load("tiny", split, tmp_path)
        assert np.array_equal(found.images, part[..., None])
        assert np.array_equal(found.labels, np.arange(len(part)))
    bad = [
        ({**arrays, "x_test": images / 255}, "must be uint8 images"),
        ({**arrays, "x_test": images}, "with a label each"),
        ({**arrays, "x_test": images[None]}, "must be uint8 images"),
        ({**arrays, "y_test": np.arange(4) - 1}, "whole numbers from 0"),
        ({**arrays, "y_test": np.arange(4) / 2}, "whole numbers from 0"),
        ({"x_train": images}, "as a file of the arrays x_test and y_test"),
    ]
    for content, message in bad:
        np.savez(path, **content)
        with pytest.raises(ValueError, match=message):
            data.load("tiny", "test", tmp_path)
    for content in (path.read_bytes()[:-100], b""):
        path.write_bytes(content)
        with pytest.raises(
            ValueError, match="as a file of the arrays x_test and y_test"
        ):
            data.load("tiny", "test", tmp_path)


def stage_of(path, init=None, **settings):
    """A stage that trains the small network."""
    settings = {"model": "mnist_convnet", "quantizer": "lsq", "levels": 3, **settings}
    if "recipe" not in absl_flags.FLAGS:
        flags.define()
    return Stage(path, init, {**flags.defaults(), **settings})


@pytest.mark.parametrize("scaled", [False, True])
def test_steps_have_scaled_gradients_where_asked_for(scaled, tmp_path):
    source = InMemory("digits", None, 100)
    path = tmp_path / "float.keras"
    build_model(stage_of(path, quantizer="none"), source).save(path)
    for init in (None, path):
        stage = stage_of(tmp_path / "m.keras", init, scale_gradient=scaled)
        layers = build_model(stage, source).layers
        found = [x for x in layers if isinstance(x, LSQReLU)]
        assert found and all(x.scale_gradient is scaled for x in found)


def activations_of(path, **settings):
    """The activations of a stage's network for the digits, and all its layers."""
    source = InMemory("digits", None, 100)
    found = build_model(stage_of(path, **settings), source).layers
    return [x for x in found if isinstance(x, SourceActivation)], found


def test_noise_is_the_one_asked_for(tmp_path):
    path = tmp_path / "m.keras"
    for noise, expected in (("none", "gaussian"), ("uniform", "uniform")):
        found, _ = activations_of(path, quantizer="noisy_spike", noise=noise)
        assert found and all(x.noise == expected for x in found)
    for delta in (0.0, 0.25):
        settings = {"quantizer": "qcfs", "noise": "residual", "delta": delta}
        found, _ = activations_of(path, **settings)
        assert found and all(float(x.noise.delta) == delta for x in found)
        assert uses.is_measured(stage_of(path, **settings)) == (delta == 0)


USELESS = [
    ({"delta": 0.25}, "--delta=0.25 is of --noise=residual"),
    ({"tau": 2}, "--tau=2 is of --noise=residual"),
    (
        {"quantizer": "qcfs", "noise": "residual", "tau": 2, "delta": 0.25},
        "without --delta",
    ),
    ({"quantizer": "noisy_spike", "noise": "adaptor"}, "--noise=adaptor is of"),
    ({"quantizer": "none", "noise": "adaptor"}, "--noise=adaptor is of"),
    ({"timesteps": 3, "noise": "adaptor"}, "without --timesteps"),
    ({"noise": "uniform"}, "--noise=uniform is of --quantizer=noisy_spike"),
    ({"timesteps": 3, "scale_gradient": True}, "--scale_gradient=True is of"),
    ({"quantizer": "noisy_spike", "scale_gradient": True}, "--scale_gradient=True"),
    ({"products": "spikes"}, "--products=spikes is of --init or --float_epochs"),
    ({"quantizer": "noisy_spike", "bit_sparsity": 0.5}, "--bit_sparsity=0.5 is of"),
    ({"timesteps": 3, "bit_sparsity": 0.5}, "--bit_sparsity=0.5 is of"),
    ({"quantizer": "none", "bit_sparsity": 0.5}, "--bit_sparsity=0.5 is of"),
    ({"weight_sparsity": 0.5}, "--weight_sparsity=0.5 is of --weight_bits"),
    ({"model": "resnet20", "pooling": "max"}, "--pooling=max is of --model=mnist_"),
    ({"timesteps": 3, "output_levels": 3}, "--output_levels=3 is of a source network"),
    ({"timesteps": 3, "snn_timesteps": ["1", "2"]}, "--snn_timesteps=1,2 is of"),
    ({"timesteps": 3, "reestimate": 64}, "--reestimate=64 is of a source network"),
    ({"snn_neuron": "lif"}, "--snn_neuron=lif is of --snn_timesteps or --timesteps"),
    ({"snn_neuron_options": ["stage=3"]}, "--snn_neuron_options=stage=3 is of"),
    ({"snn_timesteps": ["0"]}, "--snn_timesteps must be integers >= 1"),
    ({"snn_timesteps": ["2", "a"]}, "--snn_timesteps must be integers >= 1"),
]


@pytest.mark.parametrize("settings, message", USELESS)
def test_a_setting_that_would_do_nothing_is_refused(settings, message, tmp_path):
    with pytest.raises(app.UsageError, match=message):
        uses.check(stage_of(tmp_path / "m.keras", **settings))


@pytest.mark.parametrize("tau, expected", [(0, None), (2, 2)])
def test_noise_is_measured_over_tau_steps(tau, expected, tmp_path):
    stage = stage_of(tmp_path / "m.keras", noise="residual", tau=tau)
    assert measured_noise(stage, np.zeros((1, 8, 8, 1))).timesteps == expected


def test_the_momentum_of_batch_normalization(tmp_path):
    path = tmp_path / "m.keras"
    for momentum in (0.99, 0.5):
        _, layers = activations_of(path, norm_momentum=momentum)
        norms = [x for x in layers if isinstance(x, keras.layers.BatchNormalization)]
        assert norms and all(x.momentum == momentum for x in norms)


@pytest.mark.parametrize("pooling", ["average", "max"])
def test_the_pooling_of_the_network(tmp_path, pooling):
    _, layers = activations_of(tmp_path / "m.keras", pooling=pooling)
    kinds = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}
    found = [x for x in layers if "pool" in x.name]
    assert len(found) == 3 and all(type(x) is kinds[pooling] for x in found)


def test_output_levels_make_the_last_layer_spike(tmp_path):
    source = InMemory("digits", None, 100)
    model = build_model(stage_of(tmp_path / "m.keras", output_levels=7), source)
    images, labels = source.train.images / 255, source.train.labels
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0  # one epoch does not settle its averages
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(images, labels, verbose=0)
    step = keras.ops.convert_to_numpy(model.get_layer("head_act").step)
    levels = model.predict(images, verbose=0) / step
    assert len(np.unique(levels.round())) > 2
    np.testing.assert_allclose(levels, levels.round().clip(0, 7), atol=1e-4)
    snn = snn_keras.convert(model, "settle", "signed")
    assert isinstance(snn.get_layer("head_act").cell, snn_keras.neurons.SignedIFCell)
    same = model.predict(images, verbose=0), snn.predict(images)
    np.testing.assert_allclose(*same, atol=1e-4)


def test_schedules():
    def values(name, **options):
        schedule = schedules.make_schedule(name, 0.5, 20, **options)
        rates = [schedule(i) if callable(schedule) else schedule for i in range(21)]
        return np.array([float(x) for x in rates])

    t = np.arange(21)
    cosine = 0.25 * (1 + np.cos(np.pi * t / 20))
    restarts = 0.25 * (1 + np.cos(np.pi * (t % 5) / 5))
    assert np.allclose(values("constant"), 0.5)
    assert np.allclose(values("cosine"), cosine)
    assert np.allclose(values("exponential"), 0.5 * 0.01 ** (t / 20))
    assert np.allclose(values("warm_restarts", restart_steps=5), restarts)
    warm = values("cosine", warmup_steps=4)
    assert np.allclose(warm[:4], [0.125, 0.25, 0.375, 0.5])
    assert np.allclose(warm[4:], 0.25 * (1 + np.cos(np.pi * np.arange(17) / 16)))
    with pytest.raises(ValueError, match="--warmup_epochs"):
        values("cosine", warmup_steps=20)
