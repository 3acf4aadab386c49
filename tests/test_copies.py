"""A spiking network's own layers and functions compute what the source's compute."""

import functools

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras.layers import LSQReLU
from tests.users import closed

RNG = np.random.default_rng(0)
X = RNG.integers(-16, 17, (8, 6)).astype("float32") / 8


def quantized():
    return LSQReLU(3, initial_step=0.25)


def network(*stack, shape=(6,), dtype=None):
    """A network that begins with a stack of layers; its last neurons have two bits."""
    inputs = keras.Input(shape, dtype=dtype)
    x = inputs
    for layer in stack:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(3)(quantized()(layers.Dense(6)(x))))


def assert_exact(model, x=X, bits=2):
    snn = snn_keras.convert(model, bits, "bit_serial")
    expected = model.predict(x, verbose=0)
    np.testing.assert_array_equal(snn.predict(x, verbose=0), expected)
    return snn


class TanhDense(layers.Dense):
    """Sets its own activation, as blocks of users do."""

    def __init__(self, units, **kwargs):
        super().__init__(units, **{**kwargs, "activation": "tanh"})


class TanhWhenBuilt(layers.Dense):
    def build(self, shape):
        super().build(shape)
        self.activation = keras.activations.tanh


class ReLUDense(layers.Dense):
    def __init__(self, units, **kwargs):
        super().__init__(units, **{**kwargs, "activation": "relu"})


@pytest.mark.parametrize("kind", [TanhDense, TanhWhenBuilt])
def test_a_class_that_sets_its_activation_applies_it_once(kind):
    assert_exact(network(kind(6)))
    assert_exact(network(layers.Dense(6), quantized(), kind(6)))
    assert_exact(
        network(layers.Reshape((3, 2)), layers.TimeDistributed(kind(2)), _flat())
    )


def _flat():
    return layers.Flatten()


def test_a_class_that_sets_a_relu_can_be_quantized():
    model = keras.Sequential([keras.Input((6,)), ReLUDense(6), layers.Dense(3)])
    fine = snn_keras.quantize_activations(model, 2**12 - 1, data=X)
    a, b = (net.predict(X, verbose=0) for net in (model, fine))
    np.testing.assert_allclose(a, b, atol=1e-3)
    assert_exact(fine, bits=12)


# --- Functions that look at more than one number ---

MEAN = layers.GlobalAveragePooling1D


@pytest.mark.parametrize(
    ("function", "behind"),
    [
        (lambda t: t[:, :300], MEAN),
        (lambda t: ops.relu(t[:, :300]), MEAN),
        (lambda t: t if t.shape[1] < 400 else t + 1.0, MEAN),
        (
            lambda t: t if len(t.shape) < 3 else t - ops.mean(t, (1, 2), keepdims=True),
            MEAN,
        ),
        (lambda t: ops.reshape(t, (-1, 1600)), layers.Identity),
    ],
    ids=["slice", "relu of a slice", "shift", "center", "flatten"],
)
def test_a_function_is_looked_at_in_its_place(function, behind):
    x = np.random.default_rng(0).normal(size=(4, 400, 4)).astype("float32")
    x[:, 300:] += 5
    assert_exact(network(layers.Lambda(function), behind(), shape=(400, 4)), x)


def test_a_cast_stays():
    cast = layers.Lambda(lambda z: ops.cast(z, "float32"))
    model = network(cast, layers.Rescaling(2.0, -255.0), dtype="uint8")
    assert_exact(model, RNG.integers(0, 255, (8, 6)).astype("uint8"))


def test_what_is_no_number_is_replaced():
    x = X.copy()
    x[0, 0] = np.nan
    model = network(layers.Lambda(lambda z: ops.where(ops.isnan(z), 0.0, z)))
    assert np.isfinite(model.predict(x, verbose=0)).all()
    assert_exact(model, x)


@functools.wraps(keras.activations.relu)
def twice_relu(z):
    return 2 * keras.activations.relu(z)


@functools.wraps(keras.activations.linear)
def one_more(z):
    return z + 1


@functools.wraps(keras.activations.tanh)
def three_tanh(z):
    return 3 * ops.tanh(z)


@pytest.mark.parametrize("function", [twice_relu, one_more, three_tanh])
def test_a_function_that_names_itself_keras_is_kept(function, tmp_path):
    snn = assert_exact(network(layers.Dense(6, activation=function)))
    with pytest.raises(ValueError, match=r"Keras has a .* of its own"):
        snn.save(tmp_path / "snn.keras")


class Clip:
    """A function whose limit may change."""

    def __init__(self, limit):
        self.limit = limit

    def __call__(self, z):
        return ops.clip(z, 0, self.limit)


def test_a_callable_is_looked_at_every_time():
    clip = Clip(6.0)
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(6, activation=clip), layers.Dense(3)]
    )
    snn_keras.quantize_activations(model, 3, data=X)
    clip.limit = 0.125
    fine = snn_keras.quantize_activations(model, 2**12 - 1, data=X)
    a, b = (net.predict(X, verbose=0) for net in (model, fine))
    np.testing.assert_allclose(a, b, atol=1e-4)


def leaky_relu(z):
    return z * z


def test_a_lambda_of_a_known_name_is_not_saved_as_keras_would(tmp_path):
    snn = assert_exact(network(layers.Lambda(leaky_relu)))
    with pytest.raises(ValueError, match="Keras has a leaky_relu of its own"):
        snn.save(tmp_path / "snn.keras")


# --- Layers as activations ---


@pytest.mark.parametrize(
    "made", [quantized, lambda: layers.PReLU(keras.initializers.Constant(0.25))]
)
def test_a_layer_may_be_an_activation(made):
    model = network(layers.Dense(6, activation=made()))
    model(X)  # Keras builds it when it is first called
    assert_exact(model)
    assert_exact(network(layers.Dense(6), layers.Activation(made())))


def test_a_relu_layer_inside_an_activation_becomes_neurons():
    relu = layers.Activation(layers.ReLU(6.0))
    model = keras.Sequential([keras.Input((6,)), relu, layers.Dense(3)])
    snn = snn_keras.convert(model, 4, "bit_serial", data=X)
    assert sum("Spiking" in type(layer).__name__ for layer in snn.layers) == 1


# --- Layers of users' own ---


@closed
class Adapted(layers.Layer):
    factor = 1.0

    def adapt(self, value):
        self.factor = float(value)

    def call(self, z):
        return z * self.factor


@closed
class Projected(layers.Layer):
    def build(self, shape):
        self.matrix = np.random.normal(size=(shape[-1], 6)).astype("float32")

    def call(self, z):
        return ops.matmul(z, self.matrix)


def adapted():
    layer = Adapted()
    layer.adapt(5)
    return layer


@pytest.mark.parametrize("made", [adapted, Projected])
def test_a_state_that_nothing_tells_is_refused(made):
    for stack in ([made()], [layers.Dense(6), quantized(), layers.Dense(6), made()]):
        with pytest.raises(
            snn_keras.ConversionError, match=r"(?s)computes something else.*Remedy: "
        ):
            snn_keras.convert(network(*stack), 2, "bit_serial")


class Block(layers.Layer):
    """Layers inside a layer, built when it is called."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.first, self.second = layers.Dense(4, "tanh"), layers.Dense(6)

    def call(self, z):
        return self.second(self.first(z))


def test_layers_inside_a_layer_need_no_build():
    assert_exact(network(Block()))
    assert_exact(network(layers.Dense(6), quantized(), layers.Dense(6), Block()))


@keras.saving.register_keras_serializable("copies")
def wave(z):
    return 2 * z + ops.sin(z)


class Applies(layers.Layer):
    """Has a function in its configuration."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, z):
        return self.function(z)

    def get_config(self):
        return {**super().get_config(), "function": self.function}

    @classmethod
    def from_config(cls, config):
        function = keras.saving.deserialize_keras_object(config.pop("function"))
        return cls(function, **config)


def test_a_configuration_may_hold_a_function():
    assert_exact(network(Applies(wave)))


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="texts are TensorFlow's"
)
def test_counts_of_words_are_copied():
    import tensorflow as tf

    words = layers.TextVectorization(output_mode="tf_idf")
    words.adapt(["a b c", "b c", "c d d"])
    texts = tf.constant([["a b"], ["b d c"]])
    assert_exact(network(words, shape=(1,), dtype="string"), texts)


@closed
class Twice(keras.Model):
    """A nested model that is more than its graph."""

    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


def softsign(z):
    return z * z


def test_functions_of_known_names_inside_a_model_are_refused_by_name():
    inner = keras.Input((6,))
    model = network(Twice(inner, layers.Dense(6, activation=softsign)(inner)))
    with pytest.raises(
        snn_keras.ConversionError, match=r"(?s)softsign.*finds.*Remedy"
    ) as e:
        snn_keras.convert(model, 2, "bit_serial")
    assert "Give it a name that Keras does not have" in str(e.value)


def by_its_norm(z):
    return z / (1 + ops.sum(z**2, axis=1))[:, None]


@pytest.mark.parametrize(
    ("made", "place"),
    [
        (lambda: layers.Softmax(axis=1), "before"),
        (lambda: layers.Softmax(axis=1), "between"),
        (lambda: by_its_norm, "before"),
        (lambda: lambda z: by_its_norm(z), "before"),
    ],
)
def test_axes_of_an_activation_are_those_of_one_entry(made, place):
    x = np.random.default_rng(0).normal(size=(4, 3, 6)).astype("float32")
    dense = layers.TimeDistributed(layers.Dense(5, activation=made()))
    before = [layers.Dense(6), quantized()] if place == "between" else []
    model = network(*before, dense, shape=(3, 6))
    assert_exact(model, x)
    snn = snn_keras.convert(model, 2, "bit_serial", fused=False)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(snn.predict(x, verbose=0), expected, atol=1e-6)
