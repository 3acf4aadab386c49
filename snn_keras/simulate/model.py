"""SpikingModel: a spiking network that is an ordinary Keras model."""

import types

import keras
import numpy as np
from keras import tree

from snn_keras import graph as graph_lib
from snn_keras.neurons import Present
from snn_keras.simulate.program import Program


@keras.saving.register_keras_serializable("snn_keras")
class SpikingModel(keras.Model):
    """A spiking network: a functional Keras model with a time axis inside.

    `snn_keras.convert` makes one. Calling it runs `timesteps` steps from rest
    and gives the decoded output `(batch, ...)`; `predict`, `evaluate`, `fit`
    (through surrogate gradients), `save` and `keras.models.load_model` are
    Keras's own.

    What comes before the first neuron is computed once, not at every step. In
    inference the steps run in chunks of `chunk_steps` inside one compiled loop,
    with the neurons' state carried along: memory and compile time do not grow
    with `timesteps`. In training the whole run is unfolded.
    """

    chunk_steps = 4

    @property
    def timesteps(self) -> int:
        """Time steps of a run."""
        return self.program.timesteps

    @property
    def program(self) -> Program:
        """The network cut into what runs once before, in and after time."""
        return self._remember("program", lambda: Program(graph_lib.trace(self)))

    def call(self, inputs, training=None, mask=None):
        if training:
            return super().call(inputs, training=training)
        outputs, _ = self.program.run(inputs, self.chunk_steps)
        return outputs

    def predict_over_time(self, x, batch_size=None, verbose="auto"):
        """The decoded output after every step, from one run.

        Args:
            x: Inputs, as `predict` takes them.
            batch_size: Samples a batch; 32 by default.
            verbose: Progress report, as for `predict`.

        Returns:
            NumPy array(s) `(timesteps, batch, ...)`, in the structure of the
            model's outputs; the last entry is what `predict` gives.
        """
        runner = self._remember("over_time", lambda: _OverTime(self))
        outputs = runner.predict(x, batch_size=batch_size, verbose=verbose)
        return tree.map_structure(lambda y: np.moveaxis(y, 1, 0), outputs)

    def with_timesteps(self, timesteps) -> "SpikingModel":
        """The same network, sharing all weights, run for another time.

        Raises:
            ValueError: if `timesteps` is not an integer >= 1.
        """
        timesteps = check_timesteps(timesteps)
        graph = graph_lib.trace(self)

        def call(node, values):
            operation = node.operation
            if isinstance(operation, Present):
                operation = Present(timesteps, name=operation.name)
            return node.call(operation, values)

        inputs = tree.map_structure(
            lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=x.name),
            self.input,
        )
        model = type(self)(inputs, graph.run(inputs, call), name=self.name)
        model.chunk_steps = self.chunk_steps
        return model

    def _remember(self, key, make):
        """A value made once, out of sight of Keras's attribute tracking."""
        memory = self.__dict__.setdefault("_memory", types.SimpleNamespace())
        if not hasattr(memory, key):
            setattr(memory, key, make())
        return getattr(memory, key)


class _OverTime(keras.Model):
    """Runs a spiking model and gives its output after every step."""

    def __init__(self, spiking_model):
        super().__init__(name=f"{spiking_model.name}_over_time")
        self.spiking_model = spiking_model
        self.built = True

    def call(self, inputs):
        model = self.spiking_model
        outputs, _ = model.program.run(inputs, model.chunk_steps, over_time=True)
        return outputs


def check_timesteps(timesteps) -> int:
    """Returns `timesteps`, or raises a ValueError unless an integer >= 1."""
    valid = isinstance(timesteps, (int, np.integer)) and not isinstance(timesteps, bool)
    if not valid or timesteps < 1:
        raise ValueError(
            "timesteps must be an integer >= 1, the number of time steps of a run. "
            f"Received: timesteps={timesteps!r}"
        )
    return int(timesteps)
