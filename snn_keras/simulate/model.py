"""`SpikingModel`: a spiking network that is an ordinary Keras model."""

import os
import pathlib
import types
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import tree

from snn_keras import files
from snn_keras import graph as graph_lib
from snn_keras._keras import maker_of, tensors_behind
from snn_keras.backend import backend
from snn_keras.coding import Coding
from snn_keras.inputs import batches, check_count, check_data
from snn_keras.simulate.early_exit import EarlyExit, EarlyExitRunner
from snn_keras.simulate.feeding import FastFeeding
from snn_keras.simulate.program import Program
from snn_keras.simulate.runs import last_step, run, run_until_silent
from snn_keras.simulate.step_function import StepFunction, Stream
from snn_keras.time import Readout, Spiking
from snn_keras.time.layer import Coded
from snn_keras.typing import Array, Inputs, Timesteps
from snn_keras.warning import warn


@keras.saving.register_keras_serializable("snn_keras")
class SpikingModel(FastFeeding, keras.Model):
    """A spiking network: a functional Keras model with a time axis inside.

    `snn_keras.convert` returns one. Calling it runs `timesteps` steps from rest
    and returns the decoded output `(batch, ...)`. `predict`, `evaluate`, `fit`
    (through surrogate gradients), `save` and `keras.models.load_model` work as for
    any Keras model.

    Layers before the first neuron are computed once, not at every step. In inference
    the steps run in chunks of `chunk_steps` inside one compiled loop that carries the
    neurons' state, so memory and compile time do not grow with `timesteps`. In
    training the whole run is unrolled.

    Unless `compile` sets `jit_compile`, runs over time are compiled by XLA; if XLA
    cannot compile a layer, they run without it, with a warning. For a network that
    computes all steps in one pass, Keras decides, as for the source.
    """

    runs_graph = True  # `call` runs the graph over time

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._compile_runs()
        if self.program.during and self.program.without_xla:
            warn(
                f"'{self.name}' runs without XLA, which cannot compile "
                f"{self.program.without_xla}; it is slower so."
            )

    def compile(self, *args, **kwargs) -> None:
        """As `keras.Model.compile`."""
        super().compile(*args, **kwargs)
        self._compiler = kwargs.get("jit_compile", "auto")
        if self._compiler == "auto" and not self.run_eagerly:
            self._compile_runs()

    def _compile_runs(self):
        """Lets XLA compile runs over time, if it can compile all layers."""
        if not self.program.during:
            return
        if self.program.without_xla:
            self.jit_compile = False
        else:
            backend.compile_model(self)

    def save(self, filepath: str | os.PathLike, *args, **kwargs) -> None:
        """As `keras.Model.save`, but a failure leaves no partial file.

        Raises:
            ValueError: if a layer cannot be saved, or if the file is HDF5, which does
                not store the package of a layer.
        """
        if pathlib.Path(filepath).suffix in (".h5", ".hdf5"):
            raise ValueError(
                f"'{self.name}' is a spiking network, and Keras cannot load one from "
                f"HDF5. Received: {filepath}. Remedy: a path that ends in .keras."
            )
        may_replace = kwargs.get("overwrite", not args or args[0])
        asks = pathlib.Path(filepath).exists() and not may_replace
        if asks or not str(filepath).endswith(".keras"):
            super().save(filepath, *args, **kwargs)
            return
        with files.written_whole(pathlib.Path(filepath)) as partial:
            super().save(partial, *args, **kwargs)

    def get_compile_config(self) -> dict | None:
        """As `keras.Model.get_compile_config`."""
        config = super().get_compile_config()
        if not config:  # not compiled
            return config
        trained = bool(self.optimizer and self.optimizer.built)
        return {**config, "jit_compile": self._compiler, "trained": trained}

    def compile_from_config(self, config: dict) -> None:
        """As `keras.Model.compile_from_config`."""
        # Keras's own method ignores models that override `compile`.
        config = keras.saving.deserialize_keras_object(config)
        trained = config.pop("trained", False)
        self.compile(**config)
        if trained:  # otherwise no variables of the optimizer were saved
            self.optimizer.build(self.trainable_variables)

    @property
    def output_names(self) -> list:
        """Names of the outputs, equal to those of the source."""
        return [_name_of(x) for x in self.outputs]

    @output_names.setter
    def output_names(self, names: Sequence[str]) -> None:
        pass  # Keras would set the names of the readouts

    @property
    def chunk_steps(self) -> int | None:
        """Number of steps in one pass of the compiled loop.

        None, the default, chooses it by the memory that network and batch need.
        """
        return self.__dict__.get("_chunk_steps")

    @chunk_steps.setter
    def chunk_steps(self, steps: int | None) -> None:
        if steps is not None:
            check_count("chunk_steps", steps)
        self.__dict__["_chunk_steps"] = steps
        # Compiled functions contain the old number.
        self.__dict__.pop("_memory", None)
        self.predict_function = self.test_function = None

    @property
    def coding(self) -> Coding:
        """The `snn_keras.coding.Coding`: how a number is spread over time steps."""
        return self.program.coding

    @property
    def timesteps(self) -> Timesteps:
        """Time steps of a run, an integer or "settle"."""
        return self.coding.timesteps

    @property
    def extra_steps(self) -> int:
        """Steps before a run in which neurons correct their initial state."""
        return self.program.extra_steps

    @property
    def program(self) -> Program:
        """The network, divided into nodes before, in and after time."""
        return self._remember("program", lambda: Program(graph_lib.trace(self)))

    def call(
        self, inputs: Array, training: bool | None = None, mask: Any = None
    ) -> Any:
        steps, training = self.chunk_steps, bool(training)
        outputs, _ = run(self.program, inputs, steps, training=training)
        return outputs

    def settling_steps(
        self, x: Inputs, batch_size: int | None = None, verbose: int | str = "auto"
    ) -> np.ndarray:
        """Steps until the last neuron fires, for a model run until it settles.

        Args:
            x: As for `predict`.
            batch_size: As for `predict`.
            verbose: As for `predict`.

        Returns:
            NumPy array `(batch,)` of integers.
        """
        return self.predict_until_settled(x, batch_size, verbose)[1]

    def predict_until_settled(
        self, x: Inputs, batch_size: int | None = None, verbose: int | str = "auto"
    ) -> tuple[Any, np.ndarray]:
        """What `predict` gives, and how many steps each sample took to come to rest.

        Args:
            x: As for `predict`.
            batch_size: As for `predict`.
            verbose: As for `predict`.

        Returns:
            The outputs `(samples, ...)`, in the structure of the model's outputs, and
            the steps until the last neuron of each sample fired, `(samples,)`. A run
            ends 10,000 steps after its input at the latest; a warning says so then.

        Raises:
            ValueError: if the run has a fixed number of steps.
        """
        if not self.coding.settles:
            raise ValueError(
                f"'{self.name}' does not run until it settles: {self.coding}. Remedy: "
                'convert(model, "settle", neuron="signed") or "differential".'
            )
        runner = self._remember("settling", lambda: _Settling(self))
        outputs, steps = runner.predict(x, batch_size=batch_size, verbose=verbose)
        last = last_step(self.coding)
        ended = int((steps >= last).sum())
        if ended:
            warn(
                f"'{self.name}': {ended} samples still fired at step "
                f"{last}, where their run was ended; they are not settled."
            )
        return outputs, steps

    def predict_over_time(
        self, x: Inputs, batch_size: int | None = None, verbose: int | str = "auto"
    ) -> Any:
        """The decoded output after every step of one run.

        Args:
            x: Inputs, as `predict` takes them.
            batch_size: Samples per batch; 32 by default.
            verbose: Progress report, as for `predict`.

        Returns:
            NumPy array(s) `(timesteps, batch, ...)`, in the structure of the
            model's outputs; the last entry is the result of `predict`.

        Raises:
            ValueError: if the run has no fixed number of steps, or no time axis.
        """
        self.program.check_has_steps()
        runner = self._remember("over_time", lambda: _OverTime(self))
        outputs = runner.predict(x, batch_size=batch_size, verbose=verbose)
        return tree.map_structure(lambda y: np.moveaxis(y, 1, 0), outputs)

    def predict_early_exit(
        self, x: Inputs, rule: EarlyExit, batch_size: int = 32, verbose: int | str = 0
    ) -> tuple[Any, np.ndarray]:
        """Runs each sample until its answer is certain, or no longer changes.

        Args:
            x: Inputs, as `predict` takes them.
            rule: A `snn_keras.EarlyExit`; `EarlyExit.calibrated` finds one.
            batch_size: Samples per batch; a sample that stops leaves the batch.
            verbose: 1 for a progress bar.

        Returns:
            The decoded outputs `(samples, ...)` of each sample's last step, in the
            structure of the model's outputs, and the steps it took, `(samples,)`.

        Raises:
            ValueError: if the network has no answer before its last step, or an output
                that does not fit the rule.
        """
        runner = self._remember(("early", rule), lambda: EarlyExitRunner(self, rule))
        check_count("batch_size", batch_size)
        parts = list(batches(check_data(x, self.program.graph), batch_size))
        bar = keras.utils.Progbar(len(parts), verbose=verbose)
        outputs, steps = [], []
        for i, part in enumerate(parts, start=1):
            for kept, received in zip((outputs, steps), runner(part), strict=True):
                kept.append(received)
            bar.update(i)
        joined = tree.map_structure(lambda *y: np.concatenate(y), *outputs)
        return joined, np.concatenate(steps)

    def step_function(self) -> StepFunction:
        """The network as a pure function of inputs and state, for streams.

        Raises:
            ValueError: if its neurons must see a whole run at once.
        """
        return StepFunction(self)

    def stream(self) -> Stream:
        """The network as a stateful function of frames.

        Raises:
            ValueError: if its neurons must see a whole run at once.
        """
        return Stream(self)

    def with_timesteps(self, timesteps: int) -> "SpikingModel":
        """The same network, sharing all weights, with another number of time steps.

        Raises:
            ValueError: if `timesteps` is not an integer >= 1.
        """
        coding = self.coding.with_timesteps(timesteps)
        graph = graph_lib.trace(self)
        made = {}  # one new layer for each layer, however often it is called

        def call(node, values):
            operation = node.operation
            if isinstance(operation, (Coded, Spiking)):
                if id(operation) not in made:
                    made[id(operation)] = operation.with_coding(coding)
                operation = made[id(operation)]
            return node.call(operation, values)

        own = 2 if self.program.has_frames else 1
        inputs = tree.map_structure(
            lambda x: keras.Input(
                batch_shape=(x.shape[0], *[timesteps] * (own - 1), *x.shape[own:]),
                dtype=x.dtype,
                name=x.name,
            ),
            self.input,
        )
        model = type(self)(inputs, graph.run(inputs, call), name=self.name)
        model.chunk_steps = self.chunk_steps
        return model

    def _remember(self, key, make):
        """A value that is made once and hidden from Keras's attribute tracking."""
        memory = self.__dict__.setdefault("_memory", types.SimpleNamespace(made={}))
        if key not in memory.made:
            memory.made[key] = make()
        return memory.made[key]


def _name_of(tensor):
    """The name of the layer that makes a KerasTensor; for a readout, its input's."""
    if isinstance(maker_of(tensor), Readout):
        (tensor,) = tensors_behind(tensor)
    return maker_of(tensor).name


class _OverTime(FastFeeding, keras.Model):
    """Runs a spiking model and returns its output after every step."""

    def __init__(self, spiking_model: SpikingModel) -> None:
        super().__init__(name=f"{spiking_model.name}_over_time")
        self.spiking_model = spiking_model
        self.jit_compile = spiking_model.jit_compile
        self.built = True

    @property
    def program(self) -> Program:
        """That of the spiking model."""
        return self.spiking_model.program

    def call(self, inputs: Array) -> Any:
        model = self.spiking_model
        outputs, _ = run(model.program, inputs, model.chunk_steps, over_time=True)
        return outputs


class _Settling(_OverTime):
    """Runs a spiking model until it settles; returns outputs, and steps it took."""

    def call(self, inputs: Array) -> Any:
        return run_until_silent(self.spiking_model.program, inputs)
