"""TFLite files of integers alone, and how to run them."""

import dataclasses
import os

from snn_keras import files
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.lowering import Lowering
from snn_keras.export.to_integers import quantize_weights
from snn_keras.inputs import check_count
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

FORMS = ("unrolled", "streaming")
STEP = "step"  # the counter among the states of a stream
NEXT = "/next"  # behind the name of a state, as an output


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

    The file computes what the integer network does, bit by bit. Its input is quantized
    as TFLite models usually are, `x = scale (q - zero_point)`; its outputs are int32
    sums whose quantization scale decodes them.

    Args:
        snn: A `SpikingModel`, or an `IntegerNetwork` that `quantize_weights` made.
        path: Where to write it.
        data: As for `quantize_weights`.
        input_dtype: As for `quantize_weights`.
        form: `"unrolled"`: a call runs all time steps. `"streaming"`: a call runs one
            step, with the state as further inputs and outputs; for event data, and
            where memory is short.
        batch_size: Samples a call.
        trace: Whether all spikes, and the states after each step, are outputs too.
        overwrite: Whether to replace a file that is there.

    Returns:
        The `IntegerNetwork`.

    Raises:
        ConversionError: if layers have no integer form; every one is named.
        ValueError, FileExistsError, FileNotFoundError: for other bad input.
    """
    path = files.check_target(path, overwrite)
    if form not in FORMS:
        raise ValueError(f"form must be one of {FORMS}. Received: form={form!r}")
    check_count("batch_size", batch_size)
    network = snn
    if not isinstance(snn, IntegerNetwork):
        if data is None:
            raise ValueError(
                "data is missing: inputs as the network takes them, whose range sets "
                "the input's scale. Remedy: to_tflite(snn, path, x_train[:1000])."
            )
        network = quantize_weights(snn, data, input_dtype)
    write = {"unrolled": _unrolled, "streaming": _streaming}[form]
    content = write(network, batch_size, trace)
    with files.written_whole(path) as beside:
        beside.write_bytes(content)
    return network


def _unrolled(network, batch_size, trace):
    """The content of a file that runs all steps in a call."""
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
    """The content of a file that runs one step in a call."""
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
    """What the neurons sent at the step that was added last, by layer."""
    return {x.name: lowering.tensors[x.name] for x in lowering.network.neurons}


def _states(lowering):
    """The states as they are now, by name."""
    return {
        f"{operation.name}/{name}": number
        for operation in lowering.network.operations
        for name, number in zip(
            operation.state_names, lowering.states[operation.name], strict=True
        )
    }


def _outputs(lowering, steps):
    """The network's outputs, as tensors that say what their integers mean."""
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
    """The same tensors, none of them twice."""
    seen = set()
    distinct = {}
    for name, number in numbers.items():
        shape = lowering.file.shape(number)[1:]
        distinct[name] = lowering.copy(number, shape) if number in seen else number
        seen.add(number)
    return distinct


def _about(network, form, batch_size):
    """What the file says of itself."""
    outputs = [dataclasses.asdict(out) for out in network.outputs]
    return {
        "form": form,
        "timesteps": network.timesteps,
        "batch_size": batch_size,
        "inputs": [spec.name for spec in network.inputs],
        "outputs": outputs,
        "left_out": network.left_out,
    }
