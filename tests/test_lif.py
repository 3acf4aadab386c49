"""Laws of the leaky neuron (Jiang and Zhang 2023, eq. 1-4)."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import LIFCell
from snn_keras.time import Spiking
from tests import reference
from tests.autodiff import gradients

STEPS = 10


def currents(shape=(4, STEPS, 5, 3)):
    """Multiples of 1/8, on which ten halvings are exact in float32."""
    drawn = np.random.default_rng(1).integers(-8, 20, shape)
    return (drawn / 8).astype("float32")


@pytest.mark.parametrize("threshold", [1.0, [0.5, 1.0, 2.0]])
@pytest.mark.parametrize("decay", [0.5, 0.0, 1.0])
def test_spikes_and_potentials_are_the_references(threshold, decay):
    x = currents()
    cell = LIFCell(threshold, decay=decay)
    sent = np.asarray(Spiking(cell)(x))
    potentials = np.asarray(cell.potentials(x, cell.get_initial_state(len(x))))
    theta = np.asarray(threshold)
    expected = reference.leaky(np.moveaxis(x, 1, 0), theta, decay)
    assert np.array_equal(np.moveaxis(sent, 1, 0), expected[0] * theta)
    assert np.array_equal(np.moveaxis(potentials, 1, 0), expected[1])
    assert 0 < expected[0].mean() < 1


def test_a_potential_at_the_threshold_does_not_fire():
    x = np.array([1.0, 0.5, 0.5, 0.625], "float32").reshape(1, 4, 1)
    sent = Spiking(LIFCell())(x)
    assert np.asarray(sent).ravel().tolist() == [0, 0, 0, 1]


def source(activation):
    rng = np.random.default_rng(0)
    model = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            keras.layers.Conv2D(8, 3),
            activation(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(12),
            activation(),
            keras.layers.Dense(3),
        ]
    )
    for layer in model.layers:
        if hasattr(layer, "kernel"):
            shapes = [w.shape for w in layer.get_weights()]
            layer.set_weights([rng.integers(-3, 5, shape) / 8 for shape in shapes])
    return model, rng.integers(0, 5, (9, 6, 6, 2)).astype("float32") / 4


def test_a_network_is_its_layers_at_every_step():
    """Each step is a pass of the source, with neurons in place of activations."""
    model, x = source(NoisySpike)
    outputs = snn_keras.convert(model, 4, "lif").predict_over_time(x, verbose=0)
    first, rest = model.layers[0], model.layers[2:]
    spikes, _ = reference.leaky([np.asarray(first(x), float)] * 4)
    inner = [rest[2](rest[1](rest[0](z.astype("float32")))) for z in spikes]
    spikes, _ = reference.leaky([np.asarray(z, float) for z in inner])
    sums = np.cumsum([rest[-1](z.astype("float32")) for z in spikes], axis=0)
    for t in (1, 2, 4):  # a third is not exact
        assert np.array_equal(outputs[t - 1], sums[t - 1] / t)
    assert 0 < spikes.mean() < 1


def test_thresholds_are_those_of_the_activations():
    model, _ = source(lambda: LSQReLU(3, initial_step=0.25))
    snn = snn_keras.convert(model, 4, "lif")
    cells = [layer.cell for layer in snn.layers if hasattr(layer, "cell")]
    assert [cell.theta_value().tolist() for cell in cells] == [0.75, 0.75]
    assert {type(cell) for cell in cells} == {LIFCell}


def test_verify_says_that_it_is_to_be_trained():
    model, x = source(lambda: LSQReLU(3, initial_step=0.25))
    report = snn_keras.verify(model, snn_keras.convert(model, 4, "lif"), x)
    assert {layer.cause for layer in report.layers} == {"leak"}
    assert "Remedy: train the network over time, snn.fit" in str(report)


def test_surrogate_gradient_over_time():
    """By hand, for two steps: the spike's own, and through the potential before."""
    x = np.array([[[0.5], [0.5]], [[1.5], [0.25]]], "float32")

    def second(x):
        return Spiking(LIFCell())(x)[:, 1]

    _, (received,) = gradients(second, x, jit=False)
    h1, h2 = x[:, 0, 0], np.array([0.75, 0.25])  # the second sample fired and forgot
    fired = h1 > 1
    slope1, slope2 = map(reference.noisy_spike_surrogate, (h1, h2))
    through = 0.5 * (1 - fired - h1 * slope1)
    expected = np.stack([slope2 * through, slope2], axis=1)[..., None]
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_training_over_time_learns():
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).uniform(0, 1, (256, 8)).astype("float32")
    y = (x[:, :4].sum(1) > x[:, 4:].sum(1)).astype("int32")
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(32),
            NoisySpike(),
            keras.layers.Dense(2),
        ]
    )
    snn = snn_keras.convert(model, 4, "lif")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    snn.compile("adam", loss, metrics=["accuracy"], jit_compile=False)
    snn.optimizer.learning_rate = 0.05
    before = snn.evaluate(x, y, verbose=0)[1]
    snn.fit(x, y, batch_size=64, epochs=12, verbose=0)
    assert before < 0.7 < 0.9 < snn.evaluate(x, y, verbose=0)[1]


def test_an_infinite_current_fires_and_is_forgotten():
    """As half floats make it; never a NaN."""
    x = np.array([np.inf, 0.5, -np.inf, 0.5, 1.5], "float32").reshape(1, 5, 1)
    for decay in (0.0, 0.5):
        cell = LIFCell(decay=decay)
        assert np.asarray(Spiking(cell)(x)).ravel()[:4].tolist() == [1, 0, 0, 0]
        potentials = np.asarray(cell.potentials(x, cell.get_initial_state(1))).ravel()
        assert potentials[:2].tolist() == [0, 0.5] and np.isfinite(potentials).all()


@pytest.mark.parametrize("decay", [-0.5, 1.5, float("nan"), "0.5", None, [0.5]])
def test_the_decay_is_checked(decay):
    with pytest.raises(ValueError, match=r"LIFCell.*decay must be in \[0, 1\]"):
        LIFCell(decay=decay)


def test_a_cell_is_saved_with_its_options(tmp_path):
    model, x = source(NoisySpike)
    snn = snn_keras.convert(model, 3, LIFCell(decay=0.25))
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    same = [m.predict(x, verbose=0) for m in (snn, loaded)]
    assert np.array_equal(*same)
    cells = [layer.cell for layer in loaded.layers if hasattr(layer, "cell")]
    assert [cell.decay for cell in cells] == [0.25, 0.25]
