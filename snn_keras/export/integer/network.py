"""`IntegerNetwork`: runs integer operations step by step."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from snn_keras.errors import ConversionError
from snn_keras.export.inputs import in_order
from snn_keras.export.integer.bounds import INT32, too_large, walk
from snn_keras.export.integer.firing import Fire
from snn_keras.export.integer.interval import Interval
from snn_keras.export.integer.operations import Operation
from snn_keras.text import table
from snn_keras.typing import Inputs


@dataclasses.dataclass(frozen=True)
class Input:
    """An input of an integer network: $x = scale (q - zero\\_point)$.

    Attributes:
        name: Its name.
        shape: Its shape, without the batch.
        dtype: The dtype of q: "uint8", "int8" or "int16".
        scale, zero_point: The quantization parameters.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float
    zero_point: int

    @property
    def interval(self) -> Interval:
        """Bounds of q - zero_point."""
        limits = np.iinfo(self.dtype)
        ends = np.int64(limits.min), np.int64(limits.max)
        return Interval(*ends).map(lambda bound: bound - self.zero_point)

    def quantize(self, x: np.ndarray) -> np.ndarray:
        """Rounds numbers `(batch, ...)` to the nearest q within the dtype."""
        limits = np.iinfo(self.dtype)
        q = np.floor(np.asarray(x, "float64") / self.scale + 0.5) + self.zero_point
        return np.clip(q, limits.min, limits.max).astype(self.dtype)


@dataclasses.dataclass(frozen=True)
class Output:
    """An output of an integer network: $x = scale \\cdot q / divisor$.

    Attributes:
        name: The tensor.
        scale: The real value of 1.
        divisor: The number of steps to divide by; None for the steps run so far.
    """

    name: str
    scale: float
    divisor: int | None


class IntegerNetwork:
    """A spiking network of integers; `snn_keras.export.to_integers` makes one.

    Args:
        name: Its name.
        inputs: List of `Input`.
        operations: List of `Operation`, in running order.
        outputs: List of `Output`.
        timesteps: Time steps of a run.
        notes: List of `(layer, note)` on differences from the source by rounding.
        left_out: Names of layers at the outputs that are left to the caller.

    Raises:
        ConversionError: if a value might not fit in 32 bits.
    """

    def __init__(
        self,
        name: str,
        inputs: list[Input],
        operations: list[Operation],
        outputs: list[Output],
        timesteps: int,
        notes: Sequence[tuple[str, str]] = (),
        left_out: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.inputs = list(inputs)
        self.operations = list(operations)
        self.outputs = list(outputs)
        self.timesteps = timesteps
        self.notes = list(notes)
        self.left_out = list(left_out)
        self.intervals = {x.name: x.interval for x in self.inputs}
        self.state_intervals = {}
        for operation, reads in walk(self.operations, self.intervals, timesteps):
            states = operation.state_bounds(*reads, steps=timesteps)
            self.state_intervals[operation.name] = states
            extremes = operation.extremes(*reads, steps=timesteps)
            largest = max(float(np.max(np.abs(x))) for x in extremes)
            if largest > INT32:
                message = too_large(
                    self.operations, self.intervals, operation, largest, timesteps
                )
                raise ConversionError(message)

    @property
    def neurons(self) -> list[Fire]:
        """The layers of spiking neurons."""
        return [x for x in self.operations if isinstance(x, Fire)]

    @property
    def is_exact(self) -> bool:
        """Whether weights and thresholds equal the source's, without rounding."""
        return not self.notes

    def static(self) -> set:
        """Names of tensors that are the same at all steps if the input is constant."""
        names = {x.name for x in self.inputs}
        for operation in self.operations:
            changes = operation.initial_state() or getattr(operation, "on", None)
            if not changes and names.issuperset(operation.inputs):
                names.add(operation.name)
        return names

    def initial_state(self, batch_size: int) -> dict:
        """The state of a network at rest: tuples of arrays by operation."""
        return {
            operation.name: tuple(
                np.zeros((batch_size, *x.shape), np.int64)
                for x in operation.initial_state()
            )
            for operation in self.operations
        }

    def step(
        self,
        inputs: Sequence[np.ndarray],
        state: dict[str, tuple],
        step: int,
        known: Mapping[str, np.ndarray] = (),
    ) -> tuple[dict, dict]:
        """Runs one time step.

        Args:
            inputs: List of arrays `(batch, ...)`, quantized by `quantize`.
            state: The state that `initial_state`, or the step before, returned.
            step: The number of the time step, from 0.
            known: `{name: value}` of values that need not be computed.

        Returns:
            All values by name, and the new state.
        """
        values = dict(known)
        for x, q in zip(self.inputs, inputs, strict=True):
            values[x.name] = np.asarray(q).astype(np.int64) - x.zero_point
        new = {}
        for operation in self.operations:
            if operation.name in values:
                new[operation.name] = state[operation.name]
                continue
            reads = [values[name] for name in operation.inputs]
            values[operation.name], new[operation.name] = operation.run(
                reads, state[operation.name], step
            )
        return values, new

    def run(self, inputs: Sequence[np.ndarray]) -> Iterator[tuple[dict, dict]]:
        """Runs all steps on a constant input.

        Args:
            inputs: Arrays, as for `step`.

        Yields:
            `(values, state)` after each step.
        """
        state = self.initial_state(len(inputs[0]))
        static, known = self.static(), {}
        for step in range(self.timesteps):
            values, state = self.step(inputs, state, step, known)
            known = {name: values[name] for name in static}
            yield values, state

    def quantize(self, x: Inputs) -> list[np.ndarray]:
        """Quantizes inputs to the integers that the network takes.

        Args:
            x: Inputs of any kind that the source's `predict` accepts; a dict has the
                inputs' names as keys.

        Raises:
            ValueError: if names are missing or unknown, or arrays do not fit.
        """
        arrays = in_order(x, {spec.name: spec.shape for spec in self.inputs})
        return [spec.quantize(a) for spec, a in zip(self.inputs, arrays, strict=True)]

    def decode(self, values: Mapping[str, np.ndarray], step: int) -> list[np.ndarray]:
        """The outputs after `step` steps, as real numbers."""
        return [
            values[out.name] * (out.scale / (out.divisor or step))
            for out in self.outputs
        ]

    def predict_over_time(
        self, x: Inputs, batch_size: int = 100
    ) -> np.ndarray | list[np.ndarray]:
        """The decoded output after every step, `(timesteps, batch, ...)`.

        Args:
            x: Inputs as the source network takes them, not quantized.
            batch_size: Samples per batch.

        Returns:
            An array; a list of arrays if there are several outputs.
        """
        quantized = self.quantize(x)
        parts = []
        for start in range(0, len(quantized[0]), batch_size):
            inputs = [q[start : start + batch_size] for q in quantized]
            runs = enumerate(self.run(inputs), start=1)
            parts.append([self.decode(values, step) for step, (values, _) in runs])
        outputs = [
            np.concatenate([np.stack([y[i] for y in part]) for part in parts], axis=1)
            for i in range(len(self.outputs))
        ]
        return outputs[0] if len(outputs) == 1 else outputs

    def predict(
        self, x: Inputs, batch_size: int = 100
    ) -> np.ndarray | list[np.ndarray]:
        """The decoded output of a run, `(batch, ...)`; see `predict_over_time`."""
        over_time = self.predict_over_time(x, batch_size)
        if isinstance(over_time, list):
            return [y[-1] for y in over_time]
        return over_time[-1]

    def __str__(self):
        rows = [("tensor", "operation", "shape", "constants", "between")]
        for operation in self.operations:
            interval = self.intervals[operation.name]
            rows.append(
                (
                    operation.name,
                    type(operation).__name__,
                    " x ".join(map(str, operation.shape)),
                    str(sum(np.size(x) for x in operation.constants()) or ""),
                    f"{np.min(interval.low)} and {np.max(interval.high)}",
                )
            )
        notes = [f"{layer}: {note}" for layer, note in self.notes]
        exact = ["every weight and threshold is the source's, without rounding"]
        head = f"{self.name}, {self.timesteps} time steps, in integers"
        return "\n".join([head, table(rows), *(notes or exact)])
