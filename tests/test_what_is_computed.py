"""What a layer computes decides what becomes of it: not its name, class or default.

Expected values are formulas of NumPy, or the source network's own `predict` where the
law says that the two are the same.
"""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import ConversionError, neurons
from snn_keras.conversion import forms, rules
from snn_keras.layers import FunctionLayer, LSQReLU
from tests.exact import EXACT, TWO_BITS
from tests.users import closed

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 16, (4, 6, 6, 2)).astype("float32") / 16
VECTORS = RNG.integers(-16, 16, (5, 4)).astype("float32") / 16


def quantized(**settings):
    return LSQReLU(3, initial_step=0.25, **settings)


def dyadic(model):
    """Sets all kernels and biases to multiples of 1/8."""
    rng = np.random.default_rng(1)
    model.set_weights(
        [
            rng.integers(-8, 9, w.shape) / 8 if w.name in ("kernel", "bias") else w
            for w in model.weights
        ]
    )
    return model


def source(build, inputs=IMAGES, first=None):
    """`build` between two layers of neurons; `first` before them."""
    start = keras.Input(inputs.shape[1:])
    x = start if first is None else first(start)
    x = quantized()(layers.Dense(4)(x))
    x = quantized()(layers.Dense(4)(build(x)))
    return dyadic(keras.Model(start, layers.Dense(3)(layers.Flatten()(x))))


def check_exact(model, x):
    """Every exact way of running gives what the source gives, however it is called."""
    expected = model.predict(x, verbose=0)
    for way in EXACT:
        snn = snn_keras.convert(model, **way)
        assert np.array_equal(snn.predict(x, verbose=0), expected)
        assert np.array_equal(snn(x), expected)


# --- Training-only layers ------------------------------------------------------------


class Turned(layers.Layer):
    """A layer of one's own that augments inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.turn = layers.RandomRotation(0.25)
        self.built = True

    def call(self, x):
        return self.turn(x)


@pytest.mark.parametrize(
    "make",
    [
        lambda: layers.RandomRotation(0.25),
        lambda: layers.RandomFlip(),
        lambda: layers.GaussianNoise(0.5),
        lambda: keras.Sequential([layers.RandomRotation(0.25), layers.Rescaling(2.0)]),
        lambda: Turned(),
        lambda: layers.CenterCrop(4, 4),
    ],
)
def test_augmentation_does_nothing_in_inference(make):
    check_exact(source(lambda x: x, first=make()), IMAGES)


def test_streams_do_not_augment():
    model = source(lambda x: x, first=layers.RandomFlip())
    snn = snn_keras.convert(model, 4)
    frames = np.repeat(IMAGES[:, None], 4, axis=1)
    last = np.asarray(ops.convert_to_numpy(snn.stream()(frames)))[:, -1]
    assert np.array_equal(last, snn.predict(IMAGES, verbose=0))


# --- Functions -----------------------------------------------------------------------


def leaky_relu(x):
    """Keras's own has the slope 0.2."""
    return ops.where(x > 0, x, 0.5 * x)


def hard_sigmoid(x):
    """Keras 2's; that of Keras 3 is another."""
    return ops.clip(0.25 * x + 0.5, 0.0, 1.0)


@pytest.mark.parametrize("function", [leaky_relu, hard_sigmoid])
def test_a_function_of_a_known_name_is_kept(function):
    model = source(layers.Activation(function), VECTORS)
    check_exact(model, VECTORS)
    plain = keras.Sequential([keras.Input((4,)), layers.Dense(4, activation=function)])
    plain.add(layers.ReLU())
    plain.add(layers.Dense(2))
    fine = snn_keras.quantize_activations(
        dyadic(plain), 2**12, data=VECTORS, calibration="max"
    )
    expected = plain.predict(VECTORS, verbose=0)
    np.testing.assert_allclose(fine.predict(VECTORS, verbose=0), expected, atol=5e-3)


def test_a_function_of_a_known_name_is_not_saved_as_keras_s(tmp_path):
    snn = snn_keras.convert(source(layers.Activation(leaky_relu), VECTORS), 4)
    with pytest.raises(ValueError, match=r"leaky_relu.*Remedy: decorate"):
        snn.save(tmp_path / "snn.keras")
    assert not list(tmp_path.iterdir())


@keras.saving.register_keras_serializable("of_the_tests")
def gelu(x):
    """Registered under the name of another."""
    return 2.0 * x


def test_a_registered_function_is_found_again(tmp_path):
    snn = snn_keras.convert(source(layers.Activation(gelu), VECTORS), 4)
    snn.save(tmp_path / "snn.keras")
    loaded = keras.models.load_model(tmp_path / "snn.keras")
    expected = snn.predict(VECTORS, verbose=0)
    assert np.array_equal(loaded.predict(VECTORS, verbose=0), expected)
    assert FunctionLayer.from_config(FunctionLayer(gelu).get_config()).function is gelu


def backends_own():
    """A ReLU and a capped one, of the backend itself."""
    if keras.backend.backend() == "jax":
        import jax

        return [jax.nn.relu, jax.nn.relu6]
    if keras.backend.backend() == "torch":
        from torch.nn import functional

        return [functional.relu, functional.relu6]
    import tensorflow as tf

    return [tf.nn.relu, tf.nn.relu6]


def layer_calls():
    """ReLUs in the ways that they may be written, and where each saturates."""
    relu, relu6 = backends_own()
    partial = functools.partial(keras.activations.relu, max_value=0.5)
    return {
        "function of the backend": (layers.Activation(relu), None),
        "capped, of the backend": (layers.Activation(relu6), 6.0),
        "partial": (layers.Activation(partial), 0.5),
        "own": (layers.Activation(lambda x: ops.maximum(x, 0.0)), None),
        "Lambda": (layers.Lambda(lambda x: ops.clip(x, 0.0, 0.5)), 0.5),
        "maximum": (lambda x: ops.maximum(x, 0.0), None),
        "maximum, turned": (lambda x: ops.maximum(0.0, x), None),
        "clip": (lambda x: ops.clip(x, 0.0, 0.5), 0.5),
        "minimum of relu": (lambda x: ops.minimum(ops.relu(x), 0.5), 0.5),
        "minimum of a layer": (lambda x: ops.minimum(layers.ReLU()(x), 0.5), 0.5),
        "maximum of minimum": (lambda x: ops.maximum(ops.minimum(x, 0.5), 0.0), 0.5),
        "TimeDistributed": (layers.TimeDistributed(layers.ReLU(0.5)), 0.5),
        "SpectralNormalization": (
            layers.SpectralNormalization(layers.Dense(4, activation="relu")),
            None,
        ),
    }


@pytest.mark.parametrize("form", layer_calls())
def test_every_form_of_relu_is_one(form):
    """2^12 levels up to the ceiling, or the largest activation, leave only rounding."""
    call, ceiling = layer_calls()[form]
    start = keras.Input((3, 4))
    x = layers.Dense(4)(start)
    model = dyadic(keras.Model(start, layers.Dense(2)(call(x))))
    inputs = RNG.integers(-16, 16, (6, 3, 4)).astype("float32") / 16
    found = snn_keras.quantize_activations(model, 2**12, data=inputs, calibration="max")
    (activation,) = (x for x in found.layers if isinstance(x, LSQReLU))
    if ceiling is not None:
        assert activation.threshold_value() <= ceiling
    np.testing.assert_allclose(
        found.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=5e-3
    )
    snn_keras.plan(found, 4)  # refuses a ReLU that was left


def test_what_is_no_relu_stays():
    start = keras.Input((4,))
    x = layers.Dense(4)(start)
    both = ops.relu(x)
    capped = ops.minimum(both, 0.5)
    model = dyadic(keras.Model(start, layers.Dense(2)(ops.concatenate([both, capped]))))
    found = snn_keras.quantize_activations(model, 3, data=VECTORS)
    assert sum(isinstance(x, LSQReLU) for x in found.layers) == 1
    expected = found.predict(VECTORS, verbose=0)
    for way in EXACT:
        snn = snn_keras.convert(found, **way)
        np.testing.assert_allclose(snn.predict(VECTORS, verbose=0), expected, atol=1e-5)


# --- Derived layers and models -------------------------------------------------------


@closed
class Residual(layers.Dense):
    def call(self, x):
        return x + super().call(x)


@closed
class Doubled(layers.Conv2D):
    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, 2.0 * kernel)


@closed
class Shifted(layers.ReLU):
    def call(self, x):
        return super().call(x) + 1.0


class Named(layers.Dense):
    """Adds nothing that it computes."""

    def __init__(self, units, note="", **kwargs):
        super().__init__(units, **kwargs)
        self.note = note

    def get_config(self):
        return {**super().get_config(), "note": self.note}


class Square(layers.Layer):
    def call(self, x):
        return ops.square(x)


@snn_keras.rule(Square)
class SquareRule(snn_keras.rules.Linear):
    """Wrong, but for what is derived from it."""


@closed
class Cube(Square):
    def call(self, x):
        return x**3


def test_derived_layers_keep_what_they_compute():
    start = keras.Input((4,))
    x = Shifted()(Residual(4, activation="relu")(start))
    model = dyadic(keras.Model(start, layers.Dense(2)(layers.Dense(4, "relu")(x))))
    found = snn_keras.quantize_activations(
        model, 2**12, data=VECTORS, calibration="max"
    )
    first, shifted = model.layers[1], model.layers[2]
    kernel, bias = first.get_weights()
    inside = VECTORS + np.maximum(VECTORS @ kernel + bias, 0.0)
    hidden = keras.Model(found.inputs, found.get_layer(shifted.name).output)
    expected = np.maximum(inside, 0.0) + 1.0
    np.testing.assert_array_equal(hidden.predict(VECTORS, verbose=0), expected)
    np.testing.assert_allclose(
        found.predict(VECTORS, verbose=0), model.predict(VECTORS, verbose=0), atol=5e-3
    )


@pytest.mark.parametrize(
    "layer", [Residual(4), Doubled(4, 1), Cube(), Shifted()], ids=lambda x: x.name
)
def test_derived_layers_do_not_inherit_rules(layer):
    assert type(rules.rule_for(layer)) is rules.Opaque
    with pytest.raises(ConversionError, match=f"'{layer.name}'"):
        snn_keras.convert(source(layer), 4)


def test_derived_layers_that_compute_the_same_inherit_rules():
    assert type(rules.rule_for(Named(4))) is rules.Affine
    check_exact(source(Named(4, note="first")), IMAGES)


class OwnQuantizer(LSQReLU):
    def call(self, v, training=False):
        return 2.0 * super().call(v)


def test_a_derived_activation_with_a_call_of_its_own_is_no_neuron():
    model = keras.Sequential([keras.Input((4,)), OwnQuantizer(3, initial_step=0.5)])
    with pytest.raises(ConversionError, match="override what their base class"):
        snn_keras.convert(model, "settle", neuron="signed")


class Normalized(keras.Model):
    def call(self, x, training=None):
        return super().call(x / 2.0, training=training)


class NormalizedChain(keras.Sequential):
    def call(self, x, training=None, mask=None):
        return super().call(x / 2.0)


class Predicts(keras.Model):
    def predict_step(self, data):
        return 2.0 * super().predict_step(data)


class Trains(keras.Model):
    """Its training is its own, what it computes is not."""

    def train_step(self, data):
        return super().train_step(data)


def ends(kind=None):
    start = keras.Input((4,))
    x = layers.Dense(3)(quantized()(layers.Dense(4)(start)))
    return (kind or keras.Model)(start, x)


@pytest.mark.parametrize(
    "model, method",
    [
        (ends(Normalized), "call"),
        (NormalizedChain([keras.Input((4,)), quantized()]), "call"),
        (ends(Predicts), "predict_step"),
    ],
)
def test_models_that_are_more_than_their_graph_are_refused(model, method):
    with pytest.raises(ConversionError, match=f"has a {method} of its own.*Remedy"):
        snn_keras.convert(model, 4)


def test_a_model_whose_training_is_its_own_converts():
    check_exact(dyadic(ends(Trains)), VECTORS)


@pytest.mark.parametrize("kind", [Normalized, NormalizedChain])
def test_nested_models_that_are_more_than_their_graph_are_laid_open(kind):
    inner = keras.Input((4,))
    if kind is Normalized:
        nested = kind(inner, layers.Dense(4, activation="relu")(inner))
    else:
        nested = kind([inner, layers.Dense(4, activation="relu")])
    check_exact(source(lambda x: x, VECTORS, first=nested), VECTORS)
    # Between neurons, the ReLU inside must have levels.
    with pytest.raises(ConversionError, match=f"'{nested.name}_dense"):
        snn_keras.convert(source(nested, VECTORS), 4)


# --- Shared networks -----------------------------------------------------------------


def distance(encode):
    """How far two images' codes are from one another."""
    first, second = keras.Input((4,)), keras.Input((4,))
    return dyadic(
        keras.Model([first, second], ops.square(encode(first) - encode(second)))
    )


def shared_model():
    start = keras.Input((4,))
    return keras.Model(start, layers.Dense(3)(layers.Dense(4, "relu")(start)))


def shared_layer():
    hidden, last = layers.Dense(4, activation="relu"), layers.Dense(3)
    return lambda x: last(hidden(x))


@pytest.mark.parametrize("encoder", [shared_model, shared_layer])
def test_a_shared_encoder_stays_shared(encoder):
    model = distance(encoder())
    found = snn_keras.quantize_activations(model, 4, data=[VECTORS, 2 * VECTORS[::-1]])
    assert sum(isinstance(x, LSQReLU) for x in found.layers) == 1
    assert not found.predict([VECTORS, VECTORS], verbose=0).any()
    for way in EXACT:
        snn = snn_keras.convert(found, **way)
        assert not snn.predict([VECTORS, VECTORS], verbose=0).any()


def test_uses_of_a_shared_encoder_may_have_steps_of_their_own():
    data = [VECTORS, 2 * VECTORS[::-1]]
    model = distance(shared_model())
    found = snn_keras.quantize_activations(model, 4, data=data, shared=False)
    steps = [x.step_value() for x in found.layers if isinstance(x, LSQReLU)]
    assert len(steps) == 2 and steps[0] != steps[1]


# --- Penalties, masks, names, attributes ---------------------------------------------


@pytest.mark.parametrize(
    "make",
    [
        lambda penalty: layers.Dense(
            4, activation="relu", activity_regularizer=penalty, name="penalized"
        ),
        lambda penalty: layers.ReLU(activity_regularizer=penalty, name="penalized"),
    ],
)
def test_a_penalty_stays_on_the_activation(make):
    penalty = keras.regularizers.L1(0.5)
    model = keras.Sequential([keras.Input((4,)), make(penalty), layers.Dense(2)])
    found = snn_keras.quantize_activations(
        dyadic(model), 2**12, data=VECTORS, calibration="max"
    )
    hidden = keras.Model(model.inputs, model.get_layer("penalized").output)
    expected = 0.5 * np.abs(hidden.predict(VECTORS, verbose=0)).sum() / len(VECTORS)
    for network in (model, found):
        network(VECTORS)
        penalized = ops.convert_to_numpy(sum(network.losses))
        np.testing.assert_allclose(penalized, expected, rtol=1e-3)


TOKENS = np.array([[1, 2, 3, 0, 0], [4, 1, 0, 0, 0], [2, 2, 2, 2, 2]])


def read_once(build):
    """`build` on embedded tokens with a mask, before the first neuron."""
    start = keras.Input((5,), dtype="int32")
    x = build(layers.Embedding(5, 4, mask_zero=True)(start))
    return keras.Model(start, layers.Dense(2)(quantized()(layers.Dense(4)(x))))


@pytest.mark.parametrize(
    "build",
    [
        lambda x: layers.LSTM(3)(x),
        lambda x: layers.Bidirectional(layers.GRU(3))(x),
        lambda x: layers.GlobalAveragePooling1D()(x),
    ],
)
def test_masks_that_end_before_the_first_neuron(build):
    model = read_once(build)
    expected = model.predict(TOKENS, verbose=0)
    padded = model.predict(np.pad(TOKENS[:2, :3], [(0, 0), (0, 2)]), verbose=0)
    assert np.array_equal(padded, expected[:2])  # the mask counts
    snn = snn_keras.convert(model, **TWO_BITS, fused=False)
    np.testing.assert_allclose(snn.predict(TOKENS, verbose=0), expected, atol=1e-5)


def test_masks_behind_neurons_are_refused():
    with pytest.raises(ConversionError, match="its output has a mask"):
        snn_keras.convert(read_once(lambda x: x), 4)
    start = keras.Input((5,), dtype="int32")
    x = quantized()(layers.Dense(4)(layers.Embedding(5, 4, mask_zero=True)(start)))
    model = keras.Model(start, layers.LSTM(3, name="memory")(x))
    with pytest.raises(ConversionError, match=r"'memory'.*mask"):
        snn_keras.convert(model, 4)


@pytest.mark.parametrize("name", ["present", "readout", "act_bias", "act_quantized"])
def test_a_layer_may_have_any_name(name):
    start = keras.Input((4,))
    x = layers.Dense(4, activation="gelu", name="act")(layers.Dense(4)(start))
    x = layers.ReLU(name="other")(layers.Dense(4)(x))
    model = keras.Model(start, layers.Dense(3, name=name)(x))
    found = snn_keras.quantize_activations(model, 3, data=VECTORS)
    snn = snn_keras.convert(found, 2, data=VECTORS, bias_correction=True)
    assert found.get_layer(name).units == snn.get_layer(name).operation.units == 3


class Odd(layers.Layer):
    """Has what our own layers have, and means something else by it."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.timesteps, self.input_steps, self.cell = 9, 7, None
        self.built = True

    def call(self, x):
        return 2.0 * x

    def with_timesteps(self, timesteps):
        raise AssertionError("it is not one of ours")

    prepare = with_timesteps


def test_attributes_of_layers_do_not_change_the_run():
    model = source(lambda x: x, first=Odd())
    snn = snn_keras.convert(model, 4)
    assert snn.timesteps == 4
    assert snn.with_timesteps(8).timesteps == 8
    check_exact(model, IMAGES)


@pytest.mark.parametrize("fused", [True, False], ids=["one_pass", "steps"])
def test_a_shape_that_keras_tells_wrongly_is_refused(fused):
    """Of several axes that an ellipsis stands for, Keras tells another order."""
    inputs = keras.Input((3, 2, 4))
    x = layers.EinsumDense("...y,yz->...z", 5, name="turned")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(quantized()(x)))
    assert model.get_layer("turned").output.shape == (None, 2, 3, 5)
    with pytest.raises(
        snn_keras.ConversionError, match=r"'turned'.*\(None, 2, 3, 5\).*\(3, 3, 2, 5\)"
    ):
        snn_keras.convert(model, **TWO_BITS, fused=fused)


def test_the_printed_word_is_not_what_is_built():
    made = snn_keras.plan(source(layers.MaxPooling2D()), 4)
    with pytest.raises(AttributeError):
        made.steps[0].form = forms.Difference()
    with pytest.raises(AttributeError):
        made.steps[0].form.word = "temporal difference"


# --- Open sizes, quantized layers, data ----------------------------------------------


def open_network():
    start = keras.Input((None, None, 2))
    x = quantized()(layers.Conv2D(4, 3, padding="same")(start))
    x = quantized()(layers.Conv2D(4, 3)(layers.MaxPooling2D()(x)))
    return dyadic(keras.Model(start, layers.Conv2D(2, 1)(x)))


@pytest.mark.parametrize("way", EXACT, ids=["fused", "steps", "settle"])
def test_open_sizes_run(way):
    model = open_network()
    snn = snn_keras.convert(model, **way)
    for height, width in ((6, 6), (8, 10)):
        x = RNG.integers(0, 16, (3, height, width, 2)).astype("float32") / 16
        expected = model.predict(x, verbose=0)
        assert np.array_equal(snn.predict(x, verbose=0), expected)


def test_open_sizes_run_in_chunks_and_streams():
    snn = snn_keras.convert(open_network(), 10)
    x = IMAGES
    whole = snn.predict(x, verbose=0)
    over_time = snn.predict_over_time(x, verbose=0)
    assert np.array_equal(over_time[-1], whole)
    snn.chunk_steps = 3
    assert np.array_equal(snn.predict(x, verbose=0), whole)
    assert np.array_equal(snn.predict_over_time(x, verbose=0), over_time)
    stream = snn.stream()
    parts = [stream(np.repeat(x[:, None], n, axis=1)) for n in (4, 6)]
    streamed = np.concatenate([ops.convert_to_numpy(p) for p in parts], axis=1)
    assert np.array_equal(np.moveaxis(streamed, 1, 0), over_time)


def test_open_sizes_are_measured():
    model = open_network()
    snn = snn_keras.convert(model, 4)
    found = snn_keras.analysis.spike_statistics(snn, IMAGES)
    sizes = [layer.neurons for layer in found.layers.values()]
    assert sizes == [6 * 6 * 4, 1 * 1 * 4]
    report = snn_keras.verify(model, snn, IMAGES)
    assert report.samples == len(IMAGES)


def test_layers_that_keras_quantized_run_as_they_are():
    """They round their inputs, sample by sample, and are not linear any more."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(8), quantized()])
    for layer in (layers.Dense(8), quantized(), layers.Dense(3)):
        model.add(layer)
    for layer in model.layers:
        if isinstance(layer, layers.Dense):
            layer.quantize("int8")
    made = snn_keras.plan(model, 2, "bit_serial", fused=False)
    kinds = [type(step.form) for step in made.steps]
    assert forms.EveryStep not in kinds
    expected = model.predict(VECTORS, verbose=0)
    for way in EXACT:
        snn = snn_keras.convert(model, **way)
        np.testing.assert_allclose(
            snn.predict(VECTORS, verbose=0), expected, rtol=1e-5, atol=1e-5
        )


def test_a_quantized_network_converts_with_data_at_hand():
    model = source(layers.MaxPooling2D())
    with_data = snn_keras.convert(model, 4, data=IMAGES)
    without = snn_keras.convert(model, 4)
    expected = without.predict(IMAGES, verbose=0)
    assert np.array_equal(with_data.predict(IMAGES, verbose=0), expected)


def test_a_configured_cell_gets_the_levels_of_its_name():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4, "relu")])
    model.add(layers.Dense(2))
    named, configured = (
        snn_keras.convert(model, 3, neuron, data=VECTORS)
        for neuron in ("bit_serial", neurons.BitSerialCell())
    )
    expected = named.predict(VECTORS, verbose=0)
    assert np.array_equal(configured.predict(VECTORS, verbose=0), expected)


@pytest.mark.parametrize("neuron", ["srp", "cos"])
def test_a_training_pass_is_what_inference_is(neuron):
    snn = snn_keras.convert(source(layers.AveragePooling2D(2)), 4, neuron)
    trained = ops.convert_to_numpy(snn(IMAGES, training=True))
    assert np.array_equal(trained, snn.predict(IMAGES, verbose=0))


def test_a_run_without_an_end_is_not_trained():
    snn = snn_keras.convert(ends(), "settle", neuron="signed")
    with pytest.raises(ValueError, match=r"cannot be trained.*with_timesteps"):
        snn(VECTORS, training=True)


def test_coarse_precision_is_not_called_exact(policy):
    policy("mixed_bfloat16")
    made = snn_keras.plan(ends(), 2, "bit_serial")
    assert "approximate" in made.verdict()
    assert "bfloat16" in str(made)


@pytest.mark.parametrize("name", ["resnet20", "mnist_convnet", "vgg16", "mobilenet_v2"])
def test_our_applications_are_channels_last(name):
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_first")
    try:
        side = 28 if name == "mnist_convnet" else 32
        make = getattr(snn_keras.applications, name)
        model = make((side, side, 1), 10)
    finally:
        keras.config.set_image_data_format(before)
    assert model.input_shape == (None, side, side, 1)
    assert model.output_shape == (None, 10)


def test_spiking_networks_are_not_saved_as_hdf5(tmp_path):
    with pytest.raises(ValueError, match=r"HDF5.*Remedy: a path that ends in \.keras"):
        snn_keras.convert(ends(), 4).save(tmp_path / "snn.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="JAX has XLA alone, and PyTorch runs without",
)
def test_what_xla_cannot_compile_runs_without():
    start = keras.Input((4, 4, 2))
    x = layers.UpSampling2D(2, interpolation="bicubic", name="larger")(start)
    x = layers.Dense(1)(quantized()(layers.Dense(4)(x)))
    model, inputs = keras.Model(start, x), IMAGES[:, :4, :4]
    with pytest.warns(UserWarning, match="without XLA.*'larger'"):
        snn = snn_keras.convert(model, "settle", neuron="signed")
    expected = model.predict(inputs, verbose=0)
    np.testing.assert_allclose(snn.predict(inputs, verbose=0), expected, atol=1e-5)
    snn.compile("sgd", "mse")
    snn.evaluate(inputs, expected, verbose=0)


def test_a_spectrogram_relative_to_the_loudest_of_a_batch_is_refused():
    """Its range of decibels hangs on the other samples, and on other time steps."""
    inputs = keras.Input((16,))
    x = quantized()(layers.Dense(16)(inputs))
    x = layers.MelSpectrogram(8, 4, num_mel_bins=3, sampling_rate=80, min_freq=2)(x)
    x = layers.Dense(2)(quantized()(layers.Dense(5)(layers.Flatten()(x))))
    with pytest.raises(ConversionError, match=r"'mel_spectrogram.*mix samples.*Remedy"):
        snn_keras.convert(keras.Model(inputs, x), "settle", "signed")


def test_products_of_float64_stay_in_float64(float64):
    """Keras reports another dtype of them on JAX. On PyTorch it multiplies matrices of
    float64 in float32, which is exact here; the product needs more bits."""
    inputs = keras.Input((4,))
    x = layers.Dense(3)(quantized()(layers.Dense(3)(inputs)))
    model = dyadic(keras.Model(inputs, ops.multiply(x, x + 1.0)))
    kernel = np.random.default_rng(0).integers(-(2**13), 2**13, (3, 3)) / 2**13
    model.layers[3].kernel.assign(kernel)
    x = VECTORS.astype("float64")
    snn = snn_keras.convert(model, 2, "bit_serial", fused=False)
    ours, theirs = (ops.convert_to_numpy(m(x)) for m in (snn, model))
    assert (theirs.astype("float32") != theirs).any()
    assert np.array_equal(ours, theirs)
