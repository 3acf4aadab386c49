"""The base class of activations that convert to spiking neurons."""

import keras
import numpy as np


class SourceActivation(keras.layers.Layer):
    """Base class of the activations that convert to spiking neurons.

    Attributes:
        levels: Number p of positive levels.
        axis: None for one step s per layer, or the axis that has a step per entry.
        neuron: The name of the neuron that it becomes by default; see
            `snn_keras.neurons.by_name`.
        is_staircase: Whether all of its values are whole numbers of steps.
        is_random: Whether it is trained to send spikes at random.
        has_size: Whether it has a size that can be set. An activation that sends 0 or
            1 has none; it is used between a scaling and its inverse.
    """

    levels = 1
    axis = None
    neuron = "if"
    is_staircase = True
    is_random = False
    has_size = True

    def step_value(self) -> np.ndarray:
        """The step s as a NumPy array, of shape () or with one per entry of `axis`."""
        raise NotImplementedError

    def threshold_value(self) -> np.ndarray:
        """The threshold `theta = levels * step` as a NumPy array."""
        return np.asarray(self.levels * self.step_value())
