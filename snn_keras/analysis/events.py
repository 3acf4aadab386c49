"""Spikes on their way through linear operations without weights."""

import math

import numpy as np
from keras import layers, ops, tree

from snn_keras.analysis import probing
from snn_keras.conversion._keras import LayerScale, operation_types
from snn_keras.graph import computes_as
from snn_keras.time import BiasCorrection

_ADD, _SUBTRACT, _MULTIPLY, _NEGATIVE = operation_types(
    "Add", "Subtract", "Multiply", "Negative"
)
_DIVIDE = operation_types("Divide", "TrueDivide")


def way(node):
    """How a node hands spikes on.

    A spike arrives once at every output that depends on the element where it is.

    Args:
        node: A `snn_keras.graph.Node` of a linear operation, not inside a wrapper,
            without weights or with such as scale each channel.

    Returns:
        A function of a list of arrays `(rows, ...)`, the spikes at each element of each
        input, that gives such a list for the outputs.

    Raises:
        ValueError: if it is too large to try out what it reaches.
    """
    known = _known(node)
    if known is None:
        return _tried(node)

    def hand_on(counts):
        outputs = known(node, [ops.convert_to_tensor(x) for x in counts])
        return [ops.convert_to_numpy(y) for y in tree.flatten(outputs)]

    return hand_on


def marked(node, masks):
    """Where the outputs depend on elements of the inputs whose mask is not 0."""
    if _known(node) is None:
        return probing.marked(node, masks)
    return [(y != 0).astype("float32") for y in way(node)(masks)]


def scales_channels(operation):
    """Whether it has weights, and folds into those of its neighbours."""
    return any(computes_as(operation, kind) for kind in _SCALING)


def _known(node):
    operation = node.operation
    if node.constants and isinstance(operation, layers.Layer):
        return None  # what is known of it is without
    for kind in type(operation).__mro__:
        if kind in _HANDLERS and computes_as(operation, kind):
            return _HANDLERS[kind]
    return None


def _tried(node):
    """The way of an operation of which no more is known than what it does."""
    sources, pairs = probing.copied(node), []
    is_more = sources == probing.MORE
    if is_more.any():
        for number, elements, outputs in probing.reached(node):
            kept = is_more[outputs]
            pairs.append((number, elements[kept], outputs[kept]))
    sources = np.where(is_more, probing.NONE, sources)

    def hand_on(counts):
        flat = [x.reshape(len(x), -1) for x in counts]
        nothing = np.zeros((len(flat[0]), 1), "float32")
        total = np.concatenate([*flat, nothing], axis=1)[:, sources]
        for number, elements, outputs in pairs:
            for row, arriving in zip(total, flat[number], strict=True):
                row += np.bincount(outputs, arriving[elements], minlength=len(row))
        return probing.split(node, total)

    return hand_on


def _as_it_is(node, counts):
    return counts


def _run(node, counts):
    """The operation itself, which copies its input's elements, or adds them up."""
    operation = node.operation
    if isinstance(operation, layers.Layer):
        operation = _in_float32(operation)
    values = dict(zip(node.inputs, counts, strict=True))
    return node.call(operation, values, training=False)


def _in_float32(layer, **changes):
    """The layer anew, in a precision that holds counts exactly."""
    return type(layer).from_config(
        {**layer.get_config(), **changes, "dtype": "float32"}
    )


def _mean(node, counts):
    """Sums where the operation averages."""
    means = _run(node, counts)
    size = math.prod(counts[0].shape[1:]) // math.prod(means.shape[1:])
    return ops.round(means * size)


def _average(node, counts):
    return ops.round(_run(node, counts) * len(counts))


def _subtracted(node, counts):
    return layers.Add(dtype="float32")(counts)


def _combined(node, counts):
    """Sums, differences, multiples and fractions, of two signals or with a constant."""
    if len(counts) == 2:
        return counts[0] + counts[1]
    given = [*node.args, *node.kwargs.values()]
    (constant,) = [x for x in given if x is not node.inputs[0]]
    constant = ops.convert_to_numpy(constant).astype("float64")
    factor = np.ones_like(constant)
    if computes_as(node.operation, _MULTIPLY):
        factor = constant
    elif any(computes_as(node.operation, kind) for kind in _DIVIDE):
        with np.errstate(divide="ignore"):
            factor = 1 / constant
    return counts[0] * (factor != 0).astype("float32")  # times 0, nothing arrives


def _rescaled(node, counts):
    scale = np.asarray(node.operation.scale)
    passes = (scale != 0).astype("float32")
    return _in_float32(node.operation, scale=passes.tolist(), offset=0.0)(counts[0])


def _pooled(node, counts):
    """Sums where an average pooling averages."""
    (x,), layer = counts, node.operation
    first = 1 if layer.data_format == "channels_last" else 2
    padding = [[0, 0]] * len(x.shape)
    if layer.padding == "same":
        for i, (size, stride) in enumerate(
            zip(layer.pool_size, layer.strides, strict=True)
        ):
            length = x.shape[first + i]
            missing = (-(-length // stride) - 1) * stride + size - length
            padding[first + i] = [max(missing, 0) // 2, -(-max(missing, 0) // 2)]
    settings = (layer.pool_size, layer.strides, "valid", layer.data_format)
    means = ops.average_pool(ops.pad(x, padding), *settings)
    return ops.round(means * math.prod(layer.pool_size))


def _interpolated(node, counts):
    """Spikes reach what an interpolation in two dimensions reaches along each axis."""
    layer = node.operation
    if layer.interpolation == "nearest":
        return _run(node, counts)
    is_last = layer.data_format == "channels_last"
    labels = "nhwc" if is_last else "nchw"
    line = _in_float32(layer, data_format="channels_last")
    reach = []
    for axis in (labels.index("h"), labels.index("w")):
        x = np.eye(counts[0].shape[axis], dtype="float32")
        x = x[:, :, None, None] if axis == labels.index("h") else x[:, None, :, None]
        y = ops.convert_to_numpy(line(x))[..., 0]
        y = y[:, :, 0] if axis == labels.index("h") else y[:, 0]
        reach.append((y != 0).astype("float32"))
    result = labels.replace("h", "i").replace("w", "j")
    return ops.einsum(f"{labels},hi,wj->{result}", counts[0], *reach)


# Of these the weights scale each channel, and fold into their neighbours'.
_SCALING = (layers.BatchNormalization, layers.Normalization, LayerScale, BiasCorrection)
_UNCHANGED = (
    *_SCALING,
    layers.Identity,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.ActivityRegularization,
    _NEGATIVE,
)
_SUMMING = (layers.Add, *operation_types("Sum", "Cumsum", "Trace", "Fold"))
_POOLING = (layers.AveragePooling1D, layers.AveragePooling2D, layers.AveragePooling3D)
_MEANS = (
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
    *operation_types("Mean"),
)
_HANDLERS = {
    **dict.fromkeys(_UNCHANGED, _as_it_is),
    **dict.fromkeys(_SUMMING, _run),
    **dict.fromkeys(_POOLING, _pooled),
    **dict.fromkeys(_MEANS, _mean),
    **dict.fromkeys((_ADD, _SUBTRACT, _MULTIPLY, *_DIVIDE), _combined),
    layers.Subtract: _subtracted,
    layers.Average: _average,
    layers.Rescaling: _rescaled,
    layers.UpSampling2D: _interpolated,
}
