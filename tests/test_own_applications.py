"""The networks of the papers: sizes as published, and all of them convert."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras import applications
from snn_keras.layers import LSQReLU

# Trainable parameters as published for PyTorch's networks (torchvision for ImageNet,
# the usual ones for CIFAR-10), to the last one. Ours has no biases in front of a
# normalization, which would take them out again: 4,224 fewer in VGG-16.
SIZES = {
    ("resnet18", 32, 10): 11_173_962,
    ("resnet20", 32, 10): 269_722,
    ("vgg16", 32, 10): 14_728_266 - 4_224,
    ("resnet18", 224, 1000): 11_689_512,
    ("resnet34", 224, 1000): 21_797_672,
    ("resnet50", 224, 1000): 25_557_032,
    ("mobilenet_v2", 224, 1000): 3_504_872,
}


@pytest.mark.parametrize("name, size, classes", SIZES)
def test_parameters_are_as_published(name, size, classes):
    model = getattr(applications, name)((size, size, 3), classes)
    count = sum(np.prod(w.shape) for w in model.trainable_weights)
    assert count == SIZES[name, size, classes]


@pytest.mark.parametrize("name", ["resnet18", "resnet20", "vgg16", "mobilenet_v2"])
def test_they_convert_exactly(name):
    network = getattr(applications, name)
    model = network((32, 32, 3), 5, LSQReLU(3, initial_step=0.25))
    x = np.random.default_rng(0).normal(0, 1, (2, 32, 32, 3)).astype("float32")
    serial = snn_keras.convert(model, 2, "bit_serial")
    expected = keras.ops.convert_to_numpy(model(x))
    assert np.array_equal(keras.ops.convert_to_numpy(serial(x)), expected)
    activations = [y for y in model.layers if isinstance(y, LSQReLU)]
    assert len({id(y) for y in activations}) == len({y.name for y in activations}) > 8


@pytest.mark.parametrize("name", ["mnist_convnet", *{name: 0 for name, *_ in SIZES}])
def test_batch_normalization_has_the_momentum_given(name):
    for given, expected in (({}, 0.99), ({"norm_momentum": 0.5}, 0.5)):
        model = getattr(applications, name)((32, 32, 3), 5, **given)
        norms = [
            layer
            for layer in model.layers
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        assert norms and all(norm.momentum == expected for norm in norms)


@pytest.mark.parametrize("name", ["mnist_convnet", "vgg16"])
def test_the_pooling_given(name):
    network = getattr(applications, name)
    kinds = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}
    x = np.random.default_rng(0).normal(0, 1, (2, 32, 32, 3)).astype("float32")
    for pooling, kind in kinds.items():
        activation = LSQReLU(3, initial_step=0.25)
        model = network((32, 32, 3), 5, activation, pooling=pooling)
        pools = [y for y in model.layers if "pool" in y.name]
        assert len(pools) == (3 if name == "mnist_convnet" else 5)
        assert all(type(pool) is kind for pool in pools)
        serial = snn_keras.convert(model, 2, "bit_serial")
        expected = keras.ops.convert_to_numpy(model(x))
        assert np.array_equal(keras.ops.convert_to_numpy(serial(x)), expected)
    with pytest.raises(ValueError, match=r"`pooling` must be .* Received: 'sum'"):
        network(pooling="sum")
