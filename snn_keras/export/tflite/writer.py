"""`to_tflite`: writes spiking networks as TFLite files of integers."""

import dataclasses
import os

from snn_keras import files
from snn_keras.export.forms import check_form, integers_of
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.lowering import Lowering
from snn_keras.inputs import check_count
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

STEP = "step"  # the name of the step counter among the states of a stream
NEXT = "/next"  # the suffix of an output that is a new state


def to_tflite(
    snn: SpikingModel | IntegerNetwork,
    path: str | os.PathLike,
    data: Inputs = None,
    form: str = "unrolled",
    *,
    input_dtype: str = "int8",
    batch_size: int = 1,
    trace: bool = False,
    overwrite: bool = False,
) -> IntegerNetwork:
    """Writes a spiking network as a TFLite file of integers.

    The file computes exactly what the integer network computes. Its input is quantized
    in the usual way of TFLite, `x = scale (q - zero_point)`; its outputs are int32 sums
    whose quantization scale decodes them.

    Args:
        snn: A `SpikingModel`, or an `IntegerNetwork` that `quantize_weights` returned.
        path: The path of the file.
        data: As for `quantize_weights`.
        input_dtype: As for `quantize_weights`.
        form: `"unrolled"`: a call runs all time steps. `"streaming"`: a call runs one
            step, with the state as further inputs and outputs, for event data or
            little memory.
        batch_size: Number of samples per call.
        trace: Whether the file also outputs all spikes and the states after each step.
        overwrite: Whether to replace an existing file.

    Returns:
        The `IntegerNetwork`.

    Raises:
        ConversionError: if layers have no integer form; the message names all of them.
        ValueError, FileExistsError, FileNotFoundError: for other invalid arguments.
    """
    path = files.check_target(path, overwrite)
    check_form(form)
    check_count("batch_size", batch_size)
    network = integers_of(snn, data, input_dtype, "to_tflite")
    write = {"unrolled": _unrolled, "streaming": _streaming}[form]
    content = write(network, batch_size, trace)
    with files.written_whole(path) as partial:
        partial.write_bytes(content)
    return network


def _unrolled(network, batch_size, trace):
    """The content of a file that runs all steps in one call."""
    lowering = Lowering(network, batch_size)
    lowering.rest()
    traced = {}
    for step in range(network.timesteps):
        lowering.add_step()
        if trace:
            numbers = _spikes(lowering) | _states(lowering)
            traced |= {f"{name}/{step}": number for name, number in numbers.items()}
    outputs = _outputs(lowering, network.timesteps) | _copies(lowering, traced)
    about = _about(network, "unrolled", batch_size)
    return lowering.file.content("serving_default", lowering.inputs, outputs, about)


def _streaming(network, batch_size, trace):
    """The content of a file that runs one step per call."""
    lowering = Lowering(network, batch_size)
    for operation in network.operations:
        lowering.states[operation.name] = [
            lowering.tensor(zeros.shape, name=f"{operation.name}/{name}")
            for name, zeros in zip(
                operation.state_names, operation.initial_state(), strict=True
            )
        ]
    before = _states(lowering)
    counts = any(getattr(x, "on", None) is not None for x in network.operations)
    if counts:
        before[STEP] = lowering.counter = lowering.file.tensor(STEP, (1,), "int32")
    lowering.add_step()
    after = _states(lowering)
    if counts:
        after[STEP] = lowering.next_step()
    outputs = {f"{name}{NEXT}": number for name, number in after.items()}
    outputs |= _spikes(lowering) if trace else {}
    outputs = _outputs(lowering, 1) | _copies(lowering, outputs)
    about = _about(network, "streaming", batch_size)
    return lowering.file.content("step", lowering.inputs | before, outputs, about)


def _spikes(lowering):
    """The neurons' outputs of the step that was added last, by layer."""
    return {x.name: lowering.tensors[x.name] for x in lowering.network.neurons}


def _states(lowering):
    """The current states, by name."""
    return {
        f"{operation.name}/{name}": number
        for operation in lowering.network.operations
        for name, number in zip(
            operation.state_names, lowering.states[operation.name], strict=True
        )
    }


def _outputs(lowering, steps):
    """The network's outputs, as tensors with a quantization."""
    shapes = {x.name: x.shape for x in lowering.network.operations}
    return {
        out.name: lowering.copy(
            lowering.tensors[out.name],
            shapes[out.name],
            Quantization(out.scale / (out.divisor or steps)),
        )
        for out in lowering.network.outputs
    }


def _copies(lowering, numbers):
    """The same tensors, with copies in place of repeated ones."""
    seen = set()
    distinct = {}
    for name, number in numbers.items():
        shape = lowering.file.shape(number)[1:]
        distinct[name] = lowering.copy(number, shape) if number in seen else number
        seen.add(number)
    return distinct


def _about(network, form, batch_size):
    """The metadata of the file."""
    outputs = [dataclasses.asdict(out) for out in network.outputs]
    return {
        "form": form,
        "timesteps": network.timesteps,
        "batch_size": batch_size,
        "inputs": [spec.name for spec in network.inputs],
        "outputs": outputs,
        "left_out": network.left_out,
    }
