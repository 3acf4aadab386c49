"""The command-line programs, end to end on small data."""

import json

import keras
import numpy as np
import pytest

import snn_keras
from apps import data
from tests.programs import once, program

pytestmark = once


def test_train_then_evaluate(tmp_path):
    model, figures = tmp_path / "digits.keras", tmp_path / "figures.json"
    program(
        "train",
        "--epochs=2",
        "--noise=adaptor",
        "--batch_size=64",
        "--progress=none",
        f"--output={model}",
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "digits.csv",
        "digits.json",
        "digits.keras",
    ]
    history = json.loads(model.with_suffix(".json").read_text())["history"]
    assert len(history["val_accuracy"]) == 2
    kept = keras.models.load_model(model)
    assert not kept.compiled and snn_keras.convert(kept, 2).timesteps == 2
    printed = program(
        "evaluate",
        f"--model={model}",
        "--timesteps=6",
        "--verify",
        f"--output={figures}",
    )
    result = json.loads(figures.read_text())
    assert result["samples"] == 360 and len(result["snn"]) == 6
    assert f"spiking, T = 4   {result['snn'][3]:7.2%}" in printed
    assert "most error enters at" in printed


@pytest.mark.slow
def test_energy_prints_published_crossings(tmp_path):
    printed = program("energy", "--parts=published", f"--folder={tmp_path}")
    rows = json.loads((tmp_path / "energy.json").read_text())["published"]
    assert len(rows) == 8
    for row in rows:
        assert all(row[key] in printed for key in ("study", "published", "here"))
    refused = program("energy", "--parts=joules", f"--folder={tmp_path}", ok=False)
    assert "--parts: ['joules'] are not among" in refused


@pytest.mark.slow
def test_a_transformer_by_numbers_and_by_spikes(tmp_path):
    test = data.load("fashion_mnist", "test").take(40)
    arrays = {"x_train": test.images, "y_train": test.labels}
    arrays |= {"x_test": test.images, "y_test": test.labels}
    np.savez(tmp_path / "fashion_mnist.npz", **arrays)
    few = ["--samples=20", "--counted=2", "--batch_size=20", "--timesteps=4"]
    folders = [f"--data_dir={tmp_path}", f"--folder={tmp_path}"]
    printed = program("transformers", *few, *folders)
    rows = json.loads((tmp_path / "transformers.json").read_text())["rows"]
    assert len(rows) == 1 + 3 * 3
    bits = [row for row in rows if row.get("neurons") == "bit_serial"]
    assert [row["same"] for row in bits] == [20, 20, 20]
    numbers, spikes, _ = (row["multiplied"] for row in bits)
    assert numbers > 100 * spikes > 0
    assert all(f"{row['accuracy']:.2f}" in printed for row in rows)


FEW = ["--train_images=256", "--batch_size=64", "--epochs=1", "--progress=none"]
METHODS = {
    "nq": ["--quantizer=qcfs", "--noise=residual", "--snn_timesteps=1,3"],
    "bits": ["--levels=15", "--bit_sparsity=1e-5"],
    "slip": ["--quantizer=slip_relu"],
    "lif": ["--quantizer=noisy_spike", "--loss=mse"],
}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_float_then_quantized(method, tmp_path):
    start, output = tmp_path / "float.keras", tmp_path / "trained.keras"
    program("train", *FEW, "--quantizer=none", f"--output={start}")
    program(
        "train",
        *FEW,
        *METHODS[method],
        "--held_out=64",
        f"--init={start}",
        f"--output={output}",
    )
    history = json.loads(output.with_suffix(".json").read_text())["history"]
    assert ("delta_mean" in history) == (method == "nq")
    assert ("snn_accuracy_3" in history) == (method == "nq")
    keras.models.load_model(output)
    left = {path.name for path in tmp_path.iterdir() if path.name.startswith(".")}
    assert not left


@pytest.mark.slow
@pytest.mark.parametrize("options", ["stage=2", "stage=3,alpha=2,noise=uniform"])
def test_options_of_neurons(options, tmp_path):
    spikes = tmp_path / "new.keras"
    program("train", *FEW, "--quantizer=noisy_spike", f"--output={spikes}")
    program(
        "evaluate",
        f"--model={spikes}",
        "--timesteps=2",
        "--samples=50",
        "--neuron=noisy_lif",
        f"--neuron_options={options}",
    )


def test_demo_on_a_few_images(tmp_path):
    printed = program("demo", "--samples=200", "--timesteps=4", f"--output={tmp_path}")
    result = json.loads((tmp_path / "accuracy.json").read_text())["with noise adaptor"]
    assert result["samples"] == 200
    assert result["snn"][3] > 0.88
    assert all(f"spiking, T = {t}" in printed for t in (1, 2, 3, 4))
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")


@pytest.mark.slow
def test_results_on_a_few_images(tmp_path):
    folder, page = tmp_path / "metrics", tmp_path / "page.md"
    arguments = [
        *("results", "--samples=50", "--tables=fashion_mnist"),
        *("--rows=plain_if,adaptor_signed", f"--metrics={folder}", f"--page={page}"),
    ]
    program(*arguments)
    metrics = {p.stem: json.loads(p.read_text()) for p in folder.glob("*.json")}
    assert set(metrics) == {"fashion_mnist_plain_if", "fashion_mnist_adaptor_signed"}
    for figures in metrics.values():
        assert figures["samples"] == 50
        assert f"| {100 * figures['snn'][4]:.2f} |" in page.read_text()
        assert f"| {figures['energy_at_4']:.3f} |" in page.read_text()
    assert (folder / "fashion_mnist.png").read_bytes().startswith(b"\x89PNG")
    figures = metrics["fashion_mnist_plain_if"]
    figures["snn"][4] = 0.125
    (folder / "fashion_mnist_plain_if.json").write_text(json.dumps(figures))
    program(*arguments)  # makes the page from the metrics that are there
    assert "| 12.50 |" in page.read_text()
    printed = program(*("results", "--tables=digits"), *arguments[-2:])
    for row in ("plain_if", "plain_bit_serial", "adaptor_if"):  # all, by default
        assert f"digits_{row}: no digits_{row.split('_')[0]}.keras in" in printed


@pytest.mark.slow
def test_networks_of_keras_applications(tmp_path):
    metrics, page = tmp_path / "networks.json", tmp_path / "networks.md"
    program(
        "networks", "--networks=MobileNet", f"--metrics={metrics}", f"--page={page}"
    )
    figures = json.loads(metrics.read_text())["MobileNet"]
    assert figures["neurons"] == 27 and figures["bit_serial_difference"] == 0.0
    assert f"| {figures['memory_over_weights']:.2f} |" in page.read_text()


BAD = [
    (["evaluate", "--model=setup.cfg"], "setup.cfg is not a Keras model"),
    (["train", "--dataset=mnist", "--data_dir=/nowhere"], "--dataset=digits"),
    (["reproduce", "--row=digits_magic_if"], "no row 'digits_magic_if'"),
    (["reproduce", "--queue", "--share=2/2"], "--share must be I/N"),
    (["reproduce", "--row=digits_plain_if", "--share=0/2"], "--share is of the queue"),
    (["train", "--recipe=nq"], "Remedy: --noauto_augment"),
    (["train", "--whole_epochs=yes"], "--whole_epochs=yes takes the JAX backend"),
    (["dance"], "usage: snn_keras PROGRAM"),
    (["demmo"], "There is no program 'demmo'. Did you mean demo?"),
    (["evaluate", "--model=nowhere.keras"], "there is no file nowhere.keras"),
    (["train", "--output=model.h5"], "--output must end in .keras"),
    (["train", "--dataset=no_such_set"], "Data set 'no_such_set'"),
    (["train", "--train_images=5"], "batch_size must not exceed the 5"),
    (["results", "--rows=nonsense"], "--rows: no row ['nonsense']"),
    (["networks", "--networks=AlexNet"], "['AlexNet'] are not among"),
    (["evaluate", "--model=m.keras", "--neuron=x"], "should be one of"),
]


@pytest.mark.parametrize("arguments, message", BAD)
def test_bad_arguments(arguments, message):
    assert message in program(*arguments, ok=False)


def test_help_is_of_the_program():
    printed = program("train", "--help", ok=False)  # absl leaves with an error
    assert "goes on from its last whole epoch" in printed
    assert all(flag in printed for flag in ("--recipe:", "--data_dir:", "--replicas:"))


def test_shipped_images_are_the_test_set():
    split = data.shipped_test_images()
    assert split.images.shape == (10_000, 28, 28, 1)
    assert np.bincount(split.labels).tolist() == [1000] * 10
