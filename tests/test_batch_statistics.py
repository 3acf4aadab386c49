"""Batch normalization's statistics, estimated anew."""

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.layers import LSQReLU

X = np.random.default_rng(0).integers(-16, 17, (8, 3)).astype("float32") / 8


def network(**options):
    keras.utils.set_random_seed(0)
    normal = keras.layers.BatchNormalization
    inputs = keras.Input((3,))
    x = normal(name="first", momentum=0.75)(inputs)
    x = keras.layers.Dropout(0.5)(keras.layers.Dense(4)(x))
    x = LSQReLU(3, noise="adaptor", initial_step=0.5)(x)
    x = normal(name="second")(x)
    # What is nested counts, too.
    inner = keras.Sequential(
        [keras.Input((4,)), normal(name="third"), *options.values()]
    )
    return keras.Model(inputs, keras.layers.Dense(2)(inner(x)))


def statistics_of(layer):
    return [np.asarray(w) for w in (layer.moving_mean, layer.moving_variance)]


def test_they_are_the_means_of_the_batches():
    model = network()
    model.get_layer("first").moving_mean.assign(np.full(3, np.nan))  # is forgotten
    snn_keras.reestimate_statistics(model, X, 4)
    mean, variance = statistics_of(model.get_layer("first"))
    halves = X[:4], X[4:]
    assert np.array_equal(mean, np.mean([h.mean(0) for h in halves], 0))
    assert np.array_equal(variance, np.mean([h.var(0) for h in halves], 0))
    assert model.get_layer("first").momentum == 0.75


def test_an_incomplete_batch_is_left_out():
    whole, more = network(), network()
    snn_keras.reestimate_statistics(whole, X, 4)
    snn_keras.reestimate_statistics(more, np.concatenate([X, X[:1] + 9]), 4)
    for one, other in zip(whole.weights, more.weights, strict=True):
        assert np.array_equal(one, other)
    for x, size in ((X, 1), (X[:1], 4)):
        with pytest.raises(ValueError, match="variance of a batch of 1 is 0"):
            snn_keras.reestimate_statistics(whole, x, size)


def test_noise_and_dropout_are_off_and_deeper_layers_follow():
    model = network()
    others = [w for w in model.weights if "moving" not in w.path]
    before = [np.asarray(w) for w in others]
    snn_keras.reestimate_statistics(model, X, 8)
    first = model.get_layer("first")
    scale = np.sqrt(X.var(0) + first.epsilon)
    x = np.asarray(first.gamma) * (X - X.mean(0)) / scale + np.asarray(first.beta)
    dense, activation = model.layers[2], model.layers[4]
    x = np.asarray(activation(dense(x.astype("float32"))))
    mean, variance = statistics_of(model.get_layer("second"))
    np.testing.assert_allclose(mean, x.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, x.var(0), rtol=1e-5, atol=1e-7)
    for a, b in zip(before, others, strict=True):
        assert np.array_equal(a, b)
    nested = model.layers[-2].layers[-1]
    assert not np.array_equal(statistics_of(nested)[1], np.ones(4))


def test_by_a_callback_as_by_hand():
    one, two = network(), network()
    for model in (one, two):
        model.compile("sgd", "mse")
    options = {"epochs": 1, "verbose": 0, "batch_size": 4, "shuffle": False}
    target = np.zeros((8, 2))
    keras.utils.set_random_seed(1)
    one.fit(X, target, **options)
    keras.utils.set_random_seed(1)
    callback = snn_keras.callbacks.ReestimateStatistics(X, 4)
    two.fit(X, target, **options, callbacks=[callback])
    snn_keras.reestimate_statistics(one, X, 4)
    assert np.array_equal(*(m.predict(X, verbose=0) for m in (one, two)))


def test_a_frozen_layer_stays_and_a_network_of_such_alone_is_refused():
    model = network()
    model.get_layer("first").trainable = False
    snn_keras.reestimate_statistics(model, X)
    assert np.array_equal(statistics_of(model.get_layer("first"))[0], np.zeros(3))
    for layer in model._flatten_layers():
        layer.trainable = False
    with pytest.raises(ValueError, match="no layer of batch normalization"):
        snn_keras.reestimate_statistics(model, X)


class FailsAbove(keras.layers.Layer):
    """Ends with an error where a number is larger than the limit, once it has one."""

    limit = None

    def call(self, x):
        if self.limit is not None and np.max(np.asarray(x)) > self.limit:
            raise RuntimeError("too large")
        return x


def test_a_run_that_fails_changes_nothing():
    """The second batch fails, when the layers have statistics of the first."""
    inputs = keras.Input((3,))
    fails = FailsAbove()
    first, second = (keras.layers.BatchNormalization() for _ in range(2))
    model = keras.Model(inputs, second(first(fails(inputs))))
    fails.limit = 4.0
    before = model.get_weights()
    with pytest.raises(RuntimeError, match="too large"):
        snn_keras.reestimate_statistics(model, np.concatenate([X[:4], X[:4] + 9]), 4)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    assert first.momentum == 0.99


class Doubled(keras.layers.BatchNormalization):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


@pytest.mark.parametrize(
    "layer, reason",
    [
        (lambda: keras.layers.BatchNormalization(renorm=True), "renorm=True"),
        (Doubled, "computes otherwise"),
        (
            lambda: keras.layers.TimeDistributed(keras.layers.BatchNormalization()),
            "inside of a layer",
        ),
    ],
)
def test_what_cannot_be_estimated_is_refused_unless_it_is_frozen(layer, reason):
    plain = keras.layers.BatchNormalization()
    model = keras.Sequential([keras.Input((2, 3)), plain, layer()])
    before = model.get_weights()
    x = np.stack([X[:4], X[4:]], axis=1)
    with pytest.raises(ValueError, match=f"cannot be estimated anew: .*{reason}"):
        snn_keras.reestimate_statistics(model, x)
    for a, b in zip(before, model.get_weights(), strict=True):
        assert np.array_equal(a, b)
    model.layers[-1].trainable = False
    snn_keras.reestimate_statistics(model, x)
    assert np.array_equal(np.asarray(plain.moving_mean), X.mean(0))


def test_a_spiking_network_is_refused_before_training():
    model = network()
    snn = snn_keras.convert(model, 2, "lif", data=X)
    with pytest.raises(ValueError, match="of a spiking network, estimate its source"):
        snn_keras.reestimate_statistics(snn, X)
    snn.compile("sgd", "mse")
    callback = snn_keras.callbacks.ReestimateStatistics(X, 4)
    with pytest.raises(ValueError, match="estimate its source"):
        snn.fit(X, np.zeros((8, 2)), verbose=0, callbacks=[callback])
