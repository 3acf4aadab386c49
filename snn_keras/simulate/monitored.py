"""`Monitored`: runs a spiking model together with a monitor."""

from typing import Any

import keras

from snn_keras.simulate.feeding import FastFeeding
from snn_keras.simulate.model import SpikingModel
from snn_keras.simulate.program import Program
from snn_keras.simulate.runs import run
from snn_keras.typing import Array


class Monitored(FastFeeding, keras.Model):
    """Runs a spiking model and a monitor of its layers of neurons.

    Args:
        model: The `SpikingModel`.
        monitor: The monitor; see `simulate.program.Program`.

    Returns the model's outputs, and `{layer: the monitor's state}`.
    """

    def __init__(self, model: SpikingModel, monitor: Any) -> None:
        super().__init__(name=f"{model.name}_monitored")
        self.model = model
        self.monitor = monitor
        self.jit_compile = model.jit_compile
        self.built = True

    @property
    def program(self) -> Program:
        """That of the spiking model."""
        return self.model.program

    def call(self, inputs: Array) -> tuple:
        model = self.model
        outputs, state = run(
            model.program, inputs, model.chunk_steps, monitor=self.monitor
        )
        return outputs, state["seen"]
