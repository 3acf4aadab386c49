"""The networks and the images that the programs' flags name."""

import json

import keras
import numpy as np
import pytest

from apps import data
from tests.programs import once, program

pytestmark = once
COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}


def photos(folder, number=2, shape=(12, 20)):
    """A folder for each colour, with pictures of it, wider than high."""
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        image = np.broadcast_to(np.uint8(colour), (*shape, 3))
        for i in range(number):
            keras.utils.save_img(folder / name / f"{i}.png", image, scale=False)
    return folder


def test_a_folder_has_a_folder_for_each_class(tmp_path):
    (tmp_path / "x" / ".cache").mkdir(parents=True)
    split = data.load(photos(tmp_path / "x"), "test", size=(8, 8))
    assert sorted(split.labels) == [0, 0, 1, 1, 2, 2]
    colours = np.array(list(COLOURS.values()), "uint8")
    assert split.images.shape == (6, 8, 8, 3) and split.images.dtype == "uint8"
    for image, label in zip(split.images, split.labels, strict=True):
        assert (image == colours[label]).all()


def test_some_images_of_a_folder_are_of_all_classes(tmp_path):
    """Of 3 classes with 20 images each, 30 are of no class alone; always the same."""
    first, again = (
        data.load(photos(tmp_path / str(i), 20), "test", size=(2, 2), count=30)
        for i in range(2)
    )
    assert len(first) == 30 and set(first.labels) == {0, 1, 2}
    assert np.array_equal(first.labels, again.labels)


@pytest.mark.parametrize("test", ["test", "val", "validation"])
def test_a_folder_may_have_both_splits(test, tmp_path):
    photos(tmp_path / "train", 3)
    photos(tmp_path / test, 1)
    splits = [data.load(tmp_path, split, size=(4, 4)) for split in ("train", "test")]
    assert [len(split) for split in splits] == [9, 3]
    assert set(splits[1].labels) == {0, 1, 2}


def test_training_images_are_no_test_images(tmp_path):
    photos(tmp_path / "train")
    with pytest.raises(ValueError, match=r"has training images, and no test images"):
        data.load(tmp_path, "test", size=(2, 2))
    assert len(data.load(tmp_path / "train", "test", size=(2, 2))) == 6  # the remedy


def test_a_list_names_files_from_its_folder(tmp_path):
    photos(tmp_path / "x")
    (tmp_path / "some.txt").write_text("x/red/0.png 7\n\nx/green/1.png 0\n")
    split = data.load(tmp_path / "some.txt", "test", size=(2, 2))
    assert split.labels.tolist() == [7, 0]
    assert split.images[:, 0, 0].tolist() == [[255, 0, 0], [0, 255, 0]]


def test_the_middle_is_cut_out_and_not_squeezed(tmp_path):
    image = np.zeros((4, 12, 3), "uint8")
    image[:, 4:8] = 255
    (tmp_path / "one").mkdir()
    keras.utils.save_img(tmp_path / "one" / "0.png", image, scale=False)
    split = data.load(tmp_path, "test", size=(4, 4))
    assert (split.images == 255).all()


def test_images_without_labels_are_chosen_evenly(tmp_path):
    images = data.all_images(photos(tmp_path, 4), (2, 2), 3)
    assert images[:, 0, 0].tolist() == [list(colour) for colour in COLOURS.values()]
    assert len(data.all_images(tmp_path, (2, 2), 100)) == 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x/red/0.png\n", r"line 1: a path and a class number are wanted"),
        ("x/red/0.png red\n", r"line 1: a path and a class number are wanted"),
        (
            "x/red/0.png 1\nx/none.png 2\n",
            r"none\.png as an image: there is no such file",
        ),
        ("some.txt 2\n", r"some\.txt as an image"),
        ("", "There are no images"),
    ],
)
def test_lists_that_are_none(content, message, tmp_path):
    photos(tmp_path / "x")
    (tmp_path / "some.txt").write_text(content)
    with pytest.raises(ValueError, match=message):
        data.load(tmp_path / "some.txt", "test", size=(2, 2))


def test_places_without_images(tmp_path):
    with pytest.raises(ValueError, match="There are no images"):
        data.load(tmp_path, "test", size=(2, 2))
    with pytest.raises(ValueError, match=r"no training images.*--calibration_dataset"):
        data.load(tmp_path, "train", size=(2, 2))
    with pytest.raises(ValueError, match="There is no file"):
        data.load(tmp_path / "none.txt", "test", size=(2, 2))


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """MobileNet's weights, random, in the form of a file that Keras offers."""
    keras.utils.set_random_seed(0)
    path = tmp_path_factory.mktemp("weights") / "mobilenet.weights.h5"
    keras.applications.MobileNet(weights=None).save_weights(path)
    return path


@pytest.mark.slow
def test_a_network_of_keras_applications_on_a_folder(network, tmp_path):
    images, output = photos(tmp_path / "images", 1, (224, 224)), tmp_path / "found.json"
    given = ["--model=MobileNet", f"--dataset={images}", "--batch_size=3"]
    given += [f"--calibration_dataset={images}", "--timesteps=2", f"--output={output}"]
    printed = program("evaluate", *given, f"--weights={network}", "--neuron=if")
    assert "spiking, T = 2" in printed
    assert json.loads(output.read_text())["samples"] == 3
    printed = program("evaluate", *given, ok=False)
    assert "--weights is missing" in printed


@pytest.mark.slow
def test_names_of_no_network(tmp_path):
    printed = program("evaluate", "--model=ResNet49", ok=False)
    assert "is neither a file that ends in .keras or .h5 nor one of" in printed
    printed = program("evaluate", "--model=x.keras", "--weights=y.h5", ok=False)
    assert "--weights is for a network of keras.applications" in printed
    given = ["--model=MobileNet", f"--weights={tmp_path / 'none.h5'}"]
    assert "--weights=" in program("evaluate", *given, ok=False)
