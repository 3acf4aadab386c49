"""Base classes of the layers with a time axis."""

import keras
from keras import ops, tree

from snn_keras.coding import Coding
from snn_keras.time.clock import Clock
from snn_keras.typing import Array


class TimeLayer(keras.layers.Layer):
    """A layer of a spiking network whose tensors have a time axis.

    `layer(x)` computes a whole run from rest; `y, state = layer.advance(x, state,
    clock)` computes a piece of a run. The state of a stateless layer is None.
    """

    has_known_state = True  # False if the state's shape depends on the input

    def get_initial_state(self, batch_size: int) -> list | None:
        """The state at rest; None if stateless, or if `has_known_state` is False.

        Args:
            batch_size: Number of samples.
        """
        return None

    def precomputed(self, inputs: list, passes: int) -> dict:
        """Tensors that are computed once for a run, not once for every pass.

        Args:
            inputs: A list of tensors or specifications with the shape
                `(batch, time, ...)` and the dtype of the inputs of a pass.
            passes: Number of passes of the run.

        Returns:
            Tensors by name, the keyword arguments of `advance`.
        """
        return {}

    def advance(
        self,
        inputs: Array,
        state: list | None,
        clock: Clock,
        training: bool = False,
        **precomputed,
    ) -> tuple[Array, list | None]:
        """Runs the steps of a piece of a run.

        Args:
            inputs: A tensor `(batch, time, ...)`, or a list of such tensors.
            state: The state after the piece before; None at the start of a run.
            clock: The `Clock` of the piece.
            training: Whether layers inside are called in training.
            **precomputed: The tensors that `precomputed` returned.

        Returns:
            The outputs, and the state after the last step.
        """
        raise NotImplementedError

    def call(self, inputs: Array, training: bool = False) -> Array:
        clock = Clock.whole(tree.flatten(inputs)[0].shape[1])
        return self.advance(inputs, None, clock, training)[0]

    def received(self, inputs: Array) -> Array:
        """The inputs, cast to the layer's compute dtype as Keras casts them."""
        return tree.map_structure(self._cast, inputs)

    def _cast(self, x):
        return ops.cast(x, self.compute_dtype) if is_number(x) else x


def is_number(x: Array) -> bool:
    """Whether a tensor is of floats, which add up over time."""
    return keras.backend.is_float_dtype(x.dtype)


class Coded(keras.layers.Layer):
    """A layer that depends on its network's coding.

    Args:
        coding: The network's `snn_keras.coding.Coding`.
    """

    def __init__(self, coding: Coding, **kwargs) -> None:
        super().__init__(**kwargs)
        if not isinstance(coding, Coding):
            raise ValueError(
                f"{type(self).__name__} '{self.name}': coding must be a "
                f"snn_keras.coding.Coding, such as Rate(8). Received: {coding!r}"
            )
        self.coding = coding

    def with_coding(self, coding: Coding) -> "Coded":
        """This layer for a network with another coding; the weights are shared."""
        return type(self)(coding, name=self.name, dtype=self.dtype_policy)

    def get_config(self) -> dict:
        coding = keras.saving.serialize_keras_object(self.coding)
        return {**super().get_config(), "coding": coding}

    @classmethod
    def from_config(cls, config: dict) -> "Coded":
        coding = keras.saving.deserialize_keras_object(config.pop("coding"))
        return super().from_config({**config, "coding": coding})
