"""Files that `from_onnx` refuses: damaged, foreign, or for a network it cannot read."""

import builtins

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from snn_keras import ConversionError
from snn_keras.interop import from_onnx
from tests.onnx_files import model_proto, node, values


def small():
    """A model of two nodes."""
    nodes = [node("MatMul", "x w", "a"), node("Relu", "a", "y")]
    return model_proto(nodes, {"x": values(2, 4)}, {"w": values(4, 3)}, opset=17)


def refused(model, match, error=ConversionError, **settings):
    content = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(error, match=rf"(?s){match}.*Remedy"):
        from_onnx(content, **settings)


def test_a_file_that_ends_too_early_is_refused_wherever_it_ends():
    content = small().SerializeToString()
    for end in range(len(content)):
        refused(content[:end], "'onnx' .*")


SEEDS = [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 20))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_file_with_wrong_bytes_is_read_or_refused(seed):
    content = bytearray(small().SerializeToString())
    rng = np.random.default_rng(seed)
    for _ in range(100):
        wrong = bytearray(content)
        for place in rng.integers(0, len(wrong), rng.integers(1, 4)):
            wrong[place] = rng.integers(0, 256)
        try:
            from_onnx(bytes(wrong))
        except ValueError as error:
            assert "Remedy" in str(error)


@pytest.mark.parametrize("content", [b"", b"no network", bytes(1000)])
def test_what_is_no_onnx_file_is_refused(content):
    refused(content, "'onnx' as an ONNX file")


def test_a_path_without_a_file_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no file.*net.onnx.*Remedy"):
        from_onnx(tmp_path / "net.onnx")


def test_what_is_neither_a_path_nor_bytes_is_refused():
    with pytest.raises(ValueError, match=r"Received: ModelProto.*Remedy: model.Serial"):
        from_onnx(small())


@pytest.mark.parametrize("opset", [7, 12])
def test_an_old_opset_is_refused(opset):
    model = small()
    model.opset_import[0].version = opset
    refused(model, f"of opset {opset}; read are 13 and newer")


def test_a_newer_opset_than_the_package_knows_is_refused():
    model = small()
    model.opset_import[0].version = 999
    refused(model, "of opset 999, and this onnx package knows")


def test_all_operators_that_are_not_read_are_named_at_once():
    nodes = [
        node("LRN", "x", "a", size=3, name="first"),
        helper.make_node("Magic", ["a"], ["b"], domain="com.mine"),
        node("Bernoulli", "b", "c"),
        node("GridSample", "c x", "y"),
    ]
    model = model_proto(nodes[:1], {"x": values(2, 3, 4, 5)}, outputs="a", opset=17)
    model.graph.node.extend(nodes[1:])
    model.opset_import.append(helper.make_opsetid("com.mine", 1))
    refused(
        model,
        r"- LRN: 1 nodes, 'first' first.*- com.mine.Magic, an operator that is not "
        r"ONNX's own.*- Bernoulli, which is random.*- GridSample",
    )


def test_control_flow_is_refused():
    branch = helper.make_graph(
        [node("Identity", "x", "z")],
        "branch",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, ["n", 4])],
    )
    made = node("If", "c", "y", then_branch=branch, else_branch=branch)
    x = {"x": values(2, 4)}
    model = model_proto([node("Relu", "x", "y")], x, {"c": np.array(True)}, opset=17)
    del model.graph.node[:]
    model.graph.node.append(made)
    refused(model, "- If, which is control flow")


def test_all_settings_that_have_no_counterpart_are_named_at_once():
    nodes = [
        node("MaxPool", "x", "a i", kernel_shape=[2, 2], name="pool"),
        node("BatchNormalization", "x s s s s", "b", training_mode=1, name="norm"),
        node("Relu", "a", "behind"),
    ]
    constants = {"s": np.ones(3, "float32")}
    model = model_proto(nodes, {"x": values(2, 3, 4, 5)}, constants, "behind b i")
    refused(
        model,
        r"- 'pool' \(MaxPool\): its indices are read.*"
        r"- 'norm' \(BatchNormalization\): it is in training mode",
    )


def test_a_constant_output_is_refused():
    model = model_proto([node("Neg", "c", "y")], {"x": values(2, 3)}, {"c": values(3)})
    refused(model, "output 'y': it depends on no input")


# Axes of open length.


def open_image():
    nodes = [
        node("Conv", "x w", "a", pads=[1, 1, 1, 1]),
        node("GlobalAveragePool", "a", "b"),
        node("Flatten", "b", "y"),
    ]
    model = model_proto(nodes, {"x": values(2, 3, 4, 5)}, {"w": values(4, 3, 3, 3)})
    for dim, name in zip(
        model.graph.input[0].type.tensor_type.shape.dim[2:], "hw", strict=True
    ):
        dim.dim_param = name
    return model


def test_open_axes_are_refused_and_closed_by_an_argument():
    refused(open_image(), r"'x' of shape \(None, 3, None, None\)")
    content = open_image().SerializeToString()
    assert from_onnx(content, (3, 8, 6)).input_shape == (None, 8, 6, 3)
    assert from_onnx(content, {"x": (3, 8, 6)}).input_shape == (None, 8, 6, 3)


@pytest.mark.parametrize("shape", [(3, 8), (4, 8, 6), {"z": (3, 8, 6)}])
def test_an_input_shape_that_does_not_fit_is_refused(shape):
    refused(open_image(), "input_shape", ValueError, input_shape=shape)


def test_batches_of_several_lengths_are_refused():
    model = model_proto(
        [node("Add", "x z", "y")], {"x": values(2, 3), "z": values(2, 3)}
    )
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    refused(model, r"inputs with batches of \[4, None\] samples")


# Constants in other files.


def saved_apart(folder):
    """A model whose constant is in a file beside it; returns both paths."""
    path = folder / "net.onnx"
    onnx.save(
        small(), path, save_as_external_data=True, location="data", size_threshold=0
    )
    return path, folder / "data"


def relocated(path, location):
    model = onnx.load(path, load_external_data=False)
    (tensor,) = model.graph.initializer
    tensor.external_data[0].value = location
    path.write_bytes(model.SerializeToString())


def test_constants_in_another_file_are_read(tmp_path):
    path, _ = saved_apart(tmp_path)
    x = values(5, 4, seed=3)
    expected = from_onnx(small().SerializeToString())(x)
    assert np.array_equal(from_onnx(path)(x), expected)


def test_a_missing_file_of_constants_is_refused(tmp_path):
    path, data = saved_apart(tmp_path)
    data.unlink()
    with pytest.raises(ConversionError, match=r"'w' in 'data', and there is no.*Re"):
        from_onnx(path)


def test_a_short_file_of_constants_is_refused(tmp_path):
    path, data = saved_apart(tmp_path)
    data.write_bytes(data.read_bytes()[:10])
    with pytest.raises(ConversionError, match=r"up to byte 48, and .* has 10.*Re"):
        from_onnx(path)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "inner/../../x"])
def test_a_file_of_constants_elsewhere_is_refused(tmp_path, location):
    folder = tmp_path / "net"
    folder.mkdir()
    path, data = saved_apart(folder)
    (tmp_path / "secret").write_bytes(data.read_bytes())
    relocated(path, location)
    with pytest.raises(ConversionError, match=r"not in the folder of the file.*Remedy"):
        from_onnx(path)


def test_a_link_to_constants_elsewhere_is_refused(tmp_path):
    folder = tmp_path / "net"
    folder.mkdir()
    path, data = saved_apart(folder)
    data.rename(tmp_path / "secret")
    data.symlink_to(tmp_path / "secret")
    with pytest.raises(ConversionError, match=r"not in the folder of the file.*Remedy"):
        from_onnx(path)


def test_bytes_with_constants_elsewhere_are_refused(tmp_path):
    path, _ = saved_apart(tmp_path)
    refused(path.read_bytes(), "keeps 1 constants in other files.*'w' first")


def test_without_the_package_the_remedy_is_named(monkeypatch):
    def without(name, *args, **kwargs):
        if name.split(".")[0] == "onnx":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    content, imported = small().SerializeToString(), builtins.__import__
    monkeypatch.setattr(builtins, "__import__", without)
    refused(content, "need the onnx package", ValueError)
