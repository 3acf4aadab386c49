"""The integer rules of neurons, and of the layers that begin and end time."""

import dataclasses
from typing import Any

import numpy as np
from keras import layers

from snn_keras import neurons, time
from snn_keras.export import integer
from snn_keras.export.calls import LEFT_OUT, QUANTIZED, Call, CellForms, NotExported
from snn_keras.export.rounding.constants import Constant, Derived, Threshold
from snn_keras.export.rounding.moves import fine_enough
from snn_keras.export.rounding.units import ScaledTensor
from snn_keras.export.rounding.writer import IntegerWriter, rule
from snn_keras.layers import QuantizedInput
from snn_keras.linear.forms import array


@rule(QuantizedInput)
def quantized_input(writer: IntegerWriter, call: Call) -> ScaledTensor:
    """The input is these numbers: see `rounded_input_spec`."""
    if call.tensor.name not in {spec.name for spec in writer.inputs}:
        raise NotExported(
            "only of an input that nothing else reads has it one. Remedy: the layer "
            "right behind a keras.Input, once for each."
        )
    return call.tensor


@rule(time.Present)
def present(writer: IntegerWriter, call: Call) -> ScaledTensor:
    x = call.tensor
    on = writer.input_steps
    if on is None:
        return x.with_(timed=True, weights=None)
    x = writer.without_offset(x)
    name = writer.add(integer.Gate, x, x.shape, call.name, on=on)
    return x.with_(name=name, timed=True, weights=None)


@rule(time.Readout)
def readout(writer: IntegerWriter, call: Call) -> ScaledTensor:
    x = writer.without_offset(writer.uniform(call.tensor))
    name = writer.add(integer.Integrate, x, x.shape, call.name)
    return x.with_(name=name, weights=None)


@rule(time.BiasCorrection)
def bias_correction(writer: IntegerWriter, call: Call) -> ScaledTensor:
    layer = call.operation
    x = writer.affine(call.tensor, 1.0, array(layer.bias))
    return x.with_(initial=array(layer.initial))


integer_form = CellForms(
    'a network that snn_keras.convert(model, timesteps, neuron="if") makes, or '
    '"signed", "bit_serial", "differential" or "multi_threshold" neurons'
)


@dataclasses.dataclass(frozen=True)
class NeuronForm:
    """The integer operation of a cell.

    Attributes:
        operation: A class derived from `integer.Fire`.
        arguments: Its arguments besides threshold and initial potential. A function is
            called on the integers of the threshold.
        parts: The number of equal parts into which the threshold must be divisible.
        size: The real value of an output of 1; the threshold by default.
    """

    operation: type
    arguments: dict = dataclasses.field(default_factory=dict)
    parts: int = 2
    size: Any = None


@integer_form(neurons.IFCell)
def _integrate_and_fire(cell, layer):
    return NeuronForm(integer.Fire)


@integer_form(neurons.SignedIFCell)
def _signed(cell, layer):
    return NeuronForm(integer.SignedFire, {"ceiling": cell.ceiling})


@integer_form(neurons.BitSerialCell)
def _bit_serial(cell, layer):
    if not isinstance(layer, time.OnePassSpiking):
        raise NotExported(
            "bit-serial neurons are exported from a network of one pass. Remedy: "
            'convert(..., neuron="bit_serial", fused=True).'
        )
    bits, arguments = cell.timesteps, {"bits": cell.timesteps}
    parts = 2 ** (bits + 1)
    if cell.saturates:

        def most(threshold):  # includes the initial potential, half of the last bit
            highest = np.floor(cell.saturation * threshold).astype(np.int64)
            return highest + threshold // parts

        arguments["most"] = most
    return NeuronForm(integer.FireBits, arguments, parts, cell.theta_value() / 2**bits)


@integer_form(neurons.MultiThresholdIFCell)
def _multi_threshold(cell, layer):
    least = cell.theta_value() / 2 ** (cell.sizes - 1)
    parts = 2 ** (cell.sizes + 1)  # three quarters of the smallest size are whole
    return NeuronForm(integer.FireSizes, {"sizes": cell.sizes}, parts, least)


@integer_form(neurons.DifferentialIFCell)
def _differential(cell, layer):
    form = _multi_threshold(cell, layer)
    arguments = {**form.arguments, "ceiling": cell.ceiling}
    return dataclasses.replace(form, operation=integer.FireChanges, arguments=arguments)


@rule(time.Spiking, time.OnePassSpiking)
def spiking(writer: IntegerWriter, call: Call) -> ScaledTensor:
    cell, x = call.layer.cell, call.tensor
    form = integer_form.of(cell)(cell, call.layer)
    theta = cell.theta_value()
    parts = form.parts if form.parts > 2 else 1  # half a threshold may be rounded
    initial = array(cell.initial_state(np.shape(theta))[0]) + x.initial
    if x.is_open and np.all(theta / x.factor >= max(form.parts, 16) * x.unit.finest):
        x = writer.without_offset(x)
        x.unit.need(theta / x.factor / parts)
        x.unit.need(initial / x.factor)
        x.unit.anchor(theta / x.factor / form.parts)
    else:
        others = np.maximum(theta, np.abs(initial))
        x = fine_enough(writer, x, theta / form.parts, others, call.name)

    threshold = Threshold(call.name, "threshold", theta, x, parts)
    arguments: dict[str, Any] = {
        key: Derived(value, threshold) if callable(value) else value
        for key, value in form.arguments.items()
    }
    name = writer.add(
        form.operation,
        x,
        x.shape,
        call.name,
        threshold=threshold,
        initial=Constant(call.name, "initial potential", initial, x),
        **arguments,
    )
    size = theta if form.size is None else form.size
    return ScaledTensor(name, x.shape, np.asarray(size), timed=x.timed)


@rule(layers.Activation, *LEFT_OUT)
def last_activation(writer: IntegerWriter, call: Call) -> ScaledTensor:
    """At an output it keeps the order of classes, so it is left to the caller."""
    if not call.is_last:
        raise NotExported(
            f"only at the end of a network is it left to the caller. Remedy: "
            f"{QUANTIZED}."
        )
    writer.left_out.append(call.name)
    return call.tensor
