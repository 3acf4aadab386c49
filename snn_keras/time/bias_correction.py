"""A layer of currents that correct the mean errors of neurons."""

from typing import Any

import keras
from keras import ops

from snn_keras.time.clock import Clock
from snn_keras.time.layer import TimeLayer
from snn_keras.typing import Array


@keras.saving.register_keras_serializable("snn_keras")
class BiasCorrection(TimeLayer):
    """Adds a constant current to every channel, and another one in the first step.

    A current in the first step has the effect of a higher initial potential, so the
    weight `initial` corrects the neurons' initial potential.

    Args:
        neurons: The name of the layer of neurons that receives the currents.

    Input shape: `(batch, time, ..., channels)`. Output shape: the same.
    """

    def __init__(self, neurons: str, **kwargs) -> None:
        super().__init__(**kwargs)
        self.neurons = neurons

    def build(self, input_shape: Any) -> None:
        settings = {"shape": (input_shape[-1],), "initializer": "zeros"}
        self.bias = self.add_weight(**settings, name="bias")
        self.initial = self.add_weight(**settings, name="initial")

    def advance(
        self, currents: Array, state: list | None, clock: Clock, training: bool = False
    ) -> tuple[Array, list | None]:
        currents = self.received(currents)
        bias, initial = (ops.cast(w, currents.dtype) for w in (self.bias, self.initial))
        is_first = clock.along(ops.cast(clock.times == 1, currents.dtype), currents)
        return currents + bias + is_first * initial, None

    def compute_output_spec(
        self, currents: keras.KerasTensor, training: bool = False
    ) -> Any:
        return keras.KerasTensor(currents.shape, self.compute_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "neurons": self.neurons}
