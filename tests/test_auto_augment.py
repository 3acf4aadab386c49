"""AutoAugment's operations are Pillow's, on whole batches."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from apps.training import auto_augment

SIZE = 32
STILL = auto_augment.fixed((1, 0, 0, 0, 1, 0))


@pytest.fixture(scope="module")
def images():
    """Dark and light ones, one of a single colour, one with a channel of one value."""
    rng = np.random.default_rng(0)
    made = rng.random((20, SIZE, SIZE, 3)) * rng.integers(1, 256, (20, 1, 1, 3))
    made[0], made[1, ..., 0] = 7, 200
    return made.astype("uint8")


def by_pillow(pixels, kind, amount):
    image = Image.fromarray(pixels)
    grey = (auto_augment.GREY,) * 3
    if kind == "rotate":
        return image.rotate(amount, fillcolor=grey)
    if kind.startswith(("shear", "translate")):
        moved = auto_augment.moved_from(kind, amount, SIZE, SIZE)
        return image.transform((SIZE, SIZE), Image.AFFINE, moved, fillcolor=grey)
    return {
        "nothing": lambda: image,
        "invert": lambda: ImageOps.invert(image),
        "equalize": lambda: ImageOps.equalize(image),
        "autocontrast": lambda: ImageOps.autocontrast(image),
        "solarize": lambda: ImageOps.solarize(image, amount),
        "posterize": lambda: ImageOps.posterize(image, int(amount)),
        "brightness": lambda: ImageEnhance.Brightness(image).enhance(amount),
        "contrast": lambda: ImageEnhance.Contrast(image).enhance(amount),
        "color": lambda: ImageEnhance.Color(image).enhance(amount),
        "sharpness": lambda: ImageEnhance.Sharpness(image).enhance(amount),
    }[kind]()


def operation(count, kind, amount):
    """What `draws` would give, of one operation for all images."""
    affine = np.tile(STILL, (count, 2, 1))
    moved = auto_augment.moved_from(kind, amount, SIZE, SIZE)
    affine[:, 0] = auto_augment.fixed(moved)
    kinds, amounts = np.zeros((count, 2), "int32"), np.zeros((count, 2), "float32")
    kinds[:, 0], amounts[:, 0] = auto_augment.KINDS.index(kind), amount
    return {"kind": kinds, "amount": amounts, "affine": affine}


@pytest.mark.parametrize("kind", auto_augment.KINDS)
def test_does_what_pillow_does(images, kind):
    for strength, sign in ((0, 1), (3, 1), (6, -1), (9, 1), (9, -1)):
        amount = auto_augment.amount(kind, strength, sign, SIZE)
        amount = float(np.float32(amount))
        drawn = operation(len(images), kind, amount)
        received = np.asarray(auto_augment.apply(images, drawn)).astype(int)
        expected = [np.asarray(by_pillow(i, kind, amount)) for i in images]
        # Pillow stretches in floating point, which rounds whole numbers down at times.
        rounding = kind == "autocontrast"
        assert np.abs(received - np.stack(expected)).max() <= rounding


@pytest.mark.parametrize(
    ("kind", "amount", "row", "column"),
    [
        ("translate_x", 3.0, 0, 3),
        ("translate_y", -5.0, -5, 0),
        ("shear_x", 0.25, 0, 8),  # of the last row, 31.5 * 0.25, to the nearest
        ("shear_y", -0.25, -8, 0),
    ],
)
def test_images_move_as_far_as_the_amount_says(images, kind, amount, row, column):
    moved = np.asarray(auto_augment.apply(images, operation(len(images), kind, amount)))
    for y, x in [(31, 12), (31, 31), (12, 31)]:
        if {"shear_x": y, "shear_y": x}.get(kind, 31) < 31:
            continue  # moves by less
        from_y, from_x = y + row, x + column
        inside = 0 <= from_y < SIZE and 0 <= from_x < SIZE
        expected = images[:, from_y, from_x] if inside else auto_augment.GREY
        assert np.all(moved[:, y, x] == expected)


def test_draws_each_policy_as_often_as_it_says():
    drawn = auto_augment.draws(20_000, SIZE, SIZE, np.random.default_rng(0))
    found = np.bincount(drawn["kind"].ravel(), minlength=len(auto_augment.KINDS))
    expected = np.zeros(len(auto_augment.KINDS))
    for pair in auto_augment.POLICY:
        for kind, probability, _ in pair:
            expected[auto_augment.KINDS.index(kind)] += probability
    expected *= 20_000 / len(auto_augment.POLICY)
    expected[0] = 40_000 - expected.sum()
    assert np.all(np.abs(found - expected) <= 5 * np.sqrt(expected))


def test_grey_images_are_refused():
    images = np.zeros((2, SIZE, SIZE, 1), "uint8")
    with pytest.raises(ValueError, match=r"three colours.*--noauto_augment"):
        auto_augment.check_shape(images.shape[1:])
