"""Runs a cell by itself, step by step."""

import numpy as np
from keras import ops

from snn_keras.time import Neurons


def run(cell, currents):
    """What a cell sends, `(steps, batch, features)`, and its state at the end."""
    cell.build((None, currents.shape[-1]))
    state, sent = cell.initial_state(currents.shape[1:]), []
    for current in currents:
        z, state = cell(ops.convert_to_tensor(current, "float32"), state)
        sent.append(ops.convert_to_numpy(z))
    return np.stack(sent), [ops.convert_to_numpy(x) for x in state]


def spiking_layers(snn):
    """The layers of neurons of a spiking network."""
    return [layer for layer in snn.layers if isinstance(layer, Neurons)]
