"""Damages of what a file says, where its container stays valid."""

import io
import json
import zipfile

import h5py
import numpy as np

from tests.fuzz import mutations

WRONG = (
    *(None, True, -1, 0, 2**31, 10**30, 1e308, float("nan"), "", "x", "../x", [], {}),
    *([[[[1]]]], {"a": {"b": 1}}, "keras.utils.get_file", "os.system", "builtins"),
    *([10**6, 10**6], [None], "float16", "string"),
)


def places_of(value, place=()):
    """Yields the places of all values in nested lists and dicts."""
    yield place
    items = value.items() if isinstance(value, dict) else ()
    items = enumerate(value) if isinstance(value, list) else items
    for key, part in items:
        yield from places_of(part, (*place, key))


def json_content(content, rng):
    """An entry of a JSON text is wrong, missing, or has another name."""
    value = json.loads(content)
    places = [place for place in places_of(value) if place]
    for _ in range(rng.integers(1, 3)):
        *before, last = places[rng.integers(0, len(places))]
        holder = value
        try:
            for key in before:
                holder = holder[key]
            old = holder[last]
        except (LookupError, TypeError):
            continue  # what was changed first is no longer there
        how = rng.integers(0, 4)
        if how == 0:
            del holder[last]
        elif how == 1 and isinstance(holder, dict):
            holder[f"{last}_"] = holder.pop(last)
        elif how == 2 and isinstance(old, (int, float)):
            holder[last] = old * int(rng.choice([-1, 2, 1000, 10**7]))
        else:
            holder[last] = WRONG[rng.integers(0, len(WRONG))]
    return json.dumps(value).encode()


def rezipped(content, changed):
    """A ZIP file with some members changed: `{name: bytes}`, None to leave one out."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        members = {name: old.read(name) for name in old.namelist()} | changed
        for name, part in members.items():
            if part is not None:
                new.writestr(name, part)
    return made.getvalue()


def zip_content(content, rng):
    """A member of a ZIP file is damaged inside, or is missing."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[rng.integers(0, len(members))]
    part = members[name]
    how = rng.integers(0, 8)
    if how == 0:
        return rezipped(content, {name: None})
    if name.endswith(".json"):
        return rezipped(content, {name: json_content(part, rng)})
    if name.endswith(".h5") and how < 5:
        return rezipped(content, {name: hdf5_content(part, rng)})
    damage = mutations.EVERY[rng.integers(0, len(mutations.EVERY))]
    return rezipped(content, {name: damage(part, rng)})


def hdf5_content(content, rng):
    """An array, a group or an attribute of an HDF5 file is another, or is missing."""
    opened = io.BytesIO(content)
    with h5py.File(opened, "r+") as file:
        found = []
        file.visititems(lambda name, x: found.append(name))
        attributes = [
            (x, key) for x in [file, *map(file.get, found)] for key in x.attrs
        ]
        if attributes and rng.integers(0, 3) == 0:
            holder, key = attributes[rng.integers(0, len(attributes))]
            _damage_attribute(holder, key, rng)
        else:
            _damage_item(file, found[rng.integers(0, len(found))], rng)
    return opened.getvalue()


def _damage_attribute(holder, key, rng):
    value = holder.attrs[key]
    text = value.decode() if isinstance(value, bytes) else value
    if isinstance(text, str) and text.startswith("{"):
        holder.attrs[key] = json_content(text, rng).decode()
    elif rng.integers(0, 2):
        del holder.attrs[key]
    else:
        holder.attrs[key] = (1, "x", np.zeros((2, 2)), b"\xff\xfe")[rng.integers(0, 4)]


def _damage_item(file, name, rng):
    item = file[name]
    is_array = isinstance(item, h5py.Dataset)
    shape, kind = (item.shape, item.dtype) if is_array else ((2,), np.dtype("f4"))
    del file[name]
    how = rng.integers(0, 7)
    if how == 0:
        return
    if how == 1:
        file.create_dataset(name, shape=(10**6, 10**6), dtype="f4", chunks=(64, 64))
    elif how == 2:
        file[name] = h5py.ExternalLink("/etc/hostname", "/x")
    elif how == 3:
        file[name] = h5py.SoftLink("/")
    elif how == 4:
        file.create_group(name)
    elif how == 5:
        file[name] = "text"
    else:
        kind = kind if kind.kind in "fiu" else np.dtype("f4")
        file[name] = np.ones((*shape, 3), kind)


def onnx_content(content, rng):
    """A node, a constant or a shape of an ONNX file is another."""
    import onnx

    model = onnx.load_model_from_string(content)
    graph = model.graph
    how = rng.integers(0, 8)
    node = graph.node[rng.integers(0, len(graph.node))]
    if how == 0:
        known = sorted({x.name for x in onnx.defs.get_all_schemas()})
        node.op_type = known[rng.integers(0, len(known))]
    elif how == 1:
        names = [name for x in graph.node for name in (*x.input, *x.output)]
        node.input[rng.integers(0, len(node.input))] = names[
            rng.integers(0, len(names))
        ]
    elif how == 2:
        del graph.node[rng.integers(0, len(graph.node))]
    elif how == 3 and graph.initializer:
        tensor = graph.initializer[rng.integers(0, len(graph.initializer))]
        tensor.dims[:] = [int(x) for x in rng.choice([0, 1, -1, 2**40, 3], 2)]
    elif how == 4:
        dims = graph.input[0].type.tensor_type.shape.dim
        dims[rng.integers(0, len(dims))].dim_value = int(rng.choice([0, -1, 2**40]))
    elif how == 5 and node.attribute:
        attribute = node.attribute[rng.integers(0, len(node.attribute))]
        for numbers in (attribute.ints, attribute.floats):
            numbers[:] = [type(x)(rng.choice([0, -1, 2**31, 10**9])) for x in numbers]
        attribute.i = int(rng.choice([-1, 2**40, 3]))
    elif how == 6:
        model.opset_import[0].version = int(rng.integers(-1, 40))
    else:
        graph.node.append(graph.node[rng.integers(0, len(graph.node))])
    return model.SerializeToString()


def signed_tflite(content, rng):
    """A damaged TFLite file with the checksum of an undamaged one."""
    from snn_keras.export.tflite import flatbuffer

    damage = mutations.EVERY[rng.integers(0, len(mutations.EVERY) - 1)]
    head = b'"sha256": "'
    start = content.rfind(head) + len(head)
    blank = content[:start] + b"0" * 64 + content[start + 64 :]
    return flatbuffer.signed(damage(blank, rng))
