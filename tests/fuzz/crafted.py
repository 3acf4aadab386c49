"""Files that are made to do harm. Every one is to be refused."""

import io
import json
import os
import pathlib
import struct
import zipfile
import zlib

import h5py
import keras
import numpy as np
from keras import layers

from tests.fuzz.structures import rezipped

CANARY = "executed"
BOMB = 3 * 2**29  # bytes: more than a small file may unpack to
CHUNK = 2**20
ELSEWHERE = "/etc/hostname"


class Harm:
    """What unpickling it would do."""

    def __reduce__(self):
        return os.system, (f"touch {CANARY}",)


def bomb_of(path, name):
    """Writes a ZIP file with a member of zeros."""
    packing = zipfile.ZIP_DEFLATED
    with (
        zipfile.ZipFile(path, "w", packing, compresslevel=1) as archive,
        archive.open(name, "w", force_zip64=True) as member,
    ):
        for _ in range(BOMB // CHUNK):
            member.write(bytes(CHUNK))


# --- HDF5 ----------------------------------------------------------------------------


def first_array(file):
    """The name of an array of an HDF5 file."""
    found = []
    file.visititems(
        lambda name, x: found.append(name) if isinstance(x, h5py.Dataset) else None
    )
    return found[0]


def shape_bomb(file, name):
    """An array that says it is large, and has nothing."""
    file.create_dataset(name, (2**16, 2**16), "f4", chunks=(64, 64))


def packed_bomb(file, name):
    """An array of zeros, packed."""
    made = file.create_dataset(
        name, (BOMB // 4 // CHUNK, CHUNK), "f4", chunks=(1, CHUNK), compression="gzip"
    )
    packed = zlib.compress(bytes(4 * CHUNK), 1)
    for row in range(made.shape[0]):
        made.id.write_direct_chunk((row, 0), packed)


def external_array(file, name):
    """An array that is another file's content."""
    file.create_dataset(name, (8,), "u1", external=[(ELSEWHERE, 0, 8)])


def virtual_array(file, name):
    """An array that is a part of another file's."""
    layout = h5py.VirtualLayout((2,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (2,))
    file.create_virtual_dataset(name, layout)


def external_link(file, name):
    """A link to another file."""
    file[name] = h5py.ExternalLink(ELSEWHERE, "/x")


def loop(file, name):
    """A group that holds itself."""
    file[name] = file["/"]


HDF5 = (
    *(shape_bomb, packed_bomb, external_array, virtual_array, external_link),
    loop,
)


def harmed_hdf5(path, harm):
    """Replaces an array of a file."""
    with h5py.File(path, "r+") as file:
        name = first_array(file)
        del file[name]
        harm(file, name)


def harmed_weights(path, harm):
    """Replaces an array of the weights of a .keras file."""
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    harmed_hdf5(weights, harm)
    path.write_bytes(rezipped(content, {"model.weights.h5": weights.getvalue()}))


# --- Keras ---------------------------------------------------------------------------


def save(folder, suffix, *parts):
    """Saves a model of these layers."""
    keras.Sequential([keras.Input((8,)), *parts]).save(folder / f"net{suffix}")


def edited(folder, edit):
    """Changes the configuration of a .keras file."""
    path = folder / "net.keras"
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        config = json.loads(archive.read("config.json"))
    edit(config)
    path.write_bytes(rezipped(content, {"config.json": json.dumps(config)}))


def layer_of(config, name="Dense"):
    """The configuration of the first layer of a class."""
    found = config["config"]["layers"]
    return next(x for x in found if x["class_name"] == name)


def lambda_layer(folder, suffix=".keras"):
    """Python code."""
    code = layers.Lambda(lambda x: __import__("os").system(f"touch {CANARY}") or x)
    code.build((None, 8))
    model = keras.Sequential([keras.Input((8,)), layers.Dense(8)])
    model.add(layers.Activation("relu"))
    model.save(folder / f"net{suffix}")
    packed = keras.saving.serialize_keras_object(code)

    def edit(config):
        place = config["config"]["layers"]
        place[-1] = {**packed, "build_config": {"input_shape": [None, 8]}}

    if suffix == ".keras":
        edited(folder, edit)
        return
    with h5py.File(folder / "net.h5", "r+") as file:
        config = json.loads(file.attrs["model_config"])
        packed = {"class_name": "Lambda", "config": packed["config"]}
        edit(config)
        file.attrs["model_config"] = json.dumps(config)


def other_module(folder):
    """A layer that is a function of another module."""
    save(folder, ".keras", layers.Dense(2))
    harm = {"module": "os", "class_name": "system", "config": f"touch {CANARY}"}
    edited(folder, lambda config: layer_of(config).update(harm))


def download(folder):
    """An activation that fetches a file."""
    save(folder, ".keras", layers.Dense(2))
    harm = {
        "module": "keras.utils",
        "class_name": "function",
        "config": "get_file",
        "registered_name": "get_file",
    }
    edited(folder, lambda c: layer_of(c)["config"].update(activation=harm))


def wide(folder, count=1, units=10**9):
    """Layers of more weights than fit anywhere."""
    save(folder, ".keras", *(layers.Dense(2) for _ in range(count)))

    def edit(config):
        for layer in config["config"]["layers"][1:]:
            layer["config"]["units"] = units
            layer.pop("build_config", None)

    edited(folder, edit)


def many_wide(folder):
    """Layers of which each would fit."""
    wide(folder, 40, 4096)


def vocabulary(folder):
    """A layer that reads another file."""
    keras.Sequential(
        [keras.Input((1,), dtype="string"), layers.StringLookup(vocabulary=["a"])]
    ).save(folder / "net.keras")
    edited(
        folder,
        lambda c: layer_of(c, "StringLookup")["config"].update(vocabulary=ELSEWHERE),
    )


def nested(folder):
    """A text that is all brackets."""
    save(folder, ".keras", layers.Dense(2))
    content = (folder / "net.keras").read_bytes()
    deep = b"[" * 10**5 + b"]" * 10**5
    (folder / "net.keras").write_bytes(rezipped(content, {"config.json": deep}))


def outside(folder, name="../outside"):
    """A member with the path of another folder."""
    save(folder, ".keras", layers.Dense(2))
    content = (folder / "net.keras").read_bytes()
    (folder / "net.keras").write_bytes(rezipped(content, {name: b"x"}))


def absolute(folder):
    """A member with an absolute path."""
    outside(folder, f"{folder.parent.absolute()}/outside")


def assets_outside(folder):
    """A layer's file that lies outside."""
    outside(folder, "assets/../../outside")


def link(folder):
    """A member that is a link."""
    save(folder, ".keras", layers.Dense(2))
    with zipfile.ZipFile(folder / "net.keras", "a") as archive:
        member = zipfile.ZipInfo("assets/link")
        member.external_attr = 0o120777 << 16
        archive.writestr(member, ELSEWHERE)


# --- ONNX ----------------------------------------------------------------------------


def onnx_model(folder, nodes, constants, functions=(), opsets=()):
    """Writes a model whose output adds `t` to its input."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [*nodes, helper.make_node("Add", ["x", "t"], ["y"])]
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 4])
        for name in ("x", "y")
    ]
    kept = [numpy_helper.from_array(v, k) for k, v in constants.items()]
    graph = helper.make_graph(nodes, "graph", ends[:1], ends[1:], kept)
    imports = [helper.make_opsetid("", 17), *opsets]
    model = helper.make_model(graph, functions=functions, opset_imports=imports)
    model.ir_version = 8
    onnx.save(model, folder / "net.onnx")


def constant_of_shape(folder):
    """A constant of a trillion numbers."""
    from onnx.helper import make_node

    node = make_node("ConstantOfShape", ["s"], ["t"])
    onnx_model(folder, [node], {"s": np.array([10**6, 10**6])})


def many_constants(folder):
    """Constants of which each would fit."""
    from onnx.helper import make_node

    nodes = [make_node("ConstantOfShape", ["s"], [f"t{i}"]) for i in range(100)]
    nodes += [make_node("Sum", [f"t{i}" for i in range(100)], ["t"])]
    onnx_model(folder, nodes, {"s": np.array([2**12, 2**13])})


def doubled(folder):
    """A constant that is joined to itself forty times."""
    from onnx.helper import make_node

    nodes = [
        make_node("Concat", [f"t{i}", f"t{i}"], [f"t{i + 1}"], axis=0)
        for i in range(40)
    ]
    nodes.append(make_node("Identity", ["t40"], ["t"]))
    onnx_model(folder, nodes, {"t0": np.ones(4, "float32")})


def calls(folder):
    """Functions that call others twice, forty times."""
    from onnx import helper

    opset = helper.make_opsetid("", 17)
    mine = helper.make_opsetid("mine", 1)
    functions = [
        helper.make_function(
            "mine", "f0", ["a"], ["b"], [helper.make_node("Neg", ["a"], ["b"])], [opset]
        )
    ]
    for i in range(1, 40):
        inner = [
            helper.make_node(f"f{i - 1}", ["a"], ["c"], domain="mine"),
            helper.make_node(f"f{i - 1}", ["c"], ["b"], domain="mine"),
        ]
        functions.append(
            helper.make_function("mine", f"f{i}", ["a"], ["b"], inner, [opset, mine])
        )
    node = helper.make_node("f39", ["x"], ["t"], domain="mine")
    onnx_model(folder, [node], {}, functions, [mine])


def circle(folder):
    """A function that calls itself."""
    from onnx import helper

    mine = helper.make_opsetid("mine", 1)
    inner = [helper.make_node("f", ["a"], ["b"], domain="mine")]
    function = helper.make_function("mine", "f", ["a"], ["b"], inner, [mine])
    node = helper.make_node("f", ["x"], ["t"], domain="mine")
    onnx_model(folder, [node], {}, [function], [mine])


def empty_constant(folder):
    """A constant that says it is large, and has nothing."""
    import onnx

    onnx_model(folder, [], {"t": np.ones(4, "float32")})
    model = onnx.load(folder / "net.onnx")
    model.graph.initializer[0].dims[:] = [2**20, 2**20]
    model.graph.initializer[0].raw_data = b""
    onnx.save(model, folder / "net.onnx")


def data_elsewhere(folder, location="../outside", count=1, **info):
    """Constants in a file of another folder."""
    import onnx

    onnx_model(folder, [], {"t": np.ones(4, "float32")})
    model = onnx.load(folder / "net.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = tensor.EXTERNAL
    for key, value in {"location": location, **info}.items():
        tensor.external_data.add(key=key, value=str(value))
    for i in range(1, count):
        other = model.graph.initializer.add()
        other.CopyFrom(tensor)
        other.name = f"t{i}"
    (folder / "net.onnx").write_bytes(model.SerializeToString())


def data_of_device(folder):
    """Constants of a device that never ends."""
    data_elsewhere(folder, "/dev/zero")


def data_of_linked_device(folder):
    """Constants of a link to a device."""
    (folder / "data").unlink()
    (folder / "data").symlink_to("/dev/zero")
    data_elsewhere(folder, "data")


def data_before(folder):
    """Constants that begin before the file."""
    (folder / "data").write_bytes(bytes(64))
    data_elsewhere(folder, "data", offset=-16, length=32)


def same_data(folder):
    """A thousand constants of one large file."""
    with open(folder / "data", "wb") as file:
        file.truncate(2**24)
    data_elsewhere(folder, "data", count=1000, length=2**24)


# --- Images, arrays, JSON ------------------------------------------------------------


def png_bomb(folder):
    """A picture of forty billion pixels."""
    side = 200_000
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes(10**6))
    content = b"\x89PNG\r\n\x1a\n"
    for name, part in ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b"")):
        checksum = zlib.crc32(name + part)
        content += struct.pack(">I", len(part)) + name + part
        content += struct.pack(">I", checksum)
    (folder / "class0" / "a.png").write_bytes(content)


def pipe(folder):
    """A pipe with the name of a picture."""
    (folder / "class0" / "a.png").unlink()
    os.mkfifo(folder / "class0" / "a.png")


def device(folder):
    """A link to a device with the name of a picture."""
    (folder / "class0" / "a.png").unlink()
    (folder / "class0" / "a.png").symlink_to("/dev/zero")


def list_of_device(folder):
    """A list that names a device."""
    (folder / "net.txt").write_text("/dev/zero 1\n")


def list_of_text(folder):
    """A list that names a file that is no picture."""
    (folder / "net.txt").write_text(f"../../../../../../..{ELSEWHERE} 1\n")


def list_of_numbers(folder):
    """A list with a class of too many digits."""
    (folder / "net.txt").write_text(f"class0/a.png {'9' * 5000}\n")


def pickled(folder):
    """Arrays of Python objects."""
    content = np.array([Harm()], dtype=object)
    np.savez(folder / "net.npz", x_test=content, y_test=content, about=content)


def array_bomb(folder):
    """Arrays of zeros, packed."""
    bomb_of(folder / "net.npz", "x_test.npy")


def large_header(folder):
    """An array that says it is large, and has nothing."""
    made = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (2**24, 2**20)}
    np.lib.format.write_array_header_1_0(made, header)
    with zipfile.ZipFile(folder / "net.npz", "w") as archive:
        for name in ("x_test", "y_test", "about"):
            archive.writestr(f"{name}.npy", made.getvalue())


def deep_json(folder):
    """A text that is all brackets."""
    for path in folder.glob("*.json"):
        path.write_bytes(b"[" * 10**5 + b"]" * 10**5)


def long_number(folder):
    """A number of a million digits."""
    for path in folder.glob("*.json"):
        path.write_text(f'{{"x": {"9" * 10**6}, {path.read_text()[1:]}')


def weights_bomb(folder):
    """Weights of zeros, packed."""
    bomb_of(folder / "net.keras", "model.weights.h5")


def config_bomb(folder):
    """A configuration of zeros, packed."""
    bomb_of(folder / "net.keras", "config.json")


def of_hdf5(harmed, file):
    """A case for each harm that HDF5 files may hold."""

    def case(harm):
        def craft(folder: pathlib.Path):
            harmed(folder / file, harm)

        craft.__doc__ = harm.__doc__
        return craft

    return {harm.__name__: case(harm) for harm in HDF5}


def named(*functions):
    """Cases by their names."""
    return {function.__name__: function for function in functions}


def lambda_layer_h5(folder):
    """Python code."""
    lambda_layer(folder, ".h5")


JSON = named(deep_json, long_number)
CASES = {
    "keras": named(
        *(lambda_layer, other_module, download, wide, many_wide, vocabulary),
        *(nested, outside, absolute, assets_outside, link),
        *(weights_bomb, config_bomb),
    )
    | of_hdf5(harmed_weights, "net.keras"),
    "h5": named(lambda_layer_h5) | of_hdf5(harmed_hdf5, "net.h5"),
    "nir": of_hdf5(harmed_hdf5, "net.nir"),
    "onnx": named(
        *(constant_of_shape, many_constants, doubled, calls, circle, empty_constant),
        *(data_elsewhere, data_of_device, data_of_linked_device, data_before),
        same_data,
    ),
    "images": named(png_bomb, pipe, device),
    "list of images": named(list_of_device, list_of_text, list_of_numbers),
    "npz of images": named(pickled, array_bomb, large_header),
    "npz, backup": named(pickled, array_bomb, large_header),
    "JSON of compare": JSON,
    "JSON of results": JSON,
    "JSON of a training": JSON,
    "JSON of a benchmark": JSON,
    "C, net.json": JSON,
}
