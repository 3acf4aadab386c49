"""Networks whose inputs have a time axis: a frame of its own for every step."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras.layers import LSQReLU, NoisySpike
from tests import reference
from tests.graphs import Maker
from tests.subjects import COUNTING
from tests.test_step_function import numpy, repeated

T = 6


def framed(model, neuron="if", steps=T, **arguments):
    if neuron in ("signed", "differential"):
        arguments["input_steps"] = steps  # the input is on all the time
    return snn_keras.convert(model, steps, neuron, **arguments)


def frames_of(network, steps=T, seed=1):
    """Dyadic frames `(3, steps, ...)` for each input of a network."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.integers(-32, 33, (3, steps, *x.shape[1:])) / 16).astype("float32")
        for name, x in network.inputs.items()
    }


def given(frames):
    values = list(frames.values())
    return values[0] if len(values) == 1 else values


def equal(a, b):
    pairs = zip(keras.tree.flatten(a), keras.tree.flatten(b), strict=True)
    return all(np.array_equal(*map(ops.convert_to_numpy, pair)) for pair in pairs)


def last(outputs):
    return keras.tree.map_structure(lambda y: ops.convert_to_numpy(y)[:, -1], outputs)


KINDS = ("conv", "activation", "merge", "batch_norm")


@pytest.mark.parametrize("neuron", COUNTING)
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_frames_are_a_stream(seed, neuron):
    network = Maker(seed, kinds=KINDS).make()
    x = given(frames_of(network))
    snn = framed(network.model, neuron, input_frames=True)
    expected = framed(network.model, neuron).stream()(x)
    assert equal(snn.predict(x, verbose=0), last(expected))
    over_time = keras.tree.map_structure(
        lambda y: np.moveaxis(ops.convert_to_numpy(y), 1, 0), expected
    )
    assert equal(snn.predict_over_time(x, verbose=0), over_time)
    stream = snn.stream()
    parts = [
        numpy(stream(keras.tree.map_structure(lambda x, part=part: x[:, part], x)))
        for part in (slice(0, 1), slice(1, None))
    ]
    joined = [np.concatenate(pair, axis=1) for pair in zip(*parts, strict=True)]
    assert equal(joined, expected)


@pytest.mark.parametrize("neuron", COUNTING)
def test_frames_that_stay_the_same_are_one_input(neuron):
    network = Maker(2).make()
    expected = framed(network.model, neuron).predict(network.keras_inputs, verbose=0)
    snn = framed(network.model, neuron, input_frames=True)
    received = snn.predict(repeated(network.keras_inputs, T), verbose=0)
    assert equal(received, expected)


def test_frames_are_what_the_reference_sees():
    network = Maker(4, kinds=KINDS).make()
    frames = frames_of(network)
    trace = reference.simulate(network.nodes, frames, T, "if", frames=True)
    snn = framed(network.model, input_frames=True)
    outputs = snn.predict_over_time(given(frames), verbose=0)
    for name, y in zip(network.outputs, keras.tree.flatten(outputs), strict=True):
        expected = trace.decoded(name)
        assert np.array_equal(y[3], expected[3])  # four steps: a dyadic mean
        np.testing.assert_allclose(y, expected, rtol=1e-6)


def with_steps(model, step=0.25):
    """The model, all of whose activations have this step."""
    for layer in model.layers:
        if isinstance(layer, LSQReLU):
            layer.set_threshold(layer.levels * step)
    return model


def small(levels=4, seed=0):
    """A network with work before its first neuron, and behind its last."""
    keras.utils.set_random_seed(seed)
    image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(0.5)(image)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(3, 3, padding="same", name="conv")(x)
    x = LSQReLU(levels, name="first")(x)
    x = layers.Flatten()(x)
    x = LSQReLU(levels, name="second")(layers.Dense(5, name="hidden")(x))
    y = layers.Dense(3, activation="softmax", name="answer")(x)
    return with_steps(keras.Model(image, y, name="small"))


def events(samples=7, steps=T, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.random((samples, steps, 8, 8, 1)) < 0.3).astype("float32")


def test_what_stands_before_the_first_neuron_sees_each_frame():
    plan = snn_keras.plan(small(), T, "if", input_frames=True)
    computed = {step.node.name: step.stage.value for step in plan.steps}
    assert computed["conv"] == computed["max_pooling2d"] == "each frame"
    assert computed["hidden"] == "over time"
    assert computed["answer"] == "decoded"
    assert "6 time steps, each with a frame of its own" in str(plan)


@pytest.mark.parametrize("chunk", [1, 2, 4, 6])
def test_chunks_give_the_same(chunk):
    x, snn = events(), framed(small(), input_frames=True)
    expected = snn.predict(x, verbose=0)
    snn.chunk_steps = chunk
    assert equal(snn.predict(x, verbose=0), expected)


def test_saved_and_loaded(tmp_path):
    x, snn = events(), framed(small(), input_frames=True)
    snn.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert loaded.program.has_frames
    assert equal(loaded.predict(x, verbose=0), snn.predict(x, verbose=0))


def test_another_number_of_frames():
    x, model = events(steps=9), small()
    snn = framed(model, input_frames=True).with_timesteps(9)
    expected = framed(model, steps=9, input_frames=True)
    assert equal(snn.predict(x, verbose=0), expected.predict(x, verbose=0))


@pytest.mark.compiled  # eagerly, softmax depends on the batch
def test_early_exit_stops_where_the_rule_says():
    x, snn = events(20), framed(small(), input_frames=True)
    over_time = snn.predict_over_time(x, verbose=0)
    usual = np.median(snn_keras.EarlyExit(0.0).certainty(over_time[2]))
    rule = snn_keras.EarlyExit(float(usual))
    outputs, steps = snn.predict_early_exit(x, rule, batch_size=8)
    assert np.array_equal(steps, rule.steps(over_time))
    assert equal(outputs, over_time[steps - 1, np.arange(20)])
    assert len(set(steps.tolist())) > 1


def test_noisy_neurons_take_frames():
    image = keras.Input((6,))
    x = NoisySpike(name="spike")(layers.Dense(8)(image))
    model = keras.Model(image, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(4, T, 6)).astype("float32")
    snn = snn_keras.convert(model, T, input_frames=True)
    expected = snn_keras.convert(model, T).stream()(x)
    assert equal(snn.predict(x, verbose=0), last(expected))


@pytest.mark.compiled  # eagerly, sums of floats differ by the batch
def test_a_float_network_takes_neurons_that_code_by_a_rate():
    image = keras.Input((6,))
    x = layers.ReLU(name="relu")(layers.Dense(8)(image))
    model = keras.Model(image, layers.Dense(2)(x))
    x = np.random.default_rng(0).normal(size=(64, T, 6)).astype("float32")
    snn = snn_keras.convert(model, T, data=x[:, 0], input_frames=True)
    assert type(snn.get_layer("relu").cell).__name__ == "MultiThresholdIFCell"
    assert equal(snn.predict(x, verbose=0), last(snn.stream()(x)))


@pytest.mark.compiled  # it takes a hundred steps
def test_training_learns_what_moves():
    """Which way a bar moves: no single frame tells."""
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 256)
    start, steps = rng.integers(0, 8, 256), np.arange(4)
    places = (start[:, None] + np.where(y, 1, -1)[:, None] * steps) % 8
    x = np.eye(8, dtype="float32")[places]
    x = np.concatenate([x, np.roll(x, 1, axis=1) * (steps > 0)[:, None]], axis=-1)
    frame = keras.Input((16,))
    hidden = LSQReLU(4)(layers.Dense(32)(frame))
    model = with_steps(keras.Model(frame, layers.Dense(2)(hidden)))
    snn = framed(model, steps=4, input_frames=True)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    snn.compile(keras.optimizers.Adam(0.01), loss, metrics=["accuracy"])
    before = snn.evaluate(x, y, verbose=0)[1]
    snn.fit(x, y, epochs=12, batch_size=32, verbose=0)
    after = snn.evaluate(x, y, verbose=0)[1]
    assert before < 0.75 < 0.95 < after


def test_energy_by_hand():
    """Frames are numbers at every step, and the source runs on each."""
    frame = keras.Input((4,))
    x = LSQReLU(2, name="spike")(layers.Dense(3, name="first")(frame))
    model = with_steps(keras.Model(frame, layers.Dense(2, name="last")(x)))
    x = np.random.default_rng(0).normal(size=(5, T, 4)).astype("float32")
    snn = framed(model, input_frames=True)
    found = snn_keras.analysis.energy(snn, x)
    first, last_layer = found.layers["first"], found.layers["last"]
    assert first.spiking.multiply == first.opponents["float"].cost.multiply == T * 4 * 3
    assert last_layer.spiking.multiply == 0
    assert last_layer.spiking.add == found.layers["spike"].spikes * 2
    assert last_layer.opponents["float"].cost.multiply == T * 3 * 2
    assert found.layers["spike"].opponents["float"].cost.compare == T * 3


def beside():
    image = keras.Input((4,), name="image")
    x = LSQReLU(2)(layers.Dense(3)(image))
    return with_steps(keras.Model(image, layers.Concatenate(name="both")([x, image])))


def early():
    image = keras.Input((4,), name="image")
    first = layers.Dense(3, name="early")(image)
    return with_steps(keras.Model(image, [LSQReLU(2)(first), first]))


def mixing():
    image = keras.Input((4,), name="image")
    x = ops.subtract(image, ops.mean(image, axis=0, keepdims=True))
    return with_steps(keras.Model(image, LSQReLU(2)(layers.Dense(3)(x))))


@pytest.mark.parametrize(
    ("make", "steps", "arguments", "message"),
    [
        (small, None, {}, "needs the number of frames"),
        (small, "settle", {"neuron": "signed"}, "needs the number of frames"),
        (small, T, {"neuron": "bit_serial"}, "look at a whole run"),
        (small, T, {"neuron": "srp"}, "look at a whole run"),
        (small, T, {"neuron": "differential"}, "first 1 of 6 steps.*input_steps=6"),
        (
            small,
            T,
            {"bias_correction": True, "data": events()[:, 0]},
            "inputs that stay the same",
        ),
        (early, T, {}, "output 'early': it depends on no neuron"),
        (mixing, T, {}, "along the batch axis"),
    ],
)
def test_what_cannot_take_frames_is_refused(make, steps, arguments, message):
    with pytest.raises(ValueError, match=message):
        snn_keras.convert(make(), steps, input_frames=True, **arguments)


@keras.saving.register_keras_serializable("frames")
class Scaled(layers.Dense):
    """A dense layer whose call has an argument of its own."""

    def call(self, x, scale=1.0, training=None):
        return super().call(x) * scale


@pytest.mark.parametrize("behind", [False, True])
def test_calls_of_one_layer_keep_their_arguments(behind):
    frame = keras.Input((4,))
    x = LSQReLU(2)(frame) if behind else frame
    shared = Scaled(4, name="shared")
    x = layers.Add()([shared(x, scale=2.0), shared(x, scale=0.5)])
    model = with_steps(keras.Model(frame, layers.Dense(2)(LSQReLU(2)(x))))
    snn_keras.rule(Scaled)(snn_keras.rules.Affine)
    x = np.random.default_rng(0).integers(-8, 9, (3, 4, 4)).astype("float32") / 8
    snn = framed(model, "signed", 4)
    expected = model.predict(x[:, 0], verbose=0)
    settled = snn.with_timesteps(32).predict(x[:, 0], verbose=0)
    np.testing.assert_allclose(settled, expected, rtol=1e-5)
    received = framed(model, steps=4, input_frames=True).predict(x, verbose=0)
    assert equal(received, last(framed(model, steps=4).stream()(x)))


def test_masks_are_made_of_each_frame():
    keras.utils.set_random_seed(0)
    frame = keras.Input((5,), dtype="int32")
    x = layers.Embedding(9, 4, mask_zero=True)(frame)
    x = layers.GlobalAveragePooling1D()(x)
    model = with_steps(keras.Model(frame, layers.Dense(2)(LSQReLU(2)(x))), 2**-7)
    x = np.random.default_rng(0).integers(1, 9, (3, T, 5)) * (np.arange(5) < 3)
    received = framed(model, input_frames=True).predict(x, verbose=0)
    assert equal(received, last(framed(model).stream()(x)))
    assert not equal(received[:1], received[1:2])


def test_frames_beside_a_signal_enter_step_by_step():
    x = np.random.default_rng(0).integers(-8, 9, (3, 4, 4)).astype("float32") / 8
    received = framed(beside(), steps=4, input_frames=True).predict(x, verbose=0)
    assert equal(received[:, 3:], x.mean(axis=1))


def test_inputs_without_frames_are_named(tmp_path):
    snn = framed(small(), input_frames=True)
    with pytest.raises(ValueError, match=r"\(None, 6, 8, 8, 1\)"):
        snn.predict(events(steps=5), verbose=0)
    x, path = events()[:, 0], tmp_path / "page.html"
    for call in (
        lambda: snn_keras.verify(small(), snn, x),
        lambda: snn_keras.export.to_integers(snn, events()),
        lambda: snn_keras.analysis.report(small(), snn, x, None, path),
    ):
        with pytest.raises(ValueError, match="takes a frame at every step"):
            call()
    assert not path.exists()
