"""`to_tflite`: writes spiking networks as TFLite files of integers."""

import dataclasses
import os

from snn_keras import files
from snn_keras.export.forms import check_form, integers_of
from snn_keras.export.integer import IntegerNetwork
from snn_keras.export.tflite.about import About
from snn_keras.export.tflite.arithmetic import ARITHMETICS
from snn_keras.export.tflite.flatbuffer import Quantization
from snn_keras.export.tflite.plan import make_plan
from snn_keras.export.tflite.steps import Steps
from snn_keras.inputs import check_count
from snn_keras.simulate.model import SpikingModel
from snn_keras.typing import Inputs

STEP = "step/number"  # the counter among the states; no input has a "/"
NEXT = "/next"  # the suffix of an output that is a new state


def to_tflite(
    snn: SpikingModel | IntegerNetwork,
    path: str | os.PathLike,
    data: Inputs = None,
    form: str = "unrolled",
    *,
    arithmetic: str = "integer",
    input_dtype: str = "int8",
    batch_size: int = 1,
    trace: bool = False,
    overwrite: bool = False,
) -> IntegerNetwork:
    """Writes a spiking network as a TFLite file.

    The file computes exactly what the integer network computes, in integers alone or,
    if asked to, in float32 that holds them. Its input is quantized
    in the usual way of TFLite, `x = scale (q - zero_point)`; its outputs are int32 sums
    whose quantization scale decodes them.

    Args:
        snn: A `SpikingModel`, or an `IntegerNetwork` that `to_integers` returned.
        path: The path of the file.
        data: As for `to_integers`.
        input_dtype: As for `to_integers`.
        arithmetic: `"integer"`: no float anywhere. `"float32"`: integers held in
            float32, for processors whose kernels of float32 are fast; refused where a
            sum might be rounded.
        form: `"unrolled"`: a call runs all time steps. `"streaming"`: a call runs one
            step, with the state as further inputs and outputs, for event data or
            little memory.
        batch_size: Number of samples per call.
        trace: Whether the file also outputs all spikes and the states after each step.
        overwrite: Whether to replace an existing file.

    Returns:
        The `IntegerNetwork`.

    Raises:
        ConversionError: if layers have no integer form, or if float32 would round; the
            message names all of them.
        ValueError, FileExistsError, FileNotFoundError: for other invalid arguments.
    """
    path = files.check_target(path, overwrite)
    check_form(form)
    if arithmetic not in ARITHMETICS:
        raise ValueError(
            f"arithmetic must be one of {tuple(ARITHMETICS)}. Received: "
            f"arithmetic={arithmetic!r}"
        )
    check_count("batch_size", batch_size)
    network = integers_of(snn, data, input_dtype, "to_tflite")
    content = _content(network, form, batch_size, trace, ARITHMETICS[arithmetic])
    with files.written_whole(path) as partial:
        partial.write_bytes(content)
    return network


def _content(network, form, batch_size, trace, arithmetic):
    """The content of the file."""
    arithmetic.check(network)
    streaming = form == "streaming"
    read = [out.name for out in network.outputs]
    read += [x.name for x in network.neurons] if trace else []
    plan = make_plan(network, read, streaming, arithmetic.merges)
    steps = Steps(network, batch_size, arithmetic, plan)
    write = _streaming if streaming else _unrolled
    about = dataclasses.asdict(About.of(network, form, batch_size))
    key, inputs, outputs = write(steps, trace)
    return steps.file.content(key, inputs, outputs, about)


def _unrolled(steps, trace):
    """A graph that runs all steps: its key, its inputs and its outputs."""
    steps.rest()
    traced = {}
    for step in range(steps.network.timesteps):
        steps.add_step()
        if trace:
            numbers = _spikes(steps) | steps.current()
            traced |= {f"{name}/{step}": number for name, number in numbers.items()}
    outputs = _outputs(steps, steps.network.timesteps) | _copies(steps, traced)
    return "serving_default", steps.inputs, outputs


def _streaming(steps, trace):
    """The same of a graph that runs one step."""
    steps.stream()
    before = steps.current()
    steps.add_step()
    after = steps.current()
    if steps.counter is not None:
        before[STEP] = steps.counter
        after[STEP] = steps.next_step(f"{STEP}{NEXT}")
    outputs = {f"{name}{NEXT}": number for name, number in after.items()}
    outputs |= _spikes(steps) if trace else {}
    outputs = _outputs(steps, 1) | _copies(steps, outputs)
    return "step", steps.inputs | before, outputs


def _spikes(steps):
    """The neurons' outputs of the step that was added last, by layer."""
    return {x.name: steps.tensors[x.name] for x in steps.network.neurons}


def _outputs(steps, count):
    """The network's outputs, as int32 tensors with a quantization."""
    made = {}
    for out in steps.network.outputs:
        x = steps.tensors[out.name]
        whole = x if steps.dtype == "int32" else steps.cast(x, "int32")
        meaning = Quantization(out.scale / (out.divisor or count))
        made[out.name] = steps.copy(whole, steps.shape(x), meaning)
    return made


def _copies(steps, numbers):
    """The same tensors, with copies in place of repeated ones."""
    seen = set()
    distinct = {}
    for name, number in numbers.items():
        shape = steps.shape(number)
        distinct[name] = steps.copy(number, shape) if number in seen else number
        seen.add(number)
    return distinct
