"""Random source networks for hypothesis: all of Keras, and what users write.

A network is grown one operation at a time from those that fit the tensor at hand:
layers with any arguments, cases of the catalog, functions and classes of users. What
Keras itself refuses is left out, so a failure is ours.
"""

import keras
import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from keras import layers, ops, tree

from apps.catalog import CASES, LACKING, networks
from snn_keras.layers import QCFS, LSQReLU
from tests import users

MAX_SIZE = 400  # features of a tensor
INTS = st.integers
BOOL = st.booleans()
PADDING = st.sampled_from(["same", "valid"])


class Misfit(Exception):
    """The operation does not go with this tensor."""


def rank(x):
    """The number of axes between batch and channels."""
    return len(x.shape) - 2


def of_rank(prefix, x, *allowed):
    """The layer class `{prefix}{rank}D` for the tensor's rank."""
    if rank(x) not in allowed:
        raise Misfit
    return getattr(layers, f"{prefix}{rank(x)}D")


def each_axis(draw, x, values):
    """One drawn value for each spatial axis."""
    return tuple(draw(values) for _ in range(rank(x)))


def window(draw, x):
    """Kernel, stride and dilation; strides and dilations exclude each other."""
    kernel = each_axis(draw, x, INTS(1, 3))
    if draw(BOOL):
        return kernel, each_axis(draw, x, INTS(1, 3)), 1
    return kernel, 1, each_axis(draw, x, INTS(1, 2))


# --- Layers with weights -------------------------------------------------------------


def conv(draw, x):
    layer = of_rank("Conv", x, 1, 2, 3)
    kernel, strides, dilation = window(draw, x)
    channels = x.shape[-1]
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
    paddings = ["same", "valid"] + ["causal"] * (rank(x) == 1)
    return layer(
        groups * draw(INTS(1, 3)),
        kernel,
        strides,
        draw(st.sampled_from(paddings)),
        dilation_rate=dilation,
        groups=groups,
        use_bias=draw(BOOL),
        activation=draw(st.sampled_from([None, None, "tanh"])),
    )(x)


def conv_transpose(draw, x):
    layer = of_rank("Conv", x, 1, 2, 3).__name__ + "Transpose"
    kernel, strides, dilation = window(draw, x)
    return getattr(layers, layer)(
        draw(INTS(1, 3)),
        kernel,
        strides,
        draw(PADDING),
        dilation_rate=dilation,
        use_bias=draw(BOOL),
    )(x)


def depthwise(draw, x):
    layer = of_rank("DepthwiseConv", x, 1, 2)
    kernel, _, dilation = window(draw, x)
    stride = 1 if dilation != 1 else draw(INTS(1, 2))
    return layer(
        kernel,
        stride,
        draw(PADDING),
        depth_multiplier=draw(INTS(1, 2)),
        dilation_rate=dilation,
        use_bias=draw(BOOL),
    )(x)


def separable(draw, x):
    layer = of_rank("SeparableConv", x, 1, 2)
    kernel = draw(INTS(1, 3))
    return layer(
        draw(INTS(1, 3)),
        kernel,
        draw(INTS(1, 2)),
        draw(PADDING),
        depth_multiplier=draw(INTS(1, 2)),
        use_bias=draw(BOOL),
    )(x)


def dense(draw, x):
    return layers.Dense(
        draw(INTS(1, 4)),
        use_bias=draw(BOOL),
        activation=draw(st.sampled_from([None, None, "gelu"])),
    )(x)


def einsum_dense(draw, x):
    bias = draw(st.sampled_from([None, "z"]))
    # Keras tells a wrong shape where an ellipsis stands for more than one axis.
    places = "bcdef"[: len(x.shape) - 2]
    shape = (*x.shape[1:-1], draw(INTS(1, 4)))
    equation = f"a{places}y,yz->a{places}z"
    return layers.EinsumDense(equation, shape, bias_axes=bias)(x)


def batch_norm(draw, x):
    return layers.BatchNormalization(scale=draw(BOOL), center=draw(BOOL))(x)


def layer_norm(draw, x):
    return layers.LayerNormalization(scale=draw(BOOL), center=draw(BOOL))(x)


def rms_norm(draw, x):
    return layers.RMSNormalization()(x)


def unit_norm(draw, x):
    return layers.UnitNormalization()(x)


def group_norm(draw, x):
    groups = [g for g in (1, 2, 3) if x.shape[-1] % g == 0]
    return layers.GroupNormalization(draw(st.sampled_from(groups)))(x)


def normalization(draw, x):
    return layers.Normalization(mean=0.25, variance=2.0, axis=None)(x)


def rescaling(draw, x):
    return layers.Rescaling(draw(st.floats(-2, 2)), draw(st.floats(-1, 1)))(x)


def prelu(draw, x):
    return layers.PReLU("uniform")(x)


def attention(draw, x):
    if rank(x) != 1:
        raise Misfit
    layer = layers.MultiHeadAttention(draw(INTS(1, 2)), draw(INTS(1, 3)))
    return layer(x, x)


def recurrent(draw, x):
    if rank(x) != 1:
        raise Misfit
    layer = draw(st.sampled_from([layers.SimpleRNN, layers.LSTM, layers.GRU]))
    layer = layer(draw(INTS(1, 3)), return_sequences=draw(BOOL))
    return (layers.Bidirectional(layer) if draw(BOOL) else layer)(x)


def time_distributed(draw, x):
    if rank(x) < 1:
        raise Misfit
    return layers.TimeDistributed(layers.Dense(draw(INTS(1, 3))))(x)


# --- Layers without ------------------------------------------------------------------


def pool(draw, x):
    kind = draw(st.sampled_from(["AveragePooling", "MaxPooling"]))
    layer = of_rank(kind, x, 1, 2, 3)
    size = each_axis(draw, x, INTS(1, 3))
    strides = draw(st.sampled_from([None, 1, 2]))
    return layer(size[0] if rank(x) == 1 else size, strides, draw(PADDING))(x)


def global_pool(draw, x):
    kind = draw(st.sampled_from(["GlobalAveragePooling", "GlobalMaxPooling"]))
    return of_rank(kind, x, 1, 2, 3)(keepdims=draw(BOOL))(x)


def sides(draw, x):
    """A pair of numbers for each axis, in the form the layers take."""
    pairs = tuple((draw(INTS(0, 2)), draw(INTS(0, 2))) for _ in range(rank(x)))
    return pairs[0] if rank(x) == 1 else pairs


def zero_pad(draw, x):
    return of_rank("ZeroPadding", x, 1, 2, 3)(sides(draw, x))(x)


def crop(draw, x):
    return of_rank("Cropping", x, 1, 2, 3)(sides(draw, x))(x)


def upsample(draw, x):
    layer = of_rank("UpSampling", x, 1, 2, 3)
    size = each_axis(draw, x, INTS(1, 2))
    if rank(x) == 2:
        how = draw(st.sampled_from(["nearest", "bilinear"]))
        return layer(size, interpolation=how)(x)
    return layer(size[0] if rank(x) == 1 else size)(x)


def reshape(draw, x):
    shape = x.shape[1:]
    choices = [(-1, shape[-1]), (shape[-1], -1), (*shape, 1), (-1,)]
    return layers.Reshape(draw(st.sampled_from(choices)))(x)


def flatten(draw, x):
    return layers.Flatten()(x)


def permute(draw, x):
    return layers.Permute(draw(st.permutations(range(1, len(x.shape)))))(x)


def repeat_vector(draw, x):
    if rank(x) != 0:
        raise Misfit
    return layers.RepeatVector(draw(INTS(1, 3)))(x)


def activation(draw, x):
    names = ("sigmoid", "silu", "tanh", "softplus", "hard_sigmoid", "elu", "softmax")
    return layers.Activation(draw(st.sampled_from(names)))(x)


def activation_layer(draw, x):
    kinds = (layers.LeakyReLU, layers.ELU, layers.Softmax)
    return draw(st.sampled_from(kinds))()(x)


def sloped_relu(draw, x):
    return layers.ReLU(negative_slope=0.25, threshold=draw(st.floats(0, 0.5)))(x)


def training_only(draw, x):
    kinds = (
        lambda: layers.Dropout(0.5),
        lambda: layers.GaussianNoise(0.5),
        lambda: layers.GaussianDropout(0.5),
        lambda: layers.AlphaDropout(0.5),
        layers.Identity,
        layers.ActivityRegularization,
    )
    return draw(st.sampled_from(kinds))()(x)


# --- Operations ----------------------------------------------------------------------

OPERATIONS = {
    "scale": lambda x: x * 0.75,
    "scale_left": lambda x: -1.5 * x,
    "shift": lambda x: x + 0.5,
    "shift_left": lambda x: 1.0 - x,
    "divide": lambda x: x / 3.0,
    "reciprocal": lambda x: 1.0 / (1.0 + ops.abs(x)),
    "negative": lambda x: -x,
    "square": lambda x: x**2,
    "product": lambda x: x * ops.flip(x, axis=-1),
    "abs": ops.abs,
    "sqrt": lambda x: ops.sqrt(ops.abs(x) + 1.0),
    "exp": lambda x: ops.exp(-ops.abs(x)),
    "maximum": lambda x: ops.maximum(x, 0.25),
    "clip": lambda x: ops.clip(x, -0.5, 0.5),
    "sigmoid": ops.sigmoid,
    "mean": lambda x: ops.mean(x, axis=1, keepdims=True),
    "mean_last": lambda x: ops.mean(x, axis=-1, keepdims=True),
    "sum": lambda x: ops.sum(x, axis=-1, keepdims=True),
    "max": lambda x: ops.max(x, axis=-1, keepdims=True),
    "variance": lambda x: ops.var(x, axis=-1, keepdims=True),
    "flip": lambda x: ops.flip(x, axis=1),
    "pad": lambda x: ops.pad(x, [[0, 0], [1, 1]] + [[0, 0]] * (len(x.shape) - 2)),
    "pad_with_ones": lambda x: ops.pad(
        x, [[0, 0], [0, 2]] + [[0, 0]] * (len(x.shape) - 2), constant_values=1.0
    ),
    "slice": lambda x: x[:, :1],
    "slice_channels": lambda x: x[..., :-1] if x.shape[-1] > 1 else x,
    "ellipsis": lambda x: x[..., None],
    "expand": lambda x: ops.expand_dims(x, 1),
    "repeat": lambda x: ops.repeat(x, 2, axis=-1),
    "stack": lambda x: ops.stack([x, 2.0 * x], axis=-1),
    "concatenate": lambda x: ops.concatenate([x, x], axis=1),
    "swap": lambda x: ops.swapaxes(x, 1, -1),
    "move": lambda x: ops.moveaxis(x, 1, -1),
    "cumulate": lambda x: ops.cumsum(x, axis=-1),
    "roll": lambda x: ops.roll(x, 1, axis=-1),
    # A product of vectors would be one of samples with one another.
    "matmul": lambda x: (
        ops.matmul(x, ops.swapaxes(x, -1, -2)) if len(x.shape) > 2 else x
    ),
    "split": lambda x: ops.split(x, [1], axis=-1)[0],
}


def operation(draw, x):
    return OPERATIONS[draw(st.sampled_from(sorted(OPERATIONS)))](x)


# --- What users write, and all of Keras ----------------------------------------------


def own_function(draw, x):
    function = users.FUNCTIONS[draw(st.sampled_from(sorted(users.FUNCTIONS)))]
    if draw(BOOL):
        return layers.Dense(draw(INTS(1, 3)), activation=function)(x)
    return layers.Activation(function)(x)


def own_layer(draw, x):
    return users.UNARY_LAYERS[draw(st.sampled_from(sorted(users.UNARY_LAYERS)))]()(x)


# What is not continuous, or steep, needs exact inputs: those of neurons are.
def catalogued(draw, x):
    """A case of the catalog with one signal, or with the same one twice."""
    if not is_exact(x):
        raise Misfit
    case = draw(st.sampled_from(_by_rank(rank(x))))
    signals = [cast(case, x)] * len(case.shapes)
    found = [y for y in tree.flatten(case.apply(*signals)) if len(y.shape) > 1]
    if not found:
        raise Misfit
    return networks.number(draw(st.sampled_from(found)))


def _by_rank(number):
    """The cases of tensors with that many axes of which Keras has every network."""
    return [
        case
        for case in CASES
        if {len(shape) for shape in case.shapes} == {number + 1}
        and case.dtype != "string"
        and {case.name, str(case)}.isdisjoint(LACKING[keras.backend.backend()])
    ]


def cast(case, x):
    """`x` in the dtype that a case takes."""
    return ops.cast(x, case.dtype) if case.dtype and x.dtype != case.dtype else x


def is_exact(x):
    """Whether neurons sent a tensor, or it is an input."""
    operation = x._keras_history.operation
    return isinstance(operation, (LSQReLU, QCFS, layers.InputLayer))


UNARY = (
    *(conv, depthwise, dense) * 3,
    *(conv_transpose, separable, einsum_dense),
    *(batch_norm, batch_norm, rescaling, normalization),
    *(layer_norm, rms_norm, unit_norm, group_norm),
    *(prelu, activation, activation_layer, sloped_relu, training_only),
    *(attention, recurrent, time_distributed),
    *(pool, pool, global_pool, zero_pad, crop, upsample),
    *(reshape, flatten, permute, repeat_vector),
    *(operation,) * 4,
    *(own_function, own_layer),
)
MERGES = {
    "add": lambda x, y: layers.Add()([x, y]),
    "plus": lambda x, y: x + y,
    "subtract": lambda x, y: layers.Subtract()([x, y]),
    "minus": lambda x, y: x - y,
    "average": lambda x, y: layers.Average()([x, y]),
    "concatenate": lambda x, y: layers.Concatenate()([x, y]),
    "maximum": lambda x, y: layers.Maximum()([x, y]),
    "minimum": lambda x, y: ops.minimum(x, y),
    "multiply": lambda x, y: layers.Multiply()([x, y]),
    "times": lambda x, y: x * y,
    "over": lambda x, y: x / (1.0 + ops.abs(y)),
}


def quantized(draw, x, bits):
    """A quantized activation with as many levels as fit in `bits` bits.

    Steps have 20 bits, so that all levels are exact, and no two are in proportion.
    """
    assume(0 not in x.shape)  # a cut may leave nothing
    levels = 2**bits - 1
    axis = draw(st.sampled_from([None, None, -1]))
    size = (x.shape[-1],) if axis == -1 else ()
    rng = np.random.default_rng(draw(INTS(0, 99)))
    step = np.round(rng.uniform(0.2, 0.8, size) * 2**20) / 2 ** (19 + bits)
    kind = draw(st.sampled_from([LSQReLU, QCFS]))
    if kind is LSQReLU:
        return LSQReLU(levels, initial_step=step, axis=axis)(x)
    return QCFS(levels, initial_threshold=step * levels, axis=axis)(x)


def network(draw, bits):
    """A network whose activations have `bits` bits, with random weights.

    Args:
        draw: Draws from a strategy, as `draw` of `st.data()` does.
        bits: Bits of its activations.
    """
    inputs = [input_of(draw) for _ in range(draw(INTS(1, 2)))]
    tensors = [quantized(draw, draw_one(draw, prepared(draw, x)), bits) for x in inputs]
    for _ in range(draw(INTS(2, 8))):
        x = draw(st.sampled_from(tensors[-2:]))
        x = merged(draw, x, tensors) if draw(INTS(0, 3)) == 0 else draw_one(draw, x)
        if draw(BOOL):
            x = quantized(draw, x, bits)
        tensors.append(x)
    x = quantized(draw, tensors[-1], bits)
    outputs = [layers.Dense(2)(features(x))]
    if draw(BOOL):
        outputs.append(features(draw(st.sampled_from(tensors))))
    model = keras.Model(alone(inputs), alone(outputs))
    if draw(INTS(0, 3)) == 0:
        model = renamed(draw, model)
    seed = draw(INTS(0, 99))
    randomize(model, np.random.default_rng(seed))
    return model


def input_of(draw):
    """Numbers, of open sizes too; or places in a vocabulary."""
    if draw(INTS(0, 7)) == 0:
        return keras.Input((draw(INTS(2, 5)),), dtype="int32")
    spatial = draw(st.sampled_from([0, 1, 2, 2, 3]))
    is_open = draw(INTS(0, 5)) == 0
    sizes = [None if is_open else draw(INTS(2, 5)) for _ in range(spatial)]
    return keras.Input((*sizes, draw(INTS(1, 4))))


def prepared(draw, x):
    """What stands before the network proper: embeddings, masks, preprocessing."""
    if x.dtype == "int32":
        x = layers.Embedding(3, draw(INTS(1, 3)), mask_zero=draw(BOOL))(x)
        return mask_read(draw, x) if draw(INTS(0, 3)) else x
    if rank(x) == 1 and draw(INTS(0, 5)) == 0:
        return mask_read(draw, layers.Masking()(x))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        x = draw_one(draw, x, (catalogued,))
    return x


def mask_read(draw, x):
    """Layers that read a mask and pass none on."""
    reads = (
        lambda: layers.GRU(2),
        lambda: layers.LSTM(2),
        lambda: layers.Bidirectional(layers.SimpleRNN(2)),
        layers.GlobalAveragePooling1D,
    )
    return draw(st.sampled_from(reads))()(x)


def features(x):
    """A vector of a tensor."""
    if None in x.shape[1:]:
        return ops.mean(x, axis=tuple(range(1, len(x.shape) - 1)))
    return layers.Flatten()(x)


def renamed(draw, model):
    """The model with a name or two of layers changed."""
    chosen = draw(st.lists(st.sampled_from(model.layers), min_size=1, max_size=2))
    for layer in chosen:
        name = draw(st.sampled_from(users.NAMES))
        if name not in {other.name for other in model.layers}:
            layer.name = name
    return keras.Model(model.input, model.output)


def draw_one(draw, x, choices=None):
    """One operation that fits, by itself or inside a model."""
    if choices is None:
        choices = (catalogued,) if draw(INTS(0, 3)) == 0 and is_exact(x) else UNARY
    grow, form = draw(st.sampled_from(choices)), draw(st.sampled_from(FORMS))
    try:
        y = form(draw, grow, x)
    except Exception:  # of whatever class Keras and its backends raise
        return x
    return y if fits(y, x) else x


def fits(y, x):
    """Whether a tensor is not too large, of numbers, and no more open than `x`."""
    size = np.prod([size or 5 for size in y.shape[1:]])
    is_small = 0 < size <= MAX_SIZE and 1 < len(y.shape) <= 5
    is_known = y.shape[-1] is not None and y.shape[0] is None
    is_open = y.shape[1:].count(None) > x.shape[1:].count(None)
    return is_small and is_known and not is_open and "float" in y.dtype


def by_itself(draw, grow, x):
    return grow(draw, x)


def nested(draw, grow, x):
    kind = users.MODELS[draw(st.sampled_from(sorted(users.MODELS)))]
    return _inner(draw, grow, x, kind)(x)


def shared(draw, grow, x):
    model = _inner(draw, grow, x)
    return layers.Add()([model(x), model(layers.ReLU(negative_slope=0.5)(x))])


def over_time(draw, grow, x):
    if rank(x) == 0:
        raise Misfit
    inner = keras.Input(x.shape[2:])
    return layers.TimeDistributed(keras.Model(inner, grow(draw, inner)))(x)


def _inner(draw, grow, x, kind=keras.Model):
    """A model of one operation; exact inputs stay exact on their way into it."""
    inner = keras.Input(x.shape[1:], dtype=x.dtype)
    if grow is catalogued and not is_exact(x):
        raise Misfit
    return kind(inner, grow(draw, inner))


def composed(draw, grow, x):
    return networks.Composed(_inner(draw, grow, x))(x)


FORMS = (*(by_itself,) * 12, nested, nested, shared, over_time, composed, composed)


def merged(draw, x, tensors):
    """`x` with another tensor of its shape, or with itself mapped by a new layer."""
    others = [y for y in tensors if tuple(y.shape) == tuple(x.shape)]
    other = draw(st.sampled_from(others))
    shared = layers.Dense(x.shape[-1])
    if draw(BOOL):
        x, other = shared(x), shared(other)
    return MERGES[draw(st.sampled_from(sorted(MERGES)))](x, other)


def randomize(model, rng):
    """Random weights in every layer, statistics of normalization too."""
    for layer in model.layers:
        if isinstance(layer, layers.TimeDistributed):
            layer = layer.layer
        if isinstance(layer, keras.Model):
            randomize(layer, rng)
            continue
        if isinstance(layer, (LSQReLU, QCFS, layers.Normalization)):
            continue
        values = []
        for weight in layer.weights:
            scale = 1.0 / max(1.0, np.sqrt(np.prod(weight.shape[:-1])))
            value = rng.normal(0.0, scale, weight.shape)
            values.append(np.abs(value) + 0.5 if "var" in weight.name else value)
        fits = all("float" in str(w.dtype) for w in layer.weights)
        if fits:
            layer.set_weights(values)


def alone(items):
    return items[0] if len(items) == 1 else items
