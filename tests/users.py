"""What users write themselves: functions, layers and models, some of Keras's names."""

import functools

import keras
from keras import layers, ops

# --- Functions, with the names of Keras's, that compute something else ---------------


def relu(x):
    return ops.square(x) / (1.0 + ops.square(x))


def gelu(x):
    return ops.tanh(x) + 0.25 * x


def linear(x):
    return ops.abs(x)


def softmax(x):
    return 0.5 * x + 0.25


def leaky_relu(x, slope=0.25):
    return ops.maximum(x, slope * x)


FUNCTIONS = {
    "relu": relu,
    "gelu": gelu,
    "linear": linear,
    "softmax": softmax,
    "partial": functools.partial(leaky_relu, slope=0.5),
    "partial of Keras": functools.partial(keras.activations.leaky_relu),
    "lambda": lambda x: ops.sigmoid(x) - 0.5,
    "ReLU, unquantized": lambda x: ops.maximum(x, 0.0),
    "own ReLU6": lambda x: ops.clip(x, 0.0, 6.0),
    "of the backend": lambda x: 1.0 / (1.0 + x * x),
}


# --- Layers ---------------------------------------------------------------------------


def closed(kind):
    """Class decorator: the layer's `call` cannot be traced with KerasTensors."""
    call = kind.call

    @functools.wraps(call)
    def of_numbers(self, *args, **kwargs):
        if any(isinstance(x, keras.KerasTensor) for x in [*args, *kwargs.values()]):
            raise TypeError("it takes numbers")
        return call(self, *args, **kwargs)

    kind.call = of_numbers
    return kind


class Dense(layers.Dense):
    """Has the name of Keras's, and another computation."""

    def call(self, inputs, training=None):
        return ops.abs(super().call(inputs, training=training))


class Named(layers.Dense):
    """Only bears another name."""


class Offset(layers.Conv2D):
    """Overrides what its base calls."""

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, kernel) + 0.5


class Average(layers.AveragePooling2D):
    """A pool with another call."""

    def call(self, inputs):
        return super().call(ops.square(inputs))


class Halved(layers.Add):
    """A merge with another merge function."""

    def _merge_function(self, inputs):
        return 0.5 * super()._merge_function(inputs)


class Scale(layers.Layer):
    """Linear, with a weight; but who knows?"""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")

    def call(self, inputs):
        return inputs * self.scale


class Softly(layers.Layer):
    """Not linear, made of layers."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = layers.Dense(2, activation="tanh")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, inputs):
        return self.inner(inputs)


class Block(layers.Layer):
    """A residual block of layers, functions and weights."""

    def build(self, shape):
        self.norm = layers.LayerNormalization()
        self.up, self.down = layers.Dense(3, "gelu"), layers.Dense(shape[-1])
        self.offset = self.add_weight(shape=(shape[-1],), name="offset")
        self.norm.build(shape)
        self.up.build(shape)
        self.down.build((*shape[:-1], 3))

    def call(self, inputs):
        return inputs + self.offset * self.down(self.up(self.norm(inputs)))


class Blocks(layers.Layer):
    """One block, twice."""

    def build(self, shape):
        self.block = Block()
        self.block.build(shape)

    def call(self, inputs):
        return self.block(ops.tanh(self.block(inputs)))


class Token(layers.Layer):
    """Puts a weight before the entries of the first axis."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, *shape[2:]), name="token")

    def call(self, inputs):
        more = (1,) * (len(inputs.shape) - 1)
        token = ops.tile(self.token, (ops.shape(inputs)[0], *more))
        return ops.concatenate([token, inputs], axis=1)


class Counts(layers.Layer):
    """Computes something else each time."""

    calls = 0.0

    def call(self, inputs):
        self.calls += 1.0
        return inputs + self.calls


class Noise(layers.Layer):
    """Does something in training alone."""

    def call(self, inputs, training=True):
        return 3.0 * inputs if training else inputs


UNARY_LAYERS = {
    "Dense": lambda: Dense(3),
    "Named": lambda: Named(3),
    "Named with a function": lambda: Named(2, activation=gelu),
    "Offset": lambda: Offset(2, 2, padding="same"),
    "Average": lambda: Average(2, padding="same"),
    "Halved": lambda: lambda x: Halved()([x, x]),
    "Scale": Scale,
    "Softly": Softly,
    "Block": Block,
    "Blocks": Blocks,
    "Token": Token,
    "Counts": Counts,
    "Noise": Noise,
}


# --- Models ---------------------------------------------------------------------------


class Plain(keras.Model):
    """A functional model by another name, and nothing of its own."""


class Doubled(keras.Model):
    """A functional model with a call of its own."""

    def call(self, *args, **kwargs):
        return 2.0 * super().call(*args, **kwargs)


class DoubledSequence(keras.Sequential):
    """The same, of a Sequential."""

    def call(self, *args, **kwargs):
        return 2.0 * super().call(*args, **kwargs)


MODELS = {
    "Plain": lambda x, y: Plain(x, y),
    "Doubled": lambda x, y: Doubled(x, y),
    "Sequential": lambda x, y: keras.Sequential([keras.Model(x, y)]),
    "DoubledSequence": lambda x, y: DoubledSequence([keras.Model(x, y)]),
}

# Of layers: those that a spiking network has, and those that are hard to write.
NAMES = (
    *("present", "readout", "decoder", "encoder", "spikes", "program", "time", "state"),
    *("cell", "snn", "input_1", "lsq_re_lu_bias", "dense_neurons", "relu_input"),
    *("Straße 7", "a.b", "a b", "conv:0", "neurons"),
)
