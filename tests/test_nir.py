"""NIR files: written, read back, and run: the same spikes."""

import keras
import numpy as np
import pytest
from keras import layers

import snn_keras
from snn_keras import applications
from snn_keras.export import from_nir, to_nir
from snn_keras.layers import LSQReLU
from snn_keras.time import Neurons
from tests.graphs import dyadic, seeds

nir = pytest.importorskip("nir", reason="pip install .[nir]")


def dyadic_weights(model, seed, shift=0.0):
    """Gives all of a model's weights dyadic values; `shift` is added to every beta."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            n = layer.moving_mean.shape[0]
            scale = rng.choice([0.5, 1.0, 2.0], n)
            variance = np.full(n, 1.0) - layer.epsilon
            beta = dyadic(rng, n, 4, 4) + np.float32(shift)
            layer.set_weights([scale, beta, dyadic(rng, n, 4, 4), variance])
        elif not isinstance(layer, LSQReLU):
            layer.set_weights([dyadic(rng, w.shape) for w in layer.get_weights()])
    return model


def residual_network(seed):
    """Everything that NIR has, on dyadic numbers."""
    rng = np.random.default_rng(seed)
    numbers = iter(range(9))

    def act():
        i = next(numbers)
        return LSQReLU(int(rng.choice([1, 2, 4])), initial_step=0.5, name=f"act{i}")

    x = inputs = keras.Input((8, 8, 2))
    x = layers.Conv2D(4, 3, padding="same", strides=2, use_bias=bool(seed % 2))(x)
    x = y = act()(layers.BatchNormalization()(x))
    x = act()(layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2)(x))
    x = layers.Conv2D(4, 1)(x)
    x = layers.BatchNormalization()(x)
    x = act()(layers.Add()([x, y]) if seed % 3 else x + y + y)
    x = layers.ZeroPadding2D(((1, 0), (0, 1)))(x)
    x = act()(layers.Conv2D(4, 3, strides=(1, 1), groups=2)(x))
    if seed % 2:
        x = layers.AveragePooling2D(2)(x)
        x = layers.Flatten()(x)
        x = act()(layers.BatchNormalization()(layers.Dense(6)(x)))
    else:
        x = layers.AveragePooling2D((2, 2), strides=1)(x)
        x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Activation("softmax")(layers.Dense(3)(x)))
    return dyadic_weights(model, seed), dyadic(rng, (4, 8, 8, 2), 16, 32)


def spikes_of(snn, x):
    """Whether each neuron fired, `{layer: (batch, time, ...)}`."""
    layers = {x.name: x.output for x in snn.layers if isinstance(x, Neurons)}
    sent = keras.Model(snn.input, layers).predict(x, verbose=0)
    return {name: values != 0 for name, values in sent.items()}


@pytest.mark.parametrize("unit_thresholds", [False, True])
@pytest.mark.parametrize("seed", seeds(40, quick=3))
def test_same_spikes(seed, unit_thresholds, tmp_path):
    model, x = residual_network(seed)
    snn = snn_keras.convert(model, 5)
    path = tmp_path / "net.nir"
    losses = to_nir(snn, path, unit_thresholds=unit_thresholds)
    assert any("reset" in loss for loss in losses)
    read = from_nir(path)
    assert read.timesteps == 5
    expected, received = spikes_of(snn, x), spikes_of(read, x)
    assert any(z.any() for z in expected.values())
    for name, z in expected.items():
        assert np.array_equal(received[name], z), name
    logits = keras.Model(snn.input, snn.layers[-2].output)
    assert np.array_equal(read.predict(x, verbose=0), logits.predict(x, verbose=0))
    thresholds = [
        node.v_threshold
        for node in nir.read(path).nodes.values()
        if "v_threshold" in vars(node)
    ]
    assert all((t == 1).all() for t in thresholds) or not unit_thresholds


def pixels(*between):
    return (4, 5, 2), between


def few_features(*between):  # so few that no vector unit normalizes them
    return (2, 1, 2), between


@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize(
    ("shape", "between"),
    [
        pixels(layers.ZeroPadding2D(1), layers.AveragePooling2D(2)),
        pixels(layers.ZeroPadding2D(1), layers.BatchNormalization()),
        pixels(layers.ZeroPadding2D(((1, 0), (1, 0)))),
        pixels(layers.Flatten(), LSQReLU(1, initial_step=0.25)),
        few_features(layers.Flatten(), layers.BatchNormalization(), layers.Dense(5)),
    ],
)
def test_zeros_and_features_keep_their_places(shape, between, is_last, tmp_path):
    x = inputs = keras.Input(shape)
    x = LSQReLU(2, initial_step=0.5, name="first")(layers.Conv2D(3, 1)(x))
    for layer in between:
        x = layer.from_config(layer.get_config())(x)
    if not is_last:
        x = LSQReLU(2, initial_step=0.5, name="second")(x)
        x = layers.Dense(2, name="last")(layers.Flatten(name="flat")(x))
    snn = snn_keras.convert(dyadic_weights(keras.Model(inputs, x), 0), 4)
    to_nir(snn, tmp_path / "net.nir")
    x = dyadic(np.random.default_rng(0), (2, *shape))
    expected, received = (
        keras.ops.convert_to_numpy(network(x))
        for network in (snn, from_nir(tmp_path / "net.nir"))
    )
    assert expected.shape == received.shape
    # Batch normalization is folded in float64; a place apart is 1/64 or more.
    assert np.abs(expected - received).max() < 1e-6
    assert np.any(expected)


def test_a_resnet(tmp_path):
    model = applications.resnet20(activation=LSQReLU(2, initial_step=0.5))
    # Vector units compute 1/sqrt(variance) to the last bit but one. So no potential may
    # meet a threshold: what they add up is whole in 1/128, and the shift is not.
    dyadic_weights(model, 0, shift=2**-9)
    x = dyadic(np.random.default_rng(0), (2, 32, 32, 3))
    snn = snn_keras.convert(model, 3)
    to_nir(snn, tmp_path / "net.nir")
    read = from_nir(tmp_path / "net.nir")
    expected, received = spikes_of(snn, x), spikes_of(read, x)
    assert len(expected) == 19 and all(z.any() for z in expected.values())
    assert all(np.array_equal(received[n], z) for n, z in expected.items())


@pytest.mark.parametrize(
    ("layer", "neuron", "named"),
    [
        (layers.MaxPooling2D(), "if", "max_pooling2d"),
        (layers.Conv2DTranspose(2, 2, 2), "if", "Conv2DTranspose"),
        (layers.AveragePooling2D(4, padding="same"), "if", "it pads"),
        (layers.Conv2D(2, 3, name="other"), "signed", "switched off"),
        (layers.Conv2D(2, 3, name="other"), "differential", r"has no NIR form.*Remedy"),
        (
            layers.Conv2D(2, 3, name="other"),
            "multi_threshold",
            r"MultiThresholdIFCell.*Remedy",
        ),
    ],
)
def test_refuses(layer, neuron, named, tmp_path):
    x = inputs = keras.Input((8, 8, 2))
    x = LSQReLU(2, initial_step=0.5)(layers.Conv2D(2, 3)(x))
    x = LSQReLU(2, initial_step=0.5)(layer(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    with pytest.raises(snn_keras.ConversionError, match=named):
        to_nir(snn_keras.convert(model, 2, neuron), tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_refused(tmp_path):
    snn = snn_keras.convert(residual_network(0)[0], 2)
    path = tmp_path / "net.nir"
    to_nir(snn, path)
    with pytest.raises(FileExistsError, match="overwrite=True"):
        to_nir(snn, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no such thing"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            from_nir(path)
    with pytest.raises(FileNotFoundError, match="no file"):
        from_nir(tmp_path / "other.nir")


def test_nodes_without_a_counterpart_are_named(tmp_path):
    node = nir.LIF(*(np.ones(3) for _ in range(4)))
    nir.write(tmp_path / "lif.nir", nir.NIRGraph.from_list(node))
    with pytest.raises(ValueError, match=r"lif.*\(LIF\)"):
        from_nir(tmp_path / "lif.nir", timesteps=2)
    with pytest.raises(ValueError, match="timesteps=T"):
        from_nir(tmp_path / "lif.nir")
