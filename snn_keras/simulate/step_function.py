"""A spiking network fed piece by piece, its state in the caller's hands."""

from keras import ops, tree

from snn_keras.backend import backend
from snn_keras.time import Clock

# Under which the state has the number of steps so far.
TIME = "time"


class StepFunction:
    """A spiking network as a pure function: explicit state in and out.

        step = snn.step_function()
        state = step.initial_state(batch_size)
        outputs, state = step(frame, state)  # one time step

    Every step has an input of its own, so it takes video, sensors and event
    frames; with the same input at every step it does what `predict` does. It may
    be compiled (`tf.function`, `jax.jit`): it has no side effects.

    Args:
        model: A `SpikingModel`.

    A stream may go on for longer than the model's `timesteps`.
    """

    def __init__(self, model):
        program = model.program
        program.check_has_steps()
        if program.coding.charges_first or program.extra_steps:
            raise ValueError(
                f"'{model.name}' cannot be fed step by step: its neurons look at a "
                "whole run, or at extra steps, before they fire. Remedy: neurons "
                '"if", "signed" or "lif".'
            )
        program.check_samples_apart("a stream", program.before)
        self._program = program

    def initial_state(self, batch_size) -> dict:
        """The state of a network at rest, a structure of tensors.

        Where the size of its inputs is open, neurons get theirs at the first step.
        """
        start = ops.zeros((), "int32")
        return {**self._program.initial_state(batch_size), TIME: start}

    def __call__(self, inputs, state):
        """Runs one step.

        Args:
            inputs: The input of this step, `(batch, ...)`, in the structure of
                the model's.
            state: What `initial_state`, or the call before, returned.

        Returns:
            The decoded outputs so far, `(batch, ...)`, and the new state.
        """
        frames = tree.map_structure(
            lambda x: ops.expand_dims(ops.convert_to_tensor(x), 1), inputs
        )
        outputs, state = self.run(frames, state)
        return tree.map_structure(lambda y: y[:, -1], outputs), state

    def run(self, frames, state):
        """Runs as many steps as `frames` has.

        Args:
            frames: The inputs of some steps, `(batch, time, ...)`.
            state: As for one step.

        Returns:
            The decoded outputs after each step, `(batch, time, ...)`, and the new
            state. Feeding a run in pieces gives what the whole gives.
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
    """A spiking network that keeps its state from call to call, compiled.

        stream = snn.stream()
        stream(first_frames)  # (batch, time, ...), in pieces of any length
        stream(next_frames)
        stream.reset_state()

    As `keras.layers.RNN(stateful=True)`. The batch keeps its size until the state
    is reset.

    Args:
        model: A `SpikingModel`.
    """

    def __init__(self, model):
        self._step = StepFunction(model)
        by_xla = not model.program.without_xla
        self._run = backend.compiled(self._step.run, model.variables, by_xla)
        self.reset_state()

    def reset_state(self):
        """Forgets: the next frames meet a network at rest."""
        self._state = None
        self._batch_size = None

    @property
    def steps(self) -> int:
        """Time steps since the state was reset."""
        return 0 if self._state is None else int(self._state[TIME])

    def __call__(self, frames):
        """Runs as many steps as `frames` has.

        Args:
            frames: The inputs of some steps, `(batch, time, ...)`.

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
