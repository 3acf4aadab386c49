"""Streams: a network fed piece by piece does what it does in one run."""

import keras
import numpy as np
import pytest
from keras import ops

import snn_keras
from tests import reference
from tests.autodiff import compiled
from tests.graphs import Maker
from tests.subjects import COUNTING
from tests.test_lossless import spiking_layers


def repeated(x, steps):
    """The same input at every step, `(batch, time, ...)`."""
    return keras.tree.map_structure(
        lambda x: np.repeat(np.expand_dims(x, 1), steps, axis=1), x
    )


def numpy(structure):
    return [ops.convert_to_numpy(y) for y in keras.tree.flatten(structure)]


@pytest.mark.parametrize("neuron", COUNTING)
@pytest.mark.parametrize("seed", range(6))
def test_a_constant_stream_is_a_run(seed, neuron):
    network = Maker(seed).make()
    phase = 2 if neuron == "signed" else None
    snn = snn_keras.convert(network.model, 8, neuron, input_steps=phase)
    expected = keras.tree.flatten(
        snn.predict_over_time(network.keras_inputs, verbose=0)
    )
    step = snn.step_function()
    state = step.initial_state(3)
    for t in range(4):
        outputs, state = step(network.keras_inputs, state)
        for a, b in zip(numpy(outputs), expected, strict=True):
            assert np.array_equal(a, b[t])
    outputs, state = step.run(repeated(network.keras_inputs, 4), state)
    for a, b in zip(numpy(outputs), expected, strict=True):
        assert np.array_equal(np.moveaxis(a, 1, 0), b[4:])
    assert int(state["time"]) == 8


@pytest.mark.parametrize("pieces", [(6,), (1, 5), (2, 2, 2), (3, 3)], ids=str)
def test_frames_of_their_own_are_what_the_reference_sees(pieces):
    """Each step has another input; the law is the reference's, frame by frame."""
    network = Maker(4, kinds=("conv", "activation", "merge", "batch_norm")).make()
    rng = np.random.default_rng(1)
    frames = {
        name: (rng.integers(-32, 33, (3, 6, *x.shape[1:])) / 16).astype("float32")
        for name, x in network.inputs.items()
    }
    trace = reference.simulate(network.nodes, frames, 6, "if", frames=True)
    snn = snn_keras.convert(network.model, 6)
    step = snn.step_function()
    state = step.initial_state(3)
    start, received = 0, []
    given = list(frames.values())
    given = given[0] if len(given) == 1 else given
    for count in pieces:
        part = slice(start, start + count)
        piece = keras.tree.map_structure(lambda x, part=part: x[:, part], given)
        outputs, state = step.run(piece, state)
        received.append(numpy(outputs))
        start += count
    for name, parts in zip(network.outputs, zip(*received, strict=True), strict=True):
        expected = np.moveaxis(trace.decoded(name), 0, 1)
        assert np.array_equal(np.concatenate(parts, axis=1)[:, 3], expected[:, 3])
        np.testing.assert_allclose(np.concatenate(parts, 1), expected, rtol=1e-6)
    assert spiking_layers(snn)


def test_outputs_that_do_not_spike():
    """Outputs from before the first neuron, and mixed with those from behind."""
    inputs = keras.Input((4,), name="x")
    x = keras.layers.Dense(3, name="first")(inputs)
    y = snn_keras.layers.LSQReLU(2, initial_step=0.5)(x)
    y = keras.layers.Softmax()(keras.layers.Dense(3, name="last")(y))
    model = keras.Model(inputs, [x, keras.layers.Multiply()([x, y])])
    snn = snn_keras.convert(model, 4)
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    outputs, _ = snn.step_function().run(
        repeated(x, 4), snn.step_function().initial_state(5)
    )
    for a, b in zip(numpy(outputs), snn.predict_over_time(x, verbose=0), strict=True):
        np.testing.assert_allclose(np.moveaxis(a, 1, 0), b, rtol=1e-6)


def test_it_compiles():
    network = Maker(2).make()
    step = snn_keras.convert(network.model, 5).step_function()
    state = step.initial_state(3)
    expected, after = step(network.keras_inputs, state)
    outputs, state = compiled(step)(network.keras_inputs, state)
    for a, b in zip(numpy([outputs, state]), numpy([expected, after]), strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize(
    "timesteps, neuron, words",
    [
        (2, "srp", "step by step"),
        (2, "cos", "step by step"),
        ("settle", "signed", "until it settles"),
    ],
)
def test_networks_that_cannot_be_fed_say_so(timesteps, neuron, words):
    network = Maker(0).make()
    snn = snn_keras.convert(network.model, timesteps, neuron)
    with pytest.raises(ValueError, match=words):
        snn.step_function()


def test_frames_of_another_shape_are_named():
    inputs = keras.Input((4,), name="x")
    y = snn_keras.layers.LSQReLU(2, initial_step=0.5)(keras.layers.Dense(3)(inputs))
    step = snn_keras.convert(keras.Model(inputs, y), 4).step_function()
    with pytest.raises(ValueError, match=r"Input 'x'.*\(None, None, 4\).*\(2, 3, 5\)"):
        step.run(np.zeros((2, 3, 5), "float32"), step.initial_state(2))


@pytest.mark.parametrize("neuron", COUNTING)
def test_a_stream_goes_on_beyond_the_run(neuron):
    network = Maker(3, kinds=("conv", "activation", "max_pool", "function")).make()
    phase = 4 if neuron == "signed" else None
    short, long = (
        snn_keras.convert(network.model, steps, neuron, input_steps=phase)
        for steps in (2, 8)
    )
    step = short.step_function()
    outputs, _ = step.run(repeated(network.keras_inputs, 8), step.initial_state(3))
    expected = keras.tree.flatten(
        long.predict_over_time(network.keras_inputs, verbose=0)
    )
    for a, b in zip(numpy(outputs), expected, strict=True):
        np.testing.assert_allclose(np.moveaxis(a, 1, 0), b, rtol=1e-5, atol=1e-6)


# --- Streams that keep their state ---------------------------------------------------


@pytest.mark.parametrize("neuron", ["if", "signed", "lif", "noisy_lif"])
def test_a_stream_remembers_until_it_is_reset(neuron):
    if neuron == "noisy_lif":
        model, frames = lif_source()
    else:
        network = Maker(4, kinds=("conv", "activation", "merge", "batch_norm")).make()
        model, x = network.model, network.keras_inputs
        frames = repeated(x, 6)
    snn = snn_keras.convert(model, 6, neuron)
    stream = snn.stream()
    expected = stream(frames)
    if neuron != "noisy_lif":  # noise, compiled, rounds otherwise
        step = snn.step_function()
        outputs, _ = step.run(frames, step.initial_state(3))
        for a, b in zip(numpy(outputs), numpy(expected), strict=True):
            assert np.array_equal(a, b)
    stream.reset_state()
    for _ in range(2):
        received = []
        for part in (slice(0, 1), slice(1, 4), slice(4, 6)):
            assert stream.steps == part.start
            part = keras.tree.map_structure(lambda x, part=part: x[:, part], frames)
            received.append(numpy(stream(part)))
        for parts, whole in zip(
            zip(*received, strict=True), numpy(expected), strict=True
        ):
            assert np.array_equal(np.concatenate(parts, axis=1), whole)
        stream.reset_state()


def lif_source():
    """A network with noisy neurons, and frames for it."""
    rng = np.random.default_rng(0)
    x = inputs = keras.Input((4,))
    x = snn_keras.layers.NoisySpike()(keras.layers.Dense(6)(x))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    return model, rng.normal(size=(3, 6, 4)).astype("float32")


def test_a_stream_sees_weights_as_they_are():
    model, frames = lif_source()
    snn = snn_keras.convert(model, 6, "noisy_lif")
    stream = snn.stream()
    before = numpy(stream(frames))[0]
    snn.set_weights([w * 0 for w in snn.get_weights()])
    stream.reset_state()
    assert before.any()
    assert not numpy(stream(frames))[0].any()


def test_a_stream_refuses_another_batch():
    model, frames = lif_source()
    stream = snn_keras.convert(model, 6, "noisy_lif").stream()
    stream(frames)
    with pytest.raises(ValueError, match=r"3 samples.*Received: 2.*reset_state"):
        stream(frames[:2])
    stream.reset_state()
    assert stream(frames[:2]).shape == (2, 6, 2)
