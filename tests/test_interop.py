"""Models of tf_keras and of TensorFlow Model Optimization, taken over."""

import keras
import numpy as np
import pytest

import snn_keras
from apps import data
from snn_keras.interop import activations, from_tf_keras, weight_statistics
from snn_keras.layers import LSQReLU
from snn_keras.layers.keras2 import keras2_hard_sigmoid

tf_keras = pytest.importorskip("tf_keras", reason="pip install .[tfmot]")
tfmot = pytest.importorskip(
    "tensorflow_model_optimization", reason="pip install .[tfmot]"
)
tf = pytest.importorskip("tensorflow")
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


@pytest.mark.parametrize("epochs", [3, pytest.param(400, marks=pytest.mark.slow)])
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


class Dense(layers.Dense):
    """A user's own layer, with the name of one of Keras's."""


class Shifted(tf_keras.Model):
    """A functional model whose graph is not all that it does."""

    def call(self, x, training=None, mask=None):
        return super().call(x + 1.0)


class ShiftedSequential(tf_keras.Sequential):
    def call(self, x, training=None, mask=None):
        return super().call(x + 1.0)


class L2(tf_keras.regularizers.Regularizer):
    """A user's own regularizer, with the name of one of Keras's."""

    def __call__(self, x):
        return 0.0

    def get_config(self):
        return {}


class OwnTraining(tf_keras.Model):
    def train_step(self, data):
        return {}


@tf_keras.utils.register_keras_serializable("tests")
def relu(x):
    """A user's own function, with the name of one of Keras's."""
    return tf_keras.activations.relu(x) + 1.0


def on(shape, *parts, kind=tf_keras.Model):
    """A model of layers one after the other."""
    x = inputs = tf_keras.Input(shape)
    for part in parts:
        x = part(x)
    return kind(inputs, x)


def assert_taken(model, x=None):
    """Takes a model over; it must give the same outputs. Returns the Keras 3 model."""
    model = filled(model)
    x = inputs_of(model, count=4) if x is None else x
    made = from_tf_keras(model)
    expected = keras.tree.flatten(model(x, training=False))
    received = map(keras.ops.convert_to_numpy, keras.tree.flatten(made(x)))
    assert_same(received, [y.numpy() for y in expected])
    return made


def assert_refused(model, *parts):
    with pytest.raises(snn_keras.ConversionError, match="Remedy") as refused:
        from_tf_keras(model)
    for part in parts:
        assert part in str(refused.value)


def test_what_keras_3_lacks_is_named():
    x = inputs = tf_keras.Input((6,))
    x = Own(name="mine")(x)
    x = layers.Lambda(lambda v: v, name="anonymous")(x)
    x = tf_keras.backend.cumsum(x)
    x = layers.Dense(6, tf_keras.backend.abs, name="curve")(x)
    inner = on((6,), Own(name="deep"))
    model = tf_keras.Model(inputs, inner(x))
    parts = ("'mine' (Own)", "'anonymous'", "'curve'", "math.cumsum")
    assert_refused(model, *parts, f"'deep' (Own) in '{inner.name}'")


@pytest.mark.parametrize(
    "make",
    [
        lambda: on((4,), layers.Dense(3, relu, name="mine")),
        lambda: on((4,), layers.Activation(relu, name="mine")),
        lambda: on((4, 3), layers.GRU(3, recurrent_activation=relu, name="mine")),
        lambda: on((4, 3), layers.RNN(layers.LSTMCell(3, relu), name="mine")),
        lambda: on((4, 3), layers.Bidirectional(layers.LSTM(3, relu), name="mine")),
        lambda: on((4, 3), layers.TimeDistributed(layers.Dense(3, relu), name="mine")),
        lambda: on((4,), Dense(3, name="mine")),
        lambda: on((4, 3), layers.TimeDistributed(Dense(3), name="mine")),
        lambda: on((4,), on((4,), layers.Dense(3, relu, name="mine"))),
    ],
)
def test_what_is_named_like_keras_and_is_not_keras_is_refused(make):
    assert_refused(make(), "'mine'")


@pytest.mark.parametrize(
    "make",
    [
        lambda: on((4,), layers.Dense(3), kind=Shifted),
        lambda: on((4,), on((4,), layers.Dense(3), kind=Shifted)),
        lambda: ShiftedSequential([layers.Input((4,)), layers.Dense(3)]),
        lambda: on((4, 3), layers.TimeDistributed(ShiftedSequential([layers.ReLU()]))),
    ],
)
def test_a_model_whose_graph_is_not_all_that_it_does_is_refused(make):
    assert_refused(make(), "a call of its own")


def test_a_model_with_its_own_way_of_training_is_its_graph():
    assert_taken(on((4,), layers.Dense(3), kind=OwnTraining))


def test_regularizers_of_keras_stay_and_own_ones_do_not():
    own, l1_l2 = L2(), tf_keras.regularizers.L1L2(0.25, 0.5)
    parts = [layers.Dense(4, kernel_regularizer=r) for r in (l1_l2, own)]
    one, two = assert_taken(on((4,), *parts)).layers[1:]
    assert one.kernel_regularizer.get_config() == {"l1": 0.25, "l2": 0.5}
    assert two.kernel_regularizer is None


def test_slashes_leave_names():
    parts = [layers.Dense(4, name=name) for name in ("in/one", "in_one", "two")]
    made = assert_taken(on((4,), *parts))
    assert [x.name for x in made.layers[1:]] == ["in_one_1", "in_one", "two"]
    nested = on((4,), layers.Dense(4, name="a/b"), layers.Dense(2, name="c/d"))
    nested._name = "the/model"
    made = assert_taken(on((4,), nested))
    assert made.get_layer("the_model").get_layer("a_b").units == 4


def test_names_of_what_layers_add_to_the_graph_are_free():
    """Masks are computed by operations that count up as layers of tf_keras do."""
    a, b = tf_keras.Input((4, 3)), tf_keras.Input((4, 3))
    x = layers.Concatenate(name="concatenate")([layers.Masking()(i) for i in (a, b)])
    x = layers.Concatenate(name="concatenate_1")([x, x])
    assert_taken(tf_keras.Model([a, b], layers.GlobalAveragePooling1D()(x)))


def test_what_is_shared_stays_shared():
    dense = layers.Dense(4)
    inner = on((4,), dense, layers.ReLU())
    x = tf_keras.Input((4,))
    y = layers.Add()([dense(inner(x)), inner(dense(x)), inner(x)])
    made = assert_taken(tf_keras.Model(x, y))
    assert len(made.weights) == 2
    dense = layers.Dense(3, "hard_sigmoid")
    made = assert_taken(on((4, 3), layers.TimeDistributed(dense), dense))
    assert len(made.weights) == 2


def test_the_order_of_frozen_weights_does_not_matter():
    cells = [layers.LSTMCell(3), layers.GRUCell(4)]
    cells[0].trainable = False
    made = assert_taken(on((5, 2), layers.RNN(cells)))
    assert len(made.trainable_weights) == 3
    block = on((4,), layers.Dense(4), layers.BatchNormalization())
    block.trainable = False
    assert len(assert_taken(on((4,), block, layers.Dense(2))).trainable_weights) == 2


def test_states_are_arguments():
    x, a, b = (tf_keras.Input(shape) for shape in ((5, 4), (3,), (3,)))
    y, h, c = layers.LSTM(3, return_state=True, return_sequences=True)(
        x, initial_state=[a, b]
    )
    z = layers.Bidirectional(layers.GRU(3))(y, initial_state=[h, c])
    assert_taken(tf_keras.Model([x, a, b], [z, c]))


def test_stateful_layers_begin_at_rest_and_keep_their_states():
    x = tf_keras.Input(batch_shape=(2, 5, 4))
    layer = layers.LSTM(3, stateful=True)
    model = tf_keras.Model(x, layer(x))
    frames = np.ones((2, 5, 4), "float32")
    first, before = model(frames).numpy(), [x.numpy() for x in layer.states]
    made = from_tf_keras(model)
    assert all(map(np.array_equal, [x.numpy() for x in layer.states], before))
    assert_same([keras.ops.convert_to_numpy(made(frames))], [first])


def test_inputs_and_outputs_by_name():
    x = {name: tf_keras.Input((4,), name=name) for name in ("b", "a")}
    y = {"u": layers.Dense(2)(x["a"]), "t": layers.Add()([x["a"], x["b"]])}
    model = filled(tf_keras.Model(x, y))
    made = from_tf_keras(model)
    rng = np.random.default_rng(0)
    values = {name: rng.normal(size=(3, 4)).astype("float32") for name in x}
    received, expected = made(values), model(values)
    assert set(received) == {"t", "u"}
    for name, value in expected.items():
        assert_same([keras.ops.convert_to_numpy(received[name])], [value.numpy()])


def test_open_sizes_get_a_size_that_is_large_enough():
    down = [layers.DepthwiseConv2D(3, strides=4), layers.DepthwiseConv2D(5, strides=4)]
    model = on((None, None, 3), *down, layers.GlobalAveragePooling2D())
    assert_taken(model, np.random.default_rng(0).normal(size=(2, 40, 40, 3)))
    tokens = layers.Embedding(7, 3, mask_zero=True), layers.GlobalAveragePooling1D()
    made = assert_taken(on((None,), *tokens), np.array([[1, 6, 0], [3, 0, 0]]))
    assert made.input_shape == (None, None)


def test_tables_inside_models_are_looked_up_within_their_length():
    table = on((6,), layers.Embedding(3, 2), layers.Flatten())
    x, y = tf_keras.Input((6,)), tf_keras.Input((4,))
    model = tf_keras.Model([x, y], [table(x), layers.Dense(2)(y)])
    indices = np.array([[0, 1, 2, 2, 1, 0]], "float32")
    assert_taken(model, [indices, np.ones((1, 4), "float32")])


def test_functions_of_tensorflow():
    x, y = tf_keras.Input((6, 4)), tf_keras.Input((6, 4))
    nn, math = tf.nn, tf.math
    outputs = [
        *(x + y, x - y, x * y, x / (abs(y) + 1.0), -x, x**2, x // 2.0, x % 2.0),
        *(nn.relu(x), nn.relu6(x), nn.leaky_relu(x), nn.leaky_relu(x, alpha=0.4)),
        *(nn.elu(x), nn.selu(x), nn.silu(x), nn.softplus(x), nn.softsign(x)),
        *(nn.gelu(x), nn.gelu(x, approximate=True), nn.sigmoid(x), nn.tanh(x)),
        *(nn.softmax(x), nn.softmax(x, axis=1), nn.log_softmax(x)),
        *(math.exp(x), math.log(abs(x) + 1.0), math.sqrt(abs(x)), math.square(x)),
        *(math.maximum(x, y), math.minimum(x, 0.5), tf.clip_by_value(x, -1.0, 0.5)),
        *(tf.reduce_mean(x, axis=1), tf.reduce_sum(x, [1, 2]), tf.reduce_max(x, -1)),
        *(tf.reduce_min(x, axis=2, keepdims=True), tf.matmul(x, y[:, :4])),
        *(x[:, 1:5, ::2], x[:, -1], x[..., 0], tf.cast(x, "int32")),
        *(tf.reshape(x, [-1, 24]), tf.transpose(x, [0, 2, 1]), tf.tile(x, [1, 2, 1])),
        *(tf.concat([x, y], axis=1), tf.stack([x, y], 1), *tf.split(x, 2, axis=1)),
        *(*tf.split(x, [1, 3], 2), *tf.unstack(x, axis=2), tf.expand_dims(x, 1)),
        *(tf.squeeze(x[:, :1], axis=1), tf_keras.activations.hard_sigmoid(x)),
    ]
    assert_taken(tf_keras.Model([x, y], outputs))
    assert_refused(on((4,), lambda x: nn.silu(x, beta=2.0)), "beta")
    assert_refused(on((4,), lambda x: tf.argsort(x)), "argsort")


@pytest.mark.parametrize(
    "layer", [layers.Dropout(0.5, name="it"), layers.BatchNormalization(name="it")]
)
def test_a_call_in_training_is_refused(layer):
    model = on((4,), lambda x: layer(x, training=True))
    before = [w.numpy() for w in model.weights]
    assert_refused(model, "'it'", "training=True")
    assert all(map(np.array_equal, before, [w.numpy() for w in model.weights]))


def test_inputs_that_are_not_dense_are_refused():
    x = tf_keras.Input((4,), sparse=True, name="sparse")
    assert_refused(tf_keras.Model(x, layers.Dense(3)(x)), "'sparse'", "dense")


@pytest.fixture
def other_curve(monkeypatch):
    """As if a function that is not the same had been taken for the same."""
    pairs = [
        (
            function,
            keras.activations.hard_sigmoid if ours is keras2_hard_sigmoid else ours,
        )
        for function, ours in activations._known()
    ]
    monkeypatch.setattr(activations, "_known", lambda: pairs)


def test_the_first_layer_that_parts_is_named(other_curve):
    curves = [layers.Dense(4, "hard_sigmoid", name=name) for name in ("one", "two")]
    assert_refused(on((4,), layers.Dense(4), *curves), "layer 'one' (Dense) gives")
    inner = on((4,), layers.Dense(4), layers.Dense(4, "hard_sigmoid", name="deep"))
    model = on((4,), inner, layers.Dense(2))
    assert_refused(model, f"in '{inner.name}', layer 'deep' (Dense) gives")


def test_an_output_that_saturates_hides_nothing(other_curve):
    dense = layers.Dense(4, "hard_sigmoid", name="it")
    model = on((4,), dense, layers.Rescaling(1e6), layers.Softmax())
    assert_refused(model, "layer 'it' (Dense) gives")


def test_the_batch_may_be_the_users():
    """One that a random batch is not good enough for."""
    check = on((4,), layers.Dense(3), lambda x: tf.debugging.check_numerics(x, "bad"))
    assert_refused(check, "check_numerics")
    encoding = on((2,), lambda x: layers.CategoryEncoding(9)(x * 3.0))
    with pytest.raises(ValueError, match=r"data=x"):
        from_tf_keras(encoding)
    made = from_tf_keras(encoding, data=np.array([[0.0, 1.0], [2.0, 1.0]]))
    received = keras.ops.convert_to_numpy(made(np.array([[0.0, 2.0]], "float32")))
    assert np.array_equal(received, np.eye(9)[[0]] + np.eye(9)[[6]])


def test_a_function_of_keras_2_is_saved(tmp_path):
    cells = layers.Bidirectional(layers.LSTM(3, recurrent_activation="hard_sigmoid"))
    made = assert_taken(on((5, 3), cells, layers.Dense(2, "hard_sigmoid")))
    made.save(tmp_path / "net.keras")
    loaded = keras.models.load_model(tmp_path / "net.keras")
    x = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")
    received, expected = (keras.ops.convert_to_numpy(m(x)) for m in (loaded, made))
    assert np.array_equal(received, expected)


def test_the_hard_sigmoid_of_keras_2():
    x = keras.ops.array([-4.0, -2.5, -1.25, 0.0, 1.25, 2.5, 4.0])
    received = keras.ops.convert_to_numpy(keras2_hard_sigmoid(x))
    assert np.allclose(received, [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0], atol=1e-7)


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
    with pytest.raises(ValueError, match="is not built"):
        from_tf_keras(tf_keras.Sequential([layers.Dense(2)]))
