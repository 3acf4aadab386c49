"""Data sets that are read as the training goes."""

import keras
import numpy as np
import pytest

from apps.training.augmentation import Augmentation
from apps.training.distribution import Distribution
from apps.training.sources import InMemory, Stream
from tests.tiny import make_tiny


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Images of many sizes, the i-th of them i in every pixel."""
    folder = tmp_path_factory.mktemp("tfds")
    rng = np.random.default_rng(0)
    sizes = rng.integers(20, 60, (40, 2))
    images = [np.full((*size, 3), i, "uint8") for i, size in enumerate(sizes)]
    make_tiny(folder, images, (None, None, 3))
    return folder


def numbers(images):
    """Which image each is: a crop of one color is of that color."""
    found = np.round(255 * images).astype(int)
    assert np.all(found == found[:, :1, :1, :1])
    return found[:, 0, 0, 0].tolist()


def epochs_of(stream, count, size=8, epoch=0, part=(0, 1), augmentation=None):
    """The numbers of the images of each epoch; their labels are right."""
    where = Distribution(process=part[0], processes=part[1])
    batches = stream.batches(size, 3, augmentation or Augmentation(), where)
    batches.epoch = epoch
    endless, found = iter(batches), []
    for _ in range(count):
        seen = []
        for _ in range(len(batches)):
            images, labels = next(endless)
            assert images.shape == (size // part[1], 16, 16, 3)
            assert [i % 4 for i in numbers(images)] == labels.argmax(-1).tolist()
            seen += numbers(images)
        found.append(seen)
    return found


def test_an_epoch_holds_every_image_once(folder):
    first, second = epochs_of(Stream("tiny", folder, 16), 2)
    assert sorted(first) == sorted(second) == list(range(40))
    assert first != second and first != sorted(first)
    (again,) = epochs_of(Stream("tiny", folder, 16), 1, epoch=1)
    assert again == second


def test_parts_share_every_image_out(folder):
    stream = Stream("tiny", folder, 16)
    parts = [epochs_of(stream, 1, part=(i, 2))[0] for i in (0, 1)]
    (whole,) = epochs_of(stream, 1)
    assert sorted(parts[0] + parts[1]) == list(range(40))
    assert all({*a} <= {*whole} for a in parts)


def test_augmentation(folder):
    stream = Stream("tiny", folder, 16)
    where = Distribution()
    batches = stream.batches(8, 0, Augmentation(flip=True, cutout=5), where)
    images, _ = next(iter(batches))
    assert any((image == 0).any() and image.any() for image in images)


def test_flip_mirrors_some_images_and_leaves_the_others(tmp_path):
    rng = np.random.default_rng(0)
    make_tiny(tmp_path, rng.integers(0, 256, (40, 20, 20, 3), "uint8"), (20, 20, 3))
    stream, where = Stream("tiny", tmp_path, 16), Distribution()
    plain, flipped = (
        next(iter(stream.batches(40, 0, Augmentation(flip=flip), where)))[0]
        for flip in (False, True)
    )
    same = (flipped == plain).all((1, 2, 3))
    mirrored = (flipped == plain[:, :, ::-1]).all((1, 2, 3))
    assert same.any() and mirrored.any()
    assert (same ^ mirrored).all()


@pytest.mark.parametrize("parts", [1, 2])
def test_test_batches_hold_every_image_in_order(folder, parts):
    stream = Stream("tiny", folder, 16)
    found = []
    for i in range(parts):
        where = Distribution(parts, i, parts)
        batches = stream.test_batches(where)
        for _ in range(2):  # as often as one likes
            seen = []
            for index in range(len(batches)):
                images, labels, weights = batches[index]
                kept = numbers(images[weights == 1])
                assert [k % 4 for k in kept] == labels[weights == 1].argmax(-1).tolist()
                seen += kept
        found.append(seen)
    assert found == [list(range(i, 7, parts)) for i in range(parts)]


def test_held_out_images_are_not_trained_on(folder):
    stream, held_out = Stream("tiny", folder, 16, train_images=32).hold_out(8)
    assert numbers(held_out.images / 255) == list(range(24, 32))
    (seen,) = epochs_of(stream, 1)
    assert sorted(seen) == list(range(24))
    assert numbers(stream.sample(100)) == list(range(24))
    for count in (0, 24):
        with pytest.raises(ValueError, match="--held_out"):
            stream.hold_out(count)


def test_what_networks_are_made_for(folder):
    stream = Stream("tiny", folder, 16)
    assert stream.shape == (16, 16, 3) and stream.classes == 4
    memory = InMemory("digits", None, 500)
    assert memory.shape == (8, 8, 1) and memory.classes == 10
    rest, held_out = memory.hold_out(100)
    assert len(rest.train) == 400 and len(held_out) == 100 and len(memory.train) == 500


def test_fit_takes_it(folder):
    stream = Stream("tiny", folder, 16)
    where = Distribution()
    model = keras.Sequential(
        [keras.Input(stream.shape), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    model.compile("sgd", "mse", weighted_metrics=["accuracy"])
    batches = stream.batches(8, 0, Augmentation(), where)
    history = model.fit(
        iter(batches),
        steps_per_epoch=len(batches),
        epochs=2,
        shuffle=False,
        verbose=0,
        validation_data=stream.test_batches(where),
    ).history
    assert len(history["val_accuracy"]) == 2
