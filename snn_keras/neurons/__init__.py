"""Spiking neurons, and the layers that run them over time."""

from snn_keras.neurons.cell import SpikingCell as SpikingCell
from snn_keras.neurons.if_cell import IFCell as IFCell
from snn_keras.neurons.spiking import PerStep as PerStep
from snn_keras.neurons.spiking import Present as Present
from snn_keras.neurons.spiking import Readout as Readout
from snn_keras.neurons.spiking import Spiking as Spiking
