"""What `from_onnx` gives: its layers and its axes; and that it converts."""

import keras
import numpy as np
import onnx
import pytest
from keras import layers
from onnx import numpy_helper

import snn_keras
from snn_keras import ConversionError
from snn_keras.interop import from_onnx
from tests.onnx_files import check, last, model_proto, node, values
from tests.onnx_networks import Drawer, Signal


def kinds_of(model):
    """The classes of what a model computes with, without its inputs."""
    inputs = (layers.InputLayer,)
    return [type(x).__name__ for x in model.operations if not isinstance(x, inputs)]


def network(batch="n", opset=17):
    """A convolutional network as PyTorch writes it, and its input."""
    x = values(batch if isinstance(batch, int) else 2, 3, 8, 8)
    constants = {
        "w1": values(4, 3, 3, 3, seed=1) / 4,
        "b1": values(4, seed=2),
        "scale": values(4, seed=3, low=0.5),
        "shift": values(4, seed=4),
        "mean": values(4, seed=5),
        "variance": values(4, seed=6, low=0.5),
        "w2": values(4, 1, 3, 3, seed=7),
        "w3": values(5, 64, seed=8) / 8,
        "b3": values(5, seed=9),
    }
    nodes = [
        node("Conv", "x w1 b1", "a", pads=[1, 1, 1, 1], name="/stem/Conv"),
        node("BatchNormalization", "a scale shift mean variance", "b"),
        node("Relu", "b", "c"),
        node("MaxPool", "c", "d", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4),
        node("Conv", "d w2", "e", pads=[1, 1, 1, 1], group=4),
        node("Relu", "e", "f"),
        node("Add", "f d", "g"),
        node("Flatten", "g", "h"),
        node("Gemm", "h w3 b3", "y", transB=1, name="head"),
    ]
    return model_proto(nodes, {"x": x}, constants, "y", opset, batch), {"x": x}


def content():
    return network()[0].SerializeToString()


def test_layers_are_those_of_keras_and_named_after_the_nodes():
    model, inputs = network()
    read = check(model, inputs, ["x"])
    assert kinds_of(read) == [
        *("Conv2D", "BatchNormalization", "ReLU", "ZeroPadding2D", "MaxPooling2D"),
        *("DepthwiseConv2D", "ReLU", "Add", "Flatten", "Dense"),
    ]
    assert {"stem_Conv", "head"} < {layer.name for layer in read.layers}
    assert read.input_shape == (None, 8, 8, 3)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_fixed_batch_becomes_an_open_one(batch):
    model, inputs = network(batch)
    read = check(model, inputs, ["x"])
    x = last(values(batch + 3, 3, 8, 8, seed=20))
    rows = [np.asarray(read(x[i : i + 1])) for i in range(len(x))]
    assert np.allclose(read(x), np.concatenate(rows), atol=1e-6)


def test_a_path_is_read_and_its_name_kept(tmp_path):
    model, inputs = network()
    path = tmp_path / "my net.onnx"
    onnx.save(model, path)
    read = from_onnx(path)
    assert read.name == "my_net"
    assert np.array_equal(
        read(last(inputs["x"])), from_onnx(content())(last(inputs["x"]))
    )


def test_what_is_read_is_saved_and_loaded(tmp_path):
    drawer = Drawer(3, 17)
    model, images = drawer.network(12)
    read = check(model, drawer.inputs, ["x"], images)
    read.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    x = last(drawer.inputs["x"])
    pairs = zip(*map(keras.tree.flatten, (read(x), loaded(x))), strict=True)
    assert all(np.array_equal(y, z) for y, z in pairs)


def test_a_network_that_was_read_converts():
    read = from_onnx(content())
    x = last(values(16, 3, 8, 8, seed=10))
    snn = snn_keras.convert(read, data=x)
    expected, found = read.predict(x, verbose=0), snn.predict(x, verbose=0)
    assert np.array_equal(found.argmax(-1), expected.argmax(-1))
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_a_network_that_was_read_is_lossless_once_quantized():
    read = from_onnx(content())
    x = last(values(16, 3, 8, 8, seed=10))
    ann = snn_keras.quantize_activations(read, levels=7, data=x)
    snn = snn_keras.convert(ann, "settle", neuron="signed", input_steps=8)
    expected, found = ann.predict(x, verbose=0), snn.predict(x, verbose=0)
    assert np.allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def with_relu(seed):
    """A random network that has a ReLU, and so something that becomes neurons."""
    for number in range(seed, seed + 1000, 20):
        read = from_onnx(Drawer(number, 17).network(8)[0].SerializeToString())
        if any(isinstance(layer, layers.ReLU) for layer in read.layers):
            return read
    raise AssertionError("none has a ReLU")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_random_networks_that_were_read_convert(seed):
    read = with_relu(seed)
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (8, *read.input_shape[1:])).astype("float32")
    ann = snn_keras.quantize_activations(read, levels=7, data=x)
    snn = snn_keras.convert(ann, "settle", neuron="signed", input_steps=8)
    outputs = (keras.tree.flatten(m.predict(x, verbose=0)) for m in (ann, snn))
    for expected, found in zip(*outputs, strict=True):
        assert np.allclose(found, expected, atol=1e-4 * np.abs(expected).max())


# Axes.


def test_outputs_that_are_images_have_their_channels_last():
    constants = {"w": values(4, 3, 1, 1)}
    nodes = [node("Conv", "x w", "a"), node("Sigmoid", "a", "y")]
    inputs = {"x": values(2, 3, 5, 6)}
    model = model_proto(nodes, inputs, constants)
    assert check(model, inputs, ["x"], ["y"]).output_shape == (None, 5, 6, 4)


def test_axes_that_a_file_has_last_stay_there():
    """As in files that Keras writes: transposes around what has channels first."""
    nodes = [
        node("Transpose", "x", "a", perm=[0, 3, 1, 2]),
        node("Conv", "a w", "b", pads=[1, 1, 1, 1]),
        node("Transpose", "b", "y", perm=[0, 2, 3, 1]),
    ]
    inputs = {"x": values(2, 5, 6, 3)}
    read = check(model_proto(nodes, inputs, {"w": values(4, 3, 3, 3)}), inputs)
    assert kinds_of(read) == ["Conv2D"]


def test_an_input_that_nothing_reads_as_an_image_keeps_its_axes():
    nodes = [node("Flatten", "x", "a"), node("MatMul", "a w", "y")]
    inputs = {"x": values(2, 3, 4, 5)}
    read = check(model_proto(nodes, inputs, {"w": values(60, 4)}), inputs)
    assert read.input_shape == (None, 3, 4, 5)


def test_a_batch_that_is_not_the_first_axis_becomes_it():
    """As in PyTorch's attention: (length, batch, channels)."""
    x = values(5, 2, 6)
    model = model_proto([node("MatMul", "x w", "y")], {"x": x}, {"w": values(6, 4)})
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, length in zip(dims, (5, "n", 6), strict=True):
        dim.Clear()
        key = "dim_param" if isinstance(length, str) else "dim_value"
        setattr(dim, key, length)
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    model.graph.output[0].type.tensor_type.shape.dim.extend([dims[0], dims[1]])
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 4
    found = from_onnx(model.SerializeToString())(x.swapaxes(0, 1))
    expected = (x @ numpy_helper.to_array(model.graph.initializer[0])).swapaxes(0, 1)
    assert np.allclose(found, expected, atol=1e-5)


def test_attention_of_heads_needs_no_transpose_of_the_batch():
    drawer = Drawer(0, 17)
    drawer.nodes, drawer.signals = [], []
    drawer.inputs = {"x": values(2, 5, 4)}
    drawer.attention(Signal("x", (5, 4), False))
    names = drawer.signals[-1].name
    model = model_proto(drawer.nodes, drawer.inputs, drawer.constants, names, 17)
    found = kinds_of(check(model, drawer.inputs))
    assert found.count("Einsum") == 2 and found.count("Permute") == 1


def test_samples_are_not_mixed():
    nodes = [node("Softmax", "x", "y", axis=0)]
    model = model_proto(nodes, {"x": values(2, 4)})
    with pytest.raises(
        ConversionError, match=r"'y' \(Softmax\).*mix samples.*\n.*Remed"
    ):
        from_onnx(model.SerializeToString())


def test_constants_may_be_expanded_for_each_sample():
    """As in PyTorch's class tokens: the length of the batch comes from a shape."""
    nodes = [
        node("Shape", "x", "s"),
        node("Gather", "s zero", "n"),
        node("Concat", "n rest", "target", axis=0),
        node("Expand", "token target", "t"),
        node("Concat", "t x", "y", axis=1),
    ]
    constants = {
        "zero": np.array([0], "int64"),
        "rest": np.array([1, 4], "int64"),
        "token": values(1, 1, 4),
    }
    inputs = {"x": values(2, 3, 4)}
    read = check(model_proto(nodes, inputs, constants), inputs)
    assert read.output_shape == (None, 4, 4)


# What is written as several nodes and is one layer.


def gelu(order):
    half, one, root = np.float32(0.5), np.float32(1), np.float32(2**0.5)
    first, second = ("x half", "u v") if order else ("x v", "u half")
    nodes = [
        node("Div", "x root", "a"),
        node("Erf", "a", "b"),
        node("Add", "b one", "v"),
        node("Mul", first, "u"),
        node("Mul", second, "y"),
    ]
    return nodes, {"half": half, "one": one, "root": root}


def hard_swish():
    nodes = [
        node("Add", "x three", "a"),
        node("Clip", "a zero six", "b"),
        node("Mul", "x b", "c"),
        node("Div", "c six", "y"),
    ]
    numbers = {"zero": 0, "three": 3, "six": 6}
    return nodes, {name: np.float32(n) for name, n in numbers.items()}


def gelu_by_tanh():
    nodes = [
        node("Pow", "x three", "a"),
        node("Mul", "a small", "b"),
        node("Add", "x b", "c"),
        node("Mul", "c root", "d"),
        node("Tanh", "d", "e"),
        node("Add", "e one", "f"),
        node("Mul", "x half", "g"),
        node("Mul", "g f", "y"),
    ]
    numbers = {"three": 3, "small": 0.044715, "one": 1, "half": 0.5}
    numbers["root"] = (2 / np.pi) ** 0.5
    return nodes, {name: np.float32(n) for name, n in numbers.items()}


def hard_sigmoid():
    nodes, numbers = hard_swish()
    return [*nodes[:2], node("Div", "b six", "y")], numbers


def mish():
    nodes = [
        node("Softplus", "x", "a"),
        node("Tanh", "a", "b"),
        node("Mul", "x b", "y"),
    ]
    return nodes, {}


def silu():
    return [node("Sigmoid", "x", "a"), node("Mul", "x a", "y")], {}


def normalization():
    nodes = [
        node("ReduceMean", "x", "m", axes=[-1]),
        node("Sub", "x m", "d"),
        node("Pow", "d two", "p"),
        node("ReduceMean", "p", "v", axes=[-1]),
        node("Add", "v epsilon", "e"),
        node("Sqrt", "e", "r"),
        node("Div", "d r", "n"),
        node("Mul", "n scale", "s"),
        node("Add", "s shift", "y"),
    ]
    numbers = {"two": np.float32(2), "epsilon": np.float32(1e-5)}
    return nodes, {**numbers, "scale": values(6), "shift": values(6, seed=1)}


def product_with_bias():
    nodes = [node("MatMul", "x w", "a"), node("Add", "b a", "y")]
    return nodes, {"w": values(6, 4), "b": values(4)}


PATTERNS = {
    "gelu": (gelu(0), ["Activation"]),
    "gelu, in another order": (gelu(1), ["Activation"]),
    "gelu by tanh": (gelu_by_tanh(), ["Gelu"]),
    "hard sigmoid": (hard_sigmoid(), ["Activation"]),
    "hard swish": (hard_swish(), ["Activation"]),
    "mish": (mish(), ["Activation"]),
    "silu": (silu(), ["Activation"]),
    "layer normalization": (normalization(), ["LayerNormalization"]),
    "product with bias": (product_with_bias(), ["Dense"]),
}


@pytest.mark.parametrize("name", PATTERNS)
def test_nodes_that_are_one_layer_become_it(name):
    (nodes, constants), expected = PATTERNS[name]
    inputs = {"x": values(2, 5, 6)}
    read = check(model_proto(nodes, inputs, constants, opset=13), inputs)
    assert kinds_of(read) == expected


def test_a_group_normalization_as_pytorch_writes_it_becomes_one():
    nodes = [
        node("Reshape", "x groups", "g"),
        node("InstanceNormalization", "g ones zeros", "n"),
        node("Shape", "x", "shape"),
        node("Reshape", "n shape", "b"),
        node("Mul", "b scale", "s"),
        node("Add", "s shift", "y"),
    ]
    constants = {
        "groups": np.array([0, 2, -1], "int64"),
        "ones": np.ones(2, "float32"),
        "zeros": np.zeros(2, "float32"),
        "scale": values(4, 1),
        "shift": values(4, 1, seed=1),
    }
    inputs = {"x": values(2, 4, 6)}
    read = check(model_proto(nodes, inputs, constants), inputs, ["x"], ["y"])
    assert kinds_of(read) == ["GroupNormalization"]


def test_factors_and_offsets_of_channels_go_into_a_convolution():
    nodes = [
        node("Conv", "x w b", "a"),
        node("Mul", "a m", "c"),
        node("Sub", "c s", "d"),
        node("Add", "o d", "y"),
    ]
    shapes = {
        "w": (4, 3, 2, 2),
        "b": (4,),
        "m": (1, 4, 1, 1),
        "s": (4, 1, 1),
        "o": (1,),
    }
    constants = {k: values(*v, seed=i) for i, (k, v) in enumerate(shapes.items())}
    inputs = {"x": values(2, 3, 5, 5)}
    read = check(model_proto(nodes, inputs, constants), inputs, ["x"], ["y"])
    assert kinds_of(read) == ["Conv2D"]
