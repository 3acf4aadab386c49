"""Models of tf_keras and of TensorFlow Model Optimization, taken over."""

import keras
import numpy as np
import pytest

import snn_keras
from apps import data
from snn_keras.interop import from_tf_keras, weight_statistics
from snn_keras.layers import LSQReLU

tf_keras = pytest.importorskip("tf_keras", reason="pip install snn_keras[tfmot]")
tfmot = pytest.importorskip(
    "tensorflow_model_optimization", reason="pip install snn_keras[tfmot]"
)
layers = tf_keras.layers


@pytest.fixture(autouse=True)
def fixed_seed():
    tf_keras.utils.set_random_seed(0)


def convnet():
    """What a user of Keras 2 has: every kind of ReLU, residual, batch norm."""
    x = inputs = tf_keras.Input((12, 12, 1), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(x)
    x = y = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu")(x)
    x = layers.Conv2D(8, 1)(x)
    x = layers.Activation("relu")(layers.Add()([x, y]))
    x = layers.AveragePooling2D()(x)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(x))
    return tf_keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def operators():
    """Plain operators, constants, a shared layer, several inputs and outputs."""
    a, b = tf_keras.Input((6,), name="a"), tf_keras.Input((6,), name="b")
    shared = layers.Dense(6)
    x = shared(a) * 2.0 + shared(b)
    y = 1.5 - layers.Concatenate()([x, a])
    return tf_keras.Model([a, b], [y, layers.Subtract()([x, b])])


def nested():
    inner = tf_keras.Sequential([layers.Dense(5, "relu"), layers.Dense(6)], name="in")
    x = inputs = tf_keras.Input((6,))
    return tf_keras.Model(inputs, layers.Add()([inner(x), x]))


def sequential():
    return tf_keras.Sequential(
        [
            layers.Input((9, 4)),
            layers.SeparableConv1D(6, 3, activation="relu6"),
            layers.LayerNormalization(),
            layers.LSTM(5, return_sequences=True),
            layers.GRU(4),
            layers.Dropout(0.5),
            layers.Dense(3, kernel_regularizer="l2"),
        ]
    )


def filled(model):
    """`model` with numbers in every weight that starts from a constant."""
    rng = np.random.default_rng(0)
    for variable in model.weights:
        if "variance" in variable.name:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif np.ptp(variable.numpy()) == 0 and variable.dtype.is_floating:
            variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def inputs_of(model, count=64):
    rng = np.random.default_rng(1)
    shapes = [(count, *x.shape[1:]) for x in model.inputs]
    made = [rng.uniform(0, 1, shape).astype("float32") for shape in shapes]
    return made if len(made) > 1 else made[0]


def outputs_of(model, x):
    return keras.tree.flatten(model.predict(x, verbose=0))


def assert_same(received, expected):
    for a, b in zip(received, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("make", [convnet, operators, nested, sequential])
def test_the_same_outputs_and_names(make):
    model = filled(make())
    before = [w.numpy() for w in model.weights]
    taken = from_tf_keras(model)
    x = inputs_of(model)
    assert_same(outputs_of(taken, x), outputs_of(model, x))
    assert {x.name for x in model.layers} <= {x.name for x in taken.operations}
    assert all(map(np.array_equal, before, [w.numpy() for w in model.weights]))


def test_it_converts():
    model = filled(convnet())
    x = inputs_of(model)
    snn = snn_keras.convert(from_tf_keras(model), 32, data=x, levels=31)
    expected = outputs_of(model, x)[0]
    (received,) = outputs_of(snn, x)
    assert np.mean(received.argmax(-1) == expected.argmax(-1)) > 0.9


def trained(model, callbacks=(), epochs=3):
    """`model` after a few steps, which set its ranges and masks."""
    model.compile("adam", "sparse_categorical_crossentropy")
    labels = np.random.default_rng(2).integers(0, 10, 64)
    model.fit(
        inputs_of(model), labels, epochs=epochs, verbose=0, callbacks=list(callbacks)
    )
    return model


def kernels(model):
    return [w.numpy() for w in model.trainable_weights if len(w.shape) > 1]


def test_a_pruned_model_keeps_its_zeros():
    schedule = tfmot.sparsity.keras.ConstantSparsity(0.75, 0, frequency=1)
    pruned = tfmot.sparsity.keras.prune_low_magnitude(convnet(), schedule)
    trained(pruned, [tfmot.sparsity.keras.UpdatePruningStep()])
    taken = from_tf_keras(pruned)
    x = inputs_of(pruned)
    assert_same(outputs_of(taken, x), outputs_of(pruned, x))
    stripped = kernels(tfmot.sparsity.keras.strip_pruning(pruned))
    zeros = [stats["zeros"] for stats in weight_statistics(taken).values()]
    assert zeros == [np.mean(w == 0) for w in stripped]
    assert max(zeros) == 0.75
    snn = snn_keras.convert(taken, 2, data=x, levels=3)
    assert [v["zeros"] for v in weight_statistics(snn).values()] == zeros


def test_a_clustered_model_keeps_its_clusters():
    clustered = tfmot.clustering.keras.cluster_weights(
        convnet(),
        number_of_clusters=6,
        cluster_centroids_init=tfmot.clustering.keras.CentroidInitialization.LINEAR,
    )
    taken = from_tf_keras(clustered)
    x = inputs_of(clustered)
    assert_same(outputs_of(taken, x), outputs_of(clustered, x))
    # Six values where there are more weights; depthwise kernels are left as they are.
    found = {(v["weights"], v["distinct"]) for v in weight_statistics(taken).values()}
    assert {(8 * 36 * 16, 6), (9 * 8, 6), (8 * 8, 6), (16 * 10, 6)} <= found


def quantized(epochs=3):
    return trained(tfmot.quantization.keras.quantize_model(convnet()), epochs=epochs)


@pytest.mark.parametrize("epochs", [3, 400])
def test_a_quantize_aware_model(epochs):
    model = quantized(epochs)
    taken = from_tf_keras(model)
    x = inputs_of(model)
    assert_same(outputs_of(taken, x), outputs_of(model, x))
    steps = [x for x in taken.layers if isinstance(x, LSQReLU)]
    assert len(steps) == 8 and all(x.levels.bit_length() == 8 for x in steps)
    snn = snn_keras.convert(taken, 8, neuron="bit_serial")
    assert_same(outputs_of(snn, x), outputs_of(taken, x))
    report = snn_keras.verify(taken, snn, x)
    # Float32: a pre-activation at the edge between two levels rounds to either.
    assert all(layer.off[0] > 0.9999 for layer in report.layers)


@pytest.mark.slow
def test_fashion_mnist():
    """Quantize-aware on 10,000 images: what differs, and why."""
    split = data.shipped_test_images()
    images = np.pad(data.preprocess(split.images), [(0, 0), (2, 2), (2, 2), (0, 0)])
    i = y = tf_keras.Input((32, 32, 1))
    for filters in (16, 32, 32):
        y = layers.Conv2D(filters, 3, padding="same", use_bias=False)(y)
        y = layers.ReLU()(layers.BatchNormalization()(y))
        y = layers.AveragePooling2D()(y)
    y = layers.Dense(10)(layers.Flatten()(y))
    model = tf_keras.Model(i, y)
    loss = tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for make in (lambda m: m, tfmot.quantization.keras.quantize_model):
        model = make(model)
        model.compile("adam", loss)
        model.fit(images, split.labels, batch_size=64, epochs=2, verbose=0)
    taken = from_tf_keras(model)
    snn = snn_keras.convert(taken, 8, neuron="bit_serial")
    expected, received, spiking = (
        m.predict(images, batch_size=250, verbose=0) for m in (model, taken, snn)
    )
    answers = [outputs.argmax(-1) for outputs in (expected, received, spiking)]
    accuracy = np.mean(answers[0] == split.labels)
    same = [float(np.mean(answers[0] == other)) for other in answers[1:]]
    off = np.mean(np.any(np.abs(spiking - expected) > 1e-4, axis=-1))
    print(f"accuracy {accuracy:.4f}, same answer {same}, outputs off {off:.4f}")
    assert accuracy > 0.8 and np.array_equal(answers[1], answers[2])
    assert min(same) > 0.999


class Own(layers.Layer):
    def call(self, x):
        return x


def test_what_keras_3_lacks_is_named():
    x = inputs = tf_keras.Input((6,))
    x = Own(name="mine")(x)
    x = layers.Lambda(lambda v: v, name="anonymous")(x)
    x = tf_keras.backend.cumsum(x)
    x = layers.ThresholdedReLU(name="old")(x)
    model = tf_keras.Model(inputs, x)
    with pytest.raises(snn_keras.ConversionError) as refused:
        from_tf_keras(model)
    for part in ("'mine' (Own)", "'anonymous'", "'old'", "math.cumsum", "Remedy"):
        assert part in str(refused.value)


def test_what_is_no_tf_keras_model_is_refused():
    class Subclass(tf_keras.Model):
        def call(self, x):
            return x

    with pytest.raises(ValueError, match="Keras 3 model already"):
        from_tf_keras(keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]))
    with pytest.raises(ValueError, match=r"expected a tf_keras\.Model"):
        from_tf_keras("model.h5")
    with pytest.raises(ValueError, match="without a graph"):
        from_tf_keras(Subclass())
