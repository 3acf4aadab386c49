"""Every kind of file that is read: a valid one, and the reader."""

import dataclasses
import functools
import json
import pathlib
from collections.abc import Callable

import keras
import numpy as np

import snn_keras
from apps import data, records, results
from apps.benchmarks import page as benchmarks
from apps.training.backup import Backup
from snn_keras import export, interop
from snn_keras.analysis.comparing import saved
from tests.fuzz import mutations, structures

SHAPE = (8, 8, 1)
SETTINGS = {"levels": 2, "epochs": 3}


@dataclasses.dataclass(frozen=True)
class Kind:
    """A kind of file.

    Attributes:
        file: The name of the file that is damaged.
        make: Writes a valid one into a folder, with what belongs to it.
        read: Reads what is in a folder.
        damages: What may be done to the file's content.
        may_crash: Whether an interpreter in machine code reads the file, which may end
            the process. No kind but TFLite with a forged checksum.
    """

    file: str
    make: Callable[[pathlib.Path], None]
    read: Callable[[pathlib.Path], object]
    damages: tuple = ()
    may_crash: bool = False


@functools.cache
def network():
    """A quantized network."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    parts = [
        keras.Input(SHAPE),
        layers.Conv2D(2, 3, name="conv"),
        layers.BatchNormalization(name="norm"),
        snn_keras.layers.LSQReLU(3, initial_step=0.5, name="act"),
        layers.AveragePooling2D(2, name="pool"),
        layers.Flatten(name="flat"),
        layers.Dense(3, name="head"),
    ]
    return keras.Sequential(parts, name="net")


@functools.cache
def spiking():
    """Its spiking network."""
    return snn_keras.convert(network(), 2, "if")


def images(count=6):
    """Inputs of the network."""
    return np.random.default_rng(0).uniform(size=(count, *SHAPE)).astype("float32")


def written(path, content):
    """Writes JSON."""
    path.write_text(json.dumps(content))


def make_photos(folder):
    """A folder for each class, with an image of each format."""
    pixels = (255 * images(3)).astype("uint8").repeat(3, axis=-1)
    for number, name in enumerate(("a.png", "a.jpg", "a.gif", "a.bmp", "a.tiff")):
        place = folder / f"class{number % 2}"
        place.mkdir(exist_ok=True)
        keras.utils.save_img(place / name, pixels[number % 3], scale=False)


def make_list(folder):
    """A list of images."""
    make_photos(folder)
    names = [p.relative_to(folder) for p in sorted(folder.rglob("*.*"))]
    (folder / "net.txt").write_text("".join(f"{name} 1\n" for name in names))


def make_arrays(folder):
    """A data set of arrays."""
    pixels, labels = (255 * images()[..., 0]).astype("uint8"), np.arange(6)
    np.savez(
        folder / "net.npz", x_train=pixels, y_train=labels, x_test=pixels, y_test=labels
    )


def trained():
    """A small network with an optimizer."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def make_backup(folder):
    """The backup of a training."""
    backup = Backup(folder / "net.npz", SETTINGS)
    backup.set_model(trained())
    backup.on_epoch_end(0, {"loss": 0.5})


def make_onnx(folder):
    """A convolutional network, its largest constant in a file beside it."""
    import onnx
    from onnx import helper

    from tests.onnx_files import model_proto, node, values

    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]),
        node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
        node("Shape", "p", "s"),
        node("Gather", "s zero", "n"),
        node("Unsqueeze", "n axis", "m"),
        node("Concat", "m rest", "t", axis=0),
        node("Reshape", "p t", "f"),
        node("MatMul", "f k", "y"),
    ]
    constants = {
        "w": values(2, 1, 3, 3),
        "b": values(2),
        "k": values(32, 3),
        "zero": np.array(0),
        "axis": np.array([0]),
        "rest": np.array([-1]),
    }
    model = model_proto(nodes, {"x": values(2, 1, 8, 8)}, constants, opset=17)
    onnx.save(model, folder / "net.onnx")
    apart = helper.make_model(model.graph, opset_imports=model.opset_import)
    apart.ir_version = model.ir_version
    onnx.save(
        apart,
        folder / "apart.onnx",
        save_as_external_data=True,
        location="data",
        size_threshold=0,
    )


def make_comparison(folder):
    """The runs of a comparison."""
    row = dict.fromkeys(("agreement", "spikes", "bits", "additions", "energy"), 0.5)
    row |= {"timesteps": 1, "state_bytes": 8, "seconds": 0.1, "accuracy": 0.5}
    memory = saved.Memory(folder / "net.json", "compared")
    memory.add("if", {"source": {"additions": 1.0, "energy": 2.0}, "rows": [row]})


def make_results(folder):
    """The figures of a row that ships."""
    kept = pathlib.Path("docs/results/fashion_mnist_adaptor_signed.json")
    figures = json.loads((pathlib.Path(data.__file__).parents[1] / kept).read_text())
    figures["right"] = {"1": figures["right"]["1"]}
    written(folder / kept.name, figures)


def read_results(folder):
    """The page of the figures of all rows."""
    return results.text_of_page(folder)


def make_trained(folder):
    """What a training writes beside its network."""
    content = {"command": "python -m apps.train --levels=2", "seconds": 3}
    content |= {"kept_epoch": 2, "history": {"loss": [0.5, 0.25]}, "settings": SETTINGS}
    written(folder / "net.json", content)


def make_measured(folder):
    """The figures of the benchmark."""
    figures = {"case": {"ratio": 1.5, "least": 1.0, "most": 2, "milliseconds": 3.0}}
    part = {"what": "T steps.", "machine": "2 cores", "rounds": 3, "figures": figures}
    written(folder / "net.json", {"neurons": part})


def make_c(folder):
    """A network in C."""
    export.to_c(spiking(), folder / "c", images())
    (folder / "c" / "net.json").rename(folder / "net.json")


JSON = (*mutations.EVERY, *(structures.json_content,) * 12)
ZIP = (*mutations.EVERY, *(structures.zip_content,) * 12)
HDF5 = (*mutations.EVERY, *(structures.hdf5_content,) * 12)
KINDS = {
    "keras": Kind(
        "net.keras",
        lambda folder: network().save(folder / "net.keras"),
        lambda folder: snn_keras.load_model(folder / "net.keras"),
        ZIP,
    ),
    "keras, spiking": Kind(
        "net.keras",
        lambda folder: spiking().save(folder / "net.keras"),
        lambda folder: snn_keras.load_model(folder / "net.keras"),
        ZIP,
    ),
    "h5": Kind(
        "net.h5",
        lambda folder: network().save(folder / "net.h5"),
        lambda folder: snn_keras.load_model(folder / "net.h5"),
        HDF5,
    ),
    "onnx": Kind(
        "net.onnx",
        make_onnx,
        lambda folder: interop.from_onnx(folder / "net.onnx"),
        (*mutations.EVERY, *(structures.onnx_content,) * 12),
    ),
    "onnx, data apart": Kind(
        "apart.onnx",
        make_onnx,
        lambda folder: interop.from_onnx(folder / "apart.onnx"),
        (*mutations.EVERY, *(structures.onnx_content,) * 12),
    ),
    "nir": Kind(
        "net.nir",
        lambda folder: export.to_nir(spiking(), folder / "net.nir"),
        lambda folder: export.from_nir(folder / "net.nir"),
        HDF5,
    ),
    "tflite": Kind(
        "net.tflite",
        lambda folder: export.to_tflite(spiking(), folder / "net.tflite", images()),
        lambda folder: export.TFLiteNetwork(folder / "net.tflite"),
        mutations.EVERY,
    ),
    "tflite, signed anew": Kind(
        "net.tflite",
        lambda folder: export.to_tflite(spiking(), folder / "net.tflite", images()),
        lambda folder: export.TFLiteNetwork(folder / "net.tflite"),
        (structures.signed_tflite,),
        may_crash=True,
    ),
    "C, net.json": Kind(
        "net.json", make_c, lambda folder: export.CNetwork(folder), JSON
    ),
    "images": Kind(
        "class0/a.png",
        make_photos,
        lambda folder: data.load(folder, "test", size=(8, 8)),
        mutations.EVERY,
    ),
    "images, jpeg": Kind(
        "class1/a.jpg",
        make_photos,
        lambda folder: data.load(folder, "test", size=(8, 8)),
        mutations.EVERY,
    ),
    "images, tiff": Kind(
        "class0/a.tiff",
        make_photos,
        lambda folder: data.load(folder, "test", size=(8, 8)),
        mutations.EVERY,
    ),
    "list of images": Kind(
        "net.txt",
        make_list,
        lambda folder: data.load(folder / "net.txt", "test", size=(8, 8)),
        mutations.EVERY,
    ),
    "npz of images": Kind(
        "net.npz",
        make_arrays,
        lambda folder: data.arrays(folder / "net.npz", "test"),
        ZIP,
    ),
    "npz, backup": Kind(
        "net.npz",
        make_backup,
        lambda folder: Backup(folder / "net.npz", SETTINGS).restore(trained()),
        ZIP,
    ),
    "JSON of compare": Kind(
        "net.json",
        make_comparison,
        lambda folder: saved.Memory(folder / "net.json", "compared"),
        JSON,
    ),
    "JSON of results": Kind(
        "fashion_mnist_adaptor_signed.json", make_results, read_results, JSON
    ),
    "JSON of a training": Kind(
        "net.json",
        make_trained,
        lambda folder: records.read_trained(folder / "net.json"),
        JSON,
    ),
    "JSON of a benchmark": Kind(
        "net.json",
        make_measured,
        lambda folder: benchmarks.page(folder, ["neurons"]),
        JSON,
    ),
}
