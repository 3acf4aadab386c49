"""What training adds: residual noise, bit sparsity, validation of the SNN."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import QCFS, LSQReLU, NoisySpike, ResidualNoise, SlipReLU
from snn_keras.ops import bit_sparsity
from tests import reference
from tests.autodiff import gradients
from tests.graphs import dyadic

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def network(activation):
    layers = [keras.Input((8,))]
    for _ in range(2):
        layers += [keras.layers.Dense(16), activation()]
    return keras.Sequential([*layers, keras.layers.Dense(4)])


def data(count=64):
    rng = np.random.default_rng(0)
    return rng.normal(0, 1, (count, 8)).astype("float32"), np.arange(count) % 4


@pytest.mark.parametrize("levels", [1, 3, 7, 15, 5])
@pytest.mark.parametrize("jit", [False, True])
def test_bit_sparsity_and_its_gradient(levels, jit):
    rng = np.random.default_rng(0)
    step = np.float32(0.375)
    a = (rng.integers(0, levels + 1, (6, 9)) * step).astype("float32")
    received = np.asarray(bit_sparsity(a, step, levels)).sum()
    assert received == reference.bit_sparsity_penalty(a, step, levels)
    _, (slope,) = gradients(lambda x: bit_sparsity(x, step, levels), a, jit=jit)
    assert np.array_equal(slope, reference.bit_sparsity_gradient(a, step, levels))


def test_bit_sparsity_regularizes_all_but_the_last():
    model = network(lambda: LSQReLU(3, initial_step=0.5))
    x, _ = data()
    snn_keras.regularizers.BitSparsity(0.25).apply(model)
    model(x)
    first = model.layers[1]
    a = np.asarray(first(model.layers[0](x)))
    expected = 0.25 * reference.bit_sparsity_penalty(a, 0.5, 3) / len(x)
    model(x)
    np.testing.assert_allclose(float(model.losses[0]), expected, rtol=1e-6)
    assert len(model.losses) == 1


def ones_of(layer, a):
    """The ones in the levels of activations, by the layer's step."""
    step = layer.step_value()
    if layer.axis is not None:
        step = step.reshape([-1 if i == layer.axis else 1 for i in range(a.ndim)])
    return reference.bit_sparsity_penalty(np.asarray(a, float), step, layer.levels)


@pytest.mark.parametrize("activation", [LSQReLU, QCFS])
def test_bit_sparsity_counts_with_the_step_of_the_first_batch(activation):
    """A step that data set acts at once; before it there is nothing to count."""
    x, y = data()
    ended, seen = [], []
    for strength in (0.0, 0.25):
        keras.utils.set_random_seed(0)
        model = network(lambda: activation(15))
        snn_keras.regularizers.BitSparsity(strength).apply(model)
        model(x)
        assert [float(loss) for loss in model.losses] == [0]
        model.compile(keras.optimizers.SGD(0.01), LOSS)
        model.fit(x, y, batch_size=16, epochs=1, shuffle=False, verbose=0)
        model(x)
        seen.append([float(loss) for loss in model.losses])
        ended.append(model.get_weights())
    first = model.layers[1]
    expected = 0.25 * ones_of(first, first(model.layers[0](x))) / len(x)
    np.testing.assert_allclose(seen[1], [expected], rtol=1e-6)
    assert expected > 0 and not np.array_equal(ended[0][0], ended[1][0])


@pytest.mark.parametrize("shape", [(3, 4), (4, 4), (3, 5)])
def test_bit_sparsity_counts_by_channel(shape):
    steps = [0.25, 0.5, 1.0, 2.0]
    penalty = snn_keras.regularizers.BitSparsity(1.0)
    layer = LSQReLU(3, initial_step=steps, axis=1, activity_regularizer=penalty)
    x = np.random.default_rng(0).integers(-9, 30, (2, 4, *shape)) / 8
    a = layer(x.astype("float32"))
    assert 2 * float(layer.losses[0]) == ones_of(layer, a) > 0


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16", "float16"])
def test_bit_sparsity_counts_more_than_half_floats_hold(dtype):
    penalty = snn_keras.regularizers.BitSparsity(1.0)
    layer = LSQReLU(15, initial_step=0.25, activity_regularizer=penalty, dtype=dtype)
    a = layer(np.random.default_rng(0).integers(0, 16, (1, 300, 300)) / 4)
    assert float(layer.losses[0]) == ones_of(layer, a) > 65_504


def test_bit_sparsity_finds_the_activations_of_models_inside():
    inner = network(lambda: LSQReLU(3, initial_step=0.5))
    inner = keras.Sequential([keras.Input((8,)), *inner.layers], name="inner")
    outer = keras.Sequential(
        [keras.Input((8,)), inner, LSQReLU(3, initial_step=0.5), LSQReLU(3)]
    )
    snn_keras.regularizers.BitSparsity(0.25).apply(outer)
    outer(data()[0])
    assert len(outer.losses) == 3


@pytest.mark.parametrize("by", ["apply", "argument"])
def test_a_network_with_bit_sparsity_saves_and_loads(by, tmp_path):
    penalty = snn_keras.regularizers.BitSparsity(0.25)
    if by == "apply":
        model = network(lambda: LSQReLU(3, initial_step=0.5))
        penalty.apply(model)
    else:  # one object for both activations; each has a step of its own
        steps = iter([0.5, 0.25])
        model = network(
            lambda: LSQReLU(3, initial_step=next(steps), activity_regularizer=penalty)
        )
    x, _ = data()
    expected = np.asarray(model(x))
    losses = [float(loss) for loss in model.losses]
    assert len(losses) == (1 if by == "apply" else 2) and all(losses)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(np.asarray(loaded(x)), expected)
    assert [float(loss) for loss in loaded.losses] == losses


@pytest.mark.compiled  # it takes hundreds of steps
def test_bit_sparsity_lowers_the_number_of_bits():
    x, y = data(256)
    ones = []
    for strength in (0.0, 1e-2):
        keras.utils.set_random_seed(1)
        model = network(lambda: LSQReLU(7, initial_step=0.25))
        snn_keras.regularizers.BitSparsity(strength).apply(model)
        model.compile(keras.optimizers.Adam(0.01), LOSS)
        model.fit(x, y, epochs=20, verbose=0)
        a = np.asarray(model.layers[1](model.layers[0](x)))
        step = model.layers[1].step_value()
        ones.append(reference.bit_sparsity_penalty(a, step, 7))
    assert ones[1] < 0.8 * ones[0]


def test_residual_noise_is_the_conversions_error():
    model = network(lambda: QCFS(4, "residual", initial_threshold=1.0))
    x, y = data()
    model.compile(keras.optimizers.SGD(0.0), LOSS)
    noisy = [layer for layer in model.layers if isinstance(layer, QCFS)]
    assert all(float(layer.noise.delta) == 0 for layer in noisy)
    callback = snn_keras.callbacks.ResidualNoise(x)
    history = model.fit(x, y, epochs=1, verbose=0, callbacks=[callback])
    snn = snn_keras.convert(model, 4)
    report = snn_keras.verify(model, snn, x)
    for layer, mismatch in zip(noisy, report.layers, strict=True):
        delta = float(layer.noise.delta)
        np.testing.assert_allclose(delta, mismatch.std * 0.25, rtol=1e-6)
    # The first layer is exact at T = L; the error enters in the second.
    assert float(noisy[1].noise.delta) > 0
    assert history.history["delta_mean"][0] > 0


def test_residual_noise_has_deviation_delta_and_no_gradient():
    noise = ResidualNoise(seed=0)
    noise.delta.assign(0.5)
    a = np.zeros((300, 300), "float32")
    added = np.asarray(noise.on_output(a))
    assert abs(added.mean()) < 0.01
    assert abs(added.std() - 0.5) < 0.01
    assert not noise.trainable_variables


def test_residual_noise_may_be_fixed(tmp_path):
    """Without the callback it stays, in every layer, also in a file."""
    model = network(
        lambda: QCFS(4, ResidualNoise(initial_delta=0.25), initial_threshold=1.0)
    )
    x, y = data()
    model.compile("sgd", LOSS)
    model.fit(x, y, epochs=1, verbose=0)
    model.save(tmp_path / "model.keras")
    kept = keras.models.load_model(tmp_path / "model.keras")
    for layers in (model.layers, kept.layers):
        noises = [layer.noise for layer in layers if isinstance(layer, QCFS)]
        assert [float(noise.delta) for noise in noises] == [0.25] * len(noises)
        assert [noise.initial_delta for noise in noises] == [0.25] * len(noises)


@pytest.mark.parametrize("delta", [-0.5, float("inf"), float("nan")])
def test_a_deviation_is_a_number_of_at_least_0(delta):
    with pytest.raises(ValueError, match="initial_delta must be a number >= 0"):
        ResidualNoise(initial_delta=delta)


def test_residual_noise_without_noisy_layers_is_refused():
    model = network(lambda: LSQReLU(3, initial_step=0.5))
    x, y = data()
    model.compile("sgd", LOSS)
    with pytest.raises(ValueError, match=r'no activation with noise="residual"'):
        model.fit(x, y, verbose=0, callbacks=[snn_keras.callbacks.ResidualNoise(x)])


def test_spiking_validation_reports_and_keeps_the_best(tmp_path):
    model = network(lambda: LSQReLU(3, initial_step=0.5))
    x, y = data()
    path = tmp_path / "best.keras"
    callback = snn_keras.callbacks.SpikingValidation(x, y, (1, 2, 5), path)
    model.compile(keras.optimizers.Adam(0.05), LOSS)
    history = model.fit(x, y, epochs=4, verbose=0, callbacks=[callback]).history
    best = keras.models.load_model(path)
    outputs = snn_keras.convert(best, 5).predict_over_time(x, verbose=0)
    accuracy = (outputs.argmax(-1) == y).mean(-1)
    epoch = int(np.argmax(history["snn_accuracy_5"]))
    for t in (1, 2, 5):
        assert history[f"snn_accuracy_{t}"][epoch] == accuracy[t - 1]
    assert [p.name for p in tmp_path.iterdir()] == ["best.keras"]


def test_spiking_validation_keeps_no_epoch_before_the_first_that_may_be(tmp_path):
    x, y = data()
    kept = []
    for first in range(4):
        keras.utils.set_random_seed(0)
        model = network(lambda: LSQReLU(3, initial_step=0.5))
        path = tmp_path / f"{first}.keras"
        callback = snn_keras.callbacks.SpikingValidation(
            x, y, [2], path, first_epoch=first
        )
        model.compile(keras.optimizers.Adam(0.05), LOSS)
        accuracies = model.fit(x, y, epochs=3, verbose=0, callbacks=[callback])
        accuracies = accuracies.history["snn_accuracy_2"]
        assert path.exists() == (first < 3)
        if first < 3:
            outputs = snn_keras.convert(keras.models.load_model(path), 2).predict(x)
            kept.append(np.mean(outputs.argmax(-1) == y))
            assert kept[-1] == max(accuracies[first:])
    assert callback.best == -np.inf


@pytest.mark.parametrize("slope", [0.0, 0.25, 1.0])
def test_slip_relu(slope):
    v = dyadic(np.random.default_rng(0), (30, 30), 64, 200)
    layer = SlipReLU(4, slope=slope, initial_threshold=1.5)
    expected = reference.slip_relu(v, 1.5, 4, slope)
    assert np.array_equal(np.asarray(layer(v)), expected)
    again = SlipReLU.from_config(layer.get_config())
    assert np.array_equal(np.asarray(again(v)), expected)


def test_slip_relu_slope_is_checked():
    with pytest.raises(ValueError, match=r"slope must lie in \[0, 1\]"):
        SlipReLU(slope=1.5)


def test_validation_of_bit_serial_networks(tmp_path):
    """Each number of steps is a run of its own."""
    model = network(lambda: LSQReLU(7, initial_step=0.25))
    x, y = data()
    model.compile(keras.optimizers.SGD(0.0), LOSS)
    kept = tmp_path / "best.keras"
    callback = snn_keras.callbacks.SpikingValidation(
        x, y, [1, 3], kept, neuron="bit_serial"
    )
    history = model.fit(x, y, verbose=0, callbacks=[callback]).history
    labels = np.argmax(y, -1) if np.ndim(y) > 1 else y
    for t in (1, 3):
        outputs = snn_keras.convert(model, t, "bit_serial").predict(x, verbose=0)
        assert history[f"snn_accuracy_{t}"] == [np.mean(outputs.argmax(-1) == labels)]
    assert kept.exists()


def test_validation_that_cannot_be_is_refused_before_training():
    x, y = data()
    model = network(NoisySpike)
    model.compile(keras.optimizers.SGD(0.1), LOSS)
    before = model.get_weights()
    spiking = snn_keras.convert(network(lambda: LSQReLU(3, initial_step=0.5)), 2)
    spiking.compile(keras.optimizers.SGD(0.1), LOSS)
    for trained, neuron, message in (
        (model, "signed", "was trained to spike at random"),
        (spiking, "auto", "is a spiking network already"),
    ):
        callback = snn_keras.callbacks.SpikingValidation(x, y, [2], neuron=neuron)
        with pytest.raises(snn_keras.ConversionError, match=message):
            trained.fit(x, y, verbose=0, callbacks=[callback])
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    with pytest.raises(ValueError, match="timesteps must be an integer >= 1"):
        snn_keras.callbacks.SpikingValidation(x, y, [0, 1])
    with pytest.raises(ValueError, match="timesteps must be a sequence of integers"):
        snn_keras.callbacks.SpikingValidation(x, y, [])
