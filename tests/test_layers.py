"""Laws that every quantized activation keeps; one table lists the layers."""

import keras
import numpy as np
import pytest
from keras import ops

from snn_keras.layers import (
    QCFS,
    LSQReLU,
    Noise,
    NoiseAdaptor,
    NoisySpike,
    QuantizedInput,
)
from snn_keras.ops import add_step_noise
from tests import reference
from tests.autodiff import gradients
from tests.subjects import STAIRCASES

CHANNELS = 4
STEPS = [0.25, 0.5, 1.0, 2.0]

LAYERS = {
    "lsq": lambda **k: LSQReLU(3, initial_step=0.5, **k),
    "lsq_binary": lambda **k: LSQReLU(1, initial_step=1.0, **k),
    "lsq_adaptor": lambda **k: LSQReLU(2, NoiseAdaptor(7), initial_step=0.25, **k),
    "lsq_channels": lambda **k: LSQReLU(3, initial_step=STEPS, axis=-1, **k),
    "lsq_scaled": lambda **k: LSQReLU(4, initial_step=0.5, scale_gradient=True, **k),
    "lsq_from_data": lambda **k: LSQReLU(4, **k),
    "lsq_channels_from_data": lambda **k: LSQReLU(3, "adaptor", axis=-1, **k),
    "qcfs": lambda **k: QCFS(4, initial_threshold=2.0, **k),
    "qcfs_adaptor": lambda **k: QCFS(8, NoiseAdaptor(7), initial_threshold=1.0, **k),
    "qcfs_channels": lambda **k: QCFS(2, initial_threshold=STEPS, axis=-1, **k),
    "qcfs_scaled": lambda **k: QCFS(
        4, initial_threshold=STEPS, axis=-1, scale_gradient=True, **k
    ),
    "qcfs_from_data": lambda **k: QCFS(4, "adaptor", **k),
    "qcfs_channels_from_data": lambda **k: QCFS(1, axis=-1, **k),
}


def named(predicate=lambda name: True):
    return pytest.mark.parametrize("name", [name for name in LAYERS if predicate(name)])


EVERY = named()
FROM_DATA = named(lambda name: "from_data" in name)
GIVEN = named(lambda name: "from_data" not in name)


def dyadic(shape=(8, 2, CHANNELS), seed=0):
    """Multiples of 1/64, of both signs, from below every range to above it."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-128, 640, shape) / 64).astype("float32")


def normal(shape=(32, 5, CHANNELS), seed=0):
    return np.random.default_rng(seed).normal(0.5, 1.0, shape).astype("float32")


def numpy(x):
    return ops.convert_to_numpy(x)


def ready(name, **kwargs):
    """The layer after one training batch, so that it has its step."""
    layer = LAYERS[name](**kwargs)
    layer(dyadic(), training=True)
    return layer


def steps_of(layer, v):
    """The layer's step for every element of `v`."""
    return np.broadcast_to(layer.step_value(), v.shape).astype("float32")


# --- Serialization -------------------------------------------------------------------


@EVERY
def test_config_round_trip(name):
    layer = LAYERS[name](name="act")
    again = type(layer).from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    assert again.levels == layer.levels
    assert type(again.noise) is type(layer.noise)


@EVERY
def test_config_holds_every_argument(name):
    """A changed argument comes back changed, not as the default."""
    layer = LAYERS[name](name="act")
    config = layer.get_config()
    changed = {
        "levels": 9,
        "noise": keras.saving.serialize_keras_object(NoiseAdaptor(3, name="noise")),
        f"initial_{layer.parameter}": 4.0,
        "axis": None,
        "scale_gradient": not config["scale_gradient"],
    }
    again = type(layer).from_config({**config, **changed}).get_config()
    assert {k: again[k] for k in changed} == changed
    assert set(config) == set(again)


@EVERY
@pytest.mark.parametrize("train", [False, True], ids=["new", "trained"])
def test_save_and_load(name, train, tmp_path):
    model = keras.Sequential([keras.Input((2, CHANNELS)), LAYERS[name]()])
    if train:
        model.compile(keras.optimizers.SGD(0.125), "mse")
        model.fit(dyadic(), dyadic(seed=1), batch_size=4, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    v = 10 * normal((16, 2, CHANNELS))
    expected = model.predict(v, verbose=0)
    assert expected.any()
    assert np.array_equal(loaded.predict(v, verbose=0), expected)
    for new, old in zip(loaded.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(new, old)
    if train:
        loaded, saved = loaded.layers[0], model.layers[0]
        assert np.array_equal(loaded.step_value(), saved.step_value())


# --- The function --------------------------------------------------------------------


@EVERY
def test_output_is_a_whole_number_of_steps(name):
    layer = ready(name)
    shape = (40, 5, CHANNELS)
    v = np.random.default_rng(0).uniform(-1, layer.levels + 1, shape)
    v = (v * steps_of(layer, v)).astype("float32")
    a = numpy(layer(v))
    count = np.round(a / steps_of(layer, v))
    assert set(count.ravel().tolist()) == set(range(layer.levels + 1))
    # Not nearly, but the product of step and whole number, rounded once.
    assert np.array_equal(a, count * steps_of(layer, v))


@GIVEN
def test_is_the_reference(name):
    layer = ready(name)
    v = dyadic()
    expected = reference.quantize(v, steps_of(layer, v).astype(float), layer.levels)
    assert np.array_equal(numpy(layer(v)), expected)


@EVERY
def test_sizes_agree(name):
    layer = ready(name)
    step, threshold = numpy(layer.step), numpy(layer.threshold)
    np.testing.assert_allclose(threshold, layer.levels * step, rtol=1e-6)
    np.testing.assert_allclose(layer.step_value(), step, rtol=1e-6)
    np.testing.assert_allclose(layer.threshold_value(), threshold, rtol=1e-6)
    assert step.shape == (() if layer.axis is None else (CHANNELS,))


@pytest.mark.compiled
@pytest.mark.parametrize("levels", [1, 2, 3, 5, 6, 7])
@pytest.mark.parametrize("run", ["call", "predict"])
def test_qcfs_is_lsq_by_its_threshold(levels, run):
    for step in (0.25, 0.375, 1.0):
        theta = levels * step
        lsq = LSQReLU(levels, initial_step=step)
        qcfs = QCFS(levels, initial_threshold=theta)
        ties = (np.arange(-3, 2 * levels + 4) / 2 * step).astype("float32")
        v = np.concatenate([ties, dyadic().ravel()])[:, None]
        expected, received = (outputs(layer, v, run) for layer in (lsq, qcfs))
        assert np.array_equal(expected, reference.qcfs(v, theta, levels))
        assert np.array_equal(received, expected)


def outputs(layer, v, run):
    """The layer's output, operation by operation or from a compiled model."""
    if run == "call":
        return numpy(layer(v))
    model = keras.Sequential([keras.Input(v.shape[1:]), layer])
    return model.predict(v, verbose=0)


@EVERY
def test_set_threshold(name):
    layer = ready(name)
    v = dyadic()
    wanted = np.float32(STEPS if layer.axis else 1.5) * layer.levels
    layer.set_threshold(wanted)
    assert np.array_equal(layer.threshold_value(), wanted)
    expected = reference.quantize(v, wanted / layer.levels, layer.levels)
    assert np.array_equal(numpy(layer(v)), expected)


def test_channels_of_another_axis():
    step = np.float32([0.5, 2.0])
    layer = LSQReLU(3, initial_step=step, axis=1)
    v = dyadic()
    expected = reference.quantize(v, step.reshape(1, 2, 1), 3)
    assert np.array_equal(numpy(layer(v)), expected)


# --- Noise ---------------------------------------------------------------------------


@named(lambda name: "adaptor" in name or name.endswith("channels_from_data"))
def test_inference_has_no_noise(name):
    layer = ready(name)
    v = dyadic()
    first = numpy(layer(v))
    assert np.array_equal(numpy(layer(v, training=False)), first)
    expected = reference.quantize(v, steps_of(layer, v), layer.levels)
    np.testing.assert_allclose(first, expected, rtol=1e-6)


@pytest.mark.parametrize("make", [*LAYERS.values(), NoisySpike, QuantizedInput])
@pytest.mark.parametrize("training", [False, True], ids=["inference", "training"])
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool"])
def test_whole_numbers_count_as_floats(make, training, dtype):
    v = np.arange(8 * CHANNELS).reshape(8, CHANNELS).astype(dtype)

    def run(v):
        keras.utils.set_random_seed(0)
        layer = make()
        given = {} if isinstance(layer, QuantizedInput) else {"training": training}
        return layer(v, **given)

    whole = run(v)
    assert keras.backend.standardize_dtype(whole.dtype) == "float32"
    np.testing.assert_array_equal(numpy(whole), numpy(run(v.astype("float32"))))


@pytest.mark.parametrize("levels", [1, 3])
def test_mean_over_the_noise_is_the_clipped_relu(levels):
    step, draws = 0.5, 4096
    layer = LSQReLU(levels, NoiseAdaptor(seed=0), initial_step=step)
    v = np.linspace(-1, levels * step + 1, 23).astype("float32")
    received = numpy(layer(np.repeat(v[None], draws, 0), training=True))
    # An output takes two values a step apart, so that its deviation is at most
    # s/2 and that of the mean s/2 over the root of the draws: ask for 5 of these.
    tolerance = 5 * step / 2 / np.sqrt(draws)
    expected = np.clip(v, 0, levels * step)
    assert np.abs(received.mean(0) - expected).max() < tolerance
    # Quantizing alone is not within it.
    assert np.abs(numpy(layer(v)) - expected).max() > tolerance


@pytest.mark.parametrize("make", STAIRCASES)
def test_noise_comes_from_the_seed(make):
    v = np.full((64, 64), 0.3, "float32")
    size = {"initial_step" if make is LSQReLU else "initial_threshold": 1.0}
    draws = {}
    for key, seed in (("first", 1), ("same", 1), ("other", 2)):
        layer = make(2, NoiseAdaptor(seed), **size)
        draws[key] = [numpy(layer(v, training=True)) for _ in range(2)]
    assert np.array_equal(draws["first"], draws["same"])
    assert not np.array_equal(draws["first"][0], draws["other"][0])
    assert not np.array_equal(*draws["first"])  # afresh at every pass


def test_noise_is_one_value_an_element():
    layer = LSQReLU(1, NoiseAdaptor(0), initial_step=1.0)
    received = numpy(layer(np.full((50, 40), 0.5, "float32"), training=True))
    for axis in (0, 1):
        assert received.mean(axis).min() > 0
        assert received.mean(axis).max() < 1


class FixedNoise(Noise):
    """The adaptor's noise, with values that the test knows."""

    def __init__(self, epsilon):
        super().__init__()
        self.epsilon = epsilon

    def on_input(self, v, step):
        return add_step_noise(v, step, ops.convert_to_tensor(self.epsilon, v.dtype))


class OutputNoise(Noise):
    """Doubles the output, to see that the hook is called."""

    def on_output(self, a):
        return 2.0 * a


def test_noise_on_the_output_is_added_in_training_only():
    layer = LSQReLU(3, OutputNoise(), initial_step=0.5)
    v = dyadic()
    plain = numpy(layer(v))
    assert np.array_equal(numpy(layer(v, training=True)), 2 * plain)


# --- Gradients -----------------------------------------------------------------------


def gradients_of(layer, v, upstream, jit):
    """The output in training, its gradients to `v` and to the trainable size."""
    state = [ops.convert_to_tensor(numpy(x)) for x in layer.non_trainable_variables]

    def f(v, size):
        return layer.stateless_call([size], state, v, training=True)[0]

    (size,) = layer.trainable_variables
    value, found = gradients(f, v, numpy(size), jit=jit, upstream=upstream)
    return value, *found


def noise_for(v):
    rng = np.random.default_rng(3)
    return (rng.integers(-31, 32, v.shape) / 64).astype("float32")


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "xla"])
@pytest.mark.parametrize("noisy", [False, True], ids=["plain", "noisy"])
@pytest.mark.parametrize("scale", [False, True], ids=["", "scaled"])
@pytest.mark.parametrize("axis", [None, -1], ids=["layer", "channel"])
@pytest.mark.parametrize("make", STAIRCASES)
def test_gradient_of_the_size_is_the_sum_of_the_references(
    make, axis, scale, noisy, jit
):
    levels, v = 4, dyadic((16, 4, CHANNELS))
    step = np.float32(0.5 if axis is None else STEPS)
    # In units of the trained size: ds/dsize is 1 for a step, 1/L for a threshold.
    slope = 1.0 if make is LSQReLU else 1.0 / levels
    epsilon = noise_for(v) if noisy else np.zeros_like(v)
    layer = make(
        levels,
        FixedNoise(epsilon) if noisy else None,
        axis=axis,
        scale_gradient=scale,
        **{f"initial_{make.parameter}": step / slope},
    )
    layer.build(v.shape)
    upstream = (np.random.default_rng(4).integers(-8, 9, v.shape) / 4).astype("float32")
    value, to_v, to_size = gradients_of(layer, v, upstream, jit)

    every = np.broadcast_to(step, v.shape).astype(float)
    assert np.array_equal(value, reference.noise_adaptor(v, every, levels, epsilon))
    expected, terms = reference.noise_adaptor_gradients(
        v, every, levels, epsilon, upstream
    )
    assert np.array_equal(to_v, expected)
    # N features of a sample share a step: 16 or 4, so that the root is exact.
    features = 16 if axis is None else 4
    factor = 1 / np.sqrt(features * levels) if scale else 1.0
    assert factor in (1, 1 / 8, 1 / 4)
    total = terms.sum() if axis is None else terms.sum((0, 1))
    assert np.array_equal(to_size, factor * slope * total)


@FROM_DATA
@pytest.mark.parametrize("batch", ["first", "second"])
def test_gradient_of_a_size_from_data(name, batch):
    """The size counts as a constant of the batch that it comes from."""
    v = dyadic((16, 4, CHANNELS))
    layer = LAYERS[name](name="act")
    layer.noise = None
    layer.build(v.shape)
    if batch == "second":
        layer(dyadic((16, 4, CHANNELS), seed=9), training=True)
    upstream = np.ones_like(v)
    _, to_v, to_size = gradients_of(layer, v, upstream, jit=True)
    layer(v, training=True)
    step = steps_of(layer, v).astype(float)
    expected, terms = reference.quantize_gradients(v, step, layer.levels, upstream)
    np.testing.assert_allclose(to_v, expected, rtol=1e-6)
    slope = 1.0 if layer.parameter == "step" else 1.0 / layer.levels
    total = terms.sum() if layer.axis is None else terms.sum((0, 1))
    np.testing.assert_allclose(to_size, slope * total, rtol=1e-4)


@pytest.mark.compiled
@pytest.mark.parametrize("jit", [False, True], ids=["eager", "xla"])
@GIVEN
def test_fit_takes_the_references_step(name, jit):
    """One step of gradient descent in `fit` moves the size by minus its gradient."""
    layer = LAYERS[name](name="act")
    layer.noise = None
    v = dyadic((16, 4, CHANNELS))
    model = keras.Sequential([keras.Input(v.shape[1:]), layer])
    before = layer.size_value()
    # The loss is the mean of the outputs: upstream 1 over their number.
    model.compile(
        keras.optimizers.SGD(2.0**-4), lambda y, a: ops.mean(a), jit_compile=jit
    )
    step = steps_of(layer, v).astype(float)
    model.fit(v, v, batch_size=16, verbose=0)
    terms = reference.quantize_gradients(v, step, layer.levels, 1 / v.size)[1]
    total = terms.sum() if layer.axis is None else terms.sum((0, 1))
    slope = 1.0 if layer.parameter == "step" else 1.0 / layer.levels
    features = 16 if layer.axis is None else 4
    scale = 1 / np.sqrt(features * layer.levels) if layer.scale_gradient else 1.0
    assert np.any(total)
    assert np.array_equal(layer.size_value(), before - scale * slope * total / 16)


# --- The first step ------------------------------------------------------------------


def first_size(layer, v):
    """2 mean|v| / sqrt(p) (METHODS 1), as the size that the layer trains."""
    mean = np.abs(v).mean(None if layer.axis is None else (0, 1))
    step = 2 * mean / np.sqrt(layer.levels)
    return step if layer.parameter == "step" else step * layer.levels


@pytest.mark.compiled
@FROM_DATA
@pytest.mark.parametrize("run", ["call", "fit", "fit_xla"])
def test_first_batch_sets_the_size(name, run):
    layer = LAYERS[name](name="act")
    v = dyadic((16, 4, CHANNELS))
    expected = first_size(layer, v)
    if run == "call":
        layer(v, training=True)
        # A second batch does not set it again.
        layer(10 * v, training=True)
    else:
        model = keras.Sequential([keras.Input(v.shape[1:]), layer])
        sgd = keras.optimizers.SGD(0.0)
        model.compile(sgd, "mse", jit_compile=run == "fit_xla")
        both = np.concatenate([v, 10 * v])
        model.fit(both, both, batch_size=16, shuffle=False, verbose=0)
    # Sums of dyadic numbers and a root of 1 or 2 are exact, that of 3 is not.
    exact = layer.levels in (1, 4)
    np.testing.assert_allclose(layer.size_value(), expected, rtol=0 if exact else 3e-7)


@FROM_DATA
def test_a_size_from_data_trains_as_a_given_one(name):
    """After its first batch, the layer is as if the size had been given."""
    v, target = dyadic((16, 4, CHANNELS)), normal((16, 4, CHANNELS))

    def fitted(layer, epochs):
        model = keras.Sequential([keras.Input(v.shape[1:]), layer])
        model.compile(keras.optimizers.Adam(0.05), "mse")
        model.fit(v, target, batch_size=16, epochs=epochs, verbose=0)
        return layer.size_value()

    layer = LAYERS[name](name="act")
    layer.noise = None
    config = layer.get_config()
    given = {**config, f"initial_{layer.parameter}": first_size(layer, v).tolist()}
    other = type(layer).from_config(given)
    received = fitted(layer, 3)
    assert not np.allclose(received, first_size(layer, v), rtol=1e-3)
    np.testing.assert_allclose(received, fitted(other, 3), rtol=1e-5)


@EVERY
def test_training_keeps_the_size_positive(name):
    layer = LAYERS[name](name="act")
    layer.noise = None
    v = dyadic((16, 4, CHANNELS))
    model = keras.Sequential([keras.Input(v.shape[1:]), layer])
    # The second batch lies above the range, where the loss falls with the size.
    both = np.concatenate([v, 10 + 100 * np.abs(v)])
    model.compile(keras.optimizers.SGD(100.0), lambda y, a: ops.mean(a))
    model.fit(both, both, batch_size=16, shuffle=False, verbose=0)
    assert np.all(layer.size_value() > 0)


@pytest.mark.parametrize("make", STAIRCASES)
def test_a_size_that_is_unset_is_named(make):
    layer = make(name="act")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=r"'act': \w+ must be .*Received: 0\.0"):
        layer.step_value()


# --- Precision -----------------------------------------------------------------------


@EVERY
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(name, policy):
    layer = LAYERS[name](dtype=policy)
    v = dyadic((16, 4, CHANNELS))
    compute = policy.removeprefix("mixed_")
    for training in (True, False):
        a = layer(v, training=training)
        assert keras.backend.standardize_dtype(a.dtype) == compute
    assert layer.trainable_variables[0].dtype == "float32"
    if "from_data" in name:
        # The first size comes from inputs of the compute dtype.
        tolerance = 1e-3 if compute == "float16" else 1e-2
        np.testing.assert_allclose(
            layer.size_value(), first_size(layer, v), rtol=tolerance
        )
    else:
        expected = reference.quantize(v, steps_of(layer, v).astype(float), layer.levels)
        # Of 11 and 8 significant bits, float16 keeps multiples of 1/64 below 16
        # exactly and bfloat16 does not: a value near a tie may move by a step.
        off = np.abs(numpy(ops.cast(a, "float32")) - expected)
        assert np.all(off <= (0 if compute == "float16" else steps_of(layer, v)))


@named(lambda name: name in ("lsq_adaptor", "qcfs_channels_from_data"))
def test_mixed_precision_trains(name):
    layer = LAYERS[name](dtype="mixed_float16")
    v = dyadic((16, 4, CHANNELS))
    model = keras.Sequential([keras.Input(v.shape[1:], dtype="float16"), layer])
    model.compile(keras.optimizers.SGD(0.125), "mse")
    model.fit(v, v, batch_size=8, verbose=0)
    first = layer.size_value()
    model.fit(v, v, batch_size=8, verbose=0)
    assert np.all(layer.size_value() != first)


# --- Refusals ------------------------------------------------------------------------

MAKES = pytest.mark.parametrize("make", STAIRCASES)


@MAKES
@pytest.mark.parametrize(
    "levels", [0, -1, 2.5, True, "3", "three", None, [3], float("nan"), float("inf")]
)
def test_levels_are_refused(make, levels):
    with pytest.raises(
        ValueError, match=rf"{make.__name__} 'act': levels must be an integer >= 1"
    ) as error:
        make(levels, name="act")
    assert repr(levels) in str(error.value)


@MAKES
@pytest.mark.parametrize("size", [0, -1, np.nan, np.inf, [0.5, 0.0], "big", []])
def test_initial_sizes_are_refused(make, size):
    argument = f"initial_{make.parameter}"
    with pytest.raises(ValueError, match=f"{make.__name__} 'act'.*{make.parameter}"):
        make(2, name="act", axis=-1, **{argument: size})


@MAKES
@pytest.mark.parametrize("axis", [None, -1])
def test_sizes_that_do_not_fit_the_channels_are_refused(make, axis):
    sizes = {f"initial_{make.parameter}": [0.5, 1.0, 2.0]}
    with pytest.raises(ValueError, match=f"{make.__name__} 'act'"):
        make(2, name="act", axis=axis, **sizes).build((None, CHANNELS))


@MAKES
@pytest.mark.parametrize("axis", [3, -4, "channels"])
def test_axes_that_the_input_lacks_are_refused(make, axis):
    with pytest.raises(ValueError, match=rf"{make.__name__} 'act'.*axis"):
        make(2, name="act", axis=axis).build((None, 2, CHANNELS))


@MAKES
def test_an_axis_of_open_size_is_refused(make):
    layer = make(2, name="act", axis=-1)
    with pytest.raises(ValueError, match=rf"{make.__name__} 'act' needs a fixed size"):
        layer.build((None, None))


@MAKES
@pytest.mark.parametrize("noise", ["gaussian", 0.5, NoiseAdaptor])
def test_noise_is_refused(make, noise):
    with pytest.raises(ValueError, match=r"noise must be None, one of \['adaptor'"):
        make(2, noise)


@MAKES
@pytest.mark.parametrize("threshold", [0, -1.0, np.nan])
def test_set_threshold_refuses(make, threshold):
    layer = make(2, name="act")
    layer.build((None, 3))
    with pytest.raises(ValueError, match=f"'act': {make.parameter} must be finite"):
        layer.set_threshold(threshold)
