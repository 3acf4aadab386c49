"""Runs a spiking network piece by piece, on streams of inputs."""

from typing import TYPE_CHECKING, Any

from keras import ops, tree

from snn_keras.backend import backend
from snn_keras.time import Clock
from snn_keras.typing import Array

if TYPE_CHECKING:
    from snn_keras.simulate.model import SpikingModel

# The key of the state under which the number of steps so far is stored.
TIME = "time"


class StepFunction:
    """A spiking network as a pure function, with explicit state.

        step = snn.step_function()
        state = step.initial_state(batch_size)
        outputs, state = step(frame, state)  # one time step

    Every step has an input of its own, such as a frame of a video, of a sensor or of
    events; with the same input at every step the result is that of `predict`. It has
    no side effects, so it may be compiled (`tf.function`, `jax.jit`).

    Args:
        model: A `SpikingModel`.

    A stream may go on for longer than the model's `timesteps`.
    """

    def __init__(self, model: "SpikingModel") -> None:
        program = model.program
        program.check_has_steps()
        if program.coding.charges_first or program.extra_steps:
            raise ValueError(
                f"'{model.name}' cannot be fed step by step: its neurons look at a "
                "whole run, or at extra steps, before they fire. Remedy: neurons "
                '"if", "differential", "multi_threshold", "signed", "lif" or '
                '"noisy_lif".'
            )
        program.check_samples_apart("a stream", program.before)
        self._program = program

    def initial_state(self, batch_size: int) -> dict:
        """The state of a network at rest, a structure of tensors.

        If the size of the inputs is unknown, the first step adds the neurons' states.
        """
        start = ops.zeros((), "int32")
        return {**self._program.initial_state(batch_size), TIME: start}

    def __call__(self, inputs: Array, state: dict) -> tuple[Any, dict]:
        """Runs one step.

        Args:
            inputs: The input of this step, `(batch, ...)`, in the structure of the
                model's inputs.
            state: What `initial_state`, or the call before, returned.

        Returns:
            The decoded outputs so far, `(batch, ...)`, and the new state.
        """
        frames = tree.map_structure(
            lambda x: ops.expand_dims(ops.convert_to_tensor(x), 1), inputs
        )
        outputs, state = self.run(frames, state)
        return tree.map_structure(lambda y: y[:, -1], outputs), state

    def run(self, frames: Array, state: dict) -> tuple[Any, dict]:
        """Runs one step for each of the frames.

        Args:
            frames: The inputs of the steps, `(batch, time, ...)`.
            state: As for one step.

        Returns:
            The decoded outputs after each step, `(batch, time, ...)`, and the new
            state. Running in pieces gives the same result as running all at once.
        """
        program = self._program
        frames = tree.map_structure(ops.convert_to_tensor, frames)
        values, presented = program.present(frames)
        steps = ops.shape(tree.flatten(frames)[0])[1]
        clock = Clock(state[TIME], steps, program.coding.timesteps, reads_all=True)
        decoded, after = program.advance({}, state, clock, frames=presented)
        outputs = program.finish(values, decoded, steps)
        return outputs, {**after, TIME: state[TIME] + steps}


class Stream:
    """A compiled spiking network that keeps its state from call to call.

        stream = snn.stream()
        stream(first_frames)  # (batch, time, ...), in pieces of any length
        stream(next_frames)
        stream.reset_state()

    It works like `keras.layers.RNN(stateful=True)`: the batch size must stay the same
    until the state is reset.

    Args:
        model: A `SpikingModel`.
    """

    def __init__(self, model: "SpikingModel") -> None:
        self._step = StepFunction(model)
        by_xla = not model.program.without_xla
        self._run = backend.compiled(self._step.run, model.variables, by_xla)
        self.reset_state()

    def reset_state(self) -> None:
        """Resets the network to rest."""
        self._state = None
        self._batch_size = None

    @property
    def steps(self) -> int:
        """Time steps since the state was reset."""
        return 0 if self._state is None else int(self._state[TIME])

    def __call__(self, frames: Array) -> Any:
        """Runs one step for each of the frames.

        Args:
            frames: The inputs of the steps, `(batch, time, ...)`.

        Returns:
            The decoded outputs after each step, `(batch, time, ...)`.

        Raises:
            ValueError: if the size of the batch changes.
        """
        frames = tree.map_structure(ops.convert_to_tensor, frames)
        batch_size = tree.flatten(frames)[0].shape[0]
        if self._state is None:
            self._batch_size = batch_size
            self._state = self._step.initial_state(batch_size)
        if batch_size != self._batch_size:
            raise ValueError(
                f"the stream has a state for {self._batch_size} samples. Received: "
                f"{batch_size}. Remedy: as many samples, or reset_state() first."
            )
        outputs, self._state = self._run(frames, self._state)
        return outputs
