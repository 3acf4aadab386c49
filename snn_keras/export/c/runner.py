"""`CNetwork`: compiles and runs networks that `to_c` wrote."""

import ctypes
import os
import pathlib
import time
from collections.abc import Iterator, Sequence

import numpy as np

from snn_keras.export.c.about import About
from snn_keras.export.c.library import library
from snn_keras.export.c.program import LINE
from snn_keras.export.inputs import in_order
from snn_keras.text import table
from snn_keras.typing import Inputs

FLAGS = ("-O3", "-march=native")


class CNetwork:
    """A network in C, compiled for this machine when it is first run.

    Args:
        path: The folder that `to_c` wrote.
        trace: Whether `run` also gives all spikes and states.
        compiler: The C compiler.
        flags: Its flags, such as those that optimize.

    Attributes:
        form: "unrolled" or "streaming".
        timesteps: Time steps of a run.
        flash: Bytes of the constants.
        ram: Bytes of the struct with states and scratch.

    Raises:
        FileNotFoundError: if the folder does not hold a network.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        trace: bool = False,
        compiler: str = "cc",
        flags: Sequence[str] = FLAGS,
    ) -> None:
        self.path = pathlib.Path(path)
        self.trace = trace
        self.compiler = compiler
        self.flags = tuple(flags)
        about = About.read(self.path / "net.json")
        self.name = about.name
        self.form = about.form
        self.timesteps = about.timesteps
        self.flash = about.flash
        self.ram = about.ram
        self.inputs = about.inputs
        self.outputs = about.outputs
        self._about = about
        self._library: ctypes.CDLL | None = None

    def __str__(self) -> str:
        head = f"{self.name}, {self.timesteps} time steps, {self.form}, in C"
        rows = [("layer", "operations", "shape", "flash", "RAM kept", "inputs")]
        rows += [
            (a, b, c, f"{d:,}", f"{e:,}", f) for a, b, c, d, e, f in self._about.rows
        ]
        total = (
            f"flash: {self.flash:,} bytes of constants, and the code",
            f"RAM: {self.ram:,} bytes, scratch included",
        )
        return "\n".join([head, table(rows), *total])

    # --- Building --------------------------------------------------------------------

    def compile(self) -> None:
        """Compiles the network, if it is not compiled yet.

        Raises:
            RuntimeError: if there is no compiler, or if it fails.
        """
        if self._library is None:
            settings = self.compiler, self.flags, self.trace
            self._library = library(self.path, *settings)

    # --- Running ---------------------------------------------------------------------

    def quantize(self, x: Inputs) -> list[np.ndarray]:
        """Quantizes inputs of the network to the integers that the C takes."""
        arrays = in_order(x, {spec.name: spec.shape for spec in self.inputs})
        return [spec.quantize(a) for spec, a in zip(self.inputs, arrays, strict=True)]

    def run(self, inputs: Sequence[np.ndarray]) -> list[dict[str, np.ndarray]]:
        """Runs all time steps, one by one.

        Args:
            inputs: Integers `(batch, ...)` for each input, as `quantize` returns them.

        Returns:
            For each step the outputs `{name: integers (batch, ...)}`; with `trace` also
            the spikes of every layer of neurons, and every state as `"layer/state"`.

        Raises:
            ValueError: for inputs of other shapes or out of range; and without `trace`
                for the unrolled form, which has no single steps.
        """
        if self.form != "streaming" and not self.trace:
            raise ValueError(
                "the unrolled form gives the output of the last step alone. Remedy: "
                'to_c(..., form="streaming"), or CNetwork(path, trace=True).'
            )
        self.compile()
        arrays = self._checked(inputs)
        step = getattr(self._library, "net_trace_step" if self.trace else "net_step")
        samples = [list(self._steps(step, one)) for one in zip(*arrays, strict=True)]
        return [
            {name: np.stack([sample[t][name] for sample in samples]) for name in first}
            for t, first in enumerate(samples[0])
        ]

    def predict_over_time(self, x: Inputs) -> np.ndarray | list[np.ndarray]:
        """The decoded outputs after every step, `(timesteps, batch, ...)`.

        Args:
            x: Inputs as the network takes them; presented at every step.

        Raises:
            ValueError: for the unrolled form, which gives only the last step.
        """
        steps = self.run(self.quantize(x))
        over_time = [
            np.stack([self._decoded(y, v[y.name], t) for t, v in enumerate(steps, 1)])
            for y in self.outputs
        ]
        return over_time[0] if len(over_time) == 1 else over_time

    def predict(self, x: Inputs) -> np.ndarray | list[np.ndarray]:
        """The decoded outputs of a run, `(batch, ...)`."""
        self.compile()
        arrays = self._checked(self.quantize(x))
        net, results = self._memory(), self._results()
        whole = [
            np.empty((len(arrays[0]), *y.shape), np.int32) for y in results.values()
        ]
        for number, one in enumerate(zip(*arrays, strict=True)):
            self._library.net_run(net, *map(_pointer, (*one, *results.values())))
            for y, result in zip(whole, results.values(), strict=True):
                y[number] = result
        named = dict(zip(results, whole, strict=True))
        outputs = [
            self._decoded(y, named[y.name], self.timesteps) for y in self.outputs
        ]
        return outputs[0] if len(outputs) == 1 else outputs

    def seconds(self, x: Inputs, repeats: int = 5) -> float:
        """The median time of a run of one sample.

        Args:
            x: Inputs as the network takes them.
            repeats: How often every sample is run; of each the fastest run counts.
        """
        self.compile()
        arrays = self._checked(self.quantize(x))
        net, results = self._memory(), self._results()
        times = []
        for one in zip(*arrays, strict=True):
            pointers = [_pointer(a) for a in (*one, *results.values())]
            runs = []
            for _ in range(repeats):
                begin = time.perf_counter()
                self._library.net_run(net, *pointers)
                runs.append(time.perf_counter() - begin)
            times.append(min(runs))
        return float(np.median(times))

    def _steps(self, step, sample) -> Iterator[dict[str, np.ndarray]]:
        """What a sample gives after each step."""
        net, results = self._memory(), self._results()
        self._library.net_reset(net)
        for _ in range(self.timesteps):
            step(net, *map(_pointer, (*sample, *results.values())))
            values = {name: y.copy() for name, y in results.items()}
            for number, about in enumerate(self._about.traced if self.trace else ()):
                address = self._library.net_traced(net, number)
                content = ctypes.string_at(address, about.bytes)
                array = np.frombuffer(content, about.dtype).reshape(about.shape)
                values.setdefault(about.name, array)
            yield values

    def _memory(self):
        """Memory for the struct, and for what a trace adds to it."""
        traced = sum(x.bytes + 8 for x in self._about.traced) if self.trace else 0
        memory = np.empty(self.ram + traced + LINE, np.uint8)
        return _pointer(memory[-memory.ctypes.data % LINE :])

    def _results(self):
        return {
            name: np.zeros(shape, np.int32)
            for name, shape in self._about.shapes.items()
        }

    def _decoded(self, output, value, steps):
        return value * (output.scale / (output.divisor or steps))

    def _checked(self, inputs) -> list[np.ndarray]:
        """The inputs as contiguous arrays of their types."""
        if len(inputs) != len(self.inputs):
            names = [spec.name for spec in self.inputs]
            raise ValueError(
                f"expected integers for each input of {names}, as quantize returns "
                f"them. Received: {len(inputs)} arrays."
            )
        return [
            _of(spec, np.asarray(q))
            for spec, q in zip(self.inputs, inputs, strict=True)
        ]


def _of(spec, q):
    """The integers of an input, contiguous and of its type."""
    if q.shape[1:] != tuple(spec.shape) or q.dtype.kind not in "iu":
        raise ValueError(
            f"input '{spec.name}': expected integers of the shape (batch, "
            f"{', '.join(map(str, spec.shape))}). Received: {q.dtype} of the shape "
            f"{q.shape}. Remedy: quantize(x)."
        )
    limits = np.iinfo(spec.dtype)
    if q.size and not (limits.min <= q.min() and q.max() <= limits.max):
        raise ValueError(
            f"input '{spec.name}' is out of range: {spec.dtype} holds {limits.min} to "
            f"{limits.max}. Received: {q.min()} to {q.max()}. Remedy: quantize(x)."
        )
    return np.ascontiguousarray(q, spec.dtype)


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)
