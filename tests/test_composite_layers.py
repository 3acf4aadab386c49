"""Composite layers are laid open, or stay one operation where that would be wrong.

Expected values are the source network's own `predict`. Weights and inputs are dyadic,
and equality is exact, wherever the layers inside do not round.
"""

import keras
import numpy as np
import pytest
from keras import layers, ops

import snn_keras
from apps import hub
from snn_keras import ConversionError
from snn_keras.conversion.normalize import normal_form
from snn_keras.layers import LSQReLU

RNG = np.random.default_rng(0)
X = RNG.integers(-16, 16, (6, 3, 4)).astype("float32") / 8


@keras.saving.register_keras_serializable("of_these_tests")
class Dyadic(keras.initializers.Initializer):
    """Multiples of 1/8."""

    def __call__(self, shape, dtype=None):
        rng = np.random.default_rng(1)
        return ops.convert_to_tensor(rng.integers(-8, 9, shape) / 8, dtype)


def dense(units=4, **settings):
    return layers.Dense(
        units,
        kernel_initializer=Dyadic(),
        bias_initializer=Dyadic(),
        **settings,
    )


def neurons():
    return LSQReLU(3, initial_step=0.25)


class Own(layers.Layer):
    """A layer with a Dense layer and an activation inside."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.first, self.fire = dense(name="first"), neurons()

    def build(self, shape):
        self.first.build(shape)
        self.fire.build(shape)
        self.built = True


class Composed(Own):
    def call(self, x):
        return self.fire(self.first(x)) + x


class Nested(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.one, self.two = Composed(name="one"), Composed(name="two")

    def build(self, shape):
        self.one.build(shape)
        self.two.build(shape)
        self.built = True

    def call(self, x):
        return self.two(self.one(x))


class Twice(Own):
    def call(self, x):
        return self.fire(self.first(self.fire(self.first(x))))


class ReadsWeights(Own):
    def build(self, shape):
        super().build(shape)
        self.scale = self.add_weight(shape=(4,), initializer=Dyadic(), name="scale")
        self.place = self.add_weight(shape=(3, 4), initializer=Dyadic(), name="place")

    def call(self, x):
        return self.scale * self.fire(self.first(x + self.place))


class ClassToken(Own):
    def build(self, shape):
        super().build(shape)
        self.token = self.add_weight(
            shape=(1, 1, 4), initializer=Dyadic(), name="token"
        )

    def call(self, x):
        token = ops.tile(self.token, (ops.shape(x)[0], 1, 1))
        return self.fire(self.first(ops.concatenate([token, x], axis=1)))


class Flat(Own):
    def call(self, x):
        rows = ops.reshape(x, (ops.shape(x)[0], -1, 2))
        return self.fire(self.first(ops.reshape(rows, (-1, 3, 4))))


class Causal(Own):
    """A constant mask, with a row for each sample."""

    def call(self, x):
        mask = ops.tril(ops.ones((ops.shape(x)[0], 3, 3)))
        return self.fire(self.first(ops.matmul(mask, x)))


class HandsOn(Own):
    """Gives its input back, and one output twice."""

    def call(self, x):
        y = self.fire(self.first(x))
        return x, y, y


class HandedOn(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner = HandsOn(name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.built = True

    def call(self, x):
        x, y, again = self.inner(x)
        return x + 2 * y - again


class ByConstant(Own):
    """Combines a weight with a constant, and both with the signal."""

    def build(self, shape):
        super().build(shape)
        self.scale = self.add_weight(shape=(4,), initializer=Dyadic(), name="scale")
        self.shares = ops.convert_to_tensor(np.array([0.5, 1, 2, 0], "float32"))

    def call(self, x):
        return self.fire(self.first(x)) * (self.scale * self.shares)


class Derived(layers.Dense):
    """A layer of Keras's with a call of its own."""

    def call(self, x, training=None):
        return ops.abs(super().call(x, training=training))


def derived(name):
    return Derived(4, kernel_initializer=Dyadic(), name=name)


OPEN = [Composed, Nested, Twice, ReadsWeights, ClassToken, Flat, Causal]
OPEN += [HandedOn, ByConstant]


def network(layer):
    """The layer between neurons and weights."""
    x = keras.Input((3, 4))
    return keras.Model(x, dense(2)(neurons()(dense()(layer(neurons()(dense()(x)))))))


def check_exact(model, x=X, neuron="bit_serial"):
    snn = snn_keras.convert(model, 2, neuron, fused=False)
    expected, received = (m.predict(x, verbose=0) for m in (model, snn))
    np.testing.assert_array_equal(received, expected)
    return snn


def kinds(model):
    return [type(node.operation) for node in normal_form(model).nodes]


@pytest.mark.parametrize("kind", OPEN)
def test_it_is_laid_open_and_exact(kind):
    layer = kind(name="outer")
    model = network(layer)
    assert kind not in kinds(model) and kinds(model).count(LSQReLU) > 2
    check_exact(model)


def test_a_layer_derived_from_one_of_keras_is_laid_open():
    model = network(derived("outer"))
    assert Derived not in kinds(model)
    check_exact(model)


@pytest.mark.parametrize("kind", [Nested, ReadsWeights, ClassToken])
def test_names_are_the_same_each_time(kind):
    model = network(kind(name="outer"))
    names = [[node.name for node in normal_form(model).nodes] for _ in range(2)]
    assert names[0] == names[1]
    assert any(name.startswith("outer_") for name in names[0])


def test_the_source_is_not_changed():
    layer = Nested(name="outer")
    model = network(layer)
    parts = [layer, *layer._flatten_layers()]
    before = [len(part._inbound_nodes) for part in parts]
    weights = model.get_weights()
    normal_form(model)
    assert [len(part._inbound_nodes) for part in parts] == before
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_uses_of_a_layer_share_its_weights():
    shared = ReadsWeights(name="shared")
    x = keras.Input((3, 4))
    h = neurons()(dense()(x))
    model = keras.Model(x, dense(2)(neurons()(shared(neurons()(shared(h))))))
    check_exact(model)
    found = [node.operation for node in normal_form(model).nodes]
    of_shared = [x for x in found if x.name.startswith("shared_") or x is shared.first]
    assert len(of_shared) == 2 * len(set(map(id, of_shared))) > 0


def test_a_relu_inside_becomes_neurons():
    class Float(Own):
        def call(self, x):
            return ops.relu(self.first(x))

    x = keras.Input((3, 4))
    model = keras.Model(x, dense(2)(Float(name="outer")(x)))
    quantized = snn_keras.quantize_activations(model, data=X)
    assert LSQReLU in [type(layer) for layer in quantized.layers]
    check_exact_up_to_rounding(quantized)
    assert snn_keras.verify(quantized, snn_keras.convert(quantized), X)


def count(weights):
    return sum(int(np.prod(w.shape)) for w in weights)


@pytest.mark.parametrize("kind", [Composed, ReadsWeights, ByConstant])
def test_shared_weights_stay_one_weight_in_training(kind, tmp_path):
    """Also where one use stands before the first neuron, and others behind it."""
    shared = kind(name="shared")
    shared.fire = layers.Identity()
    shared.build((None, 3, 4))
    x = keras.Input((3, 4))
    h = shared(neurons()(shared(neurons()(shared(x)))))
    model = keras.Model(x, dense(2)(neurons()(h)))
    snn = snn_keras.convert(model, 4, "if")
    kept = [w for w in snn.trainable_weights if "threshold" not in w.path]
    steps = [w for w in model.trainable_weights if w.path.endswith("/step")]
    assert count(kept) == count(model.trainable_weights) - count(steps)
    snn.compile(keras.optimizers.SGD(0.25), "mse")
    snn.fit(X, np.ones((6, 3, 2), "float32"), verbose=0)
    snn.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    assert count(loaded.trainable_weights) == count(snn.trainable_weights)
    a, b = (m.predict(X, verbose=0) for m in (snn, loaded))
    np.testing.assert_array_equal(a, b)


def check_exact_up_to_rounding(model, x=X):
    snn = snn_keras.convert(model, 2, "bit_serial", fused=False)
    expected, received = (m.predict(x, verbose=0) for m in (model, snn))
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-5)
    return snn


@pytest.mark.parametrize("kind", [ReadsWeights, ClassToken])
def test_it_is_saved_and_loaded(kind, tmp_path):
    snn = check_exact(network(kind(name="outer")))
    snn.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    a, b = (m.predict(X, verbose=0) for m in (snn, loaded))
    np.testing.assert_array_equal(a, b)


class Attention(layers.Layer):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.norm = layers.LayerNormalization()
        self.attention = layers.MultiHeadAttention(2, 2)
        self.up, self.down = layers.Dense(8, "gelu"), layers.Dense(4)

    def build(self, shape):
        self.norm.build(shape)
        self.attention.build(shape, shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 8))
        self.built = True

    def call(self, x, padding=None, training=None):
        h = self.norm(x)
        mask = None if padding is None else ops.expand_dims(padding, 1)
        h = self.attention(h, h, attention_mask=mask, training=training)
        return x + self.down(self.up(x + h))


@pytest.mark.parametrize("padded", [False, True])
def test_transformers_are_exact_in_total(padded):
    keras.utils.set_random_seed(0)
    x, padding = keras.Input((3, 4)), keras.Input((3,), dtype="bool")
    given = {"padding": padding} if padded else {}
    h = Attention(name="a")(neurons()(dense()(x)), **given)
    h = Attention(name="b")(h, **given)
    model = keras.Model([x, padding], dense(2)(neurons()(h)))
    data = [X, np.arange(3) < RNG.integers(1, 4, (6, 1))]
    quantized = model
    assert not {Attention} & set(kinds(quantized))
    check_exact_up_to_rounding(quantized, data)


# --- What stays one operation --------------------------------------------------------


class Stateful(Own):
    def build(self, shape):
        super().build(shape)
        self.seen = self.add_weight(shape=(), initializer="zeros", trainable=False)

    def call(self, x):
        self.seen.assign(self.seen + 1)
        return self.first(x) + self.seen


class Counts(Own):
    calls = 0

    def call(self, x):
        self.calls += 1
        return self.first(x)


class Random(Own):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.seed = keras.random.SeedGenerator(1)

    def call(self, x):
        return self.first(x) + keras.random.normal((3, 4), seed=self.seed)


class TrainsOtherwise(Own):
    def call(self, x, training=False):
        return self.first(x) if training else self.fire(self.first(x))


class DropsAlways(Own):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.drop = layers.Dropout(0.5)

    def call(self, x):
        return self.drop(self.first(x), training=False)


class ReadsInner(Own):
    def call(self, x):
        return ops.matmul(self.first(x), ops.transpose(self.first.kernel))


class Loses(Own):
    def call(self, x):
        self.add_loss(ops.mean(x))
        return self.first(x)


class ByBatch(Own):
    def call(self, x):
        return self.first(x) * ops.cast(ops.shape(x)[0], "float32")


class Untraced(Own):
    def call(self, x):
        y = self.first(x)
        return y if isinstance(x, keras.KerasTensor) else 2 * y


class InWays(ReadsWeights):
    def call(self, x, times=1):
        return times * super().call(x)


def test_if_one_call_stays_closed_all_do():
    """Or the layer's weights would be two in training."""
    layer, x = InWays(name="outer"), keras.Input((3, 4))
    h = layer(neurons()(dense()(x)))
    h = layer(neurons()(h), times=2)
    model = keras.Model(x, dense(2)(neurons()(h)))
    assert kinds(model).count(InWays) == 2
    words = r"'outer_1'(.|\n)*several ways(.|\n)*Remedy"
    with pytest.raises(ConversionError, match=words):
        snn_keras.convert(model, 2, "bit_serial", fused=False)


CLOSED = [
    Stateful,
    Counts,
    Random,
    TrainsOtherwise,
    DropsAlways,
    ReadsInner,
    Loses,
    ByBatch,
    Untraced,
]


@pytest.mark.parametrize("kind", CLOSED)
def test_it_stays_one_operation_and_is_refused_by_name(kind):
    layer = kind(name="outer")
    model = network(layer)
    assert kind in kinds(model)
    with pytest.raises(ConversionError, match=r"'outer'(.|\n)*Remedy"):
        snn_keras.convert(model, 2, "bit_serial", fused=False)


@pytest.mark.parametrize("kind", CLOSED)
def test_what_stays_closed_inside_is_refused_by_its_own_name(kind):
    class Around(layers.Layer):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.inner = kind(name="inner")

        def build(self, shape):
            self.inner.build(shape)
            self.built = True

        def call(self, x):
            return 2 * self.inner(x)

    model = network(Around(name="outer"))
    with pytest.raises(ConversionError, match=r"'(outer_)?inner'(.|\n)*Remedy"):
        snn_keras.convert(model, 2, "bit_serial", fused=False)


def test_a_rule_wins():
    @keras.saving.register_keras_serializable("of_these_tests")
    class Ruled(Composed):
        pass

    @snn_keras.rule(Ruled)
    class _Rule(snn_keras.rules.Difference):
        pass

    assert Ruled in kinds(network(Ruled()))


# --- Models --------------------------------------------------------------------------


class Subclassed(keras.Model):
    def __init__(self, **settings):
        super().__init__(**settings)
        self.inner, self.first, self.fire = Nested(), dense(), neurons()
        self.last = dense(2)

    def call(self, x):
        return self.last(self.fire(self.inner(self.fire(self.first(x)))))


class OfSeveral(Subclassed):
    def call(self, inputs):
        return {"y": super().call(inputs["a"] - inputs["b"])}


def built(kind=Subclassed, x=X):
    model = kind(name="net")
    model(x)
    return model


def test_a_subclassed_model_converts():
    snn = check_exact(built())
    assert snn.input_shape == (None, 3, 4)


def test_a_subclassed_model_of_several_inputs_converts():
    x = {"a": X, "b": X[::-1]}
    model = built(OfSeveral, x)
    snn = snn_keras.convert(model, 2, "bit_serial", fused=False)
    expected, received = (m.predict(x, verbose=0)["y"] for m in (model, snn))
    np.testing.assert_array_equal(received, expected)


def test_a_subclassed_float_model_is_quantized_and_verified():
    class Float(keras.Model):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.first, self.last = dense(activation="relu"), dense(2)

        def call(self, x):
            return self.last(self.first(x))

    model = built(Float)
    quantized = snn_keras.quantize_activations(model, data=X)
    assert LSQReLU in [type(layer) for layer in quantized.layers]
    snn = snn_keras.convert(model, data=X)
    assert snn_keras.verify(quantized, snn_keras.convert(quantized), X)
    assert snn.predict(X, verbose=0).shape == (6, 3, 2)


def test_a_subclassed_model_that_is_not_built_is_refused():
    with pytest.raises(ConversionError, match=r"'net'(.|\n)*subclassed(.|\n)*Remedy"):
        snn_keras.convert(Subclassed(name="net"), 2)


def test_a_subclassed_model_with_a_memory_is_refused():
    class Remembers(Subclassed):
        def __init__(self, **settings):
            super().__init__(**settings)
            self.inner = Stateful(name="inner")

        def build(self, shape):
            for layer in (self.first, self.inner, self.fire, self.last):
                layer.build(shape)

    with pytest.raises(ConversionError, match=r"'net_inner'(.|\n)*Remedy"):
        snn_keras.convert(built(Remembers), 2, "bit_serial", fused=False)


# --- KerasHub ------------------------------------------------------------------------


@pytest.mark.skipif(not hub.is_here(), reason=hub.REMEDY)
@pytest.mark.parametrize("family", ["Bert", "Gemma", "DeiT"])
def test_networks_of_keras_hub_are_exact_in_total(family):
    model = hub.backbone(family)
    x = hub.drawn(model)
    quantized = snn_keras.quantize_activations(model, 3, data=x)
    snn = snn_keras.convert(quantized, 2, "bit_serial", fused=False)
    expected, received = (
        keras.tree.flatten(m.predict(x, verbose=0)) for m in (quantized, snn)
    )
    for a, b in zip(expected, received, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
