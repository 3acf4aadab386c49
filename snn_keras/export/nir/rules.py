"""What every layer of a spiking network is in NIR."""

import numpy as np
from keras import layers

from snn_keras import neurons, time
from snn_keras.conversion._keras import operation_types
from snn_keras.export.calls import (
    LEFT_OUT,
    QUANTIZED,
    CellForms,
    Refusal,
    check_no_constants,
)
from snn_keras.export.keras_layers import (
    array,
    batch_norm_gain,
    bias_of,
    check_channels_last,
    pad_sides,
    slices,
    ungrouped,
    windows,
)
from snn_keras.export.nir.padding import symmetric
from snn_keras.export.nir.writer import Signal, channels_first, first, rule


@rule(time.Present)
def _present(writer, call):
    if not call.layer.coding.is_steady:
        raise Refusal(
            "NIR has no input that is switched off. Remedy: "
            'snn_keras.convert(model, timesteps, neuron="if").'
        )
    return call.signal


@rule(time.Readout, layers.Identity)
def _nothing(writer, call):
    return call.signal


@rule(layers.Activation, *LEFT_OUT)
def _last_activation(writer, call):
    if not call.is_last:
        raise Refusal(
            f"only at the end of a network is it left to the reader. Remedy: "
            f"{QUANTIZED}."
        )
    writer.losses.append(f"'{call.name}' is left to the reader")
    return call.signal


nir_form = CellForms(
    'a network that snn_keras.convert(model, timesteps, neuron="if") makes'
)


@rule(time.Spiking)
def _spiking(writer, call):
    return nir_form.of(call.layer.cell)(writer, call)


@nir_form(neurons.IFCell)
def _integrate_and_fire(writer, call):
    cell = call.layer.cell
    x, theta = writer.padded(call.signal, call.name), cell.theta_value()
    if x.order is not None and np.ndim(theta):
        theta = theta[x.order]
    amplitude = theta
    if writer.unit_thresholds:
        share = 1 / theta
        x = x.with_(factor=x.factor * share, offset=x.offset * share)
        theta = np.ones(())
    x = writer.plain(x, call.name)
    threshold = channels_first(np.broadcast_to(theta, x.shape)).copy()
    node = writer.add(
        "IF",
        call.name,
        x,
        r=np.ones_like(threshold),
        v_threshold=threshold,
        v_reset=np.zeros_like(threshold),
        metadata={"reset": "subtract", "v_initial": cell.initial * threshold},
    )
    if cell.initial:
        writer.losses.append(
            f"'{call.name}' starts from {cell.initial:g} of its threshold"
        )
    return Signal((node,), x.shape, factor=amplitude, order=x.order)


@rule(layers.Dense)
def _dense(writer, call):
    x, layer = call.signal, call.operation
    if len(x.shape) != 1:
        raise Refusal(
            "dense layers have one for flat inputs alone. Remedy: keras.layers.Flatten "
            "in front of it, or keras.layers.Conv2D(units, 1) in its place."
        )
    kernel = array(layer.kernel).T
    if x.order is not None:
        kernel = kernel[:, x.order]
    shape = (layer.units,)
    return writer.weighted("Affine", call.name, x, shape, kernel, bias_of(layer))


def _convolved(writer, call, name, x, weight, bias, layer, groups):
    """A convolution of images; `weight` is `(out, in, height, width)`."""
    check_channels_last(layer)
    strides, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
    sizes = [
        n + sum(p) for n, p in zip(x.shape, x.padding or ((0, 0), (0, 0)), strict=False)
    ]
    padding, places = windows(sizes, weight.shape[2:], strides, layer.padding, dilation)
    outer = x.padding or ((0, 0), (0, 0))
    if groups > 1:  # the shape inference of NIR knows one group alone
        kernel = weight.transpose(2, 3, 1, 0)
        weight = ungrouped(kernel, groups).transpose(3, 2, 0, 1)
    sides = zip(padding, outer, strict=True)
    sides = [(a + c, b + d) for (a, b), (c, d) in sides]
    weight, both = symmetric(weight, sides, dilation)
    shape = (*places, weight.shape[0])
    return writer.weighted(
        "Conv2d",
        name,
        x.with_(padding=()),
        shape,
        weight,
        bias,
        input_shape=tuple(x.shape[:2]),
        stride=strides,
        padding=both,
        dilation=dilation,
        groups=1,
    )


@rule(layers.Conv2D)
def _convolution(writer, call):
    layer = call.operation
    weight = array(layer.kernel).transpose(3, 2, 0, 1)
    arguments = (call.signal, weight, bias_of(layer), layer, layer.groups)
    return _convolved(writer, call, call.name, *arguments)


@rule(layers.DepthwiseConv2D)
def _depthwise(writer, call):
    layer, x = call.operation, call.signal
    kernel = array(layer.kernel)
    height, width, channels, _ = kernel.shape
    weight = kernel.transpose(2, 3, 0, 1).reshape(-1, 1, height, width)
    arguments = (x, weight, bias_of(layer), layer, channels)
    return _convolved(writer, call, call.name, *arguments)


@rule(layers.BatchNormalization)
def _batch_normalization(writer, call):
    x = writer.padded(call.signal, call.name)
    gain, offset = batch_norm_gain(call.operation, x.shape)
    if x.order is not None:
        gain, offset = gain[x.order], offset[x.order]
    return x.with_(factor=x.factor * gain, offset=x.offset * gain + offset)


@rule(layers.Rescaling)
def _rescaling(writer, call):
    x, layer = writer.padded(call.signal, call.name), call.operation
    return x.with_(
        factor=x.factor * np.float64(layer.scale),
        offset=x.offset * np.float64(layer.scale) + layer.offset,
    )


@rule(layers.Add)
def _add(writer, call):
    check_no_constants(call)
    return _sum(writer, call.signals, call.name)


@rule(*operation_types("Add"))
def _plus(writer, call):
    if len(call.signals) != len(call.args):
        raise Refusal(
            "sums with a constant have none. Remedy: "
            "keras.layers.Rescaling(1.0, offset=constant)."
        )
    return _sum(writer, call.signals, call.name)


def _sum(writer, signals, name):
    signals = [writer.plain(writer.padded(x, name), name) for x in signals]
    orders = {None if x.order is None else tuple(x.order) for x in signals}
    if len(orders) > 1 or len({x.shape for x in signals}) > 1:
        raise Refusal(
            "sums of different shapes have none, and none of flat signals with others. "
            "Remedy: the sum in front of keras.layers.Flatten, of equal shapes."
        )
    nodes = []
    for x in signals:
        if set(x.nodes) & set(nodes):  # NIR has no double edges
            x = writer.scaled(x, 1.0, 0.0, f"{name}_again")
        nodes += x.nodes
    return signals[0].with_(nodes=tuple(nodes), own=False)


@rule(layers.AveragePooling2D)
def _average_pooling(writer, call):
    x, layer = writer.padded(call.signal, call.name), call.operation
    check_channels_last(layer)
    window, strides = tuple(layer.pool_size), tuple(layer.strides)
    padding, places = windows(x.shape[:2], window, strides, layer.padding)
    if np.any(padding):
        raise Refusal('it pads. Remedy: padding="valid".')
    return _pooled(writer, call.name, x, window, strides, places)


def _pooled(writer, name, x, window, strides, places):
    node = writer.add(
        "AvgPool2d",
        name,
        x,
        kernel_size=np.array(window),
        stride=np.array(strides),
        padding=np.array((0, 0)),
    )
    return x.with_(nodes=(node,), shape=(*places, x.shape[-1]), own=False)


@rule(layers.GlobalAveragePooling2D)
def _global_average_pooling(writer, call):
    x = writer.padded(call.signal, call.name)
    check_channels_last(call.operation)
    if call.operation.keepdims:
        raise Refusal("it keeps its axes. Remedy: keepdims=False.")
    pooled = _pooled(writer, call.name, x, x.shape[:2], x.shape[:2], (1, 1))
    return _flattened(writer, f"{call.name}_flat", pooled)


@rule(layers.Flatten)
def _flatten(writer, call):
    x = writer.padded(call.signal, call.name)
    return x if len(x.shape) == 1 else _flattened(writer, call.name, x)


def _flattened(writer, name, x):
    if np.ndim(x.factor) or np.ndim(x.offset):
        x = writer.plain(x, name)
    size = int(np.prod(x.shape))
    order = channels_first(np.arange(size).reshape(x.shape)).ravel()
    node = writer.add(
        "Flatten", name, x, input_type=first(x.shape), start_dim=0, end_dim=-1
    )
    return x.with_(nodes=(node,), shape=(size,), order=order, own=False)


@rule(layers.ZeroPadding2D)
def _zero_padding(writer, call):
    x = call.signal
    check_channels_last(call.operation)
    if np.any(x.offset):
        x = writer.plain(x, call.name)
    before = x.padding or ((0, 0), (0, 0))
    padding = tuple(
        (a + c, b + d)
        for (a, b), (c, d) in zip(before, call.operation.padding, strict=True)
    )
    return x.with_(padding=padding)


@rule(*operation_types("GetItem"))
def _item(writer, call):
    """Every so many pixels, by a convolution of one tap."""
    x = writer.plain(writer.padded(call.signal, call.name), call.name)
    begin, strides = slices(call)
    is_whole = call.shape == tuple(
        -(-n // s) for n, s in zip(x.shape, strides, strict=True)
    )
    if len(x.shape) != 3 or any(begin) or strides[-1] != 1 or not is_whole:
        raise Refusal(
            "of slices only x[:, ::a, ::b] has one, of images. Remedy: every so many "
            "pixels from the first to the last, or none left out."
        )
    weight = np.eye(x.shape[-1])[:, :, None, None]
    return _one_tap(writer, call, x, weight, strides[:2])


@rule(*operation_types("Pad"))
def _pad(writer, call):
    """Channels of zeros, by a convolution of one tap; or zeros around images."""
    x, sides = call.signal, pad_sides(call)
    if np.any(x.offset):
        x = writer.plain(x, call.name)
    if len(x.shape) != 3 or (np.any(sides[-1]) and (np.any(sides[:-1]) or x.padding)):
        raise Refusal(
            "only images have one, padded in their channels or around. Remedy: "
            "keras.layers.ZeroPadding2D for what goes around."
        )
    if not np.any(sides[-1]):
        return x.with_(padding=sides[:-1])
    weight = np.pad(np.eye(x.shape[-1]), [sides[-1], (0, 0)])[:, :, None, None]
    return _one_tap(writer, call, x, weight, (1, 1))


def _one_tap(writer, call, x, weight, strides):
    return writer.weighted(
        "Conv2d",
        call.name,
        x,
        call.shape,
        weight,
        0.0,
        input_shape=tuple(x.shape[:2]),
        stride=strides,
        padding=(0, 0),
        dilation=(1, 1),
        groups=1,
    )
