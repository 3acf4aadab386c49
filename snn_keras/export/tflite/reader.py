"""`TFLiteNetwork`: runs exported TFLite files."""

import os
from collections.abc import Mapping

import numpy as np

from snn_keras.export.inputs import in_order
from snn_keras.export.integer import Input
from snn_keras.export.tflite.about import read_file
from snn_keras.export.tflite.writer import NEXT
from snn_keras.typing import Inputs
from snn_keras.untrusted import reading


class TFLiteNetwork:
    """A file that `to_tflite` wrote, run by the interpreter of ai-edge-litert.

    Args:
        path: The file.

    Attributes:
        form: "unrolled" or "streaming".
        timesteps: Time steps of a run.
        batch_size: Number of samples per call.
        input_names, output_names: Names of inputs and outputs in the file's order, for
            interpreters that do not use names.

    Raises:
        ValueError: if `to_tflite` did not write the file, or if it is damaged.
        FileNotFoundError: if the file does not exist.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        content, about = read_file(path)
        self.form = about.form
        self.timesteps = about.timesteps
        self.batch_size = about.batch_size
        self._outputs = about.outputs
        with reading(path, "a TFLite file", "export it again, or copy it again."):
            self._open(content, about)

    def _open(self, content, about):
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter = Interpreter(model_content=content)
        self._interpreter.allocate_tensors()
        (key,) = self._interpreter.get_signature_list()
        self._runner = self._interpreter.get_signature_runner(key)
        details = self._runner.get_input_details()
        self.input_names = _in_order(details, self._interpreter.get_input_details())
        self.output_names = _in_order(
            self._runner.get_output_details(), self._interpreter.get_output_details()
        )
        self._inputs = {name: details.pop(name) for name in about.inputs}
        self._states = details

    def tensors(self) -> dict:
        """The dtype of every tensor in the file, by its index."""
        details = self._interpreter.get_tensor_details()
        return {x["index"]: np.dtype(x["dtype"]) for x in details}

    def quantize(self, x: Inputs) -> dict:
        """Quantizes inputs of the network to the integers that the file takes."""
        shapes = {k: tuple(v["shape"][1:]) for k, v in self._inputs.items()}
        arrays = in_order(x, shapes)
        quantized = {}
        for (name, details), values in zip(self._inputs.items(), arrays, strict=True):
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

    def run(
        self,
        inputs: Mapping[str, np.ndarray],
        state: Mapping[str, np.ndarray] | tuple[()] = (),
    ) -> dict:
        """Calls the file once.

        Args:
            inputs: `{name: integers}`, the result of `quantize`.
            state: The result of `initial_state` or `next_state`.

        Returns:
            All outputs of the file, `{name: integers}`.
        """
        return self._runner(**inputs, **dict(state))

    def next_state(self, outputs: Mapping[str, np.ndarray]) -> dict:
        """The state for the next call, from the outputs that `run` returned."""
        return {name: outputs[f"{name}{NEXT}"] for name in self._states}

    def predict_over_time(self, x: Inputs) -> np.ndarray | list[np.ndarray]:
        """The decoded outputs after every step, `(timesteps, batch, ...)`.

        Args:
            x: Inputs as the network takes them; presented at every step.

        Raises:
            ValueError: for the unrolled form, which returns only the last step.
        """
        if self.form != "streaming":
            raise ValueError(
                "the unrolled form gives the output of the last step alone. Remedy: "
                'to_tflite(..., form="streaming").'
            )
        return self._run_batches(x)

    def predict(self, x: Inputs) -> np.ndarray | list[np.ndarray]:
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
        """The outputs `(steps, batch, ...)` of a batch of the file's batch size."""
        calls = self.timesteps if self.form == "streaming" else 1
        state = self.initial_state()
        over_time = []
        for step in range(1, calls + 1):
            results = self.run(inputs, state)
            state = self.next_state(results)
            steps = step if self.form == "streaming" else self.timesteps
            over_time.append(
                [
                    results[y.name] * (y.scale / (y.divisor or steps))
                    for y in self._outputs
                ]
            )
        return [np.stack(y) for y in zip(*over_time, strict=True)]


def _in_order(named, ordered):
    """Names of a signature, in the order of the graph's tensors."""
    names = {details["index"]: name for name, details in named.items()}
    return [names[details["index"]] for details in ordered]
