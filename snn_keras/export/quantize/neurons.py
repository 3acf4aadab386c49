"""Time and neurons as integers."""

import numpy as np
from keras import layers

from snn_keras import neurons
from snn_keras.export import integer
from snn_keras.export.calls import LEFT_OUT, QUANTIZED, Refusal
from snn_keras.export.quantize.moves import finer
from snn_keras.export.quantize.quantizer import rule
from snn_keras.export.quantize.units import Signal
from snn_keras.linear.forms import array


@rule(neurons.Present)
def present(quantizer, call):
    x = call.signal
    if call.layer.input_steps is None:
        return x.with_(timed=True, weights=None)
    x = quantizer.settled(x)
    on = call.layer.input_steps
    name = quantizer.add(integer.Gate, x, x.shape, call.name, on=on)
    return x.with_(name=name, timed=True, weights=None)


@rule(neurons.Readout)
def readout(quantizer, call):
    x = quantizer.settled(quantizer.even(call.signal))
    name = quantizer.add(integer.Integrate, x, x.shape, call.name)
    return x.with_(name=name, weights=None)


@rule(neurons.BiasCorrection)
def bias_correction(quantizer, call):
    layer = call.operation
    x = quantizer.affine(call.signal, 1.0, array(layer.bias))
    return x.with_(initial=array(layer.initial))


@rule(neurons.Spiking, neurons.FusedSpiking)
def spiking(quantizer, call):
    cell = call.layer.cell
    if type(cell) is neurons.IFCell:
        kind, arguments, grain = integer.Fire, {}, 2
    elif type(cell) is neurons.SignedIFCell:
        kind, arguments, grain = integer.SignedFire, {"ceiling": cell.ceiling}, 2
    elif type(call.layer) is neurons.FusedSpiking:
        kind, arguments = integer.FireBits, {"bits": cell.timesteps}
        grain = 2 ** (cell.timesteps + 1)
    elif isinstance(cell, neurons.BitSerialCell):
        raise Refusal(
            "bit-serial neurons are exported from a network of one pass. Remedy: "
            'convert(..., neuron="bit_serial", fused=True).'
        )
    else:
        raise Refusal(
            f"its neurons are {type(cell).__name__}. Remedy: a network that "
            'snn_keras.convert(model, timesteps, neuron="if") makes, or "signed" or '
            '"bit_serial" neurons.'
        )
    theta = cell.theta_value()
    initial = array(cell.initial_state(np.shape(theta))[0]) + call.signal.initial
    x = call.signal
    if x.is_open and np.all(theta / x.factor >= max(grain, 16) * x.unit.finest):
        x = quantizer.settled(x)
        x.unit.need(theta / x.factor / (grain if grain > 2 else 1))
        x.unit.need(initial / x.factor)
        x.unit.anchor(theta / x.factor / grain)
    else:
        beside = np.maximum(theta, np.abs(initial))
        x = finer(quantizer, x, theta / grain, beside, call.name)

    def threshold():
        parts = theta / x.scale / (grain if grain > 2 else 1)
        whole = quantizer.whole(call.name, "threshold", parts)
        return np.maximum(whole, 1) * (grain if grain > 2 else 1)

    def start():
        return quantizer.whole(call.name, "initial potential", initial / x.scale)

    def most():  # with half of the last bit, as what it starts from
        highest = np.floor(cell.saturation * threshold()).astype(np.int64)
        return highest + threshold() // grain

    if kind is integer.FireBits and cell.saturates:
        arguments["most"] = most
    name = quantizer.add(
        kind, x, x.shape, call.name, threshold=threshold, initial=start, **arguments
    )
    step = theta / 2**cell.timesteps if kind is integer.FireBits else theta
    return Signal(name, x.shape, np.asarray(step), timed=x.timed)


@rule(layers.Activation, *LEFT_OUT)
def last_activation(quantizer, call):
    """Behind the network it keeps the order of classes, and is left to the caller."""
    if not call.is_last:
        raise Refusal(
            f"only at the end of a network is it left to the caller. Remedy: "
            f"{QUANTIZED}."
        )
    quantizer.left_out.append(call.name)
    return call.signal
