"""One image on one core: networks in C and in TFLite, beside those of their source."""

import pathlib
import tempfile

from absl import flags, logging

from .devices import in_c, in_tflite, tflite_cases
from .measuring import Worker, ratio

IMAGES = 50
CALIBRATION = 200

# Networks that ship: the source for TensorFlow Lite, and what is converted.
SOURCES = {"fashion_mnist": "fashion_mnist_float", "cifar10": "cifar10_float"}
NETWORKS = {
    "fashion_mnist_sparse, bit-serial": ("fashion_mnist_sparse", 4, "bit_serial"),
    "fashion_mnist_bits, bit-serial": ("fashion_mnist_bits", 4, "bit_serial"),
    "fashion_mnist_adaptor, integrate-and-fire, T = 4": (
        "fashion_mnist_adaptor",
        4,
        "if",
    ),
    "fashion_mnist_float, differential, T = 4": (
        "fashion_mnist_float",
        4,
        "differential",
    ),
    "cifar10_sparse_1e-6, bit-serial": ("cifar10_sparse_1e-6", 4, "bit_serial"),
    "cifar10_bits, bit-serial": ("cifar10_bits", 4, "bit_serial"),
    "cifar10_adaptor, integrate-and-fire, T = 4": ("cifar10_adaptor", 4, "if"),
    "cifar10_float, differential, T = 4": ("cifar10_float", 4, "differential"),
}

# The files of each network, and what the table calls them.
ARITHMETICS = {"integer": "TFLite", "float32": "TFLite in float32"}


def make_edge(dataset, data_dir):
    import snn_keras

    from .. import data
    from ..sources import load_model

    images = data.preprocess(data.load(dataset, "test", data_dir).images)
    images, calibration = images[:IMAGES], images[-CALIBRATION:]
    folder = tempfile.TemporaryDirectory()
    source = load_model(data.SHIPPED / f"{SOURCES[dataset]}.keras")
    cases = tflite_cases(source, images, calibration)
    for name, (file, steps, neuron) in NETWORKS.items():
        if not name.startswith(dataset):
            continue
        model = load_model(data.SHIPPED / f"{file}.keras")
        snn = snn_keras.convert(model, steps, neuron, data=calibration)
        place = f"{folder.name}/{file}"
        program = snn_keras.export.to_c(snn, place, calibration, form="unrolled")
        cases[f"C, {name}"] = in_c(program, images)
        for arithmetic, label in ARITHMETICS.items():
            path = pathlib.Path(f"{place}.tflite")
            try:
                snn_keras.export.to_tflite(
                    snn, path, calibration, arithmetic=arithmetic, overwrite=True
                )
            except snn_keras.ConversionError as error:
                logging.warning("%s, %s: %s", label, name, error)
                continue
            cases[f"{label}, {name}"] = in_tflite(path.read_bytes(), images)
    cases["remove"] = folder.cleanup
    return cases


def edge(rounds):
    """One image on one thread, over TensorFlow Lite's float and int8 of the source."""
    figures = {}
    for dataset in SOURCES:
        data_dir = flags.FLAGS.data_dir
        if dataset != "fashion_mnist" and data_dir is None:
            logging.warning("no --data_dir: %s is left out", dataset)
            continue
        figures |= _of(dataset, data_dir, rounds)
    return figures


def _of(dataset, data_dir, rounds):
    """The figures of the networks of a data set."""
    with Worker(make_edge, dataset, data_dir) as worker:
        names = [name for name in worker.cases if name != "remove"]
        seconds = {name: [] for name in names}
        for _ in range(rounds):
            for name in names:
                seconds[name].append(worker.call(name)[1])
                logging.info("%s: %.3f ms", name, 1e3 * seconds[name][-1])
        worker.call("remove")
    plain, whole = (seconds[f"TensorFlow Lite, {x}"] for x in ("float", "int8"))
    return {
        f"{dataset}: {name}, over {label}": ratio(seconds[name], below)
        for name in names
        for label, below in (("float", plain), ("int8", whole))
    }
