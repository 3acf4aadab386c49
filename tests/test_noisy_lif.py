"""Laws of the network trained with noise at one step (Jiang and Zhang 2023)."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras import ops as snn_ops
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import NoisyLIFCell
from snn_keras.time import Spiking
from tests import reference
from tests.autodiff import gradients


def source():
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(8, 3),
            NoisySpike(name="spike1"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(12),
            NoisySpike("uniform", name="spike2"),
            keras.layers.Dense(3),
        ]
    )
    return model, rng.normal(0, 1, (9, 6, 6, 2)).astype("float32")


def currents(shape=(4, 7, 5, 3)):
    return np.random.default_rng(1).normal(0.3, 0.5, shape).astype("float32")


def test_alpha_2_draws_no_noise(monkeypatch):
    def refuse(*_):
        raise AssertionError("noise was drawn")

    for name in ("normal_at", "uniform_at"):
        monkeypatch.setattr(f"snn_keras.neurons.noisy_lif_cell.{name}", refuse)
    for noise in ("gaussian", "uniform"):
        Spiking(NoisyLIFCell(alpha=2, noise=noise))(currents())
        with pytest.raises(Exception, match="noise was drawn"):
            Spiking(NoisyLIFCell(alpha=2.5, noise=noise))(currents())


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
def test_large_alpha_is_stage_2(noise):
    x = currents()
    stage2 = Spiking(NoisyLIFCell(stage=2, noise=noise))(x)
    stage3 = Spiking(NoisyLIFCell(stage=3, alpha=1e6, noise=noise))(x)
    assert np.mean(np.asarray(stage2) != np.asarray(stage3)) < 1e-3


@pytest.mark.parametrize(
    "stage, noise",
    [
        (3, "gaussian"),
        pytest.param(3, "uniform", marks=pytest.mark.slow),
        pytest.param(2, "gaussian", marks=pytest.mark.slow),
        pytest.param(2, "uniform", marks=pytest.mark.slow),
    ],
)
def test_a_sample_does_not_depend_on_its_batch(stage, noise):
    model, x = source()
    snn = snn_keras.convert(model, 6, neuron=NoisyLIFCell(stage=stage, noise=noise))
    whole = snn.predict_over_time(x, verbose=0)
    alone = snn.predict_over_time(x[4:5], verbose=0)
    np.testing.assert_allclose(whole[:, 4:5], alone, rtol=1e-5, atol=1e-6)


def test_a_run_repeats_and_seeds_differ():
    model, x = source()
    runs = [
        snn_keras.convert(model, 6, neuron=NoisyLIFCell(seed=seed)).predict(
            x, verbose=0
        )
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_chunks_equal_the_whole_run():
    model, x = source()
    snn = snn_keras.convert(model, 7)
    runs = []
    for steps in (1, 3, 7):
        snn = snn.with_timesteps(7)
        snn.chunk_steps = steps
        runs.append(snn.predict_over_time(x, verbose=0))
    for run in runs[1:]:
        np.testing.assert_allclose(run, runs[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("stage", [2, 3])
@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
def test_spikes_are_the_references(stage, noise):
    """The same currents and the same noise give the reference's spikes."""
    x, alpha = currents(), 4.0
    cell = NoisyLIFCell(stage=stage, alpha=alpha, noise=noise, seed=5)
    sent = np.asarray(Spiking(cell)(x))
    half_range = 0.5 if stage == 2 else 0.5 - 1 / alpha
    shape = (1, *x.shape[2:])
    potential = np.zeros_like(x[:, 0], "float64")
    for t in range(x.shape[1]):
        if noise == "uniform":
            drawn = 2 * np.asarray(snn_ops.uniform_at(shape, 5, t), "float64") - 1
        else:
            drawn = np.asarray(snn_ops.normal_at(shape, 5, t), "float64")
            drawn = 2 * (reference.normalised_potential(drawn, 2.0, 0.0))
        n = 0.5 + half_range * drawn
        if stage == 3:
            n = n - 0.5 + reference.normalised_potential(0.5 * potential, alpha, 0.5)
        h = x[:, t] + n
        spikes = reference.noisy_spike(x[:, t], n)
        clear = np.abs(h - 1) > 1e-5  # elsewhere float32 may decide otherwise
        assert np.array_equal(sent[:, t][clear], spikes[clear]), t
        assert clear.mean() > 0.99
        potential = h * (1 - sent[:, t])


@pytest.mark.parametrize("noise", ["gaussian", "uniform"])
def test_training_noise_spans_0_to_1_about_a_half(noise):
    layer = NoisySpike(noise, seed=0)
    drawn = np.asarray(layer._draw(keras.ops.zeros((50, 20, 20))))
    assert drawn.min() >= 0 and drawn.max() <= 1
    assert abs(drawn.mean() - 0.5) < 0.01
    assert drawn.std() > 0.1


def test_inference_takes_the_noises_mean():
    v = np.array([[-1.0, 0.4, 0.5, 0.625, 2.0]], "float32")
    assert np.asarray(NoisySpike()(v)).tolist() == [[0, 0, 0, 1, 1]]


@pytest.mark.parametrize("jit", [False, True])
def test_surrogate_gradient(jit):
    v = np.random.default_rng(0).normal(0, 1, (5, 8)).astype("float32")
    layer = NoisySpike()
    _, (received,) = gradients(lambda x: layer(x), v, jit=jit)
    expected = reference.noisy_spike_surrogate(v.astype("float64") + 0.5)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.parametrize(
    "argument",
    [
        *({"stage": 1}, {"alpha": 1.5}, {"decay": 2}, {"noise": "pink"}),
        *({"alpha": "4"}, {"beta": float("nan")}, {"seed": 1.5}, {"seed": None}),
    ],
)
def test_arguments_are_checked(argument):
    (name,) = argument
    with pytest.raises(ValueError, match=f"{name} must be"):
        NoisyLIFCell(**argument)


@pytest.mark.parametrize("shape", [(2, 5), (1, 3, 3)])
def test_the_gradient_of_standardizing_is_0_where_nothing_varies(shape):
    constant = np.full(shape, 0.1, "float32")
    for x in (0 * constant, constant, 1e-30 * np.arange(constant.size).reshape(shape)):
        for jit in (False, True):
            y, (slope,) = gradients(snn_ops.standardize, x.astype("float32"), jit=jit)
            assert not np.asarray(y).any() and not slope.any()


@pytest.mark.parametrize("stage", [2, 3])
def test_a_noisy_network_is_trained_over_time(stage):
    """Its first step standardizes potentials that are all 0."""
    x = currents((32, 6))
    model = keras.Sequential(
        [keras.Input((6,)), keras.layers.Dense(8), NoisySpike(), keras.layers.Dense(3)]
    )
    snn = snn_keras.convert(model, 2, NoisyLIFCell(stage=stage))
    snn.compile(keras.optimizers.SGD(0.05), "mse")
    before = snn.get_weights()
    losses = snn.fit(x, x[:, :3], epochs=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert all(np.isfinite(w).all() for w in snn.get_weights())
    assert not np.array_equal(before[0], snn.get_weights()[0])


@pytest.mark.parametrize("sizes", [0.5, [0.25, 0.5, 1.0, 4.0]])
def test_noise_and_spikes_are_of_the_thresholds_size(sizes):
    """Currents in units of the threshold give the same spikes, of its size."""
    x = currents((2, 5, 3, 4))
    sizes = np.asarray(sizes, "float32")
    for options in ({"stage": 2}, {"alpha": 2}, {"noise": "uniform"}):
        one = Spiking(NoisyLIFCell(**options))(x)
        sized = Spiking(NoisyLIFCell(sizes, **options))(x * sizes)
        assert np.array_equal(np.asarray(sized), np.asarray(one) * sizes)


@pytest.mark.compiled  # a thousand steps
@pytest.mark.parametrize("is_quantized", [False, True])
def test_the_mean_of_a_network_of_any_size_is_its_clipped_source(is_quantized):
    """Outputs far from 1, with steps of their own or with sizes from data."""
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).uniform(0, 10, (200, 4)).astype("float32")
    activation = LSQReLU(63, initial_step=1 / 4) if is_quantized else "relu"
    inputs = keras.Input((4,))
    hidden = keras.layers.Dense(16, activation=activation)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(hidden))
    data = None if is_quantized else x
    options = {"data": data, "calibration": "max"}
    cell = NoisyLIFCell(stage=2, noise="uniform")
    snn = snn_keras.convert(model, 1000, cell, **options)
    expected = model.predict(x[:20], verbose=0)
    received = snn.predict(x[:20], verbose=0)
    np.testing.assert_allclose(received, expected, atol=0.04 * np.abs(expected).max())


def test_a_float_network_becomes_its_mean():
    """With uniform noise, the mean spike is the ReLU clipped at the threshold."""
    rng = np.random.default_rng(0)
    inputs = keras.Input((4,))
    x = keras.layers.Dense(16, activation="relu")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    x = rng.normal(0, 1, (200, 4)).astype("float32")
    spiking = snn_keras.quantize_activations(
        model, quantizer="noisy_spike", data=x, calibration="max"
    )
    (spike,) = (y for y in spiking.layers if isinstance(y, NoisySpike))
    spike.noise = "uniform"
    snn = snn_keras.convert(spiking, 4000, NoisyLIFCell(stage=2))
    np.testing.assert_allclose(
        snn.predict(x[:20], verbose=0), model.predict(x[:20], verbose=0), atol=0.1
    )


@pytest.mark.parametrize("trained", ["gaussian", "uniform"])
@pytest.mark.parametrize("asked", [None, "gaussian", "uniform"])
def test_the_noise_asked_for_counts_before_that_of_training(trained, asked):
    model = keras.Sequential([keras.Input((4,)), NoisySpike(trained)])
    snn = snn_keras.convert(model, 2, NoisyLIFCell(noise=asked))
    (cell,) = (layer.cell for layer in snn.layers if hasattr(layer, "cell"))
    assert cell.noise == (asked or trained)


def test_noisy_spikes_need_data():
    model = keras.Sequential([keras.Input((4,)), keras.layers.ReLU()])
    with pytest.raises(ValueError, match="needs data"):
        snn_keras.quantize_activations(model, quantizer="noisy_spike")
