"""What every activation that becomes spiking neurons has in common."""

import keras
import numpy as np


class SourceActivation(keras.layers.Layer):
    """Base of the activations that convert to spiking neurons.

    Attributes:
        levels: Number p of positive levels.
        axis: None for one step s a layer, or the axis with a step for each entry.
        neuron: What it becomes where the user does not say; see
            `snn_keras.neurons.by_name`.
        is_staircase: Whether it has no values but whole numbers of steps.
        is_random: Whether it is trained to send spikes at random.
        has_size: Whether it holds a size that can be set. One that sends 0 or 1 stands
            between a scaling and its inverse instead.
    """

    levels = 1
    axis = None
    neuron = "if"
    is_staircase = True
    is_random = False
    has_size = True

    def step_value(self):
        """The step s as a NumPy array, of shape () or one for each entry of `axis`."""
        raise NotImplementedError

    def threshold_value(self):
        """The threshold `theta = levels * step` as a NumPy array."""
        return np.asarray(self.levels * self.step_value())
