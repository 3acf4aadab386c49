"""The rules that export layers of a spiking network to NIR."""

import numpy as np
from keras import layers

from snn_keras import linear, neurons, time
from snn_keras.export.calls import (
    LEFT_OUT,
    QUANTIZED,
    CellForms,
    NotExported,
    check_channels_last,
)
from snn_keras.export.nir.writer import NodeSum, channels_first, first, rule


@rule(time.Present)
def _present(writer, call):
    if not call.layer.coding.is_steady:
        raise NotExported(
            "NIR has no input that is switched off. Remedy: "
            'snn_keras.convert(model, timesteps, neuron="if").'
        )
    return call.tensor


@rule(time.Readout)
def _nothing(writer, call):
    return call.tensor


@rule(layers.Activation, *LEFT_OUT)
def _last_activation(writer, call):
    if not call.is_last:
        raise NotExported(
            f"only at the end of a network is it left to the reader. Remedy: "
            f"{QUANTIZED}."
        )
    writer.losses.append(f"'{call.name}' is left to the reader")
    return call.tensor


nir_form = CellForms(
    'a network that snn_keras.convert(model, timesteps, neuron="if") makes'
)


@rule(time.Spiking)
def _spiking(writer, call):
    return nir_form.of(call.layer.cell)(writer, call)


@nir_form(neurons.IFCell)
def _integrate_and_fire(writer, call):
    cell = call.layer.cell
    x, theta = writer.padded(call.tensor, call.name), cell.theta_value()
    if x.order is not None and np.ndim(theta):
        theta = theta[x.order]
    amplitude = theta
    if writer.unit_thresholds:
        share = 1 / theta
        x = x.with_(factor=x.factor * share, offset=x.offset * share)
        theta = np.ones(())
    x = writer.single(x, call.name)
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
    return NodeSum((node,), x.shape, factor=amplitude, order=x.order)


@rule(linear.Dense)
def _dense(writer, call):
    x, form = call.tensor, call.form
    if len(x.shape) != 1:
        raise NotExported(
            "dense layers have one for flat inputs alone. Remedy: keras.layers.Flatten "
            "in front of it, or keras.layers.Conv2D(units, 1) in its place."
        )
    kernel = form.kernel.T if x.order is None else form.kernel.T[:, x.order]
    return writer.weighted("Affine", call.name, x, call.shape, kernel, form.bias)


@rule(linear.Separable)
def _separable(writer, call):
    return _convolved(writer, call, call.form.merged)


@rule(linear.Convolution)
def _convolution(writer, call):
    return _convolved(writer, call, call.form)


def _convolved(writer, call, form):
    check_channels_last(form)
    if len(form.window) != 2 or max(form.spread) > 1:
        raise NotExported(
            f"of convolutions only those of images have one. {rule.remedy}"
        )
    return writer.convolved(call.name, call.tensor, call.shape, form)


@rule(linear.Scale)
def _scale(writer, call):
    return _affine(writer, call, call.tensor, call.form.gain, call.form.offset)


def _affine(writer, call, x, gain, offset):
    """`gain x + offset`; gain and offset are numbers, or have one for each channel."""
    x = writer.padded(x, call.name)
    if {np.shape(gain), np.shape(offset)} - {(), x.shape[-1:]}:
        raise NotExported(
            "it differs along another axis than the last. Remedy: axis=-1, or a "
            "number for each channel."
        )
    if x.order is not None:
        gain, offset = (v[x.order] if np.ndim(v) else v for v in (gain, offset))
    return x.with_(factor=x.factor * gain, offset=x.offset * gain + offset)


@rule(linear.Sum)
def _sum(writer, call):
    form, name = call.form, call.name
    constants = [form.constant, *[np.zeros(())] * (len(form.signs) - 1)]
    sums = [
        _affine(writer, call, x, sign / form.divisor, constant / form.divisor)
        for x, sign, constant in zip(call.tensors, form.signs, constants, strict=True)
    ]
    if len(sums) == 1:
        return sums[0]
    sums = [writer.single(x, name) for x in sums]
    orders = {None if x.order is None else tuple(x.order) for x in sums}
    if len(orders) > 1 or len({x.shape for x in sums}) > 1:
        raise NotExported(
            "sums of different shapes have none, nor have flattened tensors with "
            "others. Remedy: the sum in front of keras.layers.Flatten, of equal shapes."
        )
    nodes = []
    for x in sums:
        if set(x.nodes) & set(nodes):  # NIR has no parallel edges
            x = writer.scaled(x, 1.0, 0.0, f"{name}_again")
        nodes += x.nodes
    return sums[0].with_(nodes=tuple(nodes), own=False)


@rule(linear.Pool)
def _average_pooling(writer, call):
    x, form = writer.padded(call.tensor, call.name), call.form
    check_channels_last(form)
    if np.any(form.padding):
        raise NotExported('it pads. Remedy: padding="valid".')
    return _pooled(writer, call, x, form.window, form.strides, call.shape)


def _pooled(writer, call, x, window, strides, shape):
    if len(shape) != 3:
        raise NotExported(f"of pools only those of images have one. {rule.remedy}")
    node = writer.add(
        "AvgPool2d",
        call.name,
        x,
        kernel_size=np.array(window),
        stride=np.array(strides),
        padding=np.array((0, 0)),
    )
    return x.with_(nodes=(node,), shape=shape, own=False)


@rule(linear.Total)
def _global_average_pooling(writer, call):
    x, form = writer.padded(call.tensor, call.name), call.form
    if form.keepdims:
        raise NotExported("it keeps its axes. Remedy: keepdims=False.")
    if form.axes != (0, 1) or not form.mean:
        raise NotExported(
            "of sums and means only those of whole images have one. Remedy: "
            "keras.layers.GlobalAveragePooling2D()."
        )
    sizes = x.shape[:2]
    pooled = _pooled(writer, call, x, sizes, sizes, (1, 1, x.shape[-1]))
    return _flattened(writer, f"{call.name}_flat", pooled)


@rule(linear.Reshape)
def _reshape(writer, call):
    x = writer.padded(call.tensor, call.name)
    if len(call.shape) != 1:
        raise NotExported("other shapes than flat ones have none. Remedy: Flatten.")
    return x if len(x.shape) == 1 else _flattened(writer, call.name, x)


def _flattened(writer, name, x):
    if np.ndim(x.factor) or np.ndim(x.offset):
        x = writer.single(x, name)
    size = int(np.prod(x.shape))
    order = channels_first(np.arange(size).reshape(x.shape)).ravel()
    node = writer.add(
        "Flatten", name, x, input_type=first(x.shape), start_dim=0, end_dim=-1
    )
    return x.with_(nodes=(node,), shape=(size,), order=order, own=False)


@rule(linear.Crop)
def _crop(writer, call):
    """Crops with strides, by a convolution with a 1x1 kernel."""
    x, form = writer.single(writer.padded(call.tensor, call.name), call.name), call.form
    whole = tuple(-(-n // s) for n, s in zip(x.shape, form.strides, strict=True))
    is_whole = call.shape == whole and form.strides[-1] == 1
    if len(x.shape) != 3 or any(form.begin) or not is_whole:
        raise NotExported(
            "of slices only x[:, ::a, ::b] has one, of images. Remedy: every so many "
            "pixels from the first to the last, or none left out."
        )
    eye, strides = np.eye(x.shape[-1]), form.strides[:2]
    return writer.one_tap(call.name, x, call.shape, eye, strides=strides)


@rule(linear.Pad)
def _pad(writer, call):
    """Adds channels of zeros by a convolution with a 1x1 kernel, or pads images."""
    x, (*around, channels) = call.tensor, call.form.padding
    if np.any(x.offset):
        x = writer.single(x, call.name)
    if len(x.shape) != 3 or (np.any(channels) and (np.any(around) or x.padding)):
        raise NotExported(
            "only images have one, padded in their channels or around. Remedy: "
            "keras.layers.ZeroPadding2D for what goes around."
        )
    if np.any(channels):
        eye = np.pad(np.eye(x.shape[-1]), [(0, 0), channels])
        return writer.one_tap(call.name, x, call.shape, eye)
    before = x.padding or ((0, 0), (0, 0))
    pairs = zip(before, around, strict=True)
    return x.with_(padding=tuple((a + c, b + d) for (a, b), (c, d) in pairs))
