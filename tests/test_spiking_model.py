"""A converted network is an ordinary Keras model, whichever way it is run."""

import itertools
import os
import pathlib
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import LSQReLU, NoisySpike
from snn_keras.neurons import IFCell, NoisyLIFCell, OffsetSpikesCell, SignedIFCell
from snn_keras.simulate import runs
from snn_keras.time import Clock, Spiking
from tests.graphs import Maker, dyadic

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def source(seed=0, classes=5):
    """A small convolutional network on dyadic numbers, and inputs for it."""
    rng = np.random.default_rng(seed)
    x = inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = LSQReLU(2, initial_step=0.5, name="act1")(x)
    x = keras.layers.Conv2D(4, 3, name="conv2")(x)
    x = LSQReLU(2, initial_step=0.25, name="act2")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    outputs = keras.layers.Dense(classes, name="dense")(x)
    model = keras.Model(inputs, outputs)
    model.set_weights(
        [w if w.ndim == 0 else dyadic(rng, w.shape) for w in model.get_weights()]
    )
    return model, dyadic(rng, (7, 6, 6, 2), 16, 32)


@pytest.mark.parametrize("timesteps", [1, 3, 4, 8, 11, 16])
def test_chunks_equal_the_whole_run(timesteps):
    model, x = source()
    snn = snn_keras.convert(model, timesteps)
    whole = snn.with_timesteps(timesteps)
    whole.chunk_steps = timesteps
    expected = whole.predict_over_time(x, verbose=0)
    for steps in (1, 2, 3, 4):
        snn = snn.with_timesteps(timesteps)
        snn.chunk_steps = steps
        over_time = snn.predict_over_time(x, verbose=0)
        assert np.array_equal(over_time, expected)
        assert np.array_equal(snn.predict(x, verbose=0), expected[-1])


def lif_source():
    """As `bits_source`, trained as noisy LIF neurons would be."""
    x = inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = NoisySpike(name="act1")(x)
    x = keras.layers.Dense(5, name="dense")(x)
    x = NoisySpike(name="act2")(x)
    return keras.Model(inputs, keras.layers.Flatten(name="flatten")(x))


OVER_TIME = pytest.mark.parametrize(
    "neuron",
    [
        "if",
        IFCell(initial=0),
        "signed",
        SignedIFCell(ceiling=None),
        "srp",
        OffsetSpikesCell(extra_steps=3),
        {"act1": "signed"},
        {"act2": "cos"},
        # Slow to compile; tests/test_noisy_lif.py has chunks of theirs.
        pytest.param(NoisyLIFCell(noise="uniform"), marks=pytest.mark.slow),
        pytest.param(NoisyLIFCell(stage=2), marks=pytest.mark.slow),
        pytest.param(NoisyLIFCell(alpha=2), marks=pytest.mark.slow),
    ],
    ids=repr,
)


def network_of(neuron, timesteps):
    """A spiking network of these neurons, and inputs."""
    make = lif_source if isinstance(neuron, NoisyLIFCell) else bits_source
    keras.utils.set_random_seed(0)
    return snn_keras.convert(make(), timesteps, neuron), source()[1]


@OVER_TIME
def test_chunks_of_every_neuron_equal_the_whole_run(neuron):
    snn, x = network_of(neuron, 11)
    results = []
    for steps in (11, 1, 4):
        snn = snn.with_timesteps(11)
        snn.chunk_steps = steps
        results.append(snn.predict_over_time(x, verbose=0))
        assert np.array_equal(results[-1], results[0])
        assert np.array_equal(snn.predict(x, verbose=0), results[0][-1])
    assert np.abs(results[0]).max() > 0


@OVER_TIME
@pytest.mark.parametrize("first", [1, 4])
def test_steps_and_then_more_equal_all_of_them(neuron, first):
    snn, x = network_of(neuron, 7)
    program = snn.program
    values, start = program.begin(keras.ops.convert_to_tensor(x))
    whole, end = program.advance(values, start, Clock.whole(7))
    _, state = program.advance(values, start, Clock(0, first, 7))
    decoded, state = program.advance(values, state, Clock(first, 7 - first, 7))
    for one, other in zip(
        keras.tree.flatten([whole, end]),
        keras.tree.flatten([decoded, state]),
        strict=True,
    ):
        assert np.array_equal(np.asarray(one), np.asarray(other))


def test_training_pass_equals_inference():
    model, x = source()
    snn = snn_keras.convert(model, 4)
    assert np.array_equal(np.asarray(snn(x, training=True)), np.asarray(snn(x)))


def test_more_steps_continue_the_run():
    model, x = source()
    snn = snn_keras.convert(model, 6)
    longer = snn.with_timesteps(11)
    assert (snn.timesteps, longer.timesteps) == (6, 11)
    expected = snn.predict_over_time(x, verbose=0)
    assert np.array_equal(longer.predict_over_time(x, verbose=0)[:6], expected)


def test_with_timesteps_shares_weights():
    model, _ = source()
    snn = snn_keras.convert(model, 6)
    other = snn.with_timesteps(2)
    assert [id(v) for v in other.variables] == [id(v) for v in snn.variables]


def test_evaluate_is_kerass_own():
    model, x = source()
    snn = snn_keras.convert(model, 4)
    snn.compile(loss=LOSS, metrics=["sparse_categorical_accuracy"])
    labels = snn.predict(x, verbose=0).argmax(-1)
    results = snn.evaluate(x, labels, verbose=0, return_dict=True)
    assert results["sparse_categorical_accuracy"] == 1.0


def test_fit_lowers_the_loss():
    model, x = source()
    snn = snn_keras.convert(model, 4)
    labels = np.arange(len(x)) % 5
    snn.compile(keras.optimizers.Adam(0.01), LOSS)
    history = snn.fit(x, labels, epochs=10, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_every_weight_of_the_snn_gets_a_gradient():
    model, x = source()
    snn = snn_keras.convert(model, 4)
    before = snn.get_weights()
    snn.compile(keras.optimizers.SGD(1.0), LOSS)
    snn.fit(x, np.arange(len(x)) % 5, epochs=1, verbose=0)
    for weight, old in zip(snn.weights, before, strict=True):
        assert not np.array_equal(np.asarray(weight), old), weight.path


def test_save_and_load(tmp_path):
    model, x = source()
    snn = snn_keras.convert(model, 5)
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    assert isinstance(loaded, snn_keras.SpikingModel)
    assert loaded.timesteps == 5
    expected = snn.predict_over_time(x, verbose=0)
    assert np.array_equal(loaded.predict_over_time(x, verbose=0), expected)


def bits_source():
    """As `source`, with activations of two bits and max pooling between."""
    x = inputs = keras.Input((6, 6, 2))
    x = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = LSQReLU(3, initial_step=0.5, name="act1")(x)
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Dense(5, name="dense")(x)
    x = LSQReLU(3, initial_step=0.25, name="act2")(x)
    model = keras.Model(inputs, keras.layers.Flatten(name="flatten")(x))
    rng = np.random.default_rng(1)
    model.set_weights(
        [w if w.ndim == 0 else dyadic(rng, w.shape) for w in model.get_weights()]
    )
    return model


@pytest.mark.compiled
@pytest.mark.parametrize(
    "timesteps, options",
    [
        (7, {"neuron": "signed"}),
        ("settle", {"neuron": "signed"}),
        (2, {"neuron": "bit_serial"}),
        (2, {"neuron": "bit_serial", "fused": False}),
        (5, {"neuron": "srp"}),
        (5, {"neuron": "cos"}),
        (5, {"neuron": {"act2": "signed"}}),
    ],
)
def test_every_neuron_saves_loads_and_runs_compiled(tmp_path, timesteps, options):
    model, (_, x) = bits_source(), source()
    snn = snn_keras.convert(model, timesteps, **options)
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    assert loaded.timesteps == timesteps
    expected = snn.predict(x, verbose=0)
    assert np.array_equal(loaded.predict(x, verbose=0), expected)
    assert np.array_equal(np.asarray(loaded(x)), expected)


FRESH = """
import sys, numpy as np, keras, snn_keras
model = keras.models.load_model(sys.argv[1])
x = np.load(sys.argv[2])
np.save(sys.argv[3], model.predict_over_time(x, verbose=0))
"""


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.slow)])
def test_load_in_a_fresh_process(tmp_path, seed):
    candidates = (Maker(i).make() for i in itertools.count(100 * seed))
    network = next(n for n in candidates if len(n.inputs) == len(n.outputs) == 1)
    x = network.keras_inputs
    snn = snn_keras.convert(network.model, 5)
    snn.save(tmp_path / "snn.keras")
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("snn.keras", "x.npy", "y.npy")]
    root = pathlib.Path(snn_keras.__file__).parent.parent
    subprocess.run(
        [sys.executable, "-c", FRESH, *files],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    received = np.load(tmp_path / "y.npy")
    assert np.array_equal(received, snn.predict_over_time(x, verbose=0))


def test_source_is_unchanged():
    model, x = source()
    weights, config = model.get_weights(), model.get_config()
    expected = model.predict(x, verbose=0)
    snn_keras.convert(model, 4).predict(x, verbose=0)
    assert model.get_config() == config
    for new, old in zip(model.get_weights(), weights, strict=True):
        assert np.array_equal(new, old)
    assert np.array_equal(model.predict(x, verbose=0), expected)
    for layer in model.layers:
        assert layer.output is not None  # raises where a layer was called again


@pytest.mark.compiled
@pytest.mark.parametrize("jit_compile", [True, False], ids=["xla", "eager"])
def test_training_either_network_leaves_the_other_alone(jit_compile):
    """Their weights may share memory until one of them is trained."""
    model, x = source()
    networks = [model, snn_keras.convert(model, 4)]
    for trained, other in (networks, networks[::-1]):
        before = [np.array(w) for w in trained.get_weights()]
        expected = [np.array(w) for w in other.get_weights()]
        trained.compile(keras.optimizers.SGD(0.5), LOSS, jit_compile=jit_compile)
        trained.fit(x, np.arange(len(x)) % 5, epochs=2, verbose=0)
        for new, old in zip(other.get_weights(), expected, strict=True):
            assert np.array_equal(new, old)
        changed = zip(trained.get_weights(), before, strict=True)
        assert any(not np.array_equal(new, old) for new, old in changed)


def test_what_precedes_the_first_neuron_runs_once():
    model, _ = source()
    snn = snn_keras.convert(model, 4)
    assert [n.name for n in snn.program.before] == ["conv"]
    assert snn.get_layer("conv").output.shape == (None, 4, 4, 4)


def of_two_inputs():
    """A network of two inputs, by name, and inputs for it."""
    rng = np.random.default_rng(0)
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    x = LSQReLU(2, initial_step=0.5)(keras.layers.Add()([a, b]))
    model = keras.Model({"a": a, "b": b}, keras.layers.Dense(2)(x))
    return model, {name: dyadic(rng, (7, 3), 16, 32) for name in "ab"}


FED = {
    "array": lambda x: x,
    "float64": lambda x: x.astype("float64"),
    "list": lambda x: [x],
    "integers": lambda x: (4 * x).astype("int32"),
    "tensor": keras.ops.convert_to_tensor,
}


@pytest.mark.parametrize("form", FED)
def test_predict_takes_what_keras_takes(form):
    """Arrays go another way in than Keras's; the answers are the same."""
    model, x = source()
    snn = snn_keras.convert(model, 4)
    given = FED[form](x)
    values = (4 * x).astype("int32") if form == "integers" else x
    expected = np.asarray(snn(values))
    assert np.array_equal(snn.predict(given, batch_size=3, verbose=0), expected)


@pytest.mark.parametrize(
    "form", [dict, lambda x: [x["a"], x["b"]]], ids=["dict", "list"]
)
def test_predict_takes_several_inputs(form):
    model, x = of_two_inputs()
    snn = snn_keras.convert(model, 4)
    if form is not dict:
        snn_inputs = list(snn.inputs)
        snn = type(snn)(snn_inputs, snn.outputs[0])
    expected = np.asarray(snn(form(x)))
    assert np.array_equal(snn.predict(form(x), batch_size=3, verbose=0), expected)


@pytest.mark.parametrize("weights", [None, np.arange(7.0)], ids=["", "sample_weight"])
def test_evaluate_is_keras_own(weights):
    model, x = source()
    snn = snn_keras.convert(model, 4)
    labels = np.arange(7) % 5
    snn.compile(loss=LOSS, metrics=["accuracy"])
    more = {} if weights is None else {"sample_weight": weights}
    received = snn.evaluate(x, labels, batch_size=3, verbose=0, **more)
    tensors = map(keras.ops.convert_to_tensor, (x, labels))
    again = snn.evaluate(*tensors, 3, 0, weights)
    assert np.allclose(received, again, rtol=1e-6)
    outputs = snn.predict(x, verbose=0)
    share = np.ones(7) if weights is None else weights
    losses = np.asarray(
        keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
    )
    right = np.mean(outputs.argmax(-1) == labels)
    # A mean of means of batches, in float32.
    assert np.allclose(received, [np.mean(losses * share), right], rtol=1e-5)


def test_arrays_that_do_not_fit_together_are_refused():
    model, x = source()
    snn = snn_keras.convert(model, 4)
    snn.compile(loss=LOSS)
    with pytest.raises(ValueError, match="cardinality"):
        snn.evaluate(x, np.zeros(5), verbose=0)


def test_chunk_steps_may_change_between_runs():
    model, x = source()
    snn = snn_keras.convert(model, 6)
    expected = snn.predict(x, verbose=0)
    assert snn.chunk_steps is None
    passes = []
    advance = type(snn.program).advance

    def counted(self, values, state, clock, **kwargs):
        passes.append(clock.steps)
        return advance(self, values, state, clock, **kwargs)

    for steps, lengths in ((2, {2}), (4, {4, 2}), (None, {6})):
        snn.chunk_steps = steps
        passes.clear()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(type(snn.program), "advance", counted)
            assert np.array_equal(snn.predict(x, verbose=0), expected)
        assert set(passes) == lengths


@pytest.mark.parametrize("samples, steps", [(1, 8), (48, 8), (64, 6), (4096, 1)])
def test_chunks_fit_their_memory(samples, steps, monkeypatch):
    model, _ = source()
    program = snn_keras.convert(model, 16).program
    # The largest operation reads and writes 4 x 4 x 4 numbers of 4 bytes a step.
    assert runs.bytes_of_step(program) == 2 * 4 * 4 * 4 * 4
    monkeypatch.setattr("snn_keras.simulate.runs.CHUNK_BYTES", 512 * 64 * 6)
    assert runs.steps_of_chunks(program, np.zeros((samples, 6, 6, 2))) == steps


@pytest.mark.parametrize("timesteps, steps", [(4, 4), (9, 5), (16, 8), (17, 6), (1, 1)])
def test_chunks_are_of_one_length_where_it_divides(timesteps, steps):
    model, _ = source()
    program = snn_keras.convert(model, timesteps).program
    assert runs.steps_of_chunks(program, np.zeros((2, 6, 6, 2))) == steps


def test_inputs_of_the_wrong_shape_are_refused():
    model, _ = source()
    snn = snn_keras.convert(model, 4)
    with pytest.raises(
        ValueError, match=r"expected shape.*\(None, 6, 6, 2\).*\(.*5, 6, 2\)"
    ):
        snn.predict(np.zeros((2, 5, 6, 2), "float32"), verbose=0)


# --- Cells ---------------------------------------------------------------------------


@pytest.mark.parametrize("unroll", [True, False])
def test_cell_inside_keras_rnn(unroll):
    currents = dyadic(np.random.default_rng(0), (3, 9, 4), 16, 32)
    theta = [0.25, 0.5, 1.0, 1.5]
    rnn = keras.layers.RNN(
        IFCell(theta), return_sequences=True, return_state=True, unroll=unroll
    )
    outputs, potential = rnn(currents)
    spiking = Spiking(IFCell(theta))
    assert np.array_equal(np.asarray(outputs), np.asarray(spiking(currents)))
    sent = np.asarray(outputs).sum(1)
    assert np.array_equal(
        np.asarray(potential), np.asarray(theta) / 2 + currents.sum(1) - sent
    )


def test_cell_inside_a_functional_rnn_model(tmp_path):
    inputs = keras.Input((9, 4))
    outputs = keras.layers.RNN(IFCell(0.5), return_sequences=True)(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(outputs))
    x = dyadic(np.random.default_rng(0), (3, 9, 4), 16, 32)
    model.save(tmp_path / "rnn.keras")
    loaded = keras.models.load_model(tmp_path / "rnn.keras")
    assert np.array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize("timesteps", [1, 5, 8, 9, 20])
def test_unrolled_equals_looped(timesteps, monkeypatch):
    currents = dyadic(np.random.default_rng(1), (2, timesteps, 3, 2), 16, 32)
    results = []
    for limit in (0, 100):
        monkeypatch.setattr(IFCell, "unroll", limit)
        results.append(np.asarray(Spiking(IFCell([0.5, 0.75]))(currents)))
    assert np.array_equal(*results)


@pytest.mark.compiled
def test_loops_run_on_batches_of_a_size_that_is_known():
    """Behind a convolution at every step the size of the batch is not known."""
    model, x = source()
    snn = snn_keras.convert(model, 4, "differential")
    assert np.array_equal(snn.predict_on_batch(x[:1]), snn(x[:1]))


@pytest.mark.parametrize("levels", [1, 2, 3, 5])
def test_mean_over_p_steps_is_the_quantized_activation(levels):
    """A constant current for T = p steps: the neuron is the quantizer."""
    v = dyadic(np.random.default_rng(2), (50, 40), 64, 300)
    step = 0.75
    currents = np.repeat(v[:, None], levels, axis=1)
    sent = np.asarray(Spiking(IFCell(levels * step))(currents)).sum(1)
    expected = np.asarray(LSQReLU(levels, initial_step=step)(v)) * levels
    assert np.array_equal(sent, expected)


@pytest.mark.compiled
@pytest.mark.parametrize("trained", [True, False])
def test_a_compiled_network_is_compiled_again_when_loaded(trained, tmp_path):
    model, x = source()
    snn = snn_keras.convert(model, 3)
    y = np.random.default_rng(0).normal(size=snn(x).shape).astype("float32")
    snn.compile("sgd", "mse", metrics=["mae"])
    if trained:
        snn.fit(x, y, verbose=0)
    snn.save(tmp_path / "snn.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = keras.models.load_model(tmp_path / "snn.keras")
    assert loaded.evaluate(x, y, verbose=0) == snn.evaluate(x, y, verbose=0)
    assert loaded.jit_compile == snn.jit_compile
    steps = [int(network.optimizer.iterations) for network in (loaded, snn)]
    assert steps[0] == steps[1] and (steps[0] > 0) == trained
