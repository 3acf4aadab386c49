"""What energy counts of layers that are not Keras's own, and what it refuses."""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from snn_keras import analysis, linear
from snn_keras.analysis import probing
from snn_keras.conversion import rules
from snn_keras.conversion.registry import RULES
from snn_keras.layers import LSQReLU
from snn_keras.linear import registry
from tests.users import closed


@keras.saving.register_keras_serializable("own_layers")
class Mix(layers.Layer):
    """A Dense of somebody's own."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units))

    def call(self, x):
        return ops.matmul(x, self.kernel)

    def compute_output_shape(self, shape):
        return (*shape[:-1], self.units)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable("own_layers")
class Steep(Mix):
    """Not linear, whatever its rule says."""

    def call(self, x):
        return super().call(x) * ops.max(x, axis=-1, keepdims=True) ** 30


@closed
@keras.saving.register_keras_serializable("own_layers")
class Unknown(Mix):
    """Derived, with a call of its own: nothing is said about it."""

    def call(self, x):
        return 2 * super().call(x)


for own in (Mix, Steep):
    snn_keras.rule(own)(type(f"{own.__name__}Rule", (rules.Linear,), {}))


def form_of_mix(node):
    return linear.Dense(node.operation.kernel)


def neurons(name):
    return LSQReLU(4, initial_step=0.25, name=name)


def network(layer, shape=(6,)):
    """A layer between neurons, a weight layer behind them."""
    inputs = keras.Input(shape)
    x = layer(neurons("sent")(inputs))
    x = layers.Dense(2, name="head")(neurons("last")(x))
    return keras.Model(inputs, x)


def spiking(model, steps=4):
    """Eager where that is fast."""
    snn = snn_keras.convert(model, steps)
    snn.run_eagerly = keras.backend.backend() == "tensorflow"
    return snn


def found_in(model, x, steps=4):
    return analysis.energy(spiking(model, steps), x)


def currents(*shape):
    return np.random.default_rng(0).integers(-4, 9, (4, *shape)).astype("float32") / 8


@pytest.mark.parametrize("shape", [(6,), (3, 4), (2, 3, 4)])
@pytest.mark.parametrize("zeros", [False, True])
def test_an_own_layer_costs_what_a_dense_of_its_weights_costs(shape, zeros):
    own, dense = Mix(5), layers.Dense(5, use_bias=False)
    models = [network(layer, shape) for layer in (own, dense)]
    weights = models[0].get_weights()
    if zeros:
        weights[1] = np.eye(shape[-1], 5)  # of the layer; a weight of 0 is a weight
    for model in models:
        model.set_weights(weights)
    one, other = (found_in(model, currents(*shape)) for model in models)
    for key in ("spiking", "opponents", "ratio", "steps"):
        assert getattr(one, key) == getattr(other, key)
    assert one.layers[own.name].spiking.add > 0


def test_what_an_own_layer_reaches_is_found_once(monkeypatch):
    calls = []
    monkeypatch.setattr(Mix, "call", lambda self, x: calls.append(0) or x @ self.kernel)
    inputs = keras.Input((6,))
    shared, x = Mix(6), neurons("sent")(inputs)
    for name in ("a", "b"):
        x = neurons(name)(shared(x))
    snn = spiking(keras.Model(inputs, x))
    snn.run_eagerly = True
    per_batch = []
    for samples in (3, 6):
        calls.clear()
        analysis.energy(snn, np.ones((samples, 6)), batch_size=3)
        per_batch.append(len(calls))
    alone = per_batch[1] - per_batch[0]  # a batch more, and nothing tried again
    assert per_batch[0] - alone == probing.DRAWS + 1


def test_of_mixed_precision_every_spike_is_counted(policy):
    # More spikes than bfloat16 tells apart arrive at an element.
    policy("mixed_bfloat16")
    inputs = keras.Input((40, 10))
    x = neurons("sent")(inputs)
    x = layers.Flatten()(layers.GlobalAveragePooling1D(keepdims=True)(x))
    model = keras.Model(inputs, layers.Dense(3, name="head")(x))
    found = found_in(model, np.ones((1, 40, 10)), steps=9).layers
    assert found["head"].spiking.add == 3 * 9 * 400 == 3 * found["sent"].spikes


def test_images_of_any_size():
    inputs = keras.Input((None, None, 2))
    x = neurons("sent")(inputs)
    x = layers.Conv2D(3, 3, name="conv", padding="same")(x)
    x = layers.GlobalAveragePooling2D()(Mix(2, name="mix")(neurons("last")(x)))
    open_size = keras.Model(inputs, x)
    inputs = keras.Input((4, 5, 2))
    fixed = keras.Model(inputs, open_size(inputs))
    one, other = (found_in(model, currents(4, 5, 2)) for model in (open_size, fixed))
    assert one.layers == other.layers


@pytest.mark.parametrize("form", [list, dict, "generator"])
def test_inputs_in_every_form_that_predict_takes(form):
    inputs = [keras.Input((3,), name=name) for name in ("a", "b")]
    x = layers.Add()([neurons(f"sent_{x.name}")(x) for x in inputs])
    model = keras.Model(inputs, layers.Dense(2)(x))
    xs = [currents(3), -currents(3)[::-1]]
    given = {
        list: xs,
        dict: dict(zip("ab", xs, strict=True)),
        "generator": (((a[None], b[None]),) for a, b in zip(*xs, strict=True)),
    }[form]
    assert found_in(model, given) == found_in(model, tuple(xs))


def test_attention_multiplies_in_its_projections_and_products():
    inputs = keras.Input((3, 4))
    x = neurons("sent")(inputs)
    x = layers.MultiHeadAttention(2, 5, name="attend")(x, x)
    model = keras.Model(inputs, neurons("last")(x))
    found = found_in(model, currents(3, 4)).layers["attend"]
    # 3 places, 2 heads: queries, keys, values of 5 channels, out of 4; and back.
    once = 3 * 2 * (3 * 4 * 5 + 5 * 4)
    once += 3 * 3 * 2 * (5 + 5)  # each query by each key, each score by each value
    assert found.opponents["float"].cost.multiply == once
    assert found.spiking.multiply == 4 * once  # of numbers, at every step


def test_constants_in_products_hold_weights():
    matrix = np.arange(12, dtype="float32").reshape(4, 3)  # one of them is 0
    inputs = keras.Input((2, 4))
    x = neurons("sent")(ops.matmul(inputs, matrix))
    x = neurons("last")(ops.einsum("abc,cd->abd", x, np.ones((3, 5))))
    found = found_in(keras.Model(inputs, x), currents(2, 4)).layers
    (numbers,) = [v for k, v in found.items() if k.startswith("matmul")]
    assert (
        numbers.spiking.multiply == numbers.opponents["float"].cost.multiply == 2 * 11
    )
    (spikes,) = [v for k, v in found.items() if k.startswith("einsum")]
    assert spikes.spiking.add == 5 * found["sent"].spikes > 0
    assert spikes.spiking.multiply == 0
    assert spikes.opponents["float"].cost.multiply == 2 * 3 * 5


def test_functions_that_repeat_the_source_send_numbers():
    # Noisy neurons repeat the source at each step, max pooling and all.
    inputs = keras.Input((4, 2))
    x = snn_keras.layers.NoisySpike(name="sent")(inputs)
    x = layers.Flatten()(layers.MaxPooling1D(2)(x))
    x = snn_keras.layers.NoisySpike(name="last")(layers.Dense(3, name="head")(x))
    found = found_in(keras.Model(inputs, x), currents(4, 2), steps=2).layers["head"]
    assert found.spiking.multiply == 2 * 4 * 3
    assert found.opponents["float"].cost.multiply == 4 * 3


def test_layers_that_no_rule_calls_linear_are_refused():
    inputs = keras.Input((6,))
    x = neurons("sent")(Unknown(4, name="mine")(inputs))
    with pytest.raises(
        ValueError, match=r"'mine' \(Unknown\).*no rule.*snn_keras.rule"
    ):
        found_in(keras.Model(inputs, x), currents(6))
    inputs = keras.Input((6, 2))
    x = neurons("sent")(layers.LSTM(4, name="recurs")(inputs))
    with pytest.raises(ValueError, match=r"'recurs' \(LSTM\).*it has weights"):
        found_in(keras.Model(inputs, x), currents(6, 2))


@pytest.mark.parametrize("kind", [layers.Embedding, layers.ReversibleEmbedding])
def test_what_is_looked_up_is_not_multiplied(kind):
    inputs = keras.Input((3,), dtype="int32")
    x = layers.Dense(2, name="fc")(kind(5, 4, name="tokens")(inputs))
    model = keras.Model(inputs, neurons("sent")(x))
    found = found_in(model, np.array([[0, 4, 2]])).layers
    assert "tokens" not in found
    assert found["fc"].opponents["float"].cost.multiply == 3 * 4 * 2


def test_a_rule_makes_a_refused_layer_count():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, neurons("sent")(Unknown(4, name="mine")(inputs)))
    snn_keras.rule(Unknown)(type("UnknownRule", (rules.Affine,), {}))
    try:
        found = found_in(model, currents(6)).layers["mine"]
    finally:
        del RULES[Unknown]
    assert found.opponents["float"].cost.multiply == 6 * 4


class Open(layers.Layer):
    """A Dense of somebody's own, in Keras's functions."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], 4), name="kernel")
        self.bias = self.add_weight(shape=(4,), name="bias")

    def call(self, x):
        return ops.matmul(x, self.kernel) + self.bias


def test_a_layer_laid_open_counts_as_the_layer_that_it_is():
    def found(layer):
        inputs = keras.Input((6,))
        model = keras.Model(inputs, neurons("sent")(layer(inputs)))
        layer.set_weights([np.full((6, 4), 0.25), np.full(4, 0.5)])
        return found_in(model, currents(6))

    mine, dense = found(Open(name="mine")), found(layers.Dense(4, name="mine"))
    assert mine.layers["mine_matmul"].opponents["float"].cost.multiply == 6 * 4
    assert mine.spiking == dense.spiking and mine.opponents == dense.opponents


def test_layers_too_large_to_try_are_refused(monkeypatch):
    monkeypatch.setattr(probing, "MOST_NUMBERS", 100)
    model = network(Mix(5, name="mine"))
    with pytest.raises(
        ValueError, match=r"'mine' \(Mix\).*its 5 outputs.*its 6 inputs"
    ):
        found_in(model, currents(6))
    assert found_in(network(layers.Dense(5)), currents(6)).ratio > 0  # a remedy
    monkeypatch.setitem(registry._FORMS, Mix, form_of_mix)  # another
    assert (
        found_in(model, currents(6)).layers["mine"].opponents["float"].cost.add == 6 * 5
    )


def test_layers_that_give_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"'mine' \(Steep\).*not finite"):
        found_in(network(Steep(5, name="mine")), currents(6))
