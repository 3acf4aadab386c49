"""Every layer and activation of tf_keras, taken over: equal, or refused by name.

`python -m tests.test_interop_sweep` prints how many there are of each.
"""

import dataclasses
import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest

import snn_keras
from snn_keras.interop import from_tf_keras

tf_keras = pytest.importorskip("tf_keras", reason="pip install .[tfmot]")
tf = pytest.importorskip("tensorflow")
L = tf_keras.layers
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not support masking.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*dtype int64 requested.*:UserWarning"),  # JAX
    *([pytest.mark.slow] if keras.backend.backend() != "tensorflow" else []),
]

SAMPLES = 4
IMAGE, SEQUENCE, VECTOR, VOLUME = (6, 6, 2), (5, 3), (5,), (4, 4, 4, 2)
MOVIE = (3, 5, 5, 2)  # for ConvLSTM2D


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer with arguments, and what it is called on.

    Attributes:
        make: Makes the layer.
        shapes: The shape of every input.
        inputs: "normal" numbers, whole numbers below a count, or texts.
        call: How the layer is called.
        refused: The backends on which Keras 3 has nothing that computes the same.
    """

    make: Callable
    shapes: tuple = (VECTOR,)
    inputs: object = "normal"
    call: Callable = lambda layer, x: layer(x)
    refused: tuple = ()

    def arrays(self):
        """What both models are compared on: not what `from_tf_keras` compares on."""
        rng = np.random.default_rng(7)
        for shape in self.shapes:
            shape = (SAMPLES, *shape)
            if isinstance(self.inputs, tuple):
                yield rng.choice(np.array(self.inputs, dtype=object), shape)
            elif self.inputs == "normal":
                yield rng.normal(0, 2, shape).astype("float32")
            else:
                yield rng.integers(0, self.inputs, shape).astype("int32")

    def input_tensors(self):
        if isinstance(self.inputs, tuple):
            dtype = "string"
        else:
            dtype = "float32" if self.inputs == "normal" else "int32"
        return [tf_keras.Input(shape, dtype=dtype) for shape in self.shapes]


def on(*shapes, inputs="normal", **options):
    """Cases on inputs of these shapes: one for each function that makes a layer."""

    def cases(*makers):
        return [Case(make, shapes, inputs, **options) for make in makers]

    return cases


@tf_keras.utils.register_keras_serializable("sweep")
def own_relu(x):
    return tf.nn.relu(x) + 1.0


class OwnCell(L.AbstractRNNCell):
    """A recurrent cell of the user's own."""

    state_size = output_size = 3

    def call(self, x, states):
        return states[0] + x, [states[0] + x]


def refused(cases, backends=("tensorflow", "jax")):
    return [dataclasses.replace(case, refused=backends) for case in cases]


def on_tensorflow(cases):
    """Cases of what Keras 3 has on the TensorFlow backend only."""
    return refused(cases, ("jax",))


def as_legacy(layer, x):
    """Calls a layer that looks for tf_keras where TensorFlow has its Keras."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.keras.layers, "InputSpec", L.InputSpec)
        return layer(x)


vector, sequence, image = on(VECTOR), on(SEQUENCE), on(IMAGE)
volume, movie, many = on(VOLUME), on(MOVIE), on((4, 3), (4, 3))
index = on((6,), inputs=5)
texts = on((3,), inputs=("a", "b", "c d", "zz"))


def pooling(kind, cases):
    return cases(
        lambda: kind(),
        lambda: kind(pool_size=3, strides=2, padding="same"),
        lambda: kind(pool_size=2, strides=1, padding="valid"),
    )


def global_pooling(kind, cases):
    return cases(lambda: kind(), lambda: kind(keepdims=True))


def convolution(kind, cases):
    return cases(
        lambda: kind(3, 3),
        lambda: kind(3, 2, strides=2, padding="same", activation="hard_sigmoid"),
        lambda: kind(3, 2, dilation_rate=2, use_bias=False, activation="gelu"),
    )


def transposed(kind, cases):
    return cases(
        lambda: kind(3, 3),
        lambda: kind(3, 3, strides=2, padding="same", activation="swish"),
        lambda: kind(3, 2, strides=2, padding="valid", use_bias=False),
        lambda: kind(2, 3, strides=2, padding="same", output_padding=1),
    )


def depthwise(kind, cases):
    return cases(
        lambda: kind(3),
        lambda: kind(2, strides=2, padding="same", depth_multiplier=2),
        lambda: kind(2, activation="hard_sigmoid", use_bias=False),
    )


def separable(kind, cases):
    return cases(
        lambda: kind(3, 3),
        lambda: kind(4, 2, strides=2, padding="same", depth_multiplier=2),
        lambda: kind(3, 2, dilation_rate=2, activation="hard_sigmoid"),
    )


def recurrent(kind, cases):
    return cases(
        lambda: kind(4),
        lambda: kind(4, return_sequences=True, go_backwards=True, use_bias=False),
        lambda: kind(3, "hard_sigmoid", return_state=True, dropout=0.3, unroll=True),
    )


def gated(kind, cases):
    return recurrent(kind, cases) + cases(
        lambda: kind(4, recurrent_activation="hard_sigmoid", implementation=1),
    )


def conv_lstm(kind, cases):
    return cases(
        lambda: kind(2, 2),
        lambda: kind(2, 2, return_sequences=True, padding="same", strides=2),
        lambda: kind(2, 2, recurrent_activation="sigmoid", return_state=True),
    )


def behind_a_mask(layer, x):
    return layer(L.Embedding(5, 3, mask_zero=True)(x))


masked = on((6,), inputs=5, call=behind_a_mask)
causal = {"use_causal_mask": True}

CASES = {
    "Activation": vector(
        lambda: L.Activation("hard_sigmoid"), lambda: L.Activation(tf.nn.silu)
    )
    + refused(vector(lambda: L.Activation(own_relu), lambda: L.Activation(tf.sin))),
    "ActivityRegularization": vector(lambda: L.ActivityRegularization(0.1, 0.2)),
    "Add": many(lambda: L.Add()),
    "AdditiveAttention": many(
        lambda: L.AdditiveAttention(), lambda: L.AdditiveAttention(use_scale=False)
    ),
    "AlphaDropout": vector(lambda: L.AlphaDropout(0.3)),
    "Attention": many(
        lambda: L.Attention(),
        lambda: L.Attention(use_scale=True, dropout=0.2),
        lambda: L.Attention(score_mode="concat"),
    )
    + on((4, 3), (4, 3), call=lambda layer, x: layer(x, **causal))(
        lambda: L.Attention()
    )
    + refused(many(lambda: L.Attention(causal=True))),
    "Average": many(lambda: L.Average()),
    "AveragePooling1D": pooling(L.AveragePooling1D, sequence),
    "AveragePooling2D": pooling(L.AveragePooling2D, image),
    "AveragePooling3D": pooling(L.AveragePooling3D, volume),
    "BatchNormalization": image(
        lambda: L.BatchNormalization(),
        lambda: L.BatchNormalization(axis=1, epsilon=0.1, scale=False, center=False),
    )
    + vector(lambda: L.BatchNormalization()),
    "Bidirectional": sequence(
        lambda: L.Bidirectional(L.LSTM(4)),
        lambda: L.Bidirectional(L.GRU(4, return_sequences=True), merge_mode=None),
        lambda: L.Bidirectional(L.SimpleRNN(4, return_state=True), merge_mode="mul"),
        lambda: L.Bidirectional(
            L.LSTM(3, recurrent_activation="hard_sigmoid"),
            backward_layer=L.GRU(3, go_backwards=True),
        ),
        lambda: L.Bidirectional(L.LSTM(3, go_backwards=True)),
        lambda: L.Bidirectional(L.RNN(L.GRUCell(3))),
    )
    + masked(lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)))
    + refused(sequence(lambda: L.Bidirectional(L.LSTM(3, activation=own_relu)))),
    "CategoryEncoding": index(
        lambda: L.CategoryEncoding(5),
        lambda: L.CategoryEncoding(5, output_mode="count"),
    )
    + on((1,), inputs=5)(lambda: L.CategoryEncoding(5, output_mode="one_hot")),
    "CenterCrop": image(
        lambda: L.CenterCrop(3, 4),
        lambda: L.CenterCrop(9, 7),
        lambda: L.CenterCrop(4, 9),
    ),
    "Concatenate": many(lambda: L.Concatenate(), lambda: L.Concatenate(axis=1)),
    "Conv1D": convolution(L.Conv1D, sequence)
    + sequence(lambda: L.Conv1D(3, 3, padding="causal"))
    + on((6, 4))(lambda: L.Conv1D(4, 3, groups=2)),
    "Conv1DTranspose": transposed(L.Conv1DTranspose, sequence),
    "Conv2D": convolution(L.Conv2D, image)
    + image(lambda: L.Conv2D(4, (3, 2), groups=2)),
    "Conv2DTranspose": transposed(L.Conv2DTranspose, image),
    "Conv3D": convolution(L.Conv3D, volume),
    "Conv3DTranspose": transposed(L.Conv3DTranspose, on((3, 3, 3, 2))),
    "ConvLSTM1D": conv_lstm(L.ConvLSTM1D, on((3, 5, 2))),
    "ConvLSTM2D": conv_lstm(L.ConvLSTM2D, movie),
    "ConvLSTM3D": conv_lstm(L.ConvLSTM3D, on((2, 3, 3, 3, 1))),
    "Cropping1D": sequence(lambda: L.Cropping1D((1, 2))),
    "Cropping2D": image(lambda: L.Cropping2D(((1, 0), (2, 1)))),
    "Cropping3D": volume(lambda: L.Cropping3D(((1, 0), (0, 1), (1, 1)))),
    "Dense": vector(
        lambda: L.Dense(4, "relu", kernel_regularizer="l2", bias_constraint="non_neg"),
        lambda: L.Dense(4, "hard_sigmoid", use_bias=False),
        lambda: L.Dense(4, tf.nn.leaky_relu),
        lambda: L.Dense(4, L.LeakyReLU(0.1)),
        lambda: L.Dense(4, name="block/dense"),
    )
    + sequence(lambda: L.Dense(4, "softmax"))
    + refused(
        vector(
            lambda: L.Dense(4, own_relu),
            lambda: L.Dense(4, tf.math.sin),
            lambda: L.Dense(4, L.PReLU()),
        )
    ),
    "DenseFeatures": refused(
        [
            Case(
                lambda: L.DenseFeatures([tf.feature_column.numeric_column("x", (5,))]),
                call=lambda layer, x: layer({"x": x}),
            )
        ]
    ),
    "DepthwiseConv1D": depthwise(L.DepthwiseConv1D, sequence),
    "DepthwiseConv2D": depthwise(L.DepthwiseConv2D, image),
    "Discretization": vector(
        lambda: L.Discretization([-1.0, 0.0, 1.5]),
        lambda: L.Discretization([-1.0, 0.5], output_mode="multi_hot"),
        lambda: adapted(L.Discretization(num_bins=3)),
    )
    + on((1,))(lambda: L.Discretization([-1.0, 0.5], output_mode="one_hot")),
    "Dot": many(lambda: L.Dot(axes=2), lambda: L.Dot(axes=(1, 1), normalize=True)),
    "Dropout": vector(lambda: L.Dropout(0.4))
    + sequence(lambda: L.Dropout(0.4, noise_shape=(None, 1, 3))),
    "ELU": vector(lambda: L.ELU(), lambda: L.ELU(alpha=0.4)),
    "EinsumDense": sequence(
        lambda: L.EinsumDense("abc,cd->abd", (None, 4), bias_axes="d"),
        lambda: L.EinsumDense("abc,cd->abd", (5, 4), activation="hard_sigmoid"),
    ),
    "Embedding": index(
        lambda: L.Embedding(5, 3), lambda: L.Embedding(5, 3, input_length=6)
    ),
    "Flatten": image(lambda: L.Flatten(), lambda: L.Flatten("channels_first"))
    + on(())(lambda: L.Flatten()),
    "GRU": gated(L.GRU, sequence)
    + sequence(lambda: L.GRU(4, reset_after=False))
    + masked(lambda: L.GRU(4), lambda: L.GRU(4, return_sequences=True)),
    "GRUCell": sequence(
        lambda: L.RNN(L.GRUCell(4)),
        lambda: L.RNN(L.GRUCell(4, recurrent_activation="hard_sigmoid")),
        lambda: L.RNN(L.GRUCell(4, reset_after=False, use_bias=False)),
    ),
    "GaussianDropout": vector(lambda: L.GaussianDropout(0.4)),
    "GaussianNoise": vector(lambda: L.GaussianNoise(0.4)),
    "GlobalAveragePooling1D": global_pooling(L.GlobalAveragePooling1D, sequence)
    + masked(lambda: L.GlobalAveragePooling1D()),
    "GlobalAveragePooling2D": global_pooling(L.GlobalAveragePooling2D, image),
    "GlobalAveragePooling3D": global_pooling(L.GlobalAveragePooling3D, volume),
    "GlobalMaxPooling1D": global_pooling(L.GlobalMaxPooling1D, sequence),
    "GlobalMaxPooling2D": global_pooling(L.GlobalMaxPooling2D, image),
    "GlobalMaxPooling3D": global_pooling(L.GlobalMaxPooling3D, volume),
    "GroupNormalization": on((4, 4, 6))(
        lambda: L.GroupNormalization(3),
        lambda: L.GroupNormalization(-1, epsilon=0.1),
        lambda: L.GroupNormalization(2, axis=1, scale=False, center=False),
    ),
    "HashedCrossing": on((1,), (1,), inputs=9)(
        lambda: L.HashedCrossing(7), lambda: L.HashedCrossing(7, output_mode="one_hot")
    ),
    "Hashing": on((3,), inputs=9)(
        lambda: L.Hashing(7),
        lambda: L.Hashing(7, mask_value=0, salt=3),
        lambda: L.Hashing(7, output_mode="count"),
    )
    + on_tensorflow(texts(lambda: L.Hashing(7))),
    "Identity": vector(lambda: L.Identity()),
    "InputLayer": [],
    "IntegerLookup": on((3,), inputs=9)(
        lambda: L.IntegerLookup(vocabulary=[1, 4, 7]),
        lambda: L.IntegerLookup(vocabulary=[1, 4], mask_token=0, output_mode="count"),
        lambda: adapted(L.IntegerLookup(num_oov_indices=2), [[1], [4], [1]]),
    ),
    "LSTM": gated(L.LSTM, sequence)
    + masked(lambda: L.LSTM(4), lambda: L.LSTM(4, return_sequences=True)),
    "LSTMCell": sequence(
        lambda: L.RNN(L.LSTMCell(4)),
        lambda: L.RNN(L.LSTMCell(4, recurrent_activation="hard_sigmoid")),
        lambda: L.RNN(L.LSTMCell(4, unit_forget_bias=False), return_sequences=True),
    )
    + refused(sequence(lambda: L.RNN(L.LSTMCell(4, recurrent_activation=own_relu)))),
    "Lambda": refused(vector(lambda: L.Lambda(lambda x: x + 1.0))),
    "Layer": vector(lambda: L.Layer()),
    "LayerNormalization": image(
        lambda: L.LayerNormalization(),
        lambda: L.LayerNormalization(axis=[1, 2], epsilon=0.1),
        lambda: L.LayerNormalization(axis=[2, 3], center=False),
        lambda: L.LayerNormalization(axis=1, scale=False),
    ),
    "LeakyReLU": vector(lambda: L.LeakyReLU(), lambda: L.LeakyReLU(alpha=0.1)),
    "LocallyConnected1D": refused(sequence(lambda: L.LocallyConnected1D(3, 2))),
    "LocallyConnected2D": refused(image(lambda: L.LocallyConnected2D(3, 2))),
    "Masking": sequence(lambda: L.Masking(), lambda: L.Masking(mask_value=1.5)),
    "MaxPooling1D": pooling(L.MaxPooling1D, sequence),
    "MaxPooling2D": pooling(L.MaxPooling2D, image),
    "MaxPooling3D": pooling(L.MaxPooling3D, volume),
    "Maximum": many(lambda: L.Maximum()),
    "Minimum": many(lambda: L.Minimum()),
    "MultiHeadAttention": on((4, 6), (5, 6), call=lambda layer, x: layer(*x))(
        lambda: L.MultiHeadAttention(2, 3),
        lambda: L.MultiHeadAttention(2, 3, value_dim=4, dropout=0.1, output_shape=5),
        lambda: L.MultiHeadAttention(2, 3, use_bias=False, attention_axes=1),
    )
    + on((4, 6), (5, 6), call=lambda layer, x: layer(x[0], x[1], **causal))(
        lambda: L.MultiHeadAttention(2, 3)
    ),
    "Multiply": many(lambda: L.Multiply()),
    "Normalization": vector(
        lambda: L.Normalization(mean=2.0, variance=3.0),
        lambda: L.Normalization(mean=[1.0, 2, 3, 4, 5], variance=[2.0, 1, 1, 3, 1]),
        lambda: L.Normalization(axis=None, mean=2.0, variance=3.0, invert=True),
    )
    + on(VECTOR, call=lambda layer, x: adapted(layer)(x))(
        lambda: L.Normalization(), lambda: L.Normalization(axis=None)
    ),
    "PReLU": image(lambda: L.PReLU(), lambda: L.PReLU(shared_axes=[1, 2])),
    "Permute": sequence(lambda: L.Permute((2, 1))),
    "RNN": sequence(
        lambda: L.RNN(L.SimpleRNNCell(4), return_sequences=True),
        lambda: L.RNN([L.LSTMCell(4), L.GRUCell(3)]),
        lambda: L.RNN(L.GRUCell(3), go_backwards=True, return_state=True),
    )
    + masked(lambda: L.RNN(L.GRUCell(3), zero_output_for_mask=True))
    + refused(sequence(lambda: L.RNN(OwnCell()))),
    "RandomBrightness": image(lambda: L.RandomBrightness(0.2)),
    "RandomContrast": image(lambda: L.RandomContrast(0.2)),
    "RandomCrop": image(lambda: L.RandomCrop(6, 6), lambda: L.RandomCrop(3, 4)),
    "RandomFlip": image(lambda: L.RandomFlip(), lambda: L.RandomFlip("vertical")),
    "RandomHeight": image(lambda: L.RandomHeight(0.2)),
    "RandomRotation": image(lambda: L.RandomRotation(0.2, fill_mode="nearest")),
    "RandomTranslation": image(lambda: L.RandomTranslation(0.2, (0.1, 0.2))),
    "RandomWidth": image(lambda: L.RandomWidth(0.2)),
    "RandomZoom": image(lambda: L.RandomZoom(0.2)),
    "ReLU": vector(
        lambda: L.ReLU(),
        lambda: L.ReLU(max_value=1.5, negative_slope=0.1, threshold=0.5),
        lambda: L.ReLU(threshold=0.7),
        lambda: L.ReLU(max_value=6.0),
    ),
    "RepeatVector": vector(lambda: L.RepeatVector(3)),
    "Rescaling": image(lambda: L.Rescaling(0.5, offset=-1.0)),
    "Reshape": image(lambda: L.Reshape((-1, 4))),
    "Resizing": image(
        lambda: L.Resizing(9, 4),
        lambda: L.Resizing(9, 4, interpolation="nearest"),
        lambda: L.Resizing(3, 8, crop_to_aspect_ratio=True),
        lambda: L.Resizing(9, 4, interpolation="lanczos3"),
    )
    + on_tensorflow(image(lambda: L.Resizing(9, 4, interpolation="bicubic")))
    + refused(image(lambda: L.Resizing(9, 4, interpolation="gaussian"))),
    "SeparableConv1D": separable(L.SeparableConv1D, sequence),
    "SeparableConv2D": separable(L.SeparableConv2D, image),
    "SimpleRNN": recurrent(L.SimpleRNN, sequence) + masked(lambda: L.SimpleRNN(4)),
    "SimpleRNNCell": sequence(lambda: L.RNN(L.SimpleRNNCell(4, "hard_sigmoid"))),
    "Softmax": sequence(
        lambda: L.Softmax(), lambda: L.Softmax(axis=1), lambda: L.Softmax(axis=[1, 2])
    ),
    "SpatialDropout1D": sequence(lambda: L.SpatialDropout1D(0.3)),
    "SpatialDropout2D": image(
        lambda: L.SpatialDropout2D(0.3),
        lambda: L.SpatialDropout2D(0.3, data_format="channels_first"),
    ),
    "SpatialDropout3D": volume(lambda: L.SpatialDropout3D(0.3)),
    "SpectralNormalization": on(IMAGE, call=as_legacy)(
        lambda: L.SpectralNormalization(L.Conv2D(3, 2)),
        lambda: L.SpectralNormalization(L.Conv2D(3, 2, activation="hard_sigmoid")),
    ),
    "StackedRNNCells": sequence(
        lambda: L.RNN(L.StackedRNNCells([L.LSTMCell(4), L.GRUCell(3)])),
        lambda: L.RNN(
            L.StackedRNNCells([L.SimpleRNNCell(4, "hard_sigmoid"), L.LSTMCell(3)]),
            return_state=True,
        ),
    )
    + refused(sequence(lambda: L.RNN(L.StackedRNNCells([OwnCell(), OwnCell()])))),
    "StringLookup": on_tensorflow(
        texts(
            lambda: L.StringLookup(vocabulary=["a", "b"]),
            lambda: L.StringLookup(vocabulary=["a", "b"], output_mode="multi_hot"),
            lambda: adapted(L.StringLookup(), [["a"], ["zz"]]),
        )
        + index(lambda: L.StringLookup(vocabulary=["a", "b", "c", "d"], invert=True))
    ),
    "Subtract": many(lambda: L.Subtract()),
    "TextVectorization": on_tensorflow(
        on((1,), inputs=("a b", "b", "c d", "zz"))(
            lambda: L.TextVectorization(
                vocabulary=["a", "b"], output_sequence_length=3
            ),
            lambda: adapted(L.TextVectorization(output_mode="tf_idf"), ["a b", "b"]),
        )
    ),
    "ThresholdedReLU": vector(
        lambda: L.ThresholdedReLU(), lambda: L.ThresholdedReLU(theta=0.3)
    ),
    "TimeDistributed": sequence(
        lambda: L.TimeDistributed(L.Dense(4, "hard_sigmoid")),
        lambda: L.TimeDistributed(L.BatchNormalization()),
        lambda: L.TimeDistributed(L.LeakyReLU(0.1)),
        lambda: L.TimeDistributed(tf_keras.Sequential([L.Dense(4, "hard_sigmoid")])),
    )
    + on((2, 6, 3))(
        lambda: L.TimeDistributed(L.Bidirectional(L.LSTM(2))),
        lambda: L.TimeDistributed(L.TimeDistributed(L.Dense(2))),
    )
    + refused(sequence(lambda: L.TimeDistributed(L.Dense(4, own_relu)))),
    "UnitNormalization": image(
        lambda: L.UnitNormalization(), lambda: L.UnitNormalization(axis=[1, 2])
    ),
    "UpSampling1D": sequence(lambda: L.UpSampling1D(3)),
    "UpSampling2D": image(
        lambda: L.UpSampling2D((2, 3)),
        lambda: L.UpSampling2D(2, interpolation="bilinear"),
        lambda: L.UpSampling2D(2, interpolation="bicubic"),
    )
    + on_tensorflow(image(lambda: L.UpSampling2D(2, interpolation="area"))),
    "UpSampling3D": volume(lambda: L.UpSampling3D((2, 1, 3))),
    "ZeroPadding1D": sequence(lambda: L.ZeroPadding1D((1, 2))),
    "ZeroPadding2D": image(lambda: L.ZeroPadding2D(((1, 0), (2, 1)))),
    "ZeroPadding3D": volume(lambda: L.ZeroPadding3D(((1, 0), (0, 1), (1, 1)))),
}
# What `tf_keras.layers` has that is no layer one could have in a model.
ABSTRACT = {"AbstractRNNCell", "InputSpec", "Wrapper"}

# Recurrent layers, of which `LSTM` is tried in every form.
SLOW_TO_BUILD = {
    *("Bidirectional", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D", "GRU", "GRUCell"),
    *("LSTMCell", "RNN", "SimpleRNN", "SimpleRNNCell", "StackedRNNCells"),
}

ACTIVATIONS = [
    *("elu", "exponential", "gelu", "hard_sigmoid", "linear", "mish", "relu", "selu"),
    *("sigmoid", "softmax", "softplus", "softsign", "swish", "tanh"),
    *("leaky_relu", "log_softmax", "relu6", "silu"),  # of TensorFlow, by name
    *("LeakyReLU", "ReLU", "ELU", "Softmax", "ThresholdedReLU"),  # layers, by name
]


def adapted(layer, data=None):
    if data is None:
        data = np.random.default_rng(3).normal(1, 3, (20, *VECTOR)).astype("float32")
    layer.adapt(np.array(data))
    return layer


def filled(model):
    """`model` with numbers in every weight that starts from a constant."""
    rng = np.random.default_rng(0)
    layers = [x for x in model.submodules if isinstance(x, L.Normalization)]
    adapted = {id(w) for layer in layers for w in layer.weights}
    for variable in model.weights:  # among them tables, which are no variables
        is_number = isinstance(variable, tf.Variable) and variable.dtype.is_floating
        if not is_number or id(variable) in adapted:
            continue
        if "variance" in variable.name:
            variable.assign(rng.uniform(0.5, 2, variable.shape))
        elif np.ptp(variable.numpy()) == 0:
            variable.assign(rng.normal(0, 0.5, variable.shape))
    return model


def flat(x):
    return x[0] if len(x) == 1 else x


def alone(case, layer):
    x = case.input_tensors()
    return tf_keras.Model(x, case.call(layer, flat(x)))


def nested(case, layer):
    """The layer in a model that is called twice, and called by itself too."""
    inner = alone(case, layer)
    x = case.input_tensors()
    y = [tf_keras.layers.Identity()(tensor) for tensor in x]
    calls = [inner(flat(x)), inner(flat(y)), case.call(layer, flat(x))]
    return tf_keras.Model(x, tf.nest.flatten(calls))


def over_time(case, layer):
    x = tf_keras.Input((2, *case.shapes[0]))
    return tf_keras.Model(x, case.call(L.TimeDistributed(layer), x))


def behind_hidden_steps(case, layer):
    """Between what hides steps and what minds that they are hidden."""
    x = case.input_tensors()
    y = tf.nest.flatten(case.call(layer, flat([L.Masking()(tensor) for tensor in x])))
    mean = L.GlobalAveragePooling1D()
    return tf_keras.Model(x, [mean(z) if len(z.shape) == 3 else z for z in y])


def forms(name):
    """The models that a layer's first case is tried in, but for that it is alone in."""
    case = CASES[name][0] if CASES[name] else None
    if not case or case.refused or name in SLOW_TO_BUILD:
        return []
    found = [nested]
    if len(case.shapes) == 1 and case.inputs == "normal":
        found.append(over_time)
    if all(len(shape) == 2 for shape in case.shapes) and case.inputs == "normal":
        found.append(behind_hidden_steps)
    return found


def arrays_for(case, form):
    for x in case.arrays():
        if form is over_time:
            x = np.stack([x, x[::-1]], axis=1)
        if form is behind_hidden_steps:
            x[0, 2:] = x[1, :1] = 0.0
        yield x


def outcome(case, form=alone):
    """How it goes: "equal" or "refused"; "impossible" where tf_keras cannot do it."""
    tf_keras.backend.clear_session()
    layer = case.make()
    x = list(arrays_for(case, form))
    try:
        model = filled(form(case, layer))
        expected = model(list(map(tf.constant, x)), training=False)
    except (TypeError, ValueError, NotImplementedError, tf.errors.OpError):
        assert form is over_time or form is behind_hidden_steps
        return "impossible"
    try:
        made = from_tf_keras(model)
    except snn_keras.ConversionError as error:
        names = layer.name in str(error) or "takes texts" in str(error)
        assert names and "Remedy" in str(error), error
        return "refused"
    assert_equal(made(x if len(x) > 1 else x[0], training=False), expected)
    return "equal"


def assert_equal(received, expected):
    received, expected = keras.tree.flatten(received), tf.nest.flatten(expected)
    for a, b in zip(received, expected, strict=True):
        a, b = keras.ops.convert_to_numpy(a), b.numpy()
        assert a.shape == b.shape
        if b.dtype == object:
            assert np.array_equal(a, b)
        else:
            limit = 1e-5 * max(1.0, np.max(np.abs(b), where=np.isfinite(b), initial=0))
            assert np.allclose(a, b, rtol=1e-5, atol=limit, equal_nan=True)


@functools.cache
def outcomes(name):
    """For every case of a layer: how it goes, and how it should."""
    cases = CASES[name]
    found = [(outcome(case), expected_of(case)) for case in cases]
    for form in forms(name):
        found.append((outcome(cases[0], form), "equal"))
    return found


def expected_of(case):
    return "refused" if keras.backend.backend() in case.refused else "equal"


def public_layers():
    """The names of the classes of `tf_keras.layers`, of aliases the first."""
    names = {n for n in dir(L) if isinstance(getattr(L, n), type)} - ABSTRACT
    return {getattr(L, n).__name__ for n in names}


def summary():
    """How many layers and cases there are, and how many are equal or refused."""
    results = [result for name in CASES for result, _ in outcomes(name)]
    counts = {kind: results.count(kind) for kind in ("equal", "refused", "impossible")}
    return {"layers": len(CASES), "cases": len(results), **counts}


def test_every_public_layer_is_in_the_list():
    assert public_layers() == set(CASES)


@pytest.mark.parametrize("name", sorted(CASES))
def test_layer(name):
    for place, (result, expected) in enumerate(outcomes(name)):
        assert result in (expected, "impossible"), place


def test_every_activation_is_in_the_list():
    functions = {n for n, f in vars(tf_keras.activations).items() if callable(f)}
    assert functions - {"deserialize", "get", "serialize"} <= set(ACTIVATIONS)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if i % 3 == 0 else pytest.mark.slow)
        for i, name in enumerate(ACTIVATIONS)
    ],
)
def test_activation(name):
    """By name, as a function, as a layer, and in a cell."""
    function = tf_keras.activations.get(name)
    x = tf_keras.Input((4, 3))
    model = tf_keras.Model(
        x,
        [
            L.Dense(3, activation=name)(x),
            L.Conv1D(3, 2, activation=function)(x),
            L.Activation(function)(x),
            L.SimpleRNN(3, activation=name)(x),
            L.GRU(3, recurrent_activation=name)(x),
        ],
    )
    array = np.random.default_rng(1).normal(0, 2, (SAMPLES, 4, 3)).astype("float32")
    made = from_tf_keras(filled(model))
    assert_equal(made(array, training=False), model(array, training=False))


if __name__ == "__main__":
    print(summary())
