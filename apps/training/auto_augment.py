"""AutoAugment's policy for CIFAR-10, on whole batches and on any device.

Source: Cubuk, Zoph, Mane, Vasudevan, Le, "AutoAugment: Learning Augmentation Policies
from Data", 2019: the policy of table 7; strength 9 is the end of a range of table 6.
Each operation does what Pillow's does; what moves out of an image leaves grey.
"""

import numpy as np
from keras import ops

GREY = 128
# Pillow moves images in units of 1 / ONE of a pixel.
ONE = 1 << 16
STRENGTHS = 10

KINDS = (
    "nothing",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
    "rotate",
    "invert",
    "equalize",
    "autocontrast",
    "solarize",
    "posterize",
    "brightness",
    "contrast",
    "color",
    "sharpness",
)

# Two operations each: (kind, probability, strength from 0 to 9).
POLICY = (
    (("invert", 0.1, 7), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 3)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
    (("color", 0.9, 9), ("equalize", 0.6, 6)),
    (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 8), ("invert", 0.1, 3)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 1)),
)


def amount(kind, strength, sign, size):
    """The amount of an operation: of its table's range, with a sign where it has one.

    Args:
        kind: One of `KINDS`.
        strength: From 0 to 9.
        sign: 1 or -1.
        size: Width or height of the images, in which translations are shares.
    """
    share = strength / (STRENGTHS - 1)
    signed = {
        "shear_x": 0.3,
        "shear_y": 0.3,
        "translate_x": 150 / 331 * size,
        "translate_y": 150 / 331 * size,
        "rotate": 30.0,
    }
    if kind in signed:
        return signed[kind] * share * sign
    if kind == "solarize":
        return 256.0 * (1 - share)
    if kind == "posterize":
        return float(np.round(8 - 4 * share))
    if kind in ("brightness", "contrast", "color", "sharpness"):
        return 1 + 0.9 * share * sign
    return 0.0


def check_shape(shape):
    """Raises a ValueError unless images of that shape have three colours."""
    if shape[-1] != 3:
        raise ValueError(
            "--auto_augment is for images of three colours. Received: images of the "
            f"shape {tuple(shape)}. Remedy: --noauto_augment, also beside a recipe."
        )


def draws(count, height, width, rng):
    """What chance decides for `count` images, two operations each.

    Returns:
        `kind (count, 2)` and `amount (count, 2)` of the operations, and `affine
        (count, 2, 6)`, from which pixel of the image each comes, in units of 1 / ONE.
    """
    chosen = rng.integers(0, len(POLICY), count)
    chances, signs = rng.random((count, 2)), rng.choice([-1, 1], (count, 2))
    kinds = np.zeros((count, 2), "int32")
    amounts = np.zeros((count, 2), "float32")
    affine = np.tile(fixed((1, 0, 0, 0, 1, 0)), (count, 2, 1))
    for i, j in np.ndindex(count, 2):
        kind, probability, strength = POLICY[chosen[i]][j]
        if chances[i, j] < probability:
            size = width if kind == "translate_x" else height
            found = amount(kind, strength, signs[i, j], size)
            kinds[i, j] = KINDS.index(kind)
            amounts[i, j] = found
            affine[i, j] = fixed(moved_from(kind, found, height, width))
    return {"kind": kinds, "amount": amounts, "affine": affine}


def moved_from(kind, amount, height, width):
    """`(a, b, c, d, e, f)`: a pixel comes from `(ax + by + c, dx + ey + f)`."""
    if kind == "rotate":
        angle = -np.deg2rad(amount)
        cos, sin = np.cos(angle), np.sin(angle)
        x, y = width / 2, height / 2
        return cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y
    return {
        "shear_x": (1, amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, amount, 1, 0),
        "translate_x": (1, 0, amount, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, amount),
    }.get(kind, (1, 0, 0, 0, 1, 0))


def fixed(affine):
    """The same in whole numbers of 1 / ONE, and for the middles of pixels."""
    a, b, c, d, e, f = affine
    middles = a, b, c + (a + b) / 2, d, e, f + (d + e) / 2
    return np.floor(np.array(middles) * ONE + 0.5).astype("int32")


def apply(images, drawn):
    """Images after both of their operations, from and in uint8.

    Args:
        images: `(count, height, width, 3)`.
        drawn: What `draws` gave.
    """
    images = ops.cast(images, "int32")
    for j in range(2):
        kind = ops.convert_to_tensor(drawn["kind"])[:, j]
        amounts = ops.convert_to_tensor(drawn["amount"])[:, j]
        affine = ops.convert_to_tensor(drawn["affine"])[:, j]
        images = recolored(moved(images, affine), kind, amounts)
    return ops.cast(images, "uint8")


def moved(images, affine):
    """Images whose pixels come from elsewhere, from the nearest; grey from outside."""
    count, height, width, channels = images.shape
    a, b, c, d, e, f = (affine[:, i, None, None] for i in range(6))
    x, y = np.arange(width, dtype="int32"), np.arange(height, dtype="int32")[:, None]
    column = ops.floor_divide(a * x + b * y + c, ONE)
    row = ops.floor_divide(d * x + e * y + f, ONE)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = ops.clip(row, 0, height - 1) * width + ops.clip(column, 0, width - 1)
    place = ops.reshape(place, (count, height * width, 1))
    pixels = ops.reshape(images, (count, height * width, channels))
    found = ops.reshape(ops.take_along_axis(pixels, place, axis=1), images.shape)
    return ops.where(inside[..., None], found, GREY)


def recolored(images, kind, amounts):
    """Images after the operations that leave pixels in their place."""
    kind, amounts = (x[:, None, None, None] for x in (kind, amounts))
    whole = ops.cast(amounts, "int32")
    unit = ops.left_shift(ops.ones_like(whole), ops.clip(8 - whole, 0, 8))
    grey = luminance(images)
    made = {
        "invert": 255 - images,
        "solarize": ops.where(ops.less(images, amounts), images, 255 - images),
        "posterize": images // unit * unit,
        "autocontrast": stretched(images),
        "equalize": equalized(images),
        "brightness": blended(ops.zeros_like(images), images, amounts),
        "contrast": blended(mean_of(grey), images, amounts),
        "color": blended(grey, images, amounts),
        "sharpness": blended(smoothed(images), images, amounts),
    }
    for name, result in made.items():
        images = ops.where(kind == KINDS.index(name), result, images)
    return images


def blended(other, images, share):
    """`other + share * (images - other)`, within the range."""
    difference = ops.cast(images - other, "float32")
    value = ops.cast(other, "float32") + share * difference
    return ops.cast(ops.clip(value, 0, 255), "int32")


def luminance(images):
    """`(count, height, width, 1)`: the grey of every pixel."""
    weights = np.array([19595, 38470, 7471], "int32")
    return (ops.sum(images * weights, -1, keepdims=True) + ONE // 2) // ONE


def mean_of(grey):
    """Its mean in every image, rounded."""
    pixels = grey.shape[1] * grey.shape[2]
    total = ops.sum(grey, (1, 2, 3), keepdims=True)
    return (2 * total + pixels) // (2 * pixels)


def smoothed(images):
    """Each pixel five times and its neighbours once, over 13; the border as it is."""
    height, width = images.shape[1:3]
    total = 4 * images[:, 1:-1, 1:-1]
    for y in range(3):
        for x in range(3):
            total = total + images[:, y : height - 2 + y, x : width - 2 + x]
    inner = (2 * total + 13) // 26
    middle = ops.concatenate([images[:, 1:-1, :1], inner, images[:, 1:-1, -1:]], axis=2)
    return ops.concatenate([images[:, :1], middle, images[:, -1:]], axis=1)


def stretched(images):
    """The darkest value of every channel at 0, the lightest at 255."""
    low = ops.min(images, (1, 2), keepdims=True)
    high = ops.max(images, (1, 2), keepdims=True)
    spread = (images - low) * 255 // ops.maximum(high - low, 1)
    return ops.where(high > low, spread, images)


def equalized(images):
    """Values of every channel replaced by their rank, so that all are as frequent."""
    count, height, width, channels = images.shape
    pixels = height * width
    rows = ops.reshape(ops.transpose(images, (0, 3, 1, 2)), (count * channels, pixels))
    offset = 256 * np.arange(count * channels, dtype="int32")[:, None]
    histogram = ops.segment_sum(
        ops.ones((count * channels * pixels,), "int32"),
        ops.reshape(rows + offset, (-1,)),
        num_segments=count * channels * 256,
    )
    histogram = ops.reshape(histogram, (count * channels, 256))
    below = ops.cumsum(histogram, 1) - histogram
    last = ops.take_along_axis(histogram, ops.max(rows, 1, keepdims=True), axis=1)
    step = (pixels - last) // 255
    table = (step // 2 + below) // ops.maximum(step, 1)
    table = ops.where(step > 0, ops.minimum(table, 255), np.arange(256, dtype="int32"))
    found = ops.take_along_axis(table, rows, axis=1)
    found = ops.reshape(found, (count, channels, height, width))
    return ops.transpose(found, (0, 2, 3, 1))
