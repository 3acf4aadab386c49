"""A spiking model that is watched while it runs."""

from typing import Any

import keras

from snn_keras.simulate.feeding import FastFeeding
from snn_keras.simulate.model import SpikingModel
from snn_keras.simulate.runs import run
from snn_keras.typing import Array


class Monitored(FastFeeding, keras.Model):
    """Runs a spiking model, and gives what a monitor saw of each layer beside it.

    Args:
        model: The `SpikingModel`.
        monitor: Watches the layers of neurons; see `simulate.program.Program`.

    Gives the model's outputs, and `{name: the monitor's state of the layer}`.
    """

    def __init__(self, model: SpikingModel, monitor: Any) -> None:
        super().__init__(name=f"{model.name}_monitored")
        self.model = model
        self.monitor = monitor
        self.jit_compile = model.jit_compile
        self.built = True

    def call(self, inputs: Array) -> tuple:
        model = self.model
        outputs, state = run(
            model.program, inputs, model.chunk_steps, monitor=self.monitor
        )
        return outputs, state["seen"]
