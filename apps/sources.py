"""The network and the images that a program's flags name.

A network is a file, or one of keras.applications by its name, with a file of its
weights. Images are digits, a TFDS data set, a folder with a subfolder for each class,
or a list: a text file with a path and a class number on each line.
"""

import inspect
import pathlib
import sys

import keras
from absl import app, flags

import snn_keras
from snn_keras.conversion import normalize
from snn_keras.conversion.quantizing import has_unquantized

from . import data

FLAGS = flags.FLAGS
SIZE = 224  # of images for networks that take any size


def define_flags(samples=0):
    """Flags of a trained network and its test images."""
    flags.DEFINE_string(
        "model",
        None,
        "The trained network: a .keras or .h5 file, or the name of one of "
        "keras.applications.",
    )
    flags.DEFINE_string(
        "weights",
        None,
        "Weights of a network of keras.applications: a file that Keras offers for it, "
        "or `random`.",
    )
    flags.DEFINE_string(
        "dataset",
        "digits",
        "Images: digits; a TFDS image set; a folder, with a subfolder for each class; "
        "or a text file, with a path and a class number on each line.",
    )
    flags.DEFINE_string("data_dir", None, "Directory of prepared TFDS data sets.")
    flags.DEFINE_integer(
        "samples",
        samples,
        "Test images, the first or, of a folder, any; 0 for all.",
        lower_bound=0,
    )
    flags.DEFINE_integer("batch_size", 100, "Images a batch.", lower_bound=1)
    flags.DEFINE_bool("raw_pixels", False, "Feed pixels 0-255, not scaled to [0, 1].")
    flags.DEFINE_string(
        "preprocess_as",
        None,
        "Feed pixels as this network of keras.applications wants them; by default as "
        "the one that --model names.",
    )
    flags.mark_flag_as_required("model")


def define_calibration_flags():
    """Flags of the calibration of a float network."""
    flags.DEFINE_enum(
        "calibration",
        "mse",
        ["mse", "max", "percentile", "lsq"],
        "How thresholds of a float network come from training images.",
    )
    flags.DEFINE_string(
        "calibration_dataset",
        None,
        "Where these images are, without labels if it is a folder; by default the "
        "training images of --dataset.",
    )
    flags.DEFINE_integer(
        "calibration_images", 1000, "Number of these images.", lower_bound=1
    )


def model_and_test_set():
    """The network and the test set: `(model, images, labels)`, as floats."""
    model = model_of_flags()
    size = _size(model)
    test = data.load(FLAGS.dataset, "test", FLAGS.data_dir, size, FLAGS.samples)
    return model, _preprocess(test.images), test.labels


def calibration_images(model, always=False):
    """Training images, as floats; None if the network is quantized.

    Args:
        model: The network.
        always: Whether a quantized network gets them, too.
    """
    if not (always or is_float(model)):
        return None
    size, place = _size(model), FLAGS.calibration_dataset
    if place and pathlib.Path(place).is_dir():
        return _preprocess(data.all_images(place, size, FLAGS.calibration_images))
    given = FLAGS.data_dir, size, FLAGS.calibration_images
    return _preprocess(data.load(place or FLAGS.dataset, "train", *given).images)


def is_float(model):
    """Whether the network has activations that are not quantized."""
    return has_unquantized(normalize.normal_form(model))


def model_of_flags():
    """The network that the flags name."""
    name = FLAGS.model
    if pathlib.Path(name).suffix:
        if FLAGS.weights:
            raise app.UsageError(
                "--weights is for a network of keras.applications. Received: "
                f"--model={name}"
            )
        return load_model(name)
    make = _application(name, "--model")
    if not FLAGS.weights:
        raise app.UsageError(
            f"--model={name}: --weights is missing, the file of its weights, or random"
        )
    try:
        return make(weights=None if FLAGS.weights == "random" else FLAGS.weights)
    except (ValueError, OSError) as error:
        raise app.UsageError(f"--weights={FLAGS.weights}: {error}") from error


def load_model(path):
    """Loads a model for inference, or says what is wrong with the file."""
    try:
        return snn_keras.load_model(path)
    except (ValueError, OSError) as error:
        raise app.UsageError(f"--model: {error}") from error


def _application(name, flag):
    """The function of keras.applications that makes a network."""
    make = getattr(keras.applications, name, None)
    if not inspect.isfunction(make):
        known = [
            n for n, x in vars(keras.applications).items() if inspect.isfunction(x)
        ]
        raise app.UsageError(
            f"{flag}: {name} is neither a file that ends in .keras or .h5 nor one of "
            f"keras.applications: {', '.join(sorted(known))}"
        )
    return make


def _preprocess(images):
    name = FLAGS.preprocess_as
    if name is None and not pathlib.Path(FLAGS.model).suffix:
        name = FLAGS.model
    if name is None:
        return data.scaling(FLAGS.raw_pixels)(images)
    make = _application(name, "--preprocess_as")
    # A network and its `preprocess_input` are of one module.
    return sys.modules[make.__module__].preprocess_input(images.astype("float32"))


def _size(model):
    """Height and width of the images that the network takes."""
    shape = model.input_shape
    if not (isinstance(shape, tuple) and len(shape) == 4):
        raise app.UsageError(f"--model: its input is no image. Received shape: {shape}")
    first = keras.config.image_data_format() == "channels_first"
    return tuple(n or SIZE for n in (shape[2:] if first else shape[1:3]))
