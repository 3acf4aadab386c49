"""TFLite files of integers alone, and how to run them."""

import dataclasses

import numpy as np

from snn_keras.export import files, flatbuffer
from snn_keras.export.flatbuffer import Quantization
from snn_keras.export.integer import Input, IntegerNetwork
from snn_keras.export.lowering import Lowering
from snn_keras.export.quantizer import quantize_weights
from snn_keras.inputs import check_count

FORMS = ("unrolled", "streaming")
STEP = "step"  # the counter among the states of a stream
NEXT = "/next"  # behind the name of a state, as an output


def to_tflite(
    snn,
    path,
    data=None,
    form="unrolled",
    *,
    input_dtype="int8",
    batch_size=1,
    trace=False,
    overwrite=False,
) -> IntegerNetwork:
    """Writes a spiking network as a TFLite file of integers.

    The file computes what the integer network does, bit by bit. Its input is quantized
    as TFLite models usually are, `x = scale (q - zero_point)`; its outputs are int32
    sums whose quantization scale decodes them.

    Args:
        snn: A `SpikingModel`, or an `IntegerNetwork` that `quantize_weights` made.
        path: Where to write it.
        data, input_dtype: As for `quantize_weights`.
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


class TFLiteNetwork:
    """A file that `to_tflite` wrote, run by the interpreter of ai-edge-litert.

    Args:
        path: The file.

    Attributes:
        form: "unrolled" or "streaming".
        timesteps: Time steps of a run.
        batch_size: Samples a call.
        input_names, output_names: What goes in, and comes out, in the file's order, as
            interpreters without names have it.

    Raises:
        ValueError: if it is not such a file, or is damaged.
        FileNotFoundError: if there is no file.
    """

    def __init__(self, path):
        content = files.read(path, "snn_keras.export.to_tflite(snn, path, data)")
        about = flatbuffer.read_metadata(content, path)
        from ai_edge_litert.interpreter import Interpreter

        self.form = about["form"]
        self.timesteps = about["timesteps"]
        self.batch_size = about["batch_size"]
        self._outputs = about["outputs"]
        self._interpreter = Interpreter(model_content=content)
        self._interpreter.allocate_tensors()
        (key,) = self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(key)
        details = self._runner.get_input_details()
        self.input_names = _in_order(details, self._interpreter.get_input_details())
        self.output_names = _in_order(
            self._runner.get_output_details(), self._interpreter.get_output_details()
        )
        self._inputs = {name: details.pop(name) for name in about["inputs"]}
        self._states = details

    def tensors(self) -> dict:
        """The dtype of every tensor in the file, by its number."""
        details = self._interpreter.get_tensor_details()
        return {x["index"]: np.dtype(x["dtype"]) for x in details}

    def quantize(self, x) -> dict:
        """Numbers, as the network takes them, as the integers that the file takes."""
        if isinstance(x, dict):
            x = [x[name] for name in self._inputs]
        elif not isinstance(x, (list, tuple)):
            x = [x]
        quantized = {}
        for (name, details), values in zip(self._inputs.items(), x, strict=True):
            scale, zero_point = details["quantization"]
            dtype = np.dtype(details["dtype"]).name
            spec = Input(name, (), dtype, scale, zero_point)
            quantized[name] = spec.quantize(values)
        return quantized

    def initial_state(self) -> dict:
        """The state of a stream at rest; empty for the unrolled form."""
        return {
            name: np.zeros(details["shape"], details["dtype"])
            for name, details in self._states.items()
        }

    def run(self, inputs, state=()) -> dict:
        """One call.

        Args:
            inputs: Integers by the inputs' names, as `quantize` gives them.
            state: As `initial_state` or `next_state` gives it.

        Returns:
            Everything that the file puts out, integers by name.
        """
        return self._runner(**inputs, **dict(state))

    def next_state(self, outputs) -> dict:
        """The state among what `run` returned, for the next call."""
        return {name: outputs[f"{name}{NEXT}"] for name in self._states}

    def predict_over_time(self, x):
        """The decoded outputs after every step, `(timesteps, batch, ...)`.

        Args:
            x: Inputs as the network takes them; presented at every step.

        Raises:
            ValueError: for the unrolled form, which gives the last step alone.
        """
        if self.form != "streaming":
            raise ValueError(
                "the unrolled form gives the output of the last step alone. Remedy: "
                'to_tflite(..., form="streaming").'
            )
        return self._run_batches(x)

    def predict(self, x):
        """The decoded outputs of a run, `(batch, ...)`."""
        outputs = self._run_batches(x)
        if isinstance(outputs, list):
            return [y[-1] for y in outputs]
        return outputs[-1]

    def _run_batches(self, x):
        quantized = self.quantize(x)
        count = len(next(iter(quantized.values())))
        parts = []
        for start in range(0, count, self.batch_size):
            chunk = {
                k: v[start : start + self.batch_size] for k, v in quantized.items()
            }
            taken = len(next(iter(chunk.values())))
            missing = self.batch_size - taken
            full = {
                k: np.pad(v, [(0, missing), *[(0, 0)] * (v.ndim - 1)], mode="edge")
                for k, v in chunk.items()
            }
            parts.append([y[:, :taken] for y in self._run_batch(full)])
        outputs = [np.concatenate(y, axis=1) for y in zip(*parts, strict=True)]
        return outputs[0] if len(outputs) == 1 else outputs

    def _run_batch(self, inputs):
        """The outputs `(steps, batch, ...)` of a batch of the size that it takes."""
        calls = self.timesteps if self.form == "streaming" else 1
        state = self.initial_state()
        over_time = []
        for step in range(1, calls + 1):
            results = self.run(inputs, state)
            state = self.next_state(results)
            steps = step if self.form == "streaming" else self.timesteps
            over_time.append(
                [
                    results[y["name"]] * (y["scale"] / (y["divisor"] or steps))
                    for y in self._outputs
                ]
            )
        return [np.stack(y) for y in zip(*over_time, strict=True)]


def _in_order(named, ordered):
    """Names of a signature, in the order of the graph's tensors."""
    names = {details["index"]: name for name, details in named.items()}
    return [names[details["index"]] for details in ordered]
