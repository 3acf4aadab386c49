"""What ships: every network loads, spikes, and says how it was made."""

import json

import keras
import numpy as np
import pytest

import snn_keras
from apps import data, networks
from snn_keras import shipped

FILES = sorted(data.SHIPPED.glob("*.keras"))


def test_the_list_of_what_ships_is_whole():
    lines = (data.SHIPPED / "README.md").read_text().splitlines()
    listed = [line.split("`")[1] for line in lines if line.startswith("| `")]
    assert sorted(listed) == sorted(
        [f.name for f in FILES] + ["fashion_mnist_test.npz"]
    )


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_shipped_network_loads(file):
    model = keras.saving.load_model(file)
    assert not model.compiled
    command = json.loads(file.with_suffix(".json").read_text())["command"]
    assert f"/{file.name} " in f"{command} " and "--output=" in command


# Every architecture, and every kind of activation: the quick run converts these.
KINDS = {
    *("cifar10_float", "cifar10_bits", "fashion_mnist_lif", "fashion_mnist_nq"),
    *("fashion_mnist_vit_spikes", "fashion_mnist_w4"),
    *("scenes_detector_bits", "scenes_segmenter_bits"),
}
assert KINDS.issubset(file.stem for file in FILES)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(f.stem, marks=[] if f.stem in KINDS else pytest.mark.slow)
        for f in FILES
    ],
)
def test_a_shipped_network_converts(name):
    model = snn_keras.pretrained(name)
    images = np.random.default_rng(0).random((8, *model.input_shape[1:]), "float32")
    plain = name.endswith("_float")  # its ReLUs take their thresholds from data
    snn = snn_keras.convert(model, timesteps=2, data=images if plain else None)
    assert snn.timesteps == 2 and snn.output_shape == model.output_shape
    rates = snn_keras.analysis.spike_statistics(snn, images).layers
    assert rates and all(layer.spikes > 0 for layer in rates.values())


def test_the_table_of_what_ships_has_all_classifiers():
    listed = [path.stem for path in networks.shipped()]
    assert listed == [f.stem for f in FILES if not f.stem.startswith("scenes_")]


def test_networks_are_loaded_by_name():
    names = snn_keras.pretrained()
    assert names == tuple(file.stem for file in FILES)
    model = snn_keras.pretrained("fashion_mnist_sparse")
    expected = keras.saving.load_model(data.SHIPPED / "fashion_mnist_sparse.keras")
    images = np.random.default_rng(0).random((2, 28, 28, 1), "float32")
    received, expected = (m.predict(images, verbose=0) for m in (model, expected))
    assert np.array_equal(received, expected)
    with pytest.raises(ValueError, match=r"'resnet'.*There are: cifar10_adaptor"):
        snn_keras.pretrained("resnet")


def test_a_missing_folder_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(shipped, "FOLDERS", (tmp_path / "a", tmp_path / "b"))
    with pytest.raises(ValueError, match=r"are missing.*install snn_keras anew"):
        snn_keras.pretrained()
