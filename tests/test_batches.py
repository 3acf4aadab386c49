"""The input line: fixed by its seed, and augmented as it says."""

import numpy as np
import pytest

from apps import data
from apps.training.augmentation import Augmentation
from apps.training.batches import Batches, OrderedBatches

EVERYTHING = Augmentation(crop=1, flip=True, auto_augment=True, cutout=3, mixup=0.4)


@pytest.fixture(scope="module")
def split():
    """Forty images in which no two pixels are alike."""
    pixels = np.random.default_rng(0).permutation(40 * 6 * 6 * 3) % 251
    images = pixels.reshape(40, 6, 6, 3).astype("uint8")
    return data.Split(images, np.arange(40) % 4)


def batches(split, augmentation=None, seed=1, **options):
    return Batches(split, 8, seed, augmentation, classes=4, **options)


@pytest.mark.parametrize("augmentation", [None, EVERYTHING])
def test_the_seed_fixes_every_draw(split, augmentation):
    one, two = (batches(split, augmentation) for _ in range(2))
    first = one[3]
    for _ in (one[0], one[1]):
        pass  # what was drawn before makes no difference
    assert all(np.array_equal(a, b) for a, b in zip(first, two[3], strict=True))
    assert not np.array_equal(first[0], batches(split, augmentation, seed=2)[3][0])
    one.on_epoch_end()
    assert one.epoch == 1 and not np.array_equal(one[3][0], first[0])
    two.epoch = 1
    assert np.array_equal(one[3][0], two[3][0])


def test_an_epoch_holds_every_image_once(split):
    seen = np.concatenate([images for images, _ in batches(split)])
    expected = data.preprocess(split.images)
    assert sorted(map(bytes, seen)) == sorted(map(bytes, expected))


@pytest.mark.parametrize("augmentation", [None, EVERYTHING])
def test_parts_make_the_whole(split, augmentation):
    whole = batches(split, augmentation)[2]
    parts = [batches(split, augmentation, part=(i, 4))[2] for i in range(4)]
    for expected, *received in zip(whole, *parts, strict=True):
        assert np.array_equal(np.concatenate(received), expected)


@pytest.mark.parametrize("augmentation", [None, EVERYTHING])
def test_batches_made_on_the_device_are_the_same(split, augmentation):
    here, there = (batches(split, augmentation, resident=r)[2] for r in (False, True))
    # XLA divides by 255 by a product: the last bit may differ, of a mean of two too.
    for one, other in zip(here, there, strict=True):
        assert np.max(np.abs(one - np.asarray(other))) <= 2.0**-23


def test_crop_shifts_and_fills_with_zeros(split):
    plain, cropped = batches(split), batches(split, Augmentation(crop=2))
    shifts = set()
    for i in range(5):
        for image, moved in zip(plain[i][0], cropped[i][0], strict=True):
            padded = np.pad(image, [(2, 2), (2, 2), (0, 0)])
            found = [
                (y, x)
                for y in range(5)
                for x in range(5)
                if np.array_equal(padded[y : y + 6, x : x + 6], moved)
            ]
            assert len(found) == 1
            shifts.update(found)
    assert len(shifts) > 15


def test_flip_mirrors_half(split):
    plain, flipped = batches(split), batches(split, Augmentation(flip=True))
    count = 0
    for i in range(5):
        for image, other in zip(plain[i][0], flipped[i][0], strict=True):
            mirrored = np.array_equal(other, image[:, ::-1])
            assert mirrored or np.array_equal(other, image)
            count += mirrored
    assert 10 < count < 30


def test_cutout_blanks_a_square(split):
    split = data.Split(np.full_like(split.images, 255), split.labels)
    for images, _ in batches(split, Augmentation(cutout=3)):
        for image in images:
            rows, columns, _ = np.nonzero(image == 0)
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert height <= 3 and width <= 3
            assert np.sum(image == 0) == height * width * 3


def test_mixup_mixes_images_as_it_mixes_labels(split):
    plain, mixed = batches(split), batches(split, Augmentation(mixup=1.0))
    for i in range(5):
        (images, labels), (blends, shares) = plain[i], mixed[i]
        own = np.sum(shares * labels, -1)
        (share,) = np.unique(own[own < 1])  # 1 where both have the same label
        others = share * images[:, None] + (1 - share) * images[None]
        distance = np.abs(blends[:, None] - others).max((2, 3, 4))
        other = distance.argmin(1)
        assert np.all(distance.min(1) < 1e-6) and sorted(other) == list(range(8))
        expected = share * labels + (1 - share) * labels[other]
        assert np.allclose(shares, expected, atol=1e-6)


def test_auto_augment_changes_most_images(split):
    plain, changed = batches(split), batches(split, Augmentation(auto_augment=True))
    pairs = [zip(plain[i][0], changed[i][0], strict=True) for i in range(5)]
    differ = [not np.array_equal(a, b) for pair in pairs for a, b in pair]
    assert len(differ) // 2 < sum(differ) < len(differ)


def test_the_last_test_batch_is_filled_with_weights_of_zero(split):
    parts = [OrderedBatches(split, 11, 4, (i, 2), 2) for i in range(2)]
    seen = []
    for index in range(len(parts[0])):
        for part in parts:
            images, labels, weights = part[index]
            assert len(images) == len(labels) == len(weights) == 6
            seen.append(images[weights == 1])
    assert np.array_equal(np.concatenate(seen), data.preprocess(split.images))


@pytest.mark.parametrize(
    ("size", "options", "message"),
    [
        (41, {}, "must not exceed the 40 training images"),
        (8, {"part": (0, 3)}, "must be a multiple of the 3 processes"),
    ],
)
def test_refuses(split, size, options, message):
    with pytest.raises(ValueError, match=message):
        Batches(split, size, 0, classes=4, **options)
