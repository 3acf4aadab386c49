"""Data sets for the apps, as NumPy arrays: no network where they are prepared."""

import contextlib
import dataclasses
import json
import pathlib

import numpy as np
from absl import logging

from snn_keras import files, shipped
from snn_keras.untrusted import array_of, check_zip, reading

SHIPPED = shipped.folder()
LONGEST_NUMBER = 9  # digits of the number of a class


@dataclasses.dataclass(frozen=True)
class Split:
    """Images as uint8 `(count, height, width, channels)`, labels as int64."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self):
        return len(self.labels)

    def take(self, count):
        """The first `count` images, or all of them where `count` is 0."""
        return Split(self.images[: count or None], self.labels[: count or None])

    def hold_out(self, count):
        """The split without its last `count` images, and these."""
        if not 0 < count < len(self):
            raise ValueError(
                f"Cannot hold out {count} of {len(self)} images. Remedy: --held_out."
            )
        return (
            Split(self.images[:-count], self.labels[:-count]),
            Split(self.images[-count:], self.labels[-count:]),
        )


def load(name, split, data_dir=None, size=None, count=0):
    """Loads one split of an image classification data set.

    Args:
        name: "digits" (scikit-learn's 8x8 digits: always there),
            "fashion_mnist_test" (the test images that ship), the name of a
            TFDS data set such as "mnist", "fashion_mnist", "cifar10", a folder of
            images, or a list of them, as `photos` reads.
        split: "train" or "test".
        data_dir: TFDS directory that holds the prepared data set; or a directory with
            a file NAME.npz of the arrays x_train, y_train, x_test and y_test, as
            `numpy.savez` writes them.
        size: Height and width of the images of a folder or a list.
        count: Number of images to take; 0 for all.

    Raises:
        ValueError: if the data set is not there, with the remedy.
    """
    if pathlib.Path(name).is_dir() or pathlib.Path(name).suffix == ".txt":
        return photos(name, split, size, count)
    if name == "digits":
        found = _digits(split)
    elif name == "fashion_mnist" and split == "test" and data_dir is None:
        found = shipped_test_images()
    elif data_dir and (pathlib.Path(data_dir) / f"{name}.npz").exists():
        found = arrays(pathlib.Path(data_dir) / f"{name}.npz", split)
    else:
        found = _tfds(name, split, data_dir)
    return found.take(count)


def shipped_test_images():
    """The Fashion-MNIST test set that ships with the project."""
    path = SHIPPED / "fashion_mnist_test.npz"
    if not path.exists():
        raise ValueError(
            f"The test images that ship with the project are missing: {path}. "
            "Restore them from the repository."
        )
    with np.load(path) as data:
        return Split(data["images"][..., None], data["labels"].astype("int64"))


def arrays(path, split):
    """A split of a file of arrays, `x_train`, `y_train`, `x_test` and `y_test`.

    Raises:
        ValueError: if they are not there, or are no images of uint8 and their labels.
    """
    names = f"x_{split}", f"y_{split}"
    what = f"a file of the arrays {names[0]} and {names[1]}"
    remedy = "a file that numpy.savez wrote, with x_train, y_train, x_test and y_test."
    with reading(path, what, remedy):
        check_zip(path)
        with open(path, "rb") as opened, np.load(opened) as file:
            images, labels = (array_of(file, name) for name in names)
    labels = labels.reshape(-1)
    images = images[..., None] if images.ndim == 3 else images
    of_images = images.dtype == "uint8" and images.ndim == 4 and images.shape[-1] <= 4
    if not of_images or len(images) != len(labels):
        raise ValueError(
            f"{path}: {names[0]} must be uint8 images (count, height, width) or "
            f"(count, height, width, channels), with a label each. Received: "
            f"{images.dtype} {images.shape} and {len(labels)} labels. Remedy: {remedy}"
        )
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise ValueError(
            f"{path}: {names[1]} must be whole numbers from 0. Received: "
            f"{labels.dtype}, the first of them {labels[:5].tolist()}. Remedy: {remedy}"
        )
    return Split(images, labels.astype("int64"))


def photos(place, split, size, count=0):
    """Images in files of their own.

    Args:
        place: A folder with the folders "train" and "test" (or "val") or, for test
            images alone, a folder; in it a folder for each class, numbered in the
            order of their names. Or a text file for test images: on each line a path,
            from the file's folder, and a class number.
        split: "train" or "test".
        size: Height and width that the images are cropped and scaled to.
        count: Number of images; 0 for all. Of a folder they are drawn at random, the
            same at each call; of a list they are the first.

    Raises:
        ValueError: if there are no such images, or a file is none.
    """
    place = pathlib.Path(place)
    if place.suffix == ".txt" and split == "test":
        paths, labels = _listed(place)
    else:
        place = _split_folder(place, split)
        names = sorted(p.name for p in place.iterdir() if _is_class(p))
        found = [(path, i) for i, n in enumerate(names) for path in _files(place / n)]
        order = np.random.default_rng(0).permutation(len(found))
        paths, labels = [found[i][0] for i in order], [found[i][1] for i in order]
    chosen = slice(count or None)
    labels = np.asarray(labels[chosen], "int64")
    return Split(_read_all(place, paths[chosen], size), labels)


def _split_folder(place, split):
    """The folder of a split's classes."""
    wanted = {"train": ("train",), "test": ("test", "val", "validation")}
    for name in wanted[split]:
        if (place / name).is_dir():
            return place / name
    if split == "train":
        raise ValueError(
            f"{place} has no training images: there is no folder {place / 'train'}. "
            "Remedy: --calibration_dataset, a folder of images; they need no labels."
        )
    if (place / "train").is_dir():
        raise ValueError(
            f"{place} has training images, and no test images: there is no folder "
            f"{', '.join(wanted['test'])} in it. Remedy: --dataset={place / 'train'} "
            "to use these."
        )
    return place


def _is_class(path):
    return path.is_dir() and not path.name.startswith(".")


def all_images(place, size, count):
    """Images in a folder and its subfolders, without labels: `count`, evenly chosen."""
    paths = _files(pathlib.Path(place))
    chosen = np.linspace(0, len(paths) - 1, min(count, len(paths))).astype(int)
    return _read_all(place, [paths[i] for i in chosen], size)


def _files(folder):
    kinds = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".tif", ".tiff", ".webp")
    return sorted(p for p in folder.rglob("*") if p.suffix.lower() in kinds)


def _listed(path):
    if not path.is_file():
        raise ValueError(f"There is no file {path} that lists images.")
    paths, labels = [], []
    with reading(path, "a list of images", "a text file in UTF-8."):
        lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        name, _, label = line.strip().rpartition(" ")
        if not line.strip():
            continue
        if not name or not label.isdecimal() or len(label) > LONGEST_NUMBER:
            raise ValueError(
                f"{path}, line {number}: a path and a class number are wanted, with a "
                f"space between. Received: {line[:200]!r}. Remedy: such lines alone."
            )
        paths.append(path.parent / name.strip())
        labels.append(int(label))
    return paths, labels


def _read_all(place, paths, size):
    """The images as uint8: the middle in the wanted proportions, then scaled."""
    import keras

    if not paths:
        raise ValueError(
            f"There are no images in {place}. Remedy: a folder for each class, with "
            "files such as .jpg or .png in it."
        )
    images = np.empty((len(paths), *size, 3), "uint8")
    bar = keras.utils.Progbar(len(paths), unit_name="image")
    for i, path in enumerate(paths):
        remedy = f"remove the file from {place}, or copy it again."
        with reading(path, "an image", remedy):
            if not path.is_file():
                raise ValueError("there is no such file")
            images[i] = keras.utils.load_img(
                path,
                target_size=size,
                interpolation="bilinear",
                keep_aspect_ratio=True,
            )
        if i % 100 == 99 or i == len(paths) - 1:
            bar.update(i + 1)
    return images


def _digits(split):
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ValueError(
            "Data set 'digits' comes with scikit-learn, which is not installed: "
            "pip install scikit-learn."
        ) from error
    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype("uint8")[..., None]
    chosen = np.arange(len(images)) % 5 == 0
    chosen = chosen if split == "test" else ~chosen
    return Split(images[chosen], digits.target[chosen].astype("int64"))


def _tfds(name, split, data_dir):
    import tensorflow_datasets as tfds

    builder = tfds_builder(name, data_dir)
    with _damage_named(name, data_dir):
        data = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
    return Split(data["image"], data["label"].astype("int64"))


def tfds_builder(name, data_dir=None):
    """The TFDS builder of an image classification set that is prepared.

    Raises:
        ValueError: if it is not there, damaged, or of another kind.
    """
    with _damage_named(name, data_dir):
        import tensorflow_datasets as tfds

        builder = tfds.builder(name, data_dir=data_dir)
        builder.as_dataset(split="train")  # tells whether its files are there
    missing = {"image", "label"} - set(builder.info.features or ())
    if missing:
        raise ValueError(
            f"Data set '{name}' is not an image classification set: it has no "
            f"{sorted(missing)}, only {sorted(builder.info.features or ())}."
        )
    return builder


@contextlib.contextmanager
def _damage_named(name, data_dir):
    # What is missing or damaged shows as an error of any kind, its own or TensorFlow's.
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"Data set '{name}' is not prepared in "
            f"{data_dir or 'the default TFDS directory'}, or damaged "
            f"({type(error).__name__}). Remedy: point --data_dir "
            "at a prepared TFDS directory; or, with a network, run `python -m "
            f"tensorflow_datasets.scripts.cli.main build {name}`, with --overwrite "
            "where files are damaged; or choose --dataset=digits, which is always "
            "there."
        ) from error


def preprocess(images):
    """The networks' input: float32 in [0, 1]."""
    return images.astype("float32") / 255.0


def scaling(raw_pixels):
    """What makes a network's input of pixels: `preprocess`, or as floats alone."""
    return (lambda x: x.astype("float32")) if raw_pixels else preprocess


def write_json(path, content):
    """Writes `content` to a temporary name, then renames it to `path`."""
    write_text(path, json.dumps(content, indent=2) + "\n")


def write_text(path, content):
    """Writes `content` to a temporary name, then renames it to `path`."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.written_whole(path) as partial:
        partial.write_text(content)
    logging.info("wrote %s", path)
